//! The program, as a process.

use std::{
    io::Write,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    sync::Arc,
};

use rustix::process::{Pid, Signal, kill_process};

use crate::hub::Hub;

fn device_sim(hub: &str, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_device-sim"));
    command.args(["--hub", hub]).args(flags).env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// How it ended, and what it wrote to standard error.
async fn ended(child: Child) -> (ExitStatus, String) {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    (output.status, String::from_utf8(output.stderr).unwrap())
}

fn tell(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

fn spool_flags(folder: &Path) -> [&str; 6] {
    ["--device", "shed", "--rate", "50", "--spool", folder.to_str().unwrap()]
}

#[tokio::test]
async fn it_stops_after_so_many_messages_and_says_what_it_did() {
    let hub = Hub::start().await;
    let flags = ["--device", "shed", "--devices", "2", "--rate", "20", "--count", "3", "--batch-ms", "0"];
    let (status, said) = ended(device_sim(&hub.address, &flags).spawn().unwrap()).await;
    assert!(status.success(), "{said}");
    assert!(said.contains("6 messages sent, 6 acknowledged, none waiting"), "{said}");
    assert!(said.starts_with("device-sim: 2 devices, shed-1 … shed-2, → ws://127.0.0.1:"), "{said}");
    let devices: Vec<String> = hub.store.lock().unwrap().hellos.keys().cloned().collect();
    assert_eq!(devices, ["shed-1", "shed-2"]);
}

#[tokio::test]
async fn interrupted_it_delivers_what_it_has() {
    let mut hub = Hub::start().await;
    let child = device_sim(&hub.address, &["--rate", "50"]).spawn().unwrap();
    hub.until(|store| store.count() > 10).await;
    tell(&child, Signal::INT);
    let (status, said) = ended(child).await;
    assert!(status.success(), "{said}");
    let readings = hub.store.lock().unwrap().count();
    assert!(said.contains(&format!("{readings} readings measured")), "{said}, {readings} arrived");
}

#[tokio::test]
async fn without_a_hub_it_keeps_trying_and_what_it_measured_is_sent_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::start().await;
    let address = hub.address.clone();
    drop(hub);
    let mut measured = 0;
    for signal in [Signal::KILL, Signal::TERM] {
        let left = spool_len(folder.path());
        let child = device_sim(&address, &spool_flags(folder.path())).spawn().unwrap();
        while spool_len(folder.path()) < left + 4_000 {
            tokio::task::yield_now().await;
        }
        tell(&child, signal);
        let (status, said) = ended(child).await;
        if signal == Signal::TERM {
            assert_eq!(status.code(), Some(1), "{said}");
            assert!(said.contains("cannot reach") && said.contains("next try"), "{said}");
            assert!(said.contains("kept in") && said.contains("sent at the next start"), "{said}");
            measured = readings_said(&said);
        }
    }
    let mut hub = Hub::start_at(&address, Arc::default()).await;
    let child = device_sim(&address, &spool_flags(folder.path())).spawn().unwrap();
    // The two that were left, and the one of this run.
    hub.until(|store| store.spools.len() == 3 && store.spools.values().all(|&readings| readings > 0)).await;
    tell(&child, Signal::INT);
    let (status, said) = ended(child).await;
    assert!(status.success(), "{said}");
    let store = hub.store.lock().unwrap();
    assert!(store.spools.values().any(|&readings| readings == measured), "{measured} of {:?}", store.spools);
    let times: Vec<i64> = store.readings["shed"].iter().map(|reading| reading.time_us).collect();
    assert!(times.is_sorted(), "the oldest first");
    assert_eq!(spool_len(folder.path()), 0, "nothing is left behind");
}

#[tokio::test]
async fn a_pipe_is_sent_to_its_end_and_new_fields_become_channels() {
    let hub = Hub::start().await;
    let mut command = device_sim(&hub.address, &["--source", "stdin", "--device", "pipe"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for n in 0..20_000 {
            let more = if n >= 10_000 { format!(", \"hum\": {n}") } else { String::new() };
            writeln!(input, "{{\"t\": {}, \"temp\": {n}{more}}}", 1_770_000_000_000_u64 + n).unwrap();
        }
    });
    let (status, said) = ended(child).await;
    writer.join().unwrap();
    assert!(status.success() && !said.contains("dropped"), "{said}");
    let store = hub.store.lock().unwrap();
    let expected: Vec<f64> = (0..20_000).map(f64::from).collect();
    assert_eq!(store.values("pipe", "temp"), expected);
    assert_eq!(store.values("pipe", "hum"), expected[10_000..]);
}

#[tokio::test]
async fn a_program_s_first_words_are_skipped_and_a_program_without_a_reading_is_told_so() {
    for (input, code, words) in [
        ("Starting sensor...\n{\"temp\": 1}\n{\"temp\": 2}\n", 0, &["line=1", "1 input line skipped"][..]),
        ("sensor: command not found\n", 1, &["device-sim: pipe: the input has ended after one line", "JSON lines"]),
    ] {
        let hub = Hub::start().await;
        let mut command = device_sim(&hub.address, &["--source", "stdin", "--device", "pipe"]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let (status, said) = ended(child).await;
        assert_eq!(status.code(), Some(code), "{said}");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        let expected: &[f64] = if code == 0 { &[1.0, 2.0] } else { &[] };
        assert_eq!(hub.store.lock().unwrap().values("pipe", "temp"), expected);
    }
}

#[tokio::test]
async fn simulated_devices_are_named_so_that_the_demo_of_a_hub_has_others() {
    let mut hub = Hub::start().await;
    let child = device_sim(&hub.address, &["--rate", "50"]).spawn().unwrap();
    hub.until(|store| !store.hellos.is_empty()).await;
    tell(&child, Signal::INT);
    let (_, said) = ended(child).await;
    let store = hub.store.lock().unwrap();
    let (id, hello) = store.hellos.first_key_value().unwrap();
    let site = id.strip_suffix("-greenhouse-1").expect("the machine's name stands before it");
    assert_eq!(hello.title, Some(format!("Greenhouse 1 ({site})")));
    assert!(said.starts_with(&format!("device-sim: {id} → ")), "{said}");
}

#[tokio::test]
async fn what_is_wrong_is_said_in_words_and_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    std::fs::write(&path, "secret").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let path = path.to_str().unwrap();
    for (flags, code, word) in [
        (&["--token-file", path][..], 1, "chmod 600"),
        (&["--replay", "/no/such.csv"], 1, "cannot open /no/such.csv: No such file"),
        (&["--rate", "0"], 1, "0.001 to 1000"),
        (&["--fault", "melt:temp"], 1, "drift, spike"),
        (&["--sauce", "host"], 2, "--source"),
    ] {
        let (status, said) = ended(device_sim("127.0.0.1:1", flags).spawn().unwrap()).await;
        assert_eq!(status.code(), Some(code), "{said}");
        assert!(said.contains(word) && !said.contains("secret"), "{said}");
    }
}

/// Bytes in the files of the one device's spool.
fn spool_len(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder.join("shed")) else { return 0 };
    let files = entries.map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "spool"));
    files.map(|path| std::fs::metadata(path).map_or(0, |file| file.len())).sum()
}

/// The number in front of "readings measured".
fn readings_said(said: &str) -> usize {
    let (before, _) = said.split_once(" readings measured").unwrap();
    let number = before.rsplit_once(' ').unwrap().1;
    number.replace('\u{2009}', "").parse().unwrap()
}

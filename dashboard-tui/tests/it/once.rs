//! `--once` and the flags of the real program.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
};

use crate::{fake_hub::FakeHub, farm};

async fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dashboard-tui"));
    command.args(arguments).env_remove("NO_COLOR");
    tokio::task::spawn_blocking(move || command.output().expect("started")).await.expect("ran")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn once_prints_a_line_for_each_channel_and_ends() {
    let hub = FakeHub::start(farm::devices()).await;
    let output = run(&["--once", "--hub", &hub.address.to_string()]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(output.stderr.is_empty(), "a hub that answers leaves nothing to say");
    let table = text(&output.stdout);
    assert_eq!(table.lines().count(), 1 + 4 * 2 + 2 * 5);
    let old_pi: Vec<&str> = table.lines().filter(|line| line.starts_with("old-pi")).collect();
    assert!(old_pi[0].contains("offline") && old_pi[0].ends_with(" bar"), "{table}");
    assert!(!table.contains("1970"), "when a device was seen is as of now: {table}");
}

#[tokio::test]
async fn once_of_an_empty_hub_is_the_headings() {
    let hub = FakeHub::start(Vec::new()).await;
    let output = run(&["--once", "--hub", &hub.address.to_string()]).await;
    assert_eq!(text(&output.stdout), "DEVICE  STATE  SEEN  CHANNEL  TIME  VALUE\n");
}

#[tokio::test]
async fn once_prints_the_one_device_that_is_named() {
    let hub = FakeHub::start(farm::devices()).await;
    let address = hub.address.to_string();
    let output = run(&["--once", "--hub", &address, "--device", "meter-1"]).await;
    let table = text(&output.stdout);
    assert_eq!(table.lines().count(), 1 + 2, "{table}");
    assert!(table.lines().skip(1).all(|line| line.starts_with("meter-1 ")), "{table}");

    let unknown = run(&["--once", "--hub", &address, "--device", "meter-2"]).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown.stderr).contains("knows no device \"meter-2\""), "{}", text(&unknown.stderr));
    assert!(unknown.stdout.is_empty());
}

#[tokio::test]
async fn once_says_at_once_what_it_waits_for() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("bound").to_string();
    drop(free);
    let mut command = Command::new(env!("CARGO_BIN_EXE_dashboard-tui"));
    command.args(["--once", "--hub", &address]).stdout(Stdio::null()).stderr(Stdio::piped());
    let heard = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().expect("started");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let first = lines.next().expect("something is said").expect("text");
        let still_tries = child.try_wait().expect("asked").is_none();
        child.kill().expect("killed");
        child.wait().expect("ended");
        (first, still_tries)
    });
    let (first, still_tries) = heard.await.expect("ran");
    assert!(first.contains(&format!("waiting for the hub at {address}")), "{first}");
    assert!(still_tries);
}

#[tokio::test]
async fn what_cannot_start_says_what_to_do() {
    let no_terminal = run(&[]).await;
    assert!(!no_terminal.status.success());
    assert!(text(&no_terminal.stderr).contains("--once"));
    let wrong_hub = run(&["--hub", "ftp://hub"]).await;
    assert!(text(&wrong_hub.stderr).contains("ws://"), "{}", text(&wrong_hub.stderr));
    let help = text(&run(&["--help"]).await.stdout);
    for flag in ["--hub", "--token-file", "--theme", "--device", "--config", "--log-file", "--once"] {
        assert!(help.contains(flag), "{help}");
    }
}

//! The programs in `docs/examples`, run as a reader runs them: what they measure is on the hub's disk, also when the hub
//! was away meanwhile.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{TestHub, eventually, in_time};

/// Readings that an example sends: some seconds' worth.
const COUNT: usize = 30;
/// Those that are there when the hub goes away.
const COUNT_BEFORE: usize = 5;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples").join(name)
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}

/// An example under way; killed when this is dropped.
struct Running {
    child: Child,
    stderr: Option<BufReader<ChildStderr>>,
    stdout: PathBuf,
    _folder: TempDir,
}

impl Running {
    fn start(mut command: Command, hub: &TestHub) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stdout = folder.path().join("stdout");
        command.arg(format!("ws://{}", hub.address)).arg(COUNT.to_string()).env_remove("HUB_TOKEN");
        command.stdin(Stdio::null()).stdout(fs::File::create(&stdout).expect("a file")).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it was tried before");
        let stderr = child.stderr.take().map(BufReader::new);
        Self { child, stderr, stdout, _folder: folder }
    }

    /// Waits until it says this on its standard error.
    async fn says(&mut self, word: &'static str) {
        let mut stderr = self.stderr.take().expect("given back below");
        let heard = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            while !line.contains(word) {
                line.clear();
                assert!(stderr.read_line(&mut line).expect("readable") > 0, "it ended and never said {word:?}");
            }
            stderr
        });
        self.stderr = Some(in_time("the example to say so", heard).await.expect("it says so"));
    }

    /// Waits until it ends by itself; gives what it said on its standard output.
    async fn finish(mut self) -> String {
        let status = eventually("the example ends", async || self.child.try_wait().expect("our child")).await;
        let said = fs::read_to_string(&self.stdout).expect("UTF-8");
        assert!(status.success(), "{status}: {said}");
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs an example that measures `device`/sine against a hub that is stopped and started again meanwhile.
async fn measures_through_a_restart(command: Command, device: &str) {
    let hub = TestHub::start().await;
    let series = format!("{device}/sine");
    let mut example = Running::start(command, &hub);
    eventually("the first are there", async || (hub.points(&series).await.len() >= COUNT_BEFORE).then_some(())).await;
    let hub = hub.restart_after(example.says("not connected")).await;
    let said = example.finish().await;
    assert!(said.contains("welcome") && said.contains("ack"), "it says what it hears: {said}");
    let points = hub.points(&series).await;
    assert_eq!(points.len(), COUNT, "each is there once: {points:?}");
    assert!(points.is_sorted_by(|a, b| a.0 < b.0));
    for (t_ms, value) in points {
        let wanted = (t_ms / 5_000.0).sin();
        assert!(value.is_some_and(|value| (value - wanted).abs() < 1e-6), "{value:?} at {t_ms} is no sine");
    }
    let seen = hub.device(device).await;
    assert_eq!(seen["channels"][0]["unit"], "V");
    let delivery = &seen["delivery"];
    assert_eq!(json!([delivery["stored"], delivery["lost"], delivery["refused"]]), json!([COUNT, 0, {}]), "{delivery}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_device_measures_through_a_restart_of_the_hub() {
    if !succeeds(Command::new("python3").args(["-c", "import cbor2, websockets"])) {
        println!(
            "skipped: python3 with cbor2 and websockets is not installed (scripts/test.sh does, into target/tools)"
        );
        return;
    }
    let mut command = Command::new("python3");
    command.arg("-u").arg(example("device.py"));
    measures_through_a_restart(command, "python-sine").await;
}

/// A folder with the JavaScript example beside the packages that it imports: a module does not look into `NODE_PATH`.
fn node_folder() -> Option<TempDir> {
    let paths = env::var_os("NODE_PATH").unwrap_or_default();
    let has_both = |path: &PathBuf| path.join("ws").is_dir() && path.join("cbor-x").is_dir();
    let packages = env::split_paths(&paths).find(has_both)?;
    let folder = tempfile::tempdir().expect("a temporary folder");
    symlink(packages, folder.path().join("node_modules")).expect("linked");
    fs::copy(example("device.mjs"), folder.path().join("device.mjs")).expect("copied");
    Some(folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_javascript_device_measures_through_a_restart_of_the_hub() {
    let is_there = succeeds(Command::new("node").arg("--version"));
    let Some(folder) = node_folder().filter(|_| is_there) else {
        println!(
            "skipped: node with ws and cbor-x in NODE_PATH is not installed (scripts/test.sh does, into target/tools)"
        );
        return;
    };
    let mut command = Command::new("node");
    command.arg(folder.path().join("device.mjs"));
    measures_through_a_restart(command, "javascript-sine").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shell_script_posts_until_it_is_answered() {
    if !succeeds(Command::new("curl").arg("--version")) {
        println!("skipped: curl is not installed");
        return;
    }
    let hub = TestHub::start().await;
    let mut script = Command::new("sh");
    script.arg(example("reading.sh")).arg(format!("http://{}", hub.address)).arg("3").env_remove("HUB_TOKEN");
    let run = tokio::task::spawn_blocking(move || script.stdin(Stdio::null()).output().expect("sh runs"));
    let output = in_time("the script", run).await.expect("no panic");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    let answers: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let wanted: Vec<Value> = (1..=3).map(|seq| json!({ "acked": seq, "stored": 1, "duplicate": 0 })).collect();
    assert_eq!(answers, wanted);
    let values: Vec<_> = hub.points("shell/temp").await.into_iter().map(|point| point.1).collect();
    assert_eq!(values, [Some(21.5); 3]);
}

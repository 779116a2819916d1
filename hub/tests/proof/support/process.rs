//! The `hub` program itself, as its users start it: to be killed, stopped, starved.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    ops::Deref,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use hub::Config;
use rustix::process::{Pid, Signal, kill_process};

use super::{Api, eventually, in_time};

/// A running process that listens on a port of its own. It is killed when this is dropped.
pub struct RealHub {
    api: Api,
    child: Child,
    /// From its start until it said that it is ready.
    pub ready_after: Duration,
    log: PathBuf,
    // The program says things on it; a closed pipe would end it.
    _stdout: BufReader<ChildStdout>,
}

impl Deref for RealHub {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl RealHub {
    /// Starts it with this configuration and waits until it is ready.
    pub async fn start(config: &Config) -> Self {
        Self::start_under(config, Command::new(env!("CARGO_BIN_EXE_hub"))).await
    }

    /// Starts it and kills it so soon after, ready or not.
    pub async fn start_and_kill(config: &Config, after: Duration) {
        let (mut child, _) = spawn(config, Command::new(env!("CARGO_BIN_EXE_hub")), Stdio::null());
        tokio::time::sleep(after).await;
        child.kill().expect("it runs or has just failed");
        child.wait().expect("it was our child");
    }

    /// The same under `strace` with this injection, for example `fdatasync:error=EIO:when=20+`.
    pub async fn start_with_fault(config: &Config, injection: &str) -> Self {
        let mut strace = Command::new("strace");
        let (call, _) = injection.split_once(':').expect("a call and what to do with it");
        strace.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
        strace.arg("-e").arg(format!("inject={injection}")).arg(env!("CARGO_BIN_EXE_hub"));
        Self::start_under(config, strace).await
    }

    async fn start_under(config: &Config, command: Command) -> Self {
        let began = Instant::now();
        let (mut child, log) = spawn(config, command, Stdio::piped());
        let stdout = child.stdout.take().expect("piped");
        let first_line = tokio::task::spawn_blocking(move || {
            let (mut stdout, mut line) = (BufReader::new(stdout), String::new());
            stdout.read_line(&mut line).expect("readable");
            (stdout, line)
        });
        let (stdout, line) = in_time("the hub to say where it is", first_line).await.expect("no panic");
        let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next()?.parse().ok());
        let Some(address) = address else {
            panic!("the hub said {line:?}:\n{}", fs::read_to_string(&log).unwrap_or_default())
        };
        let api = Api { address };
        eventually("the hub is ready", async || (api.get("/readyz").await.status == 200).then_some(())).await;
        Self { api, child, ready_after: began.elapsed(), log, _stdout: stdout }
    }

    /// What it logged, all its starts in this folder together.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("a log")
    }

    /// SIGKILL, and wait until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was our child");
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(pid_of(self.child.id()), signal).expect("it runs");
    }

    /// Waits for its end; gives the exit code.
    pub async fn exit_code(mut self) -> Option<i32> {
        let status = eventually("the hub exits", async || self.child.try_wait().expect("our child")).await;
        assert_eq!(status.signal(), None, "it ended by itself");
        status.code()
    }
}

impl Drop for RealHub {
    fn drop(&mut self) {
        // Under strace the hub is a child of our child, and would live on without its tracer.
        for pid in children_of(self.child.id()).into_iter().chain([self.child.id()]) {
            // It may have ended long ago; as long as nobody waited for it, its number is not used again.
            let _ = kill_process(pid_of(pid), Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Starts the program with its configuration in a file; gives it and its log.
fn spawn(config: &Config, mut command: Command, stdout: Stdio) -> (Child, PathBuf) {
    let folder = config.data.parent().expect("the data folder stands in the test's own");
    let (file, log) = (folder.join("hub.toml"), folder.join("hub.log"));
    fs::write(&file, toml::to_string(config).expect("TOML")).expect("written");
    let child = command
        .args(["--listen", "127.0.0.1:0", "--config"])
        .arg(&file)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(File::options().create(true).append(true).open(&log).expect("a log"))
        .spawn()
        .expect("the hub starts");
    (child, log)
}

fn pid_of(number: u32) -> Pid {
    Pid::from_raw(number as i32).expect("a process number")
}

fn children_of(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The `device-sim` program, which stands beside the hub's when the whole workspace is built; none, and a word about it,
/// where it does not.
pub fn device_sim() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_BIN_EXE_hub")).with_file_name("device-sim");
    if !program.exists() {
        println!("skipped: device-sim is not built (cargo build -p device-sim, or test the whole workspace)");
        return None;
    }
    Some(program)
}

/// Runs the program to its end, which must come soon; gives status and what it said on standard error.
pub async fn run_hub(arguments: &[&str], environment: &[(&str, &str)], folder: &Path) -> (ExitStatus, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hub"));
    command.args(arguments).envs(environment.iter().copied()).current_dir(folder).env_remove("RUST_LOG");
    let run = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().expect("the hub runs"));
    let output = in_time("the hub to end", run).await.expect("no panic");
    (output.status, String::from_utf8(output.stderr).expect("UTF-8"))
}

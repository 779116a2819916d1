//! The hub as a process: started on one core, watched through `/proc`, killed when it is no longer needed.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};
use tempfile::TempDir;

use crate::{Options, http::Http};

/// A hub that is not ready by then is broken.
const READY_MAX: Duration = Duration::from_secs(120);

/// Moves this thread, and those it starts, off the core that the hub gets. With one core there is nowhere to go.
pub fn pin_to_last_core() {
    let last = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) - 1;
    let mut cores = CpuSet::new();
    cores.set(last);
    if last == 0 || sched_setaffinity(None, &cores).is_err() {
        eprintln!("bench: hub and load generator share a core; the figures are worth little");
    }
}

/// A command that runs `program` on core 0, and no longer than this process lives, however it ends.
pub fn on_first_core(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "taskset", "-c", "0"]).arg(program);
    command
}

/// The hub's binary: as asked, or the one beside this program, built when it is not there.
pub fn hub_binary(options: &Options) -> anyhow::Result<PathBuf> {
    if let Some(path) = &options.hub {
        return Ok(path.clone());
    }
    let own = std::env::current_exe().context("where am I?")?;
    let beside = own.with_file_name("hub");
    if !beside.exists() {
        eprintln!("bench: {} is not there: cargo build --release -p hub", beside.display());
        let built = Command::new("cargo").args(["build", "--release", "-p", "hub"]).status();
        ensure!(built.context("cannot run cargo")?.success(), "the hub does not build");
        ensure!(beside.exists(), "{} was not built: run bench with cargo run --release", beside.display());
    }
    Ok(beside)
}

/// A fresh folder for a hub's data.
pub fn folder(options: &Options) -> anyhow::Result<TempDir> {
    let parent = match &options.data {
        Some(parent) => parent.clone(),
        None => std::env::current_exe()?.parent().context("a program is in a folder")?.to_owned(),
    };
    tempfile::Builder::new().prefix("bench-data-").tempdir_in(&parent).context("cannot make a folder for data")
}

/// A hub. It is killed when dropped.
#[derive(Debug)]
pub struct HubProcess {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// How long it took from its start to being ready.
    pub ready_after: Duration,
}

impl HubProcess {
    /// Starts a hub on core 0 with its data in `folder`, and waits until it is ready. `settings` are keys and values as
    /// in the environment, without `HUB__`.
    pub fn start(options: &Options, folder: &Path, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        let program = hub_binary(options)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = fs::File::create(folder.join("hub.log")).context("cannot write beside the data")?;
        let mut command = on_first_core(&program);
        command.args(["--listen", &address.to_string(), "--data"]).arg(folder.join("data"));
        command.envs(settings.iter().map(|(key, value)| (format!("HUB__{key}"), value)));
        command.env("RUST_LOG", "warn").stdout(Stdio::null()).stderr(log);
        let began = Instant::now();
        let child = command
            .spawn()
            .context("cannot start the hub (are setpriv and taskset there? they are part of util-linux)")?;
        let mut hub = Self { child, address, ready_after: Duration::ZERO };
        while !hub.is_ready() {
            if let Some(status) = hub.child.try_wait()? {
                bail!("the hub ended ({status}): {}", fs::read_to_string(folder.join("hub.log")).unwrap_or_default());
            }
            ensure!(began.elapsed() < READY_MAX, "the hub does not become ready");
            std::thread::sleep(Duration::from_micros(500));
        }
        hub.ready_after = began.elapsed();
        Ok(hub)
    }

    fn is_ready(&self) -> bool {
        let asked = Http::connect(self.address).and_then(|mut http| http.get("/readyz"));
        asked.is_ok_and(|answer| answer.status == 200)
    }

    /// What it has used so far.
    pub fn usage(&self) -> anyhow::Result<Usage> {
        Usage::of(self.child.id())
    }

    /// Its memory now.
    pub fn memory(&self) -> anyhow::Result<Memory> {
        Memory::of(self.child.id())
    }

    /// One of its metrics.
    pub fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = String::from_utf8(Http::connect(self.address)?.get("/metrics")?.body)?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).with_context(|| format!("the hub has no metric {name}"))
    }

    /// Waits until history has applied everything: work that was put off counts too.
    pub fn settle(&self) -> anyhow::Result<()> {
        let mut last = None;
        loop {
            let applied = Some(self.metric("highwater_history_applied_record")? as u64);
            if applied == last {
                return Ok(());
            }
            last = applied;
            std::thread::sleep(Duration::from_millis(300));
        }
    }

    /// Kills it at once (SIGKILL).
    pub fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop, as an operator would.
    pub fn stop_soon(&self) -> anyhow::Result<()> {
        let pid = self.child.id().to_string();
        ensure!(Command::new("kill").args(["-TERM", &pid]).status()?.success(), "cannot stop the hub");
        Ok(())
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> anyhow::Result<()> {
        self.stop_soon()?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the hub ended badly: {status}");
        Ok(())
    }
}

impl Drop for HubProcess {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a process has used.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    /// Processor time, seconds.
    pub cpu_s: f64,
    /// Bytes that it caused to be read from devices.
    pub read_bytes: u64,
}

impl Usage {
    /// Of the process with this number.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("the process has ended")?;
        // The name in parentheses may hold anything; utime and stime are the 14th and 15th field of all (proc(5)).
        let (_, behind) = stat.rsplit_once(')').context("no stat")?;
        let fields: Vec<&str> = behind.split_whitespace().collect();
        let ticks: u64 = fields.iter().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        let io = fs::read_to_string(format!("/proc/{pid}/io")).context("no io")?;
        let field = |name: &str| io.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        Ok(Self {
            cpu_s: ticks as f64 / rustix::param::clock_ticks_per_second() as f64,
            read_bytes: field("read_bytes:").context("no read_bytes")?,
        })
    }
}

/// Memory of a process, bytes.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Resident, shared pages in full.
    pub resident: f64,
    /// Resident, shared pages by share.
    pub proportional: f64,
    /// The most that was ever resident.
    pub peak: f64,
}

impl Memory {
    /// Of the process with this number.
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let bytes = |file: &str, name: &str| -> anyhow::Result<f64> {
            let text = fs::read_to_string(format!("/proc/{pid}/{file}")).context("the process has ended")?;
            let kib =
                text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<f64>().ok());
            Ok(kib.with_context(|| format!("no {name}"))? * 1024.0)
        };
        Ok(Self {
            resident: bytes("smaps_rollup", "Rss:")?,
            proportional: bytes("smaps_rollup", "Pss:")?,
            peak: bytes("status", "VmHWM:")?,
        })
    }
}

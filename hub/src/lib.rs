//! Highwater's hub: takes readings from devices, keeps them safe, shows them live.
//!
//! # The way of one reading
//! [`ingest`] reads a frame from a socket → [`pipeline`] decodes it, judges it ([`ingest::admission`]), gives it its
//! place in the journal and lets [`live`] see it → the journal's thread syncs it → the pipeline acknowledges it → the
//! [`historian`] applies it to history and to the durable [`state`]. [`api`] reads what the historian knows, [`assets`]
//! serves the page, [`web`] is the port all of this shares.
//!
//! # Who knows whom
//! `ingest` → `pipeline` → `live`; `api` and `live` ask the `historian`. Siblings do not import each other's insides:
//! they get handles when the hub is built, here.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::linux::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    thread,
    time::{Duration, Instant},
};

use journal::FileDisk;
use protocol::close;
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{Semaphore, oneshot, watch},
    task::JoinHandle,
};

pub mod api;
pub mod assets;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod demo;
pub mod historian;
pub mod ingest;
pub mod live;
pub mod metrics;
pub mod number_map;
pub mod pipeline;
pub mod state;
pub mod web;

pub use config::Config;

use historian::{Historian, HistorianHandle, Loaded};
use live::fanout::Fanout;
use metrics::Metrics;
use pipeline::{CommitInterval, Ended, JournalReport, Parts, Pipeline, PipelineHandle, Request};
use state::record::{self, HubRecord};
use web::Web;

/// A device that reconnects after a restart of a hub with a thousand devices finds room in the listen queue.
const LISTEN_BACKLOG: u32 = 4_096;
/// SIGTERM to exit: everything has to be done by then.
pub const SHUTDOWN_MAX: Duration = Duration::from_secs(10);
/// Requests in flight get so much of it.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// Major number of MMC block devices, that is SD cards (Documentation/admin-guide/devices.txt).
const MMC_MAJOR: u64 = 179;

/// Why a hub cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The data folder cannot be made.
    #[error("cannot create the data folder {}: is the folder above it writable? Choose another with --data", path.display())]
    CreateFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The lock file cannot be made.
    #[error("cannot write to the data folder {}: check its owner and permissions, or choose another with --data", path.display())]
    WriteFolder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another hub has it.
    #[error("another hub is using the data folder {}: stop it, or choose another folder with --data", .0.display())]
    InUse(PathBuf),
    /// The journal's folder.
    #[error("cannot open the journal's folder")]
    JournalFolder(#[source] journal::FolderError),
    /// The journal.
    #[error("cannot open the journal")]
    Journal(#[source] journal::OpenError),
    /// History.
    #[error("cannot open history")]
    History(#[source] historian::OpenError),
    /// A thread.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
}

/// Why there is no port to listen on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {}", match source.kind() {
    io::ErrorKind::AddrInUse => "another program is using this port. Stop it, or choose another with --listen",
    io::ErrorKind::PermissionDenied => "ports below 1024 need permission. Choose a higher one with --listen",
    io::ErrorKind::AddrNotAvailable => "this machine does not have this address. Use 127.0.0.1 or 0.0.0.0",
    _ => "the system refused",
})]
pub struct ListenError {
    /// The address.
    pub address: std::net::SocketAddr,
    /// What the system said.
    pub source: io::Error,
}

/// Binds the configured address with a long listen queue.
pub fn listen(address: std::net::SocketAddr) -> Result<TcpListener, ListenError> {
    let bind = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(LISTEN_BACKLOG)
    };
    bind().map_err(|source| ListenError { address, source })
}

/// A hub whose data are open and whose stages run; it serves as soon as it is given a listener.
pub struct Hub {
    web: Arc<Web>,
    pipeline: PipelineHandle,
    pipeline_task: JoinHandle<Ended>,
    historian: HistorianHandle,
    historian_thread: thread::JoinHandle<()>,
    historian_ended: oneshot::Receiver<()>,
    journal: journal::Handle,
    ready: watch::Sender<bool>,
    _lock: File,
}

/// Asks a serving hub to stop.
#[derive(Debug, Clone)]
pub struct StopHandle(watch::Sender<Option<u16>>);

impl StopHandle {
    /// Stops it; devices and viewers are told this close code.
    pub fn stop(&self, code: u16) {
        self.0.send_replace(Some(code));
    }
}

impl Hub {
    /// Opens the data folder, recovers, and starts the stages. Must be called inside a Tokio runtime.
    pub fn build(config: &Config) -> Result<Self, BuildError> {
        let began = Instant::now();
        let lock = lock_folder(&config.data)?;
        let loaded = Loaded::open(&config.data.join("history.db"), &config.history).map_err(BuildError::History)?;
        let report = Arc::new(JournalReport::default());
        let historian_cell: Arc<OnceLock<HistorianHandle>> = Arc::default();
        let on_commit = {
            let (report, historian) = (Arc::clone(&report), Arc::clone(&historian_cell));
            move |commit| {
                report.put(&commit);
                if let Some(historian) = historian.get() {
                    historian.wake();
                }
            }
        };
        let disk = FileDisk::open(&config.data.join("journal")).map_err(BuildError::JournalFolder)?;
        let opened = journal::open(disk, journal_config(config), loaded.applied_seq(), on_commit)
            .map_err(BuildError::Journal)?;
        for lost in &opened.recovery.lost {
            tracing::error!(?lost, "journal records are damaged; what they held is lost");
        }
        let history = historian::Config {
            // What history still needs has to fit into the journal with room to spare.
            replay_bytes_max: config.history.replay_bytes_max.min(config.journal.retain_bytes / 2),
            ..config.history.clone()
        };
        let replayed = Historian::replay(loaded, opened.journal.clone(), &history).map_err(BuildError::History)?;
        let state = replayed.state();
        let (historian, historian_thread, historian_ended) = replayed.start().map_err(BuildError::Thread)?;
        let _ = historian_cell.set(historian.clone());
        let metrics = Arc::new(Metrics::default());
        let mut appender = opened.appender;
        let start = HubRecord { version: env!("CARGO_PKG_VERSION").into(), run: opened.recovery.run };
        appender.append(journal::Kind::HubStart, clock::now_us(), &[&record::encode(&start)]);
        appender.flush();
        let (pipeline, handle, vitals) = Pipeline::new(Parts {
            state,
            appender,
            report,
            historian: historian.clone(),
            fanout: Fanout::new(config.live.flush_interval),
            metrics: Arc::clone(&metrics),
            config: config.ingest.clone(),
            last_arrival_us: opened.recovery.last_arrival_us,
            run: opened.recovery.run,
            journal: opened.journal.clone(),
            // Twice its usual length: reached only when history has not given anything back for long.
            journal_bytes_max: 2 * (config.journal.retain_bytes + config.journal.segment_bytes),
        });
        let (ready, is_ready) = watch::channel(false);
        let web = Arc::new(Web {
            name: config.name.clone(),
            started_ms: clock::wire_ms(clock::now_us()),
            config: config.web.clone(),
            ingest: config.ingest.clone(),
            live: config.live.clone(),
            pipeline: handle.clone(),
            historian: historian.clone(),
            vitals,
            metrics,
            readers: Arc::new(Semaphore::new(config.history.readers_max)),
            snapshot_places: Arc::new(Semaphore::new(config.history.readers_max)),
            viewer_places: Arc::new(Semaphore::new(config.live.viewers_max)),
            ready: is_ready,
            sessions: watch::Sender::new(()),
        });
        tracing::info!(
            data = %config.data.display(),
            records = opened.recovery.last_seq,
            torn_bytes = opened.recovery.torn_bytes,
            took_ms = began.elapsed().as_millis() as u64,
            "data folder open"
        );
        Ok(Self {
            web,
            pipeline: handle,
            pipeline_task: tokio::spawn(pipeline.run()),
            historian,
            historian_thread,
            historian_ended,
            journal: opened.journal,
            ready,
            _lock: lock,
        })
    }

    /// Serves until it is stopped or the journal fails. Everything acknowledged is on disk when this returns.
    pub async fn serve(self, listener: TcpListener, stop: StopHandle) -> Ended {
        let (stop_accepting, is_stopped) = watch::channel(false);
        let mut server = tokio::spawn(web::serve(listener, Arc::clone(&self.web), is_stopped, DRAIN_MAX));
        let mut pipeline = self.pipeline_task;
        self.ready.send_replace(true);
        // Outside systemd there is nobody to notify.
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Ready]);
        let mut asked = stop.0.subscribe();
        let code = tokio::select! {
            // Nothing is ever sent on it: it closes when the thread is gone.
            _ = self.historian_ended => {
                self.ready.send_replace(false);
                stop_accepting.send_replace(true);
                let (done, stopped) = oneshot::channel();
                if self.pipeline.request(Request::Stop(close::RESTARTING, done)).await.is_ok() {
                    let _ = tokio::time::timeout(DRAIN_MAX, stopped).await;
                }
                return Ended::Broken("the historian");
            }
            code = async { asked.wait_for(Option::is_some).await.map_or(None, |code| *code) } => code,
            ended = &mut pipeline => {
                self.ready.send_replace(false);
                stop_accepting.send_replace(true);
                let ended = ended.unwrap_or(Ended::Broken("the pipeline"));
                // Devices and viewers hear why (1011) before the sockets go.
                let _ = tokio::time::timeout(DRAIN_MAX, self.web.sessions.closed()).await;
                return ended;
            }
        };
        self.ready.send_replace(false);
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        stop_accepting.send_replace(true);
        let (done, stopped) = oneshot::channel();
        let code = code.unwrap_or(close::STOPPING);
        let finish = async {
            if self.pipeline.request(Request::Stop(code, done)).await.is_ok() {
                // The pipeline's own end says the rest.
                let _ = stopped.await;
            }
            (&mut pipeline).await.unwrap_or(Ended::Broken("the pipeline"))
        };
        let ended = tokio::time::timeout(SHUTDOWN_MAX / 2, finish).await.unwrap_or(Ended::Stopped);
        let drained = async { tokio::join!(&mut server, self.web.sessions.closed()) };
        let _ = tokio::time::timeout(DRAIN_MAX, drained).await;
        let (historian, thread, journal) = (self.historian, self.historian_thread, self.journal);
        let close = tokio::task::spawn_blocking(move || {
            historian.stop();
            if thread.join().is_err() {
                tracing::error!("the historian panicked; the next start replays the journal");
            }
            journal.close()
        });
        if let Ok(Ok(Err(error))) = tokio::time::timeout(SHUTDOWN_MAX / 4, close).await {
            // A full disk, mostly: what could not be written was not acknowledged either, and devices still have it.
            tracing::warn!(
                error = format!("{:#}", anyhow::Error::from(error)),
                "the journal could not write everything"
            );
        }
        ended
    }
}

impl StopHandle {
    /// A handle that has not stopped anything yet.
    pub fn new() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl Default for StopHandle {
    fn default() -> Self {
        Self::new()
    }
}

fn lock_folder(path: &Path) -> Result<File, BuildError> {
    fs::create_dir_all(path).map_err(|source| BuildError::CreateFolder { path: path.to_owned(), source })?;
    let lock = File::options().create(true).truncate(false).write(true).open(path.join("lock"));
    let lock = lock.map_err(|source| BuildError::WriteFolder { path: path.to_owned(), source })?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(BuildError::InUse(path.to_owned())),
        Err(TryLockError::Error(source)) => Err(BuildError::WriteFolder { path: path.to_owned(), source }),
    }
}

fn journal_config(config: &Config) -> journal::Config {
    let is_card = fs::metadata(&config.data).is_ok_and(|folder| (folder.st_dev() >> 8) & 0xfff == MMC_MAJOR);
    let commit_interval = match config.journal.commit_interval {
        CommitInterval::Fixed(interval) => interval,
        CommitInterval::Auto if is_card => Duration::from_millis(200),
        CommitInterval::Auto => Duration::from_millis(10),
    };
    let reserve_bytes = match config.journal.reserve_bytes {
        0 => default_reserve_bytes(&config.data),
        bytes => bytes,
    };
    journal::Config {
        segment_bytes: config.journal.segment_bytes,
        commit_interval,
        retain_bytes: config.journal.retain_bytes,
        reserve_bytes,
        ..journal::Config::default()
    }
}

/// max(256 MiB, min(5 % of the disk, 2 GiB)).
fn default_reserve_bytes(folder: &Path) -> u64 {
    let disk_bytes = rustix::fs::statvfs(folder).map_or(0, |disk| disk.f_blocks * disk.f_frsize);
    (disk_bytes / 20).clamp(256 << 20, 2 << 30)
}

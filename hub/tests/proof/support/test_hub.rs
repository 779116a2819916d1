//! A whole hub inside the test's process, on a free port, with a folder and limits of its own.

use std::{ops::Deref, path::Path, sync::Arc, time::Duration};

use hub::{BuildError, Config, Hub, StopHandle, pipeline::CommitInterval, pipeline::Ended};
use protocol::close;
use tempfile::TempDir;
use tokio::{
    net::{TcpListener, ToSocketAddrs},
    task::JoinHandle,
};

use super::{Api, in_time};

/// A running hub. Dropping it without [`stop`](Self::stop) leaves its tasks to the end of the test's runtime.
pub struct TestHub {
    api: Api,
    /// What it was started with.
    pub config: Config,
    folder: Arc<TempDir>,
    stop: StopHandle,
    task: JoinHandle<Ended>,
}

impl TestHub {
    /// A hub with small files and short intervals, so that segments are recycled and chunks sealed within a test.
    pub async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same with some of it changed.
    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = Arc::new(tempfile::tempdir().expect("a temporary folder"));
        let mut config = small_config(folder.path());
        change(&mut config);
        Self::run(folder, config, "127.0.0.1:0").await
    }

    async fn run(folder: Arc<TempDir>, config: Config, listen: impl ToSocketAddrs) -> Self {
        let listener = TcpListener::bind(listen).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let hub = in_time("the folder's lock", built(&config)).await;
        let stop = StopHandle::new();
        let task = tokio::spawn(hub.serve(listener, stop.clone()));
        Self { api: Api { address }, config, folder, stop, task }
    }

    /// Stops it with this close code for devices and viewers.
    pub async fn stop(self, code: u16) -> Ended {
        self.stop.stop(code);
        in_time("the hub to stop", self.task).await.expect("no panic")
    }

    /// Stops it and starts it again on the same data, on another port.
    pub async fn restart(self) -> Self {
        let (folder, config) = (Arc::clone(&self.folder), self.config.clone());
        assert_eq!(self.stop(close::RESTARTING).await, Ended::Stopped);
        Self::run(folder, config, "127.0.0.1:0").await
    }

    /// Stops it, waits for this, and starts it again on the same data and the same port.
    pub async fn restart_after(self, meanwhile: impl Future<Output = ()>) -> Self {
        let (folder, config, address) = (Arc::clone(&self.folder), self.config.clone(), self.api.address);
        assert_eq!(self.stop(close::RESTARTING).await, Ended::Stopped);
        meanwhile.await;
        Self::run(folder, config, address).await
    }
}

/// A hub on a folder that the one before it has left. A program that another test is just starting has a copy of its open
/// lock for the moment between fork and exec; nothing tells when that is over, so it is asked for again and again.
async fn built(config: &Config) -> Hub {
    loop {
        match Hub::build(config) {
            Err(BuildError::InUse(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            built => return built.expect("a hub"),
        }
    }
}

impl Deref for TestHub {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// Small segments, small chunks, fast commits.
pub fn small_config(folder: &Path) -> Config {
    let mut config = Config { data: folder.join("data"), ..Config::default() };
    config.name = "test".into();
    config.journal.segment_bytes = 64 << 10;
    config.journal.commit_interval = CommitInterval::Fixed(Duration::from_millis(2));
    config.journal.retain_bytes = 512 << 10;
    config.journal.reserve_bytes = 1 << 20;
    config.live.heartbeat = Duration::from_millis(200);
    config.history.chunk_readings = 64;
    config.history.commit_interval = Duration::from_millis(200);
    config.history.replay_bytes_max = 256 << 10;
    config
}

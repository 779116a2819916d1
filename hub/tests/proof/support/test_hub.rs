//! A whole hub inside the test's process, on a free port, with a folder and limits of its own.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hub::{Config, Hub, StopHandle, pipeline::CommitInterval, pipeline::Ended};
use protocol::close;
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Answer, Metrics, get, in_time, post};

/// A running hub. Dropping it without [`stop`](Self::stop) leaves its tasks to the end of the test's runtime.
pub struct TestHub {
    /// Where it listens.
    pub address: SocketAddr,
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
        Self::run(folder, config).await
    }

    async fn run(folder: Arc<TempDir>, config: Config) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let hub = Hub::build(&config).expect("a hub");
        let stop = StopHandle::new();
        let task = tokio::spawn(hub.serve(listener, stop.clone()));
        Self { address, config, folder, stop, task }
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.config.data.clone()
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
        Self::run(folder, config).await
    }

    /// `GET path`.
    pub async fn get(&self, path: &str) -> Answer {
        get(self.address, path).await
    }

    /// `GET path`, which must be answered with JSON and 200.
    pub async fn json(&self, path: &str) -> serde_json::Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    /// `POST /api/v1/readings` with JSON.
    pub async fn post(&self, body: &serde_json::Value) -> Answer {
        post(self.address, "/api/v1/readings", "application/json", body.to_string().as_bytes()).await
    }

    /// What `/metrics` says.
    pub async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.get("/metrics").await.text())
    }

    /// What the API says of a device.
    pub async fn device(&self, id: &str) -> serde_json::Value {
        self.json(&format!("/api/v1/devices/{id}")).await
    }

    /// The device's delivery ledger.
    pub async fn delivery(&self, id: &str) -> serde_json::Value {
        self.device(id).await["delivery"].take()
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
    config.history.chunk_readings = 64;
    config.history.commit_interval = Duration::from_millis(200);
    config.history.replay_bytes_max = 256 << 10;
    config
}

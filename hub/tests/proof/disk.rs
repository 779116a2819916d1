//! Disks that are full or fail: nothing is acknowledged that is not on disk, and the hub goes on as soon as it can.

use std::{process::Command, time::Duration};

use protocol::close;
use rustix::process::{Signal, geteuid};
use serde_json::json;

use crate::support::{
    Device, End, Mount, RealHub, TestHub, Viewer, eventually, eventually_equal, hello, now_ms, small_config,
};

/// Readings 1, 2, 3 … of one device, a millisecond apart.
struct Streamer {
    device: Device,
    t0_ms: f64,
    sent: u64,
}

impl Streamer {
    async fn start(address: std::net::SocketAddr, id: &str) -> Self {
        let device = Device::introduce(address, &hello(id, 1, &["n"])).await;
        Self { device, t0_ms: now_ms() as f64 - 600_000.0, sent: 0 }
    }

    async fn send(&mut self, count: u64) {
        for _ in 0..count {
            self.sent += 1;
            self.device.reading(self.sent, self.t0_ms + self.sent as f64, 0, self.sent as f64).await;
        }
    }

    /// The first so many, as the API gives them.
    fn points(&self, count: u64) -> Vec<(f64, Option<f64>)> {
        (1..=count).map(|n| (self.t0_ms + n as f64, Some(n as f64))).collect()
    }
}

/// The floor is reached, or the disk is full to the last byte.
async fn a_disk_fills_up(reserve_bytes: u64) {
    if !geteuid().is_root() {
        println!("skipped: mounting a tmpfs needs root");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = Mount::tmpfs(folder.path(), "size=24m") else { return };
    let hub = TestHub::with(|config| {
        config.data = folder.path().join("data");
        config.journal.reserve_bytes = reserve_bytes;
    })
    .await;
    let mut streamer = Streamer::start(hub.address, "steady").await;
    streamer.send(100).await;
    streamer.device.acked(100).await;
    assert_eq!(hub.post(&json!({ "device": "shed", "readings": { "n": 1 } })).await.status, 200);
    disk.fill(reserve_bytes.saturating_sub(1 << 20));
    // A segment may have room left; sooner or later there is none.
    let sent_before = streamer.sent;
    while streamer.device.credit > 0 {
        let many = streamer.device.credit.min(200);
        streamer.send(many).await;
        let wanted = streamer.device.acked + 1;
        streamer.device.heard(|device| device.credit == 0 || device.acked >= wanted).await;
        assert!(streamer.sent - sent_before < 1_000_000, "the disk does not fill");
    }
    let acked = streamer.device.acked;
    assert_eq!(hub.metrics().await.get("disk_full"), 1);
    hub.post(&json!({ "device": "shed", "readings": { "n": 2 } })).await.assert_problem(507, "disk is full");
    // What is acknowledged is answered, screens are served, devices may come: only nothing new is taken.
    assert!(streamer.device.acked >= 100);
    let seen = hub.points("steady/n").await;
    assert!(
        seen.len() as u64 >= acked && seen[..acked as usize] == streamer.points(acked),
        "{} of {acked}",
        seen.len()
    );
    let mut viewer = Viewer::connect(hub.address).await;
    viewer.watch(1, "steady/n").await;
    assert!(viewer.pictures[&1].values("steady", "n").len() as u64 >= acked);
    let late = Device::introduce(hub.address, &hello("late", 1, &["n"])).await;
    assert_eq!(late.credit, 0);
    disk.free();
    streamer.device.heard(|device| device.credit > 0).await;
    let sent = streamer.sent;
    streamer.device.acked(sent).await;
    streamer.send(100).await;
    let sent = streamer.sent;
    streamer.device.acked(sent).await;
    assert_eq!(hub.metrics().await.get("disk_full"), 0);
    assert_eq!(hub.post(&json!({ "device": "shed", "readings": { "n": 3 } })).await.status, 200);
    assert_eq!(hub.points("steady/n").await, streamer.points(sent), "nothing missing, nothing twice");
    let values: Vec<f64> = (1..=sent).map(|n| n as f64).collect();
    viewer.until("the screen has all of it", |viewer| viewer.pictures[&1].values("steady", "n") == values).await;
    let hub = hub.restart().await;
    assert_eq!(hub.points("steady/n").await, streamer.points(sent), "also after a restart");
    hub.stop(close::STOPPING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_floor_nothing_is_acknowledged_until_there_is_room() {
    a_disk_fills_up(8 << 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_disk_that_is_full_to_the_last_byte_nothing_is_acknowledged_until_there_is_room() {
    a_disk_fills_up(1).await;
}

fn has_strace() -> bool {
    let is_there = Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success());
    if !is_there {
        println!("skipped: strace is not installed");
    }
    is_there
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_fails_ends_the_hub_and_what_was_acknowledged_is_there_after_the_next_start() {
    if !has_strace() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = small_config(folder.path());
    // SQLite syncs too, and must not be the one that is hit.
    config.history.commit_interval = Duration::from_secs(3_600);
    config.history.chunk_readings = 16_384;
    config.history.replay_bytes_max = 64 << 20;
    config.journal.retain_bytes = 64 << 20;
    let hub = RealHub::start_with_fault(&config, "fdatasync:error=EIO:when=60+").await;
    let mut streamer = Streamer::start(hub.address, "steady").await;
    let mut viewer = Viewer::connect(hub.address).await;
    viewer.watch(1, "steady/n").await;
    let end = loop {
        streamer.send(1).await;
        let wanted = streamer.sent;
        if let Some(end) = streamer.device.acked_or_end(wanted).await {
            break end;
        }
    };
    assert_eq!(end, End::Closed(close::CANNOT_WRITE, "the hub cannot write to its disk".into()));
    assert!(matches!(viewer.end().await, End::Closed(close::CANNOT_WRITE, _)));
    let (acked, log) = (streamer.device.acked, hub.log());
    assert!(acked > 10, "{acked}");
    assert_eq!(hub.exit_code().await, Some(1), "{log}");
    let hub = RealHub::start(&config).await;
    assert!(hub.log().contains("the journal cannot be written"), "{}", hub.log());
    let seen = hub.points("steady/n").await;
    // What was not acknowledged may or may not have reached the disk; the device sends it again either way.
    assert_eq!(seen, streamer.points(seen.len() as u64));
    assert!(seen.len() as u64 >= acked, "{} of {acked}", seen.len());
    let mut again = hello("steady", 1, &["n"]);
    (again["first"], again["next"]) = (json!(acked + 1), json!(streamer.sent + 1));
    let t0_ms = streamer.t0_ms;
    let mut device = Device::introduce(hub.address, &again).await;
    for seq in acked + 1..=streamer.sent {
        device.reading(seq, t0_ms + seq as f64, 0, seq as f64).await;
    }
    device.acked(streamer.sent).await;
    assert_eq!(hub.points("steady/n").await, streamer.points(streamer.sent));
    hub.signal(Signal::TERM);
    assert_eq!(hub.exit_code().await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_that_find_no_space_are_tried_again_and_nothing_acknowledged_is_lost() {
    if !has_strace() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let config = small_config(folder.path());
    // Every fifteenth write of a thread fails once it is under way, the journal's and SQLite's alike.
    let hub = RealHub::start_with_fault(&config, "pwrite64:error=ENOSPC:when=120+15").await;
    let mut streamer = Streamer::start(hub.address, "steady").await;
    for _ in 0..300 {
        streamer.send(2).await;
        let sent = streamer.sent;
        streamer.device.acked(sent).await;
    }
    eventually_equal("all is there", streamer.points(600), async || hub.points("steady/n").await).await;
    let log = hub.log();
    assert!(log.contains("full") || log.contains("history cannot be written"), "the fault was felt: {log}");
    // Dropped, it is killed together with its tracer.
    drop(hub);
    let hub = RealHub::start(&config).await;
    assert_eq!(hub.points("steady/n").await, streamer.points(600));
    eventually("it is ready for more", async || (hub.metrics().await.get("disk_full") == 0).then_some(())).await;
}

//! A line that delays, dribbles, swallows acknowledgements and is cut: what the real client sends over it is stored once.

mod proxy;

use std::{path::PathBuf, time::Duration};

use client::{
    address::HubAddress,
    device::{DeviceClient, DeviceClock, DeviceConfig, Identity, SpoolConfig, Timing},
};
use hub::pipeline::CommitInterval;
use protocol::{
    device::{ChannelDecl, encode::FrameWriter},
    ids::Id,
};
use rand::RngExt;
use serde_json::json;

use crate::support::{PATIENCE, Point, TestHub, now_ms, rng};
use proxy::Proxy;

const MESSAGES: u64 = 3_000;
/// Connections that the line ruins at most; then it behaves.
const BAD_CONNECTIONS: u64 = 24;

fn id(text: &str) -> Id {
    Id::new(text).expect("an id")
}

/// Streams over a bad line with messages kept in memory or in this folder.
async fn streams_over_a_bad_line(test: &str, folder: Option<PathBuf>) {
    let mut rng = rng(test);
    // Commits are rare: a device is often back before its messages are durable, and sends them again.
    let hub =
        TestHub::with(|config| config.journal.commit_interval = CommitInterval::Fixed(Duration::from_millis(100)))
            .await;
    let proxy = Proxy::start(hub.address, BAD_CONNECTIONS, rng.random()).await;
    let timing = Timing {
        backoff_first: Duration::from_millis(1),
        backoff_max: Duration::from_millis(20),
        // Acknowledgements that are swallowed are only noticed by silence.
        ping_every: Duration::from_millis(200),
        silence_max: Duration::from_secs(1),
        hello_timeout: Duration::from_secs(1),
    };
    let config = DeviceConfig {
        hub: HubAddress::parse(&proxy.address.to_string()).expect("an address"),
        token: None,
        identity: Identity::new(id("far-away")),
        channels: vec![ChannelDecl::gauge(id("n"))],
        clock: DeviceClock::Unix,
        spool: SpoolConfig { folder, bytes_max: 64 << 20 },
        timing,
    };
    let (device, _events) = DeviceClient::spawn(config).expect("it starts");
    let (mut writer, begin_ms) = (FrameWriter::default(), now_ms() - 600_000);
    let mut sent: Vec<Point> = Vec::new();
    for _ in 0..MESSAGES {
        let t_ms = (begin_ms + sent.len() as u64) as f64;
        for dt in 0..rng.random_range(1..=4_u32) {
            let value = sent.len() as f64;
            writer.scalar(0, f64::from(dt), value);
            sent.push((t_ms + f64::from(dt), Some(value)));
        }
        device.send(&mut writer, t_ms).expect("it fits");
    }
    let stats = device.finish(2 * PATIENCE).await;
    assert!(stats.drained && stats.acked == MESSAGES && stats.dropped == 0, "{stats:?}");
    // No bad connection lets more than 20 kB through, and all of it is 150 kB.
    assert!(stats.reconnects >= 5, "{stats:?}");
    // Not assert_eq: thousands of readings say nothing.
    let stored = hub.points("far-away/n").await;
    let differs = sent.iter().zip(&stored).find(|(sent, stored)| sent != stored);
    assert_eq!((differs, stored.len()), (None, sent.len()));
    let delivery = hub.delivery("far-away").await;
    println!("{test}: {} connections lost, {} messages came twice", stats.reconnects, delivery["duplicate"]);
    assert_eq!(
        json!([delivery["stored"], delivery["refused"], delivery["lost"], delivery["readings_stored"]]),
        json!([MESSAGES, {}, 0, sent.len()]),
        "{delivery}"
    );
    assert!(delivery["duplicate"].as_u64() > Some(0), "what was sent twice is what this is about");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_memory_is_stored_once_over_a_bad_line() {
    streams_over_a_bad_line("bad line, memory", None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_on_disk_is_stored_once_over_a_bad_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    streams_over_a_bad_line("bad line, disk", Some(folder.path().join("spool"))).await;
}

//! Stopping: everything acknowledged is kept, everybody is told, and it takes no longer than it may.

use std::time::Instant;

use hub::SHUTDOWN_MAX;
use protocol::close;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Device, End, RealHub, Viewer, eventually, hello, in_time, now_ms, small_config, try_status};

const DEVICES: u64 = 4;

/// Streams readings 1, 2, 3 … as fast as the credit allows until the hub closes; gives how, and the last
/// acknowledgement.
async fn stream_to_the_end(mut device: Device, t0_ms: u64) -> (End, u64) {
    let mut sent = 0;
    loop {
        while sent < device.acked + device.credit {
            sent += 1;
            device.reading(sent, (t0_ms + sent) as f64, 0, sent as f64).await;
        }
        let next = device.acked + 1;
        if let Some(end) = device.acked_or_end(next).await {
            return (end, device.acked);
        }
    }
}

async fn a_signal_under_load(signal: Signal, code: u16) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = small_config(folder.path());
    let hub = RealHub::start(&config).await;
    let t0_ms = now_ms() - 10_000_000;
    let mut tasks = Vec::new();
    for number in 0..DEVICES {
        let device = Device::introduce(hub.address, &hello(&format!("d-{number}"), 1, &["n"])).await;
        tasks.push(tokio::spawn(stream_to_the_end(device, t0_ms)));
    }
    let mut viewer = Viewer::connect(hub.address).await;
    viewer.watch(1, "d-*/n").await;
    eventually("all stream", async || {
        for number in 0..DEVICES {
            if hub.delivery(&format!("d-{number}")).await["stored"].as_u64() < Some(300) {
                return None;
            }
        }
        Some(())
    })
    .await;
    let (address, began) = (hub.address, Instant::now());
    hub.signal(signal);
    // Readiness goes first: once it was not ready, it never is again.
    let readiness = tokio::spawn(async move {
        let mut statuses = Vec::new();
        while let Some(status) = try_status(address, "/readyz").await {
            statuses.push(status);
        }
        statuses
    });
    let mut marks = Vec::new();
    for task in tasks {
        let (end, acked) = in_time("a device's end", task).await.expect("no panic");
        assert_eq!(end, End::Closed(code, "the hub is stopping".into()));
        marks.push(acked);
    }
    assert_eq!(viewer.end().await, End::Closed(code, String::new()));
    drop(viewer);
    assert_eq!(hub.exit_code().await, Some(0));
    let took = began.elapsed();
    println!("stopped in {took:?}, acknowledged {marks:?}");
    assert!(took < SHUTDOWN_MAX, "{took:?}");
    let statuses = in_time("the port to close", readiness).await.expect("no panic");
    let ready = statuses.iter().take_while(|status| **status == 200).count();
    assert!(statuses[ready..].iter().all(|status| *status == 503), "{statuses:?}");
    let hub = RealHub::start(&config).await;
    for (number, &acked) in (0..).zip(&marks) {
        let id = format!("d-{number}");
        let delivery = hub.delivery(&id).await;
        assert_eq!(delivery["spools"], json!([{ "spool": 1, "acked": acked }]), "the last acknowledgement was final");
        assert_eq!((&delivery["stored"], &delivery["lost"]), (&json!(acked), &json!(0)));
        let sent: Vec<_> = (1..=acked).map(|n| ((t0_ms + n) as f64, Some(n as f64))).collect();
        assert!(hub.points(&format!("{id}/n")).await == sent, "{id} is not what was sent");
    }
    assert_eq!(hub.json("/api/v1/series").await["series"].as_array().map(Vec::len), Some(DEVICES as usize));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_closes_with_1012_and_loses_nothing() {
    a_signal_under_load(Signal::TERM, close::RESTARTING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigint_under_load_closes_with_1001_and_loses_nothing() {
    a_signal_under_load(Signal::INT, close::STOPPING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_do_not_answer_do_not_hold_the_end_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let hub = RealHub::start(&small_config(folder.path())).await;
    // They hold their sockets open, and nobody reads.
    let _device = Device::introduce(hub.address, &hello("mute", 1, &["n"])).await;
    let _viewer = Viewer::connect_narrow(hub.address).await;
    let _half = {
        use tokio::io::AsyncWriteExt;
        let mut stream = tokio::net::TcpStream::connect(hub.address).await.expect("connected");
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: lo").await.expect("sent");
        stream
    };
    let began = Instant::now();
    hub.signal(Signal::TERM);
    assert_eq!(hub.exit_code().await, Some(0));
    assert!(began.elapsed() < SHUTDOWN_MAX, "{:?}", began.elapsed());
}

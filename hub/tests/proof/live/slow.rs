//! Too many points for a screen, or a screen too slow for its points.

use protocol::device::encode::FrameWriter;
use rand::RngExt;
use serde_json::json;

use crate::support::{Bystander, Device, TestHub, Viewer, eventually_equal, hello, now_ms, rng};

#[tokio::test]
async fn a_conflated_stream_keeps_lowest_highest_and_last_and_counts_the_rest() {
    let mut rng = rng("conflation");
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("fast", 1, &["n"])).await;
    let mut viewer = Viewer::connect(hub.address).await;
    viewer.say(&json!({ "type": "subscribe", "id": 1, "series": "fast/n", "max_hz": 5 })).await;
    viewer.until("the snapshot", |viewer| viewer.pictures.get(&1).is_some_and(|picture| picture.is_live)).await;
    let (t0_ms, mut writer, mut sent) = (now_ms() - 60_000, FrameWriter::default(), Vec::new());
    for seq in 1..=2_000_u64 {
        let values: Vec<f64> = (0..3).map(|_| rng.random_range(-1.0e6..1.0e6_f64).round()).collect();
        writer.column(0, &[0, 1, 2], &values);
        sent.extend((0..).zip(&values).map(|(i, &value)| (t0_ms + seq * 3 + i, value)));
        while seq > device.acked + device.credit {
            device.acked(device.acked + 1).await;
        }
        device.send(writer.finish(seq, (t0_ms + seq * 3) as f64)).await;
    }
    device.acked(2_000).await;
    let last = *sent.last().expect("sent");
    viewer.until("the last point", |viewer| viewer.pictures[&1].of("fast", "n").last() == Some(&last)).await;
    let picture = &viewer.pictures[&1];
    let seen = picture.of("fast", "n");
    assert!(seen.len() < sent.len() / 4, "{} points of {}", seen.len(), sent.len());
    assert!(seen.is_sorted_by_key(|point| point.0) && seen.iter().all(|point| sent.contains(point)));
    let extreme = |points: &[(u64, f64)], pick: fn(f64, f64) -> f64| points.iter().map(|p| p.1).reduce(pick);
    assert_eq!(extreme(seen, f64::min), extreme(&sent, f64::min));
    assert_eq!(extreme(seen, f64::max), extreme(&sent, f64::max));
    assert_eq!(picture.live_points + picture.merged, sent.len() as u64, "what is left out is counted");
    assert_eq!(viewer.lag, 0, "that was asked for, not slowness");
    let merged = picture.merged;
    eventually_equal("it is counted", merged, async || hub.metrics().await.get("live_points_merged_total")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_stops_reading_is_merged_and_told_and_holds_nobody_up() {
    const CHANNELS: usize = 16;
    const MESSAGES: u64 = 2_000;
    // Room enough in the journal that it is the viewers who are slow, not history.
    let hub = TestHub::with(|config| config.journal.retain_bytes = 64 << 20).await;
    let bystander = Bystander::start(&hub).await;
    let names: Vec<String> = (0..CHANNELS).map(|i| format!("c{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut device = Device::introduce(hub.address, &hello("firehose", 1, &names)).await;
    let mut stalled = Viewer::connect_narrow(hub.address).await;
    stalled.watch(1, "firehose/*").await;
    let mut healthy = Viewer::connect(hub.address).await;
    healthy.watch(1, "firehose/*").await;
    // Some 11 MB of points, more than the sockets' buffers hold.
    let (mut writer, t0_ms) = (FrameWriter::default(), now_ms() - 600_000);
    let streaming = tokio::spawn(async move {
        for seq in 1..=MESSAGES {
            let values: Vec<f64> = (0..30).map(|i| (seq * 30 + i) as f64).collect();
            for channel in 0..CHANNELS {
                writer.fixed_rate_f64(channel as u16, 0.0, 1.0, &values);
            }
            while seq > device.acked + device.credit.min(20) {
                device.acked(device.acked + 1).await;
            }
            device.send(writer.finish(seq, (t0_ms + seq * 30) as f64)).await;
        }
        device.acked(MESSAGES).await;
    });
    let last = (MESSAGES * 30 + 29) as f64;
    let is_complete = |viewer: &Viewer| {
        let picture = &viewer.pictures[&1];
        picture.points.len() == CHANNELS && picture.points.values().all(|points| points.last().unwrap().1 >= last)
    };
    healthy.until("every last point", is_complete).await;
    streaming.await.expect("the device is not held up");
    let sent = MESSAGES * 30 * CHANNELS as u64;
    let picture = &healthy.pictures[&1];
    // On a starved machine it may itself be too slow for a moment.
    assert_eq!(picture.live_points + picture.merged, sent, "the healthy one got everything");
    assert!(picture.merged < sent / 10, "{} of {sent} merged", picture.merged);
    // It reads on: what it missed comes merged, with lows and highs, and it is told.
    stalled.until("every last point", is_complete).await;
    stalled.until("it is told", |viewer| viewer.lag > 0).await;
    let picture = &stalled.pictures[&1];
    println!("stalled: {} points, {} merged, told {}", picture.live_points, picture.merged, stalled.lag);
    assert_eq!(picture.snapshots, 1, "merged, not started afresh");
    assert_eq!(picture.live_points + picture.merged, sent, "every point was sent or counted");
    for points in picture.points.values() {
        assert!(points.is_sorted_by_key(|point| point.0));
        assert_eq!((points[0].1, points.last().map(|point| point.1)), (30.0, Some(last)));
    }
    stalled.catch_up().await;
    bystander.finish(&hub).await;
}

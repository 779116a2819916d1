//! History and live, joined at full rate: every point that was sent, once, in order.

use std::{net::SocketAddr, sync::Arc};

use protocol::{close, device::encode::FrameWriter};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use serde_json::json;
use tokio::sync::watch;

use crate::support::{Device, TestHub, Viewer, hello, in_time, now_ms, rng};

const DEVICES: u64 = 4;
const CHANNELS: [&str; 3] = ["scalar", "column", "rate"];
/// Below the 10 000 points at which a snapshot is reduced.
const READINGS: u64 = 6_000;
const VIEWERS: u64 = 8;

/// Sends readings 1, 2, 3 … on every channel, each a millisecond after the one before, as fast as the credit allows.
/// `progress` is the number of the last reading that was handed to the socket.
async fn stream(address: SocketAddr, number: u64, t0_ms: u64, mut rng: SmallRng, progress: Arc<watch::Sender<u64>>) {
    let id = format!("device-{number}");
    let mut device = Device::introduce(address, &hello(&id, 1, &CHANNELS)).await;
    let (mut writer, mut sent, mut seq) = (FrameWriter::default(), 0, 0);
    while sent < READINGS {
        let count = rng.random_range(1..=4).min(READINGS - sent);
        let values: Vec<f64> = (1..=count).map(|i| (sent + i) as f64).collect();
        for (dt, value) in (0..).zip(&values) {
            writer.scalar(0, f64::from(dt), *value);
        }
        writer.column(1, &(0..count as u32).collect::<Vec<_>>(), &values);
        writer.fixed_rate_f64(2, 0.0, 1.0, &values);
        seq += 1;
        let frame = writer.finish(seq, (t0_ms + sent) as f64);
        while seq > device.acked + device.credit {
            device.acked(device.acked + 1).await;
        }
        device.send(frame).await;
        sent += count;
        progress.send_replace(sent);
    }
    device.acked(seq).await;
    device.leave().await;
}

/// Every point that a device sends, as a viewer must see it.
fn wanted(t0_ms: u64) -> Vec<(u64, f64)> {
    (0..READINGS).map(|i| (t0_ms + i, (i + 1) as f64)).collect()
}

fn assert_same(seen: &[(u64, f64)], wanted: &[(u64, f64)], what: &str) {
    if let Some(place) = (0..seen.len().max(wanted.len())).find(|&i| seen.get(i) != wanted.get(i)) {
        let around =
            |list: &[(u64, f64)]| list[place.saturating_sub(2).min(list.len())..(place + 3).min(list.len())].to_vec();
        panic!(
            "{what}: point {place} differs: seen {:?}, sent {:?} ({} seen, {} sent)",
            around(seen),
            around(wanted),
            seen.len(),
            wanted.len()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_that_join_at_any_moment_see_every_point_once() {
    let mut rng = rng("joining");
    let hub = TestHub::start().await;
    let t0_ms = now_ms() - 600_000;
    let progress: Vec<Arc<watch::Sender<u64>>> = (0..DEVICES).map(|_| Arc::new(watch::Sender::new(0))).collect();
    let mut tasks = tokio::task::JoinSet::new();
    for viewer in 0..VIEWERS {
        // The first is there from the beginning, the others come at a random reading of a random device.
        let begin = if viewer == 0 { 0 } else { rng.random_range(1..READINGS) };
        let mut watched = progress[rng.random_range(0..DEVICES) as usize].subscribe();
        // A selector of its own, or the one that all share.
        let selector = if viewer % 2 == 0 { "device-*/*".to_owned() } else { format!("device-*/*,{viewer}/x") };
        let address = hub.address;
        tasks.spawn(async move {
            in_time("its moment", watched.wait_for(|sent| *sent >= begin)).await.expect("devices stream");
            let mut viewer = Viewer::connect(address).await;
            viewer.subscribe(1, &selector).await;
            let is_complete = |viewer: &Viewer| {
                viewer.pictures.get(&1).is_some_and(|picture| {
                    picture.series.len() == DEVICES as usize * CHANNELS.len()
                        && picture.is_live
                        && picture.series.keys().all(|id| {
                            picture.points.get(id).is_some_and(|points| points.last().unwrap().1 >= READINGS as f64)
                        })
                })
            };
            viewer.until("every series' last point", is_complete).await;
            let picture = &viewer.pictures[&1];
            for row in picture.series.values() {
                let what = format!("{selector} from {begin}: {}/{}", row.device, row.channel);
                let seen = &picture.points[&row.id];
                if picture.merged == 0 {
                    assert_same(seen, &wanted(t0_ms), &what);
                } else {
                    // The machine is so busy that this viewer counts as slow: fewer points, but true ones, each once.
                    let is_sent = |&(t_ms, value): &(u64, f64)| value == (t_ms - t0_ms + 1) as f64;
                    assert!(seen.is_sorted_by(|a, b| a.0 < b.0) && seen.iter().all(is_sent), "{what}");
                }
            }
            let points: usize = picture.points.values().map(Vec::len).sum();
            assert_eq!(points as u64 + picture.merged, DEVICES * READINGS * CHANNELS.len() as u64, "all are counted");
            (picture.snapshots, picture.live_points, picture.merged)
        });
    }
    for number in 0..DEVICES {
        let (seed, progress) = (rng.random(), Arc::clone(&progress[number as usize]));
        tokio::spawn(stream(hub.address, number, t0_ms, SmallRng::seed_from_u64(seed), progress));
    }
    let (mut live_points, mut exact) = (0, 0);
    while let Some(viewer) = tasks.join_next().await {
        let (snapshots, live, merged) = viewer.expect("a viewer saw every point once");
        let all = DEVICES * READINGS * CHANNELS.len() as u64;
        println!("{live} of {all} points live, {snapshots} snapshots, {merged} merged");
        live_points += live;
        exact += u64::from(merged == 0);
    }
    assert!(live_points > 0 && exact > 0, "somebody saw something live, and somebody saw all of it");
    hub.stop(close::STOPPING).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_that_comes_back_after_a_restart_sees_everything_acknowledged() {
    let hub = TestHub::start().await;
    let t0_ms = now_ms() - 60_000;
    let mut viewer = Viewer::connect(hub.address).await;
    let mut device = Device::introduce(hub.address, &hello("steady", 1, &["n"])).await;
    for seq in 1..=500_u64 {
        device.reading(seq, (t0_ms + seq) as f64, 0, seq as f64).await;
    }
    device.acked(250).await;
    viewer.watch(1, "steady/n").await;
    device.acked(500).await;
    viewer.until("the last", |viewer| viewer.pictures[&1].values("steady", "n").last() == Some(&500.0)).await;
    let sent: Vec<(u64, f64)> = (1..=500).map(|n| (t0_ms + n, n as f64)).collect();
    assert_same(viewer.pictures[&1].of("steady", "n"), &sent, "before the restart");
    let hub = hub.restart().await;
    viewer.end().await;
    let mut viewer = Viewer::connect(hub.address).await;
    assert_eq!(viewer.catalogues, 0);
    viewer.watch(1, "steady/n").await;
    assert_eq!(viewer.catalogues, 1);
    assert_same(viewer.pictures[&1].of("steady", "n"), &sent, "after the restart");
    assert_eq!(viewer.pictures[&1].live_points, 0);
    let mut again = hello("steady", 1, &["n"]);
    (again["first"], again["next"]) = (json!(501), json!(501));
    let mut device = Device::introduce(hub.address, &again).await;
    device.reading(501, (t0_ms + 501) as f64, 0, 501.0).await;
    viewer.until("live goes on", |viewer| viewer.pictures[&1].live_points == 1).await;
    assert_eq!(viewer.pictures[&1].of("steady", "n").last(), Some(&(t0_ms + 501, 501.0)));
}

#[tokio::test]
async fn a_long_window_is_reduced_to_highs_and_lows() {
    let hub = TestHub::start().await;
    let t0_ms = now_ms() - 3_000_000;
    let mut device = Device::introduce(hub.address, &hello("long", 1, &["n"])).await;
    let mut writer = FrameWriter::default();
    for message in 0..300_u64 {
        let values: Vec<f64> = (0..100).map(|i| ((message * 100 + i) as f64 * 0.01).sin()).collect();
        writer.fixed_rate_f64(0, 0.0, 100.0, &values);
        device.send(writer.finish(message + 1, (t0_ms + message * 10_000) as f64)).await;
    }
    // One spike among 30 000 readings must not disappear.
    device.reading(301, (t0_ms + 1_234_567) as f64, 0, 99.0).await;
    device.acked(301).await;
    let mut viewer = Viewer::connect(hub.address).await;
    viewer
        .say(&json!({ "type": "subscribe", "id": 1, "series": "long/n", "window_ms": 3_600_000, "points": 200 }))
        .await;
    viewer.until("the snapshot", |viewer| viewer.pictures.get(&1).is_some_and(|picture| picture.is_live)).await;
    let points = viewer.pictures[&1].of("long", "n");
    assert!((200..=900).contains(&points.len()), "{} points", points.len());
    assert!(points.is_sorted_by_key(|point| point.0));
    assert!(points.contains(&(t0_ms + 1_234_567, 99.0)), "the spike");
    let lowest = points.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    assert!(lowest < -0.99999, "{lowest}");
    assert_eq!(points.last().expect("points").0, t0_ms + 299 * 10_000 + 9_900);
}

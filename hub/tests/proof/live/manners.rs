//! How the hub answers viewers: catalogue, states, selectors, visibility, limits.

use protocol::{close, limits::SUBSCRIPTIONS_PER_VIEWER_MAX, live::DeviceState};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Device, End, TestHub, Viewer, eventually_equal, hello, now_ms, request};

/// The headers of a viewer's upgrade.
const UPGRADE: [(&str, &str); 5] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Protocol", "highwater.live.v1"),
];

#[tokio::test]
async fn the_catalogue_comes_first_and_then_its_changes() {
    let hub = TestHub::start().await;
    let _first = Device::introduce(hub.address, &hello("first", 1, &["a", "b"])).await;
    let mut viewer = Viewer::connect(hub.address).await;
    viewer.until("the catalogue", |viewer| viewer.catalogues == 1).await;
    let row = &viewer.devices["first"];
    assert_eq!(row.channels.iter().map(|row| row.channel.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    viewer.until("it is connected", |viewer| viewer.devices["first"].connected).await;
    let mut introduction = hello("second", 1, &["c"]);
    introduction["title"] = json!("Second");
    let second = Device::introduce(hub.address, &introduction).await;
    viewer.until("the second", |viewer| viewer.devices.get("second").is_some_and(|row| row.connected)).await;
    let row = &viewer.devices["second"];
    assert_eq!((row.title.as_deref(), row.state), (Some("Second"), DeviceState::Fresh));
    second.leave().await;
    viewer.until("it has gone", |viewer| !viewer.devices["second"].connected).await;
    assert_eq!(viewer.devices["second"].state, DeviceState::Fresh, "a socket is no sign of life");
    assert_eq!(viewer.catalogues, 1, "changes are not the whole again");
}

#[tokio::test]
async fn heartbeats_and_echoes_come() {
    let hub = TestHub::start().await;
    let mut viewer = Viewer::connect(hub.address).await;
    viewer.until("heartbeats", |viewer| viewer.heartbeats >= 3).await;
    viewer.catch_up().await;
}

#[tokio::test]
async fn what_cannot_be_shown_is_explained() {
    let hub = TestHub::start().await;
    for number in 0..5_u64 {
        let names: Vec<String> = (0..256).map(|i| format!("c{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Device::introduce(hub.address, &hello(&format!("wide-{number}"), 1, &names)).await.leave().await;
    }
    let mut viewer = Viewer::connect(hub.address).await;
    let long = "x".repeat(5_000);
    for (selector, code, says) in [
        ("", "bad_selector", "empty"),
        ("boiler", "bad_selector", "not device/channel"),
        ("a/b,c", "bad_selector", "not device/channel"),
        ("a/\u{1b}[2J", "bad_selector", "not device/channel"),
        (long.as_str(), "bad_selector", "4096"),
        ("*/*", "too_many", "1280 series"),
    ] {
        viewer.subscribe(7, selector).await;
        let (id, message) = viewer.error(code).await;
        assert!(message.contains(says) && !message.contains('\u{1b}'), "{selector}: {message}");
        assert_eq!(id, Some(7));
    }
    // 1 024 are not too many, and nobody matches is no error: the devices may still come.
    viewer.watch(8, "wide-0/*,wide-1/*,wide-2/*,wide-3/*").await;
    assert_eq!(viewer.pictures[&8].series.len(), 1_024);
    viewer.watch(9, "nobody/*").await;
    assert!(viewer.pictures[&9].series.is_empty());
    for (message, code) in [
        (json!({ "type": "subscribe", "id": 1 }), "bad_message"),
        (json!({ "type": "subscribe", "series": "a/b" }), "bad_message"),
        (json!({ "type": "visibility" }), "bad_message"),
        (json!({ "type": 5 }), "bad_message"),
        (json!({ "type": "dance" }), "unknown_type"),
    ] {
        viewer.say(&message).await;
        viewer.error(code).await;
    }
    for id in 10..10 + SUBSCRIPTIONS_PER_VIEWER_MAX as u64 - 2 {
        viewer.subscribe(id, "nobody/x").await;
    }
    viewer.subscribe(1_000, "nobody/x").await;
    let (id, message) = viewer.error("too_many").await;
    assert!(id == Some(1_000) && message.contains("64 subscriptions"), "{message}");
    // Replacing one needs no further place.
    viewer.watch(8, "wide-4/*").await;
    assert_eq!(viewer.pictures[&8].series.len(), 256);
}

#[tokio::test]
async fn messages_that_no_viewer_sends_end_the_connection() {
    let hub = TestHub::start().await;
    let mut healthy = Viewer::connect(hub.address).await;
    for (message, wanted) in [
        (Message::text("subscribe"), Some(close::TEXT_MESSAGE)),
        (Message::binary(vec![0x83, 1, 2, 3]), Some(close::UNREADABLE)),
        (Message::binary(vec![]), Some(close::UNREADABLE)),
        (Message::binary(vec![0xa0; 20_000]), Some(close::TOO_BIG)),
    ] {
        let mut viewer = Viewer::connect(hub.address).await;
        viewer.send_message(message.clone()).await;
        match viewer.end().await {
            End::Closed(code, _) => assert_eq!(Some(code), wanted, "{message:?}"),
            End::Lost(why) => panic!("instead of {wanted:?}: {why}"),
        }
    }
    healthy.catch_up().await;
    eventually_equal("the others have gone", 1, async || hub.metrics().await.get("viewers")).await;
}

#[tokio::test]
async fn there_is_room_for_so_many_viewers() {
    let hub = TestHub::with(|config| config.live.viewers_max = 2).await;
    let _first = Viewer::connect(hub.address).await;
    let second = Viewer::connect(hub.address).await;
    let refused = request(hub.address, "GET", "/ws/live", &UPGRADE, b"").await;
    refused.assert_problem(503, "live.viewers_max");
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    drop(second);
    eventually_equal("there is room again", 101, async || {
        request(hub.address, "GET", "/ws/live", &UPGRADE, b"").await.status
    })
    .await;
}

#[tokio::test]
async fn a_new_device_that_matches_brings_a_fresh_snapshot() {
    let hub = TestHub::start().await;
    let mut viewer = Viewer::connect(hub.address).await;
    viewer.watch(1, "boiler-*/temp").await;
    let before = viewer.pictures[&1].stream;
    let mut device = Device::introduce(hub.address, &hello("boiler-7", 1, &["temp", "other"])).await;
    viewer.until("a fresh snapshot", |viewer| viewer.pictures[&1].series.len() == 1).await;
    assert_ne!(viewer.pictures[&1].stream, before, "a new stream, so that late frames of the old one are no puzzle");
    device.reading(1, now_ms() as f64, 0, 61.0).await;
    viewer.until("its reading", |viewer| viewer.pictures[&1].values("boiler-7", "temp") == [61.0]).await;
    // Another that does not match changes nothing.
    let _other = Device::introduce(hub.address, &hello("pump-1", 1, &["temp"])).await;
    viewer.until("the catalogue", |viewer| viewer.devices.contains_key("pump-1")).await;
    viewer.catch_up().await;
    assert_eq!(viewer.pictures[&1].snapshots, 2);
}

#[tokio::test]
async fn a_hidden_page_gets_no_data_and_a_fresh_snapshot_when_it_is_back() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("d", 1, &["n"])).await;
    let t_ms = now_ms() as f64 - 1_000.0;
    let mut viewer = Viewer::connect(hub.address).await;
    let mut other = Viewer::connect(hub.address).await;
    other.watch(1, "d/n").await;
    viewer.watch(1, "d/n").await;
    device.reading(1, t_ms, 0, 1.0).await;
    viewer.until("the first", |viewer| viewer.pictures[&1].values("d", "n") == [1.0]).await;
    viewer.say(&json!({ "type": "visibility", "hidden": true })).await;
    viewer.catch_up().await;
    device.reading(2, t_ms + 1.0, 0, 2.0).await;
    // The other one watches the same stream, which therefore goes on.
    other.until("the second", |viewer| viewer.pictures[&1].values("d", "n").len() == 2).await;
    // What is asked for while hidden waits, too.
    viewer.subscribe(2, "d/*").await;
    viewer.catch_up().await;
    device.reading(3, t_ms + 2.0, 0, 3.0).await;
    other.until("the third", |viewer| viewer.pictures[&1].values("d", "n").len() == 3).await;
    viewer.catch_up().await;
    assert_eq!(viewer.pictures[&1].values("d", "n"), [1.0]);
    assert!(!viewer.pictures.contains_key(&2) && viewer.strays == 0);
    viewer.say(&json!({ "type": "visibility", "hidden": false })).await;
    viewer
        .until("both again", |viewer| [1, 2].iter().all(|id| viewer.pictures.get(id).is_some_and(|p| p.is_live)))
        .await;
    for id in [1, 2] {
        assert_eq!(viewer.pictures[&id].values("d", "n"), [1.0, 2.0, 3.0], "nothing missing, nothing twice");
    }
    assert_eq!(viewer.pictures[&1].snapshots, 2);
    viewer.say(&json!({ "type": "visibility", "hidden": false })).await;
    viewer.catch_up().await;
    assert_eq!(viewer.pictures[&1].snapshots, 2, "saying so twice changes nothing");
}

#[tokio::test]
async fn hiding_while_a_snapshot_is_on_its_way_stops_it_too() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("d", 1, &["n"])).await;
    let mut other = Viewer::connect(hub.address).await;
    other.watch(1, "d/n").await;
    for round in 1..=20_u64 {
        let mut viewer = Viewer::connect(hub.address).await;
        viewer.subscribe(1, "d/n").await;
        viewer.say(&json!({ "type": "visibility", "hidden": true })).await;
        viewer.catch_up().await;
        let before = viewer.pictures.get(&1).cloned().unwrap_or_default();
        device.reading(round, now_ms() as f64, 0, round as f64).await;
        other.until("the reading", |viewer| viewer.pictures[&1].values("d", "n").len() as u64 == round).await;
        viewer.catch_up().await;
        let after = viewer.pictures.get(&1).cloned().unwrap_or_default();
        assert_eq!(after.points, before.points, "round {round}: nothing comes to a hidden page");
    }
}

#[tokio::test]
async fn the_same_subscription_twice_on_one_connection_is_no_muddle() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("d", 1, &["n"])).await;
    let t_ms = now_ms() as f64 - 1_000.0;
    device.reading(1, t_ms, 0, 1.0).await;
    device.acked(1).await;
    let mut viewer = Viewer::connect(hub.address).await;
    viewer.watch(1, "d/n").await;
    viewer.watch(2, "d/n").await;
    assert_ne!(viewer.pictures[&1].stream, viewer.pictures[&2].stream);
    device.reading(2, t_ms + 1.0, 0, 2.0).await;
    viewer.until("both", |viewer| [1, 2].iter().all(|id| viewer.pictures[id].values("d", "n").len() >= 2)).await;
    viewer.catch_up().await;
    for id in [1, 2] {
        assert_eq!(viewer.pictures[&id].values("d", "n"), [1.0, 2.0]);
    }
    viewer.say(&json!({ "type": "unsubscribe", "id": 1 })).await;
    viewer.catch_up().await;
    device.reading(3, t_ms + 2.0, 0, 3.0).await;
    viewer.until("the second goes on", |viewer| viewer.pictures[&2].values("d", "n").len() == 3).await;
    viewer.catch_up().await;
    assert_eq!(viewer.pictures[&1].values("d", "n"), [1.0, 2.0], "the first has ended");
    drop(viewer);
    eventually_equal("no stream is left behind", 0, async || hub.metrics().await.get("live_streams")).await;
}

#[tokio::test]
async fn gaps_are_told_with_the_snapshot() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("holey", 1, &["n"])).await;
    let t_ms = now_ms();
    device.reading(1, (t_ms - 9_000) as f64, 0, 1.0).await;
    device.say(&json!({ "type": "gap", "from": 2, "to": 5, "reason": "memory full" })).await;
    device.reading(6, (t_ms - 4_000) as f64, 0, 6.0).await;
    device.acked(6).await;
    let mut viewer = Viewer::connect(hub.address).await;
    viewer.watch(1, "holey/n").await;
    let gaps = &viewer.pictures[&1].gaps;
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!((gaps[0].from, gaps[0].to), (t_ms - 9_000, t_ms - 4_000));
    assert!(gaps[0].reason.contains("memory full") && gaps[0].reason.contains('4'), "{}", gaps[0].reason);
}

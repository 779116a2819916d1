//! States: what they were at when the window began belongs to the picture, however long ago that was.

use serde_json::{Value, json};

use crate::support::{Device, TestHub, Viewer, hello, now_ms};

const DAY_MS: u64 = 86_400_000;

fn house() -> Value {
    let mut introduction = hello("house", 1, &["door", "gate", "lamp", "temp"]);
    for channel in 0..3 {
        introduction["channels"][channel]["kind"] = json!("state");
        introduction["channels"][channel]["states"] = json!(["closed", "open"]);
    }
    introduction
}

#[tokio::test]
async fn a_door_that_opened_yesterday_is_open_in_todays_window() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &house()).await;
    let (now_ms, yesterday_ms) = (now_ms(), now_ms() - DAY_MS);
    let (door, lamp, temp) = (0, 2, 3);
    device
        .say(&json!([
            1,
            yesterday_ms,
            [[door, -5_000, "closed"], [door, 0, "open"], [lamp, 0, "open"], [lamp, 1_000, null], [temp, 0, 21.5]]
        ]))
        .await;
    device.acked(1).await;
    let mut viewer = Viewer::connect(hub.address).await;
    viewer.watch(1, "house/*").await;
    let picture = &viewer.pictures[&1];
    assert_eq!(picture.of("house", "door"), [(yesterday_ms, 1.0)], "the last of yesterday, and nothing older");
    let [(t_ms, missing)] = picture.of("house", "lamp") else { panic!("{:?}", picture.of("house", "lamp")) };
    assert!(*t_ms == yesterday_ms + 1_000 && missing.is_nan(), "a lamp of which nothing is known any more");
    assert_eq!(picture.of("house", "temp"), [], "a gauge is not what it was yesterday");
    assert_eq!(picture.of("house", "gate"), [], "a state that never was");
    // It goes on from there, and a reading inside the window stands behind what was carried in.
    device.say(&json!([2, now_ms - 1_000, [[door, 0, "closed"]]])).await;
    device.acked(2).await;
    let wanted = [(yesterday_ms, 1.0), (now_ms - 1_000, 0.0)];
    viewer.until("the door closes", |viewer| viewer.pictures[&1].of("house", "door").len() == 2).await;
    assert_eq!(viewer.pictures[&1].of("house", "door"), wanted);
    viewer.watch(2, "house/door").await;
    assert_eq!(viewer.pictures[&2].of("house", "door"), wanted, "a fresh snapshot shows the same");
    let hub = hub.restart().await;
    let mut viewer = Viewer::connect(hub.address).await;
    viewer.watch(1, "house/door").await;
    assert_eq!(viewer.pictures[&1].of("house", "door"), wanted, "and so does another life of the hub");
}

#[tokio::test]
async fn a_gate_that_opened_last_year_is_open_in_the_longest_window() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &house()).await;
    let now_ms = now_ms();
    device.say(&json!([1, now_ms - 80 * DAY_MS, [[1, 0, "open"]]])).await;
    device.say(&json!([2, now_ms, [[1, 0, "closed"]]])).await;
    device.acked(2).await;
    let mut viewer = Viewer::connect(hub.address).await;
    viewer
        .say(&json!({ "type": "subscribe", "id": 1, "series": "house/gate", "window_ms": 45 * DAY_MS, "points": 100 }))
        .await;
    viewer.until("the snapshot", |viewer| viewer.pictures.get(&1).is_some_and(|picture| picture.is_live)).await;
    let [(opened_ms, open), closed] = viewer.pictures[&1].of("house", "gate") else {
        panic!("{:?}", viewer.pictures[&1].of("house", "gate"))
    };
    assert_eq!((*open, *closed), (1.0, (now_ms, 0.0)));
    let age_ms = now_ms - opened_ms;
    assert!(
        (45 * DAY_MS + 1..=50 * DAY_MS).contains(&age_ms),
        "before the window, as far as a frame reaches: {age_ms}"
    );
}

//! The HTTP door: `POST /api/v1/readings`.

use protocol::limits::MESSAGE_BYTES_MAX;
use serde_json::{Value, json};

use crate::support::{Api, Bystander, Device, TestHub, cbor, eventually_equal, hello, now_ms, post};

/// A time in the past, whole seconds.
const T0_MS: u64 = 1_770_000_000_000;

async fn posted(hub: &Api, body: Value) -> Value {
    let answer = hub.post(&body).await;
    assert_eq!(answer.status, 200, "{body}: {}", answer.text());
    answer.json()
}

#[tokio::test]
async fn one_map_is_now_and_a_list_has_times() {
    let hub = TestHub::start().await;
    let before_ms = now_ms() as f64;
    let answer =
        posted(&hub, json!({ "device": "shed", "readings": { "temp": 21.5, "door": true, "hum": null } })).await;
    assert_eq!(answer, json!({ "acked": 1, "stored": 3, "duplicate": 0 }));
    let temp = hub.points("shed/temp").await;
    assert_eq!(temp.len(), 1);
    assert!((before_ms..=now_ms() as f64 + 1.0).contains(&temp[0].0) && temp[0].1 == Some(21.5), "{temp:?}");
    assert_eq!(hub.points("shed/door").await[0].1, Some(1.0));
    assert_eq!(hub.points("shed/hum").await[0].1, None, "a missing measurement is kept");
    let list = json!([
        { "t": T0_MS, "n": 1, "m": 0.1 },
        { "t": "2026-02-02T02:40:01Z", "n": 2 },
        { "t": "2026-02-02T03:40:02.0005+01:00", "n": 3 },
        { "t": T0_MS as f64 + 2_500.25, "n": 0.123_456_789_012_345_67 },
    ]);
    assert_eq!(posted(&hub, json!({ "device": "shed", "readings": list })).await["stored"], 5);
    let t_ms = T0_MS as f64;
    let wanted = [
        (t_ms, Some(1.0)),
        (t_ms + 1_000.0, Some(2.0)),
        (t_ms + 2_000.5, Some(3.0)),
        (t_ms + 2_500.25, Some(0.123_456_789_012_345_67)),
    ];
    assert_eq!(hub.points("shed/n").await, wanted);
    assert_eq!(hub.points("shed/m").await, [(t_ms, Some(0.1))]);
    let delivery = hub.delivery("shed").await;
    assert_eq!((&delivery["stored"], &delivery["readings_stored"]), (&json!(2), &json!(8)));
}

#[tokio::test]
async fn cbor_is_taken_as_well() {
    let hub = TestHub::start().await;
    let body = cbor(&json!({ "device": "pico", "readings": [{ "t": T0_MS, "n": 1.25, "on": false, "off": null }] }));
    let answer = post(hub.address, "/api/v1/readings", "application/cbor", &body).await;
    assert_eq!((answer.status, answer.json()["stored"].clone()), (200, json!(3)));
    assert_eq!(hub.points("pico/n").await, [(T0_MS as f64, Some(1.25))]);
    // A half float for the value and a double for the time, as small encoders send them.
    let mut body = cbor(&json!({ "device": "pico", "readings": { "t": T0_MS as f64 + 1_000.0 } }));
    let n = [&[0xa2][..], &body[body.len() - 11..], &[0x61, b'n', 0xf9, 0x3c, 0x00]].concat();
    body.truncate(body.len() - 12);
    body.extend(n);
    let answer = post(hub.address, "/api/v1/readings", "application/cbor; charset=binary", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(hub.points("pico/n").await[1], (T0_MS as f64 + 1_000.0, Some(1.0)));
}

#[tokio::test]
async fn spool_and_seq_store_each_request_once() {
    let hub = TestHub::start().await;
    let body = |seq: u64, value: u64| json!({ "device": "sleepy", "spool": 5, "seq": seq, "readings": [{ "t": T0_MS + seq, "n": value }] });
    assert_eq!(posted(&hub, body(1, 1)).await, json!({ "acked": 1, "stored": 1, "duplicate": 0 }));
    assert_eq!(posted(&hub, body(2, 2)).await, json!({ "acked": 2, "stored": 1, "duplicate": 0 }));
    assert_eq!(posted(&hub, body(1, 9)).await, json!({ "acked": 2, "stored": 0, "duplicate": 1 }));
    assert_eq!(posted(&hub, body(5, 5)).await, json!({ "acked": 5, "stored": 1, "duplicate": 0 }), "3 and 4 are gone");
    let hub = hub.restart().await;
    assert_eq!(posted(&hub, body(5, 9)).await, json!({ "acked": 5, "stored": 0, "duplicate": 1 }));
    let t_ms = T0_MS as f64;
    assert_eq!(
        hub.points("sleepy/n").await,
        [(t_ms + 1.0, Some(1.0)), (t_ms + 2.0, Some(2.0)), (t_ms + 5.0, Some(5.0))]
    );
    let delivery = hub.delivery("sleepy").await;
    assert_eq!((&delivery["stored"], &delivery["lost"]), (&json!(3), &json!(2)));
    assert_eq!(delivery["gaps"][0]["reason"], "unexplained");
}

#[tokio::test]
async fn a_hundred_posts_at_once_with_the_same_number_store_one() {
    let hub = TestHub::start().await;
    let body = json!({ "device": "eager", "spool": 5, "seq": 1, "readings": [{ "t": T0_MS, "n": 1 }] });
    let api = Api { address: hub.address };
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let body = body.clone();
        tasks.spawn(async move { posted(&api, body).await });
    }
    let mut stored = 0;
    while let Some(answer) = tasks.join_next().await {
        let answer = answer.expect("no panic");
        assert_eq!(answer["acked"], 1);
        stored += answer["stored"].as_u64().expect("a count");
    }
    assert_eq!(stored, 1);
    assert_eq!(hub.points("eager/n").await.len(), 1);
    eventually_equal("the others are counted", json!(99), async || hub.delivery("eager").await["duplicate"].take())
        .await;
}

#[tokio::test]
async fn the_last_one_wins_where_the_time_is_the_same() {
    let hub = TestHub::start().await;
    for value in 1..=3 {
        posted(&hub, json!({ "device": "shed", "readings": [{ "t": T0_MS, "n": value }] })).await;
    }
    // Also across the doors, and against a chunk that is sealed by now.
    let mut device = Device::introduce(hub.address, &hello("shed", 4, &["n"])).await;
    device.say(&json!([1, T0_MS, [[0, 0, 1, (4..204).collect::<Vec<u64>>()]]])).await;
    device.acked(1).await;
    posted(&hub, json!({ "device": "shed", "readings": [{ "t": T0_MS + 7, "n": -1 }] })).await;
    let wanted: Vec<_> =
        (0..200).map(|i| (T0_MS as f64 + f64::from(i), Some(if i == 7 { -1.0 } else { f64::from(i + 4) }))).collect();
    assert_eq!(hub.points("shed/n").await, wanted);
    let hub = hub.restart().await;
    assert_eq!(hub.points("shed/n").await, wanted);
}

#[tokio::test]
async fn times_that_cannot_be_true_are_moved_and_said_so() {
    let hub = TestHub::start().await;
    let answer =
        posted(&hub, json!({ "device": "lost", "readings": [{ "t": 1_000, "n": 1 }, { "t": 3_000, "n": 2 }] })).await;
    assert_eq!(answer, json!({ "acked": 1, "stored": 2, "duplicate": 0, "skewed": true }));
    let seen = hub.points("lost/n").await;
    assert!(seen[1].0 - seen[0].0 == 2_000.0 && seen[1].0 <= now_ms() as f64 + 1.0, "{seen:?}");
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_said() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let many =
        json!({ "device": "d", "readings": (0..300).map(|i| json!({ format!("c{i}"): 1 })).collect::<Vec<_>>() });
    let long = "x".repeat(65);
    let bodies: Vec<(String, &str)> = vec![
        (String::new(), "EOF"),
        ("{".into(), "EOF"),
        ("[]".into(), "device"),
        (r#"{"readings": {"n": 1}}"#.into(), "device"),
        (r#"{"device": "d"}"#.into(), "readings"),
        (r#"{"device": "d", "readings": 5}"#.into(), "object of channels and values"),
        (r#"{"device": "d", "readings": {}}"#.into(), "no reading"),
        (r#"{"device": "d", "readings": []}"#.into(), "no reading"),
        (r#"{"device": "d d", "readings": {"n": 1}}"#.into(), "position 2"),
        (format!(r#"{{"device": "{long}", "readings": {{"n": 1}}}}"#), "64"),
        (r#"{"device": "d", "readings": {"a/b": 1}}"#.into(), "channel"),
        (r#"{"device": "d", "readings": {"n": "warm"}}"#.into(), "a number, true, false or null"),
        (r#"{"device": "d", "readings": {"n": {"deep": [1]}}}"#.into(), "a number, true, false or null"),
        (r#"{"device": "d", "readings": [{"t": "noon", "n": 1}]}"#.into(), "is no time"),
        (r#"{"device": "d", "readings": [{"t": 1e300, "n": 1}]}"#.into(), "out of range"),
        (r#"{"device": "d", "readings": {"n": 1}, "seq": 1}"#.into(), "go together"),
        (r#"{"device": "d", "readings": {"n": 1}, "spool": 1, "seq": 0}"#.into(), "go together"),
        (r#"{"device": "d", "readings": {"n": 1}, "spool": -1, "seq": 1}"#.into(), "negative"),
        (r#"{"device": "d", "readings": {"n": 1e999}}"#.into(), "out of range"),
        (many.to_string(), "256 channels"),
        (r#"{"device": "d", "readings": {"n": 1}} trailing"#.into(), "trailing"),
    ];
    let count = bodies.len() as u64;
    for (body, says) in &bodies {
        let answer = post(hub.address, "/api/v1/readings", "application/json", body.as_bytes()).await;
        answer.assert_problem(400, says);
    }
    let infinite = [&cbor(&json!({ "device": "d", "readings": { "n": 0 } }))[..], &[]].concat();
    let infinite = [&infinite[..infinite.len() - 1], &[0xf9, 0x7c, 0x00]].concat();
    post(hub.address, "/api/v1/readings", "application/cbor", &infinite).await.assert_problem(400, "infinit");
    post(hub.address, "/api/v1/readings", "application/cbor", b"\xff").await.assert_problem(400, "Send");
    assert_eq!(hub.get("/api/v1/devices/d").await.status, 404, "a refused body makes no device");
    assert_eq!(hub.metrics().await.get("posts_refused_total"), count + 2);
    // Larger than a message may be.
    let large = format!(r#"{{"device": "d", "readings": {{"n": 1}}, "x": "{}"}}"#, "x".repeat(MESSAGE_BYTES_MAX));
    post(hub.address, "/api/v1/readings", "application/json", large.as_bytes()).await.assert_problem(413, "256 KiB");
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn readings_over_the_cap_are_dropped_alone_and_said_so() {
    let hub = TestHub::with(|config| config.ingest.series_max = 2).await;
    let answer = posted(&hub, json!({ "device": "d", "readings": { "a": 1, "b": 2, "c": 3 } })).await;
    assert_eq!(answer, json!({ "acked": 1, "stored": 2, "duplicate": 0, "dropped": 1 }));
    eventually_equal("counted", json!([2, 1]), async || {
        let delivery = hub.delivery("d").await;
        json!([delivery["readings_stored"], delivery["readings_dropped"]])
    })
    .await;
}

#[tokio::test]
async fn there_are_only_so_many_devices() {
    let hub = TestHub::with(|config| config.ingest.devices_max = 2).await;
    posted(&hub, json!({ "device": "one", "readings": { "n": 1 } })).await;
    let mut second = Device::introduce(hub.address, &hello("two", 1, &["n"])).await;
    hub.post(&json!({ "device": "three", "readings": { "n": 1 } })).await.assert_problem(400, "ingest.devices_max");
    let mut third = Device::connect(hub.address).await;
    third.say(&hello("three", 1, &["n"])).await;
    let (message, _) = third.error("too_many_devices").await;
    assert!(message.contains("ingest.devices_max"), "{message}");
    third.closed(protocol::close::POLICY).await;
    second.reading(1, now_ms() as f64, 0, 1.0).await;
    second.acked(1).await;
    assert_eq!(hub.metrics().await.get("devices_refused_total"), 2);
}

//! Control messages that are wrong, absurd, or meant to deceive whoever reads them.

use protocol::{
    close,
    limits::{CHANNELS_PER_DEVICE_MAX, INTEGER_MAX},
};
use serde_json::{Value, json};

use super::closes;
use crate::support::{Bystander, Device, TestHub, eventually_equal, hello, now_ms};

#[tokio::test]
async fn readings_before_hello_are_closed_with_1008() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut device = Device::connect(hub.address).await;
    device.reading(1, now_ms() as f64, 0, 1.0).await;
    assert_eq!(device.closed(close::POLICY).await, "say hello before sending readings");
    let mut device = Device::connect(hub.address).await;
    device.say(&json!({ "type": "gap", "from": 1, "to": 2 })).await;
    assert_eq!(device.closed(close::POLICY).await, "say hello before reporting gaps");
    assert_eq!(closes(&hub, close::POLICY).await, 2);
    bystander.finish(&hub).await;
}

/// Hellos with one thing wrong each, and what the error says about it.
fn bad_hellos() -> Vec<(Value, &'static str)> {
    let with = |key: &str, value: Value| {
        let mut bad = hello("bad", 1, &["temp"]);
        if value.is_null() {
            bad.as_object_mut().expect("a map").remove(key);
        } else {
            bad[key] = value;
        }
        bad
    };
    let channel = |key: &str, value: Value| with("channels", json!([{ "name": "temp", key: value }]));
    let long = "x".repeat(129);
    let channels = |count: usize| (0..count).map(|i| json!({ "name": format!("c{i}") })).collect::<Vec<_>>();
    let labels: serde_json::Map<_, _> = (0..33).map(|i| (format!("k{i}"), json!("v"))).collect();
    vec![
        (with("device", Value::Null), "device"),
        (with("spool", Value::Null), "spool"),
        (with("first", Value::Null), "first"),
        (with("next", Value::Null), "next"),
        (with("clock", Value::Null), "clock"),
        (with("channels", Value::Null), "channels"),
        (with("device", json!("b\u{1b}[2Jad")), "position"),
        (with("device", json!("")), "id"),
        (with("device", json!("x".repeat(65))), "64"),
        (with("device", json!("-bad")), "position 1"),
        (with("spool", json!(0)), "spool"),
        (with("spool", json!(INTEGER_MAX + 1)), "2^53"),
        (with("first", json!(0)), "count from 1"),
        (with("first", json!(2)), "first must not be above next"),
        (with("clock", json!("sun")), "sun"),
        (with("now", json!(1e300)), "now"),
        (channel("name", json!("te\u{7}mp")), "position"),
        (with("channels", json!([{ "name": "temp" }, { "name": "temp" }])), "declared twice"),
        (with("channels", json!(channels(CHANNELS_PER_DEVICE_MAX + 1))), "257 channels"),
        (channel("scale", json!(0)), "scale"),
        (channel("period_ms", json!(-1)), "period_ms"),
        (channel("title", json!(long)), "129"),
        (channel("kind", json!("thing")), "thing"),
        (channel("states", json!((0..65).map(|i| i.to_string()).collect::<Vec<_>>())), "65"),
        (with("title", json!(long)), "129"),
        (with("labels", json!(labels)), "labels"),
        (with("features", json!((0..33).map(|i| i.to_string()).collect::<Vec<_>>())), "features"),
    ]
}

#[tokio::test]
async fn every_kind_of_bad_hello_is_explained_and_closed_with_1008() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let bad = bad_hellos();
    let count = bad.len() as u64;
    for (bad, says) in bad {
        let mut device = Device::connect(hub.address).await;
        device.say(&bad).await;
        let (message, seq) = device.error("bad_hello").await;
        assert!(message.contains(says), "{message:?} does not say {says:?} about {bad}");
        assert_eq!(seq, None);
        device.closed(close::POLICY).await;
    }
    let metrics = hub.metrics().await;
    assert_eq!(metrics.get("control_refused_total"), count);
    assert_eq!(closes(&hub, close::POLICY).await, count);
    assert_eq!(hub.get("/api/v1/devices/bad").await.status, 404, "nobody was introduced");
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn hostile_text_is_cleaned_and_hostile_names_are_refused() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut introduction = hello("spoof", 1, &["temp"]);
    introduction["title"] = json!("\u{1b}]0;owned\u{7}Boiler\u{202e}");
    introduction["labels"] = json!({ "room": "<script>alert(1)</script>\u{0}" });
    introduction["channels"][0]["unit"] = json!("\u{1b}[31m°F");
    let mut device = Device::introduce(hub.address, &introduction).await;
    device.say(&json!({ "type": "gap", "from": 1, "to": 3, "reason": "\u{1b}[2Jlost\r\nx" })).await;
    device.acked(3).await;
    let text = hub.get("/api/v1/devices/spoof").await.text();
    let is_hostile = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}');
    assert!(!text.contains(is_hostile) && !text.contains("\\u00"), "{text}");
    let seen = hub.device("spoof").await;
    assert_eq!((&seen["title"], &seen["channels"][0]["unit"]), (&json!("]0;ownedBoiler"), &json!("[31m°F")));
    assert_eq!(seen["delivery"]["gaps"][0]["reason"], "[2Jlostx");
    device.leave().await;
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn unknown_controls_and_answers_to_no_command_are_harmless() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("odd", 1, &["n"])).await;
    device.say(&json!({ "type": "reboot\u{1b}[2J", "now": true })).await;
    let (message, _) = device.error("unknown_type").await;
    assert!(message.contains("reboot[2J"), "{message}");
    device.say(&json!({ "type": "result", "id": "nobody-asked", "ok": true, "value": 3 })).await;
    device.say(&json!({ "type": "gap", "from": 9, "to": 3 })).await;
    device.error("bad_control").await;
    device.reading(1, now_ms() as f64, 0, 1.0).await;
    device.acked(1).await;
    // A bad hello ends the connection even later: what comes behind it would mean something else.
    device.say(&json!({ "type": "hello" })).await;
    device.reading(2, now_ms() as f64, 0, 2.0).await;
    device.error("bad_hello").await;
    device.closed(close::POLICY).await;
    assert_eq!(hub.metrics().await.get("control_refused_total"), 2);
    assert_eq!(hub.delivery("odd").await["stored"], 1);
}

#[tokio::test]
async fn a_connection_that_speaks_for_a_second_device_leaves_the_first() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("first", 1, &["n"])).await;
    device.welcome(&hello("second", 1, &["n"])).await;
    device.reading(1, now_ms() as f64, 0, 2.0).await;
    device.acked(1).await;
    eventually_equal("one is connected, the other not", json!([false, true]), async || {
        json!([hub.device("first").await["connected"], hub.device("second").await["connected"]])
    })
    .await;
    assert_eq!(hub.points("first/n").await, []);
    let mut first = Device::introduce(hub.address, &hello("first", 1, &["n"])).await;
    device.reading(2, now_ms() as f64, 0, 2.0).await;
    device.acked(2).await;
    first.reading(1, now_ms() as f64, 0, 1.0).await;
    first.acked(1).await;
    first.leave().await;
    device.leave().await;
}

#[tokio::test]
async fn absurd_gaps_are_counted_without_an_overflow() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut device = Device::connect(hub.address).await;
    // 2^53 × 2 100 is more than 2^64.
    for spool in 1..=2_100_u64 {
        if spool % 30 == 0 {
            // A connection may only say so many things a second.
            device = Device::connect(hub.address).await;
        }
        device.welcome(&hello("liar", spool, &["n"])).await;
        device.say(&json!({ "type": "gap", "from": 1, "to": INTEGER_MAX, "reason": "lies" })).await;
        device.acked(INTEGER_MAX).await;
        device.acked = 0;
    }
    let delivery = hub.delivery("liar").await;
    assert!(delivery["lost"].as_u64().is_some_and(|lost| lost >= INTEGER_MAX), "{delivery}");
    device.leave().await;
    bystander.finish(&hub).await;
}

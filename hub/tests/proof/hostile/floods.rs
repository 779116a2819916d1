//! Devices that bring more than they may: series, readings, control messages.

use std::time::{Duration, Instant};

use protocol::limits::CHANNELS_PER_DEVICE_MAX;
use serde_json::{Value, json};

use crate::support::{Bystander, Device, TestHub, eventually_equal, hello, now_ms};

#[tokio::test]
async fn series_beyond_the_cap_are_dropped_alone_and_counted() {
    // The bystander has one; ten are left for three devices with four channels each.
    let hub = TestHub::with(|config| config.ingest.series_max = 11).await;
    let bystander = Bystander::start(&hub).await;
    let names = ["a", "b", "c", "d"];
    for number in 0..3_u64 {
        let id = format!("wide-{number}");
        let mut device = Device::introduce(hub.address, &hello(&id, 1, &names)).await;
        let t_ms = now_ms();
        device.say(&json!([1, t_ms, [[0, 0, 1], [1, 0, 2], [2, [0, 1], [3, 3.5]], [3, 0, 4]]])).await;
        device.acked(1).await;
        let dropped = if number == 2 { 3 } else { 0 };
        eventually_equal("the readings are counted", json!([1, 5 - dropped, dropped]), async || {
            let delivery = hub.delivery(&id).await;
            json!([delivery["stored"], delivery["readings_stored"], delivery["readings_dropped"]])
        })
        .await;
        let kept: &[&str] = if number == 2 { &names[..2] } else { &names };
        assert_eq!(hub.device(&id).await["channels"].as_array().map(Vec::len), Some(kept.len()));
        for (value, name) in (1..).zip(kept) {
            let seen = hub.points(&format!("{id}/{name}")).await;
            assert_eq!(seen[0], (t_ms as f64, Some(f64::from(value))), "{id}/{name}");
        }
        assert_eq!(device.errors_left(), 0, "the message stands");
        device.leave().await;
    }
    let metrics = hub.metrics().await;
    assert_eq!((metrics.get("readings_dropped_total"), metrics.get("series")), (3, 11));
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn a_device_gets_no_more_than_its_256_series_by_changing_spools() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    for spool in 1..=3_u64 {
        let names: Vec<String> = (0..100).map(|i| format!("s{spool}-{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut device = Device::introduce(hub.address, &hello("many", spool, &names)).await;
        let items: Vec<Value> = (0..100).map(|channel| json!([channel, 0, 1])).collect();
        device.say(&json!([1, now_ms(), items])).await;
        device.acked(1).await;
        device.leave().await;
    }
    eventually_equal("the rest is dropped", json!([3, 256, 44, 256]), async || {
        let seen = hub.device("many").await;
        let delivery = &seen["delivery"];
        let channels = seen["channels"].as_array().map(Vec::len);
        json!([delivery["stored"], delivery["readings_stored"], delivery["readings_dropped"], channels])
    })
    .await;
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn a_flood_is_slowed_down_and_nothing_of_it_is_lost() {
    let hub = TestHub::with(|config| config.ingest.messages_per_second = 200).await;
    let bystander = Bystander::start(&hub).await;
    let mut device = Device::introduce(hub.address, &hello("flood", 1, &["n"])).await;
    let t_ms = now_ms() as f64 - 10_000.0;
    for seq in 1..=300_u64 {
        device.reading(seq, t_ms + seq as f64, 0, seq as f64).await;
    }
    device.acked(300).await;
    assert!(hub.metrics().await.get("messages_slowed_total") >= 50);
    eventually_equal("all is stored", 300, async || hub.points("flood/n").await.len()).await;
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn a_flood_of_control_messages_is_slowed_down_much_sooner() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let names: Vec<String> = (0..CHANNELS_PER_DEVICE_MAX).map(|i| format!("channel-{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut introduction = hello("chatterbox", 1, &names);
    let mut device = Device::connect(hub.address).await;
    let began = Instant::now();
    // Each of these is new to the hub and as long as can be: half a millisecond of its time.
    for number in 0..3 * 64 {
        introduction["title"] = json!(format!("number {number}"));
        device.welcome(&introduction).await;
    }
    assert!(began.elapsed() >= Duration::from_millis(1_900), "{:?}", began.elapsed());
    // What comes behind is taken, readings at their own rate.
    for seq in 1..=200_u64 {
        device.reading(seq, now_ms() as f64, 0, 1.0).await;
    }
    device.acked(200).await;
    assert_eq!(hub.device("chatterbox").await["title"], "number 191");
    device.leave().await;
    bystander.finish(&hub).await;
}

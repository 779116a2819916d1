//! Devices' clocks: right, wrong, none at all.

use protocol::{codec::writer, device::encode::FrameWriter};
use serde_json::{Value, json};

use crate::support::{Bystander, Device, Point, TestHub, eventually_equal, hello, now_ms};

/// 1970-01-01 and a minute, in milliseconds.
const MINUTE_MS: f64 = 60_000.0;

async fn span(hub: &TestHub, series: &str, count: usize) -> Vec<Point> {
    eventually_equal("the readings are there", count, async || hub.points(series).await.len()).await;
    hub.points(series).await
}

#[tokio::test]
async fn a_clock_in_1970_keeps_its_spacing_and_ends_at_now() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut introduction = hello("epoch", 1, &["n"]);
    introduction["now"] = json!(MINUTE_MS);
    let before_ms = now_ms() as f64;
    let mut device = Device::introduce(hub.address, &introduction).await;
    let after_ms = now_ms() as f64 + 1.0;
    device.say(&json!([1, MINUTE_MS - 10_000.0, [[0, [0, 2_500, 10_000], [1, 2, 3]]]])).await;
    device.acked(1).await;
    // One offset for the whole hello: a message that comes later is placed by the same.
    device.say(&json!([2, MINUTE_MS + 1_500.0, [[0, 0, 4]]])).await;
    device.acked(2).await;
    let seen = span(&hub, "epoch/n", 4).await;
    let offset_ms = seen[2].0 - MINUTE_MS;
    assert!((before_ms..=after_ms).contains(&(offset_ms + MINUTE_MS)), "{offset_ms}");
    let times: Vec<f64> = seen.iter().map(|point| point.0 - seen[0].0).collect();
    assert_eq!(times, [0.0, 2_500.0, 10_000.0, 11_500.0], "the spacing is kept");
    assert_eq!(hub.metrics().await.get("readings_skewed_total"), 4);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn a_clock_in_1970_without_now_is_placed_by_the_newest_reading_of_each_message() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut device = Device::introduce(hub.address, &hello("epoch", 1, &["n"])).await;
    let before_ms = now_ms() as f64;
    device.say(&json!([1, 5_000, [[0, [0, 1_000], [1, 2]]]])).await;
    device.acked(1).await;
    let after_ms = now_ms() as f64 + 1.0;
    let seen = span(&hub, "epoch/n", 2).await;
    assert!((before_ms..=after_ms).contains(&seen[1].0), "{seen:?}");
    assert_eq!(seen[1].0 - seen[0].0, 1_000.0);
    // A day ahead is as wrong as 1970.
    let before_ms = now_ms() as f64;
    device.say(&json!([2, now_ms() + 86_400_000, [[0, 0, 3]]])).await;
    device.acked(2).await;
    let seen = span(&hub, "epoch/n", 3).await;
    assert!((before_ms..=now_ms() as f64 + 1.0).contains(&seen[2].0), "{seen:?}");
    assert_eq!(hub.metrics().await.get("readings_skewed_total"), 3);
    // Four minutes ahead are believed.
    let t_ms = now_ms() as f64 + 240_000.0;
    device.reading(3, t_ms, 0, 4.0).await;
    device.acked(3).await;
    assert_eq!(span(&hub, "epoch/n", 4).await[3], (t_ms, Some(4.0)));
    assert_eq!(hub.metrics().await.get("readings_skewed_total"), 3);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn a_single_float_as_time_is_refused_with_advice() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("shrunk", 1, &["n"])).await;
    let mut frame = vec![0x83, 0x01, 0xfa];
    frame.extend((now_ms() as f32).to_be_bytes());
    writer::array(&mut frame, 1);
    frame.extend([0x83, 0x00, 0x00, 0x01]);
    device.send(frame).await;
    let (message, seq) = device.error("coarse_time").await;
    assert!(message.contains("131") && message.contains("double"), "{message}");
    assert_eq!(seq, Some(1));
    device.acked(1).await;
    assert_eq!(hub.delivery("shrunk").await["refused"], json!({ "coarse_time": 1 }));
    assert_eq!(hub.points("shrunk/n").await, []);
}

#[tokio::test]
async fn a_boot_clock_is_placed_by_now_and_a_lost_boot_before_its_arrival() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut booted = hello("pico", 1, &["n"]);
    booted["clock"] = json!("boot");
    booted["now"] = json!(5_000.5);
    let before_ms = now_ms() as f64;
    let mut device = Device::introduce(hub.address, &booted).await;
    let after_ms = now_ms() as f64 + 1.0;
    device.say(&json!([1, 4_000.25, [[0, 0, 1]]])).await;
    device.acked(1).await;
    let seen = span(&hub, "pico/n", 1).await;
    assert!((before_ms - 1_000.25..=after_ms - 1_000.25).contains(&seen[0].0), "{seen:?}");
    assert_eq!(hub.metrics().await.get("readings_skewed_total"), 0, "a boot clock is no fault");
    device.vanish();
    // Rebooted with three messages of the old boot on its disk: where they belong is not known, only before now.
    let mut lost = hello("pico-2", 2, &["n"]);
    (lost["clock"], lost["first"], lost["next"]) = (json!("boot"), json!(1), json!(4));
    let mut device = Device::introduce(hub.address, &lost).await;
    let before_ms = now_ms() as f64;
    for seq in 1..=3_u64 {
        device.say(&json!([seq, 10_000 * seq, [[0, 0, seq], [0, 5_000, seq]]])).await;
        device.acked(seq).await;
    }
    let after_ms = now_ms() as f64 + 1.0;
    let seen = span(&hub, "pico-2/n", 6).await;
    let times: Vec<f64> = seen.iter().map(|point| point.0 - seen[0].0).collect();
    assert_eq!(times, [0.0, 5_000.0, 10_000.0, 15_000.0, 20_000.0, 25_000.0], "the spacing of the whole spool is kept");
    // Guessed from the first message's own length: two more of 5 s.
    assert!((before_ms - 15_000.0..=after_ms - 15_000.0).contains(&seen[0].0), "{seen:?}");
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn an_import_keeps_its_times_whatever_they_are() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut recording = hello("museum", 1, &["n"]);
    recording["import"] = json!(true);
    let mut device = Device::introduce(hub.address, &recording).await;
    // The year 1900, the epoch, today, the year 9999, and as far as the wire goes.
    let times_ms = [-2_208_988_800_000.0, 0.0, now_ms() as f64, 253_402_300_799_000.0, 1_125_899_906_842_624.0];
    let mut writer = FrameWriter::default();
    for (seq, &t_ms) in (1..).zip(&times_ms) {
        writer.scalar(0, 0.0, seq as f64);
        device.send(writer.finish(seq, t_ms)).await;
    }
    device.acked(times_ms.len() as u64).await;
    let path = "/api/v1/query?series=museum/n&from=-1125899906842624&to=1125899906842624&points=0";
    let wanted: Vec<Point> = (1..5).zip(times_ms).map(|(n, t_ms)| (t_ms, Some(f64::from(n)))).collect();
    eventually_equal("all times as sent", wanted, async || {
        let answer = hub.get(path).await;
        let Some(rows) = answer.json()["series"][0]["readings"].as_array().cloned() else { return Vec::new() };
        rows.iter().map(|row| (row[0].as_f64().unwrap(), row[1].as_f64())).collect()
    })
    .await;
    assert_eq!(hub.metrics().await.get("readings_skewed_total"), 0);
    // Rollups of such spans do not fall over either.
    let path = "/api/v1/query?series=museum/n&from=-1125899906842624&to=1125899906842624&points=2";
    let answer = hub.json(path).await;
    let counts: u64 = answer["series"][0]["count"].as_array().map_or(0, |c| c.iter().filter_map(Value::as_u64).sum());
    // A bucket is whole, also where it reaches beyond `to`.
    assert_eq!(counts, 5, "{answer}");
    bystander.finish(&hub).await;
}

//! The way of a reading when nothing goes wrong: sent, acknowledged, found by every question.

use protocol::{close, device::encode::FrameWriter};
use serde_json::json;

use crate::support::{Device, TestHub, eventually_equal, hello, now_ms, rng};
use rand::RngExt;

#[tokio::test]
async fn what_is_acknowledged_is_found_equal_and_survives_a_restart() {
    let hub = TestHub::start().await;
    let mut rng = rng("happy");
    let mut device = Device::introduce(hub.address, &hello("shed", 7, &["temp", "hum", "power"])).await;
    assert_eq!((device.acked, device.credit), (0, hub.config.ingest.credit));
    let (mut writer, t0_ms) = (FrameWriter::default(), now_ms() as f64 - 600_000.0);
    let mut sent: [Vec<(f64, Option<f64>)>; 3] = Default::default();
    for seq in 1..=50_u64 {
        let t0_ms = t0_ms + 1_000.0 * seq as f64;
        let value = rng.random_range(-40.0..60.0);
        writer.scalar(0, 0.25, value);
        sent[0].push((t0_ms + 0.25, Some(value)));
        let column: Vec<f64> = (0..7).map(|i| if i == 3 { f64::NAN } else { rng.random() }).collect();
        writer.column(1, &[0, 10, 20, 30, 40, 50, 60], &column);
        let times = (0..7).map(|i| t0_ms + f64::from(i) * 10.0);
        sent[1].extend(times.zip(column.iter().map(|value| Some(*value).filter(|value| !value.is_nan()))));
        writer.fixed_rate_i16(2, 5.0, 2.5, &[1, -2, 32767]);
        sent[2].extend([1.0, -2.0, 32767.0].iter().enumerate().map(|(i, v)| (t0_ms + 5.0 + 2.5 * i as f64, Some(*v))));
        device.send(writer.finish(seq, t0_ms)).await;
    }
    device.acked(50).await;
    for (channel, sent) in ["temp", "hum", "power"].iter().zip(&sent) {
        eventually_equal(channel, sent.clone(), async || hub.points(&format!("shed/{channel}")).await).await;
    }
    let delivery = hub.delivery("shed").await;
    assert_eq!((&delivery["received"], &delivery["stored"]), (&json!(50), &json!(50)));
    assert_eq!(delivery["readings_stored"], 50 * 11);
    assert_eq!(delivery["spools"], json!([{ "spool": 7, "acked": 50 }]));
    device.leave().await;
    let hub = hub.restart().await;
    for (channel, sent) in ["temp", "hum", "power"].iter().zip(&sent) {
        assert_eq!(hub.points(&format!("shed/{channel}")).await, *sent, "{channel} after the restart");
    }
    assert_eq!(hub.delivery("shed").await["spools"], json!([{ "spool": 7, "acked": 50 }]));
    let mut again = hello("shed", 7, &["temp", "hum", "power"]);
    again["first"] = json!(51);
    again["next"] = json!(51);
    let device = Device::introduce(hub.address, &again).await;
    assert_eq!(device.acked, 50, "the mark is remembered");
    device.leave().await;
    hub.stop(close::STOPPING).await;
}

#[tokio::test]
async fn the_catalogue_says_what_devices_said() {
    let hub = TestHub::start().await;
    let mut introduction = hello("boiler-1", 1, &["flow", "valve"]);
    introduction["title"] = json!("Boiler 1");
    introduction["model"] = json!("BX-3");
    introduction["firmware"] = json!("1.4.2");
    introduction["labels"] = json!({ "room": "cellar" });
    introduction["channels"] = json!([
        { "name": "flow", "title": "Flow temperature", "unit": "Cel", "decimals": 1, "period_ms": 1000 },
        { "name": "valve", "kind": "state", "states": ["closed", "open"] },
    ]);
    let mut device = Device::introduce(hub.address, &introduction).await;
    device.say(&json!([1, now_ms(), [[0, 0, 61.5], [1, 0, "open"], [1, 1, false]]])).await;
    device.acked(1).await;
    eventually_equal("the device is fresh and connected", json!(["fresh", true]), async || {
        let seen = hub.device("boiler-1").await;
        json!([seen["state"], seen["connected"]])
    })
    .await;
    let seen = hub.device("boiler-1").await;
    assert_eq!((&seen["title"], &seen["model"]), (&json!("Boiler 1"), &json!("BX-3")));
    assert_eq!((&seen["firmware"], &seen["labels"]), (&json!("1.4.2"), &json!({ "room": "cellar" })));
    assert_eq!(seen["channels"][0]["unit"], "°C");
    let series = hub.json("/api/v1/series?match=boiler-1/*").await;
    assert_eq!(series["series"][0]["latest"]["value"], 61.5);
    assert_eq!(series["series"][1]["latest"]["value"], 0.0, "the last one wins: closed");
    assert_eq!(series["series"][1]["states"], json!(["closed", "open"]));
    device.leave().await;
    eventually_equal("the device is no longer connected", json!(false), async || {
        hub.device("boiler-1").await["connected"].take()
    })
    .await;
    hub.stop(close::STOPPING).await;
}

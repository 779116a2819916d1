//! Data frames that are too large, cut, unreadable, or random bytes.

use protocol::{
    close,
    device::encode::FrameWriter,
    limits::{INTEGER_MAX, MESSAGE_BYTES_MAX},
};
use rand::{Rng, RngExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::closes;
use crate::support::{Bystander, Device, TestHub, cbor, hello, in_time, now_ms, rng};

#[tokio::test]
async fn an_oversized_message_is_closed_with_1009_and_the_largest_is_taken() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut device = Device::introduce(hub.address, &hello("big", 1, &["temp"])).await;
    let mut writer = FrameWriter::default();
    let readings = 21_000;
    let dts: Vec<u32> = (0..readings).collect();
    writer.column(0, &dts, &vec![1.5; readings as usize]);
    let mut frame = writer.finish(1, now_ms() as f64 - 60_000.0);
    assert!(frame.len() < MESSAGE_BYTES_MAX);
    device.send(frame.clone()).await;
    device.acked(1).await;
    // Message 2 is as long as may be; what is wrong with it is only what stands behind its end.
    frame[1] = 2;
    frame.resize(MESSAGE_BYTES_MAX, 0);
    device.send(frame.clone()).await;
    let (message, seq) = device.error("malformed").await;
    assert_eq!(seq, Some(2), "{message}");
    frame.push(0);
    device.send(frame).await;
    let reason = device.closed(close::TOO_BIG).await;
    assert!(reason.contains("262144"), "{reason}");
    assert_eq!(hub.metrics().await.get("messages_too_big_total"), 1);
    assert_eq!(closes(&hub, close::TOO_BIG).await, 1);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn an_unmasked_frame_is_a_protocol_violation() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let device = Device::introduce(hub.address, &hello("bare", 1, &["temp"])).await;
    let mut stream = device.into_stream();
    stream.write_all(&[0x82, 0x01, 0x80]).await.expect("sent");
    let mut answer = Vec::new();
    in_time("the hub to hang up", stream.read_to_end(&mut answer)).await.expect("an orderly end");
    assert_eq!(answer[..2], [0x88, answer.len() as u8 - 2], "a close frame: {answer:02x?}");
    assert_eq!(u16::from_be_bytes([answer[2], answer[3]]), close::PROTOCOL_ERROR);
    assert_eq!(hub.metrics().await.get("websocket_violations_total"), 1);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn an_unreadable_number_is_closed_with_1007_and_nothing_behind_it_is_taken() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let unreadable: [(&str, Vec<u8>); 6] = [
        ("no number", cbor(&json!(["one", 2, []]))),
        ("number 0", cbor(&json!([0, 2, []]))),
        ("a fraction", cbor(&json!([1.5, 2, []]))),
        ("above 2^53", cbor(&json!([INTEGER_MAX + 1, 2, []]))),
        ("an empty array", vec![0x80]),
        ("an array that ends at once", vec![0x83]),
    ];
    for (spool, (what, bytes)) in (1..).zip(&unreadable) {
        let mut device = Device::introduce(hub.address, &hello("mumbler", spool, &["temp"])).await;
        device.reading(1, now_ms() as f64, 0, 1.0).await;
        device.send(bytes.clone()).await;
        // Message 2 was the unreadable one. Taking 3 would turn 2 into a gap, although it can be sent again.
        device.reading(3, now_ms() as f64, 0, 3.0).await;
        let (_, seq) = device.error("unreadable").await;
        assert_eq!(seq, None, "{what}");
        device.closed(close::UNREADABLE).await;
        let mut again = hello("mumbler", spool, &["temp"]);
        again["next"] = json!(4);
        let mut device = Device::introduce(hub.address, &again).await;
        device.acked(1).await;
        device.reading(2, now_ms() as f64, 0, 2.0).await;
        device.reading(3, now_ms() as f64, 0, 3.0).await;
        device.acked(3).await;
        device.leave().await;
    }
    let delivery = hub.delivery("mumbler").await;
    assert_eq!((&delivery["stored"], &delivery["lost"]), (&json!(3 * unreadable.len()), &json!(0)));
    assert_eq!(hub.metrics().await.get("messages_unreadable_total"), unreadable.len() as u64);
    // What is neither an array nor a map is not even looked into.
    for bytes in [&[][..], &[0x01], b"GET / HTTP/1.1\r\n\r\n", &[0xf6], &[0xff]] {
        let mut device = Device::introduce(hub.address, &hello("mumbler", 100, &["temp"])).await;
        device.send(bytes).await;
        device.closed(close::UNREADABLE).await;
    }
    assert_eq!(closes(&hub, close::UNREADABLE).await, unreadable.len() as u64 + 5);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn a_frame_cut_anywhere_is_refused_or_unreadable_and_never_stored() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let frame = cbor(&json!([1, now_ms(), [[0, [0, 1], [1.5, null]], [1, 0, "open"], [0, 0, 2.5, [1, 2, 3]]]]));
    let mut introduction = hello("cut", 1, &["temp"]);
    introduction["channels"] = json!([{ "name": "temp" }, { "name": "door", "states": ["closed", "open"] }]);
    let (mut refused, mut unreadable) = (0, 0);
    for len in 1..frame.len() {
        introduction["spool"] = json!(len);
        let mut device = Device::introduce(hub.address, &introduction).await;
        device.send(&frame[..len]).await;
        if len > 1 {
            let (_, seq) = device.error("malformed").await;
            assert_eq!(seq, Some(1), "cut at {len}");
            device.acked(1).await;
            refused += 1;
        } else {
            device.error("unreadable").await;
            device.closed(close::UNREADABLE).await;
            unreadable += 1;
        }
    }
    let delivery = hub.delivery("cut").await;
    assert_eq!((&delivery["stored"], &delivery["refused"]), (&json!(0), &json!({ "malformed": refused })));
    let metrics = hub.metrics().await;
    assert_eq!(metrics.get("messages_refused_total{reason=\"malformed\"}"), refused);
    assert_eq!(metrics.get("messages_unreadable_total"), unreadable);
    assert_eq!(hub.points("cut/temp").await, []);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn random_bytes_never_harm_anybody() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut rng = rng("random bytes");
    let good = cbor(&json!([1, now_ms(), [[0, 0, 1.5], [0, [0, 1], [1.5, null]], [0, 0, 2.5, [1, 2, 3]]]]));
    let greeting = cbor(&hello("fuzz", 1, &["temp"]));
    for round in 0..300_u64 {
        let mut device = Device::connect(hub.address).await;
        let is_greeted = rng.random_bool(0.8);
        if is_greeted {
            device.welcome(&hello("fuzz", round + 1, &["temp"])).await;
        }
        for _ in 0..rng.random_range(1..5) {
            let mut bytes = match rng.random_range(0..3) {
                0 => vec![0; rng.random_range(0..100)],
                1 => good.clone(),
                _ => greeting.clone(),
            };
            if bytes.iter().all(|&byte| byte == 0) {
                rng.fill_bytes(&mut bytes);
            } else {
                for _ in 0..rng.random_range(1..4) {
                    let place = rng.random_range(0..bytes.len());
                    bytes[place] = rng.random();
                }
            }
            if device.try_send(bytes).await.is_err() {
                break;
            }
        }
        device.vanish();
    }
    bystander.finish(&hub).await;
}

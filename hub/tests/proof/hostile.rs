//! Input that is wrong, or meant to harm: each gets a clear answer, is counted, and harms nobody else.

use protocol::{
    close,
    device::encode::FrameWriter,
    limits::{CHANNELS_PER_DEVICE_MAX, INTEGER_MAX, MESSAGE_BYTES_MAX},
};
use rand::{Rng, RngExt};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Bystander, Device, TestHub, cbor, eventually_equal, hello, in_time, now_ms, request, rng};

/// Closes of devices' connections by the hub with this code.
async fn closes(hub: &TestHub, code: u16) -> u64 {
    hub.metrics().await.get(&format!("device_connections_closed_total{{code=\"{code}\"}}"))
}

#[tokio::test]
async fn a_text_message_is_closed_with_1003() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    for is_welcome in [false, true] {
        let mut device = Device::connect(hub.address).await;
        if is_welcome {
            device.welcome(&hello("talker", 1, &["temp"])).await;
        }
        device.send_message(Message::text(r#"{"type": "hello"}"#)).await;
        assert_eq!(device.closed(close::TEXT_MESSAGE).await, "send binary messages (CBOR), not text");
    }
    assert_eq!(closes(&hub, close::TEXT_MESSAGE).await, 2);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn a_wrong_subprotocol_is_answered_400() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    for (path, wanted) in [("/ws/device", "highwater.device.v1"), ("/ws/live", "highwater.live.v1")] {
        for offered in [None, Some("mqtt"), Some("highwater.device.v9, highwater.live.v9")] {
            let mut headers = upgrade.to_vec();
            headers.extend(offered.map(|offered| ("Sec-WebSocket-Protocol", offered)));
            request(hub.address, "GET", path, &headers, b"").await.assert_problem(400, wanted);
        }
    }
    assert_eq!(hub.metrics().await.get("handshakes_refused_total"), 6);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn who_does_not_say_hello_in_time_is_closed_with_1008() {
    let hub = TestHub::with(|config| config.ingest.hello_timeout = Duration::from_millis(100)).await;
    let bystander = Bystander::start(&hub).await;
    let mut silent = Device::connect(hub.address).await;
    assert_eq!(silent.closed(close::POLICY).await, "no hello came in time");
    // Chatter that is no hello does not count as one.
    let mut chatter = Device::connect(hub.address).await;
    chatter.say(&json!({ "type": "hi" })).await;
    let (message, _) = chatter.error("unknown_type").await;
    assert!(message.contains("hi"), "{message}");
    chatter.closed(close::POLICY).await;
    assert_eq!(closes(&hub, close::POLICY).await, 2);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn who_hangs_in_the_middle_of_a_request_is_cut_off() {
    let hub = TestHub::with(|config| config.web.header_timeout = Duration::from_millis(100)).await;
    let bystander = Bystander::start(&hub).await;
    let mut stream = tokio::net::TcpStream::connect(hub.address).await.expect("connected");
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-").await.expect("sent");
    let mut rest = Vec::new();
    in_time("the hub to hang up", stream.read_to_end(&mut rest)).await.expect("an orderly end");
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&rest));
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn one_address_has_only_so_many_connections() {
    let hub = TestHub::with(|config| config.web.connections_per_address_max = 4).await;
    let bystander = Bystander::start(&hub).await;
    let mut held = Vec::new();
    for number in 0..3 {
        held.push(Device::introduce(hub.address, &hello(&format!("d-{number}"), 1, &["temp"])).await);
    }
    let mut stream = tokio::net::TcpStream::connect(hub.address).await.expect("connected");
    let mut rest = Vec::new();
    let _ = in_time("the hub to hang up", stream.read_to_end(&mut rest)).await;
    assert!(rest.is_empty(), "hung up without a word");
    for device in held {
        device.leave().await;
    }
    eventually_equal("the refusal is counted once the places are free", 1, async || {
        // The first look may itself come too early and be refused.
        let mut stream = tokio::net::TcpStream::connect(hub.address).await.expect("connected");
        let ask = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", hub.address);
        stream.write_all(ask.as_bytes()).await.expect("sent");
        let mut text = String::new();
        let _ = stream.read_to_string(&mut text).await;
        let counted = text.lines().find_map(|line| line.strip_prefix("highwater_connections_refused_total "));
        u64::from(counted.is_some_and(|count| count.trim() != "0"))
    })
    .await;
    bystander.finish(&hub).await;
}

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
async fn a_peer_that_goes_silent_is_dropped() {
    let hub = TestHub::with(|config| {
        config.ingest.ping_interval = Duration::from_millis(50);
        config.ingest.silence_max = Duration::from_millis(300);
    })
    .await;
    let bystander = Bystander::start(&hub).await;
    // Its socket is open, but nobody answers the pings: nothing is read.
    let device = Device::introduce(hub.address, &hello("asleep", 1, &["n"])).await;
    eventually_equal("the silence is noticed", 1, async || closes(&hub, close::POLICY).await).await;
    drop(device);
    bystander.finish(&hub).await;
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

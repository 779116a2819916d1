//! Connections that break the rules of HTTP or WebSocket, come too often, or go silent.

use std::time::Duration;

use protocol::close;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use super::closes;
use crate::support::{Bystander, Device, TestHub, eventually_equal, hello, in_time, request};

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

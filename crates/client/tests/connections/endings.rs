//! How a connection ends, and when the next one begins.

use std::time::Duration;

use client::device::{DeviceConfig, DeviceEvent, SpoolConfig, Timing};
use protocol::device::DeviceControl;
use tokio::sync::mpsc;

use crate::hub::{Heard, Hub, config, hurried, send, spawn};

/// The reason and the wait of the next disconnection.
async fn disconnected(events: &mut mpsc::Receiver<DeviceEvent>) -> (String, Duration) {
    loop {
        let event = events.recv().await.expect("the task lives");
        if let DeviceEvent::Disconnected { reason, retry_in, .. } = event {
            return (reason, retry_in);
        }
    }
}

#[tokio::test]
async fn a_refused_upgrade_says_when_to_come_back() {
    let hub = Hub::bind().await;
    let (_device, mut events) = spawn(config(hub.address()));
    hub.refuse("404 Not Found").await;
    let (reason, retry_in) = disconnected(&mut events).await;
    assert!(reason.contains("404") && retry_in < Duration::from_secs(1), "{reason}");
    hub.refuse("503 Service Unavailable\r\nRetry-After: 0").await;
    assert!(disconnected(&mut events).await.1 < Duration::from_secs(1));
    hub.hang_up().await;
    disconnected(&mut events).await;
    hub.refuse("503 Service Unavailable\r\nRetry-After: 7").await;
    let (reason, retry_in) = disconnected(&mut events).await;
    assert!(reason.contains("busy") && retry_in.as_secs() == 7, "{reason} {retry_in:?}");
}

#[tokio::test]
async fn a_refused_token_is_not_tried_again_for_a_minute() {
    let hub = Hub::bind().await;
    let (_device, mut events) = spawn(config(hub.address()));
    hub.refuse("401 Unauthorized").await;
    let (reason, retry_in) = disconnected(&mut events).await;
    assert!(reason.contains("token") && retry_in >= Duration::from_secs(60), "{reason} {retry_in:?}");
    assert!(!reason.contains("secret-token"));
}

#[tokio::test]
async fn a_finish_does_not_wait_for_an_attempt_that_would_come_too_late() {
    let hub = Hub::bind().await;
    let (device, mut events) = spawn(config(hub.address()));
    send(&device, 1, 0);
    hub.refuse("401 Unauthorized").await;
    disconnected(&mut events).await;
    let finish = device.finish(Duration::from_secs(50));
    let stats = tokio::time::timeout(Duration::from_secs(25), finish).await.expect("the next attempt is a minute away");
    assert_eq!(stats.waiting_messages, 1);
}

#[tokio::test]
async fn closes_with_a_code_say_when_to_come_back() {
    let hub = Hub::bind().await;
    let (_device, mut events) = spawn(config(hub.address()));
    for (code, word, least_ms, most_ms) in
        [(1012, "restarting", 0, 1_000), (1013, "overloaded", 20, 1_000), (4001, "cloned", 60_000, 61_000)]
    {
        let mut peer = hub.accept().await;
        let hello = peer.hello().await;
        peer.welcome(&hello, 0, 1).await;
        peer.close(code, if code == 1013 { "retry_after_ms=20" } else { "" }).await;
        let (reason, retry_in) = disconnected(&mut events).await;
        assert!(reason.contains(word), "{reason}");
        assert!((least_ms..most_ms).contains(&retry_in.as_millis()), "{code}: {retry_in:?}");
    }
}

#[tokio::test]
async fn a_hub_that_does_not_answer_hello_is_left() {
    let hub = Hub::bind().await;
    let timing = Timing { hello_timeout: Duration::from_millis(20), ..hurried() };
    let (_device, mut events) = spawn(DeviceConfig { timing, ..config(hub.address()) });
    let mut peer = hub.accept().await;
    peer.hello().await;
    assert!(disconnected(&mut events).await.0.contains("hello"));
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 0, 1).await;
    assert_eq!(events.recv().await, Some(DeviceEvent::Connected));
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_tried_until_it_is() {
    let hub = Hub::bind().await;
    let address = hub.address();
    drop(hub);
    let (device, mut events) = spawn(config(address.clone()));
    send(&device, 1, 0);
    for _ in 0..3 {
        assert!(disconnected(&mut events).await.0.contains("cannot reach"));
    }
    let hub = Hub::rebind(&address).await;
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 0, 1).await;
    assert_eq!(peer.data().await, 1);
    assert!(device.stats().borrow().reconnects >= 3);
}

#[tokio::test]
async fn an_ack_of_what_was_never_sent_ends_the_connection() {
    let hub = Hub::bind().await;
    let (device, mut events) = spawn(config(hub.address()));
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 0, 10).await;
    send(&device, 1, 0);
    assert_eq!(peer.data().await, 1);
    peer.ack(2, 10).await;
    assert!(disconnected(&mut events).await.0.contains("out of turn"));
    assert_eq!(device.stats().borrow().waiting_messages, 1);
}

#[tokio::test]
async fn a_message_the_hub_cannot_read_goes_into_quarantine_after_three_times() {
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::bind().await;
    let spool = SpoolConfig { folder: Some(folder.path().to_owned()), bytes_max: 0 };
    let (device, mut events) = spawn(DeviceConfig { spool, ..config(hub.address()) });
    for id in 1..=3 {
        send(&device, id, 0);
    }
    // The first of them arrives; the second is the one.
    let mut unreadable = None;
    for (acked, frames) in [(0, 1..=2), (1, 2..=2), (1, 2..=2), (1, 2..=2)] {
        let mut peer = hub.accept().await;
        let hello = peer.hello().await;
        peer.welcome(&hello, acked, 100).await;
        for seq in frames {
            let Heard::Data { seq: heard, frame } = peer.heard_besides_pings().await else { panic!("no data") };
            assert_eq!(heard, seq);
            unreadable = Some(frame);
        }
        peer.close(1007, "what is this").await;
    }
    let (seq, path) = loop {
        if let DeviceEvent::Quarantined { seq, path } = events.recv().await.unwrap() {
            break (seq, path.expect("there is a folder"));
        }
    };
    assert_eq!(seq, 2);
    assert_eq!(std::fs::read(&path).unwrap(), unreadable.unwrap());
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    assert_eq!((hello.first, hello.next), (3, 4));
    peer.welcome(&hello, 1, 100).await;
    let heard = peer.heard_besides_pings().await;
    assert!(matches!(heard, Heard::Control(DeviceControl::Gap { from: 2, to: 2, .. })), "{heard:?}");
    assert_eq!(peer.data().await, 3);
    assert_eq!(device.stats().borrow().quarantined, 1);
}

#[tokio::test]
async fn a_hello_the_hub_cannot_read_is_no_messages_fault() {
    let hub = Hub::bind().await;
    let (device, mut events) = spawn(config(hub.address()));
    send(&device, 1, 0);
    for _ in 0..5 {
        let mut peer = hub.accept().await;
        peer.hello().await;
        peer.close(1007, "").await;
        disconnected(&mut events).await;
    }
    assert_eq!((device.stats().borrow().quarantined, device.stats().borrow().waiting_messages), (0, 1));
}

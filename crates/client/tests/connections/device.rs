//! What a device says, in which order, and how it goes on where the hub says.

use std::{collections::BTreeMap, time::Duration};

use client::device::{DeviceClient, DeviceClock, DeviceConfig, DeviceEvent, SendError, StartError, Timing};
use protocol::device::{Clock, DeviceControl, HubControl, encode::FrameWriter};
use tokio::time::Instant;

use crate::hub::{Heard, Hub, channels, config, hurried, send, spawn};

const PLENTY: u64 = 1_000;

#[tokio::test]
async fn a_device_introduces_itself_and_keeps_what_is_not_acknowledged() {
    let hub = Hub::bind().await;
    let (device, mut events) = spawn(config(hub.address()));
    let mut peer = hub.accept().await;
    assert_eq!(peer.path, "/ws/device");
    assert_eq!(peer.headers["authorization"], "Bearer secret-token");
    assert_eq!(peer.headers["sec-websocket-protocol"], "highwater.device.v1");
    let hello = peer.hello().await;
    assert_eq!((hello.device.as_str(), hello.first, hello.next), ("dev-1", 1, 1));
    assert!(hello.now_us.is_some() && hello.channels == channels(1) && hello.labels["room"] == "7");
    peer.welcome(&hello, 0, PLENTY).await;
    assert_eq!(events.recv().await, Some(DeviceEvent::Connected));

    for id in 1..=5 {
        assert_eq!(send(&device, id, 0), id);
        assert_eq!(peer.data().await, id);
    }
    peer.ack(3, PLENTY).await;
    let mut stats = device.stats();
    let now = *stats.wait_for(|stats| stats.acked == 3).await.unwrap();
    assert_eq!((now.waiting_messages, now.sent, now.connected), (2, 5, true));
    assert!(now.ack_round_trip_us.is_some());

    // The connection breaks: what is not acknowledged comes again, and nothing else.
    drop(peer);
    let mut peer = hub.accept().await;
    let again = peer.hello().await;
    assert_eq!((again.spool, again.first, again.next), (hello.spool, 4, 6));
    // The hub has one more than it got around to say.
    peer.welcome(&again, 4, PLENTY).await;
    assert_eq!(peer.data().await, 5);
    assert!(peer.is_quiet().await);
    peer.ack(5, PLENTY).await;
    stats.wait_for(|stats| stats.drained && stats.acked == 5).await.unwrap();
}

#[tokio::test]
async fn credit_is_respected_and_its_rise_sets_going_again() {
    let hub = Hub::bind().await;
    let (device, _events) = spawn(config(hub.address()));
    for id in 1..=10 {
        send(&device, id, 0);
    }
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 0, 3).await;
    for seq in 1..=3 {
        assert_eq!(peer.data().await, seq);
    }
    assert!(peer.is_quiet().await);
    peer.ack(2, 2).await;
    assert_eq!(peer.data().await, 4);
    assert!(peer.is_quiet().await);
    // Unprompted, and then it falls.
    peer.ack(2, 4).await;
    assert_eq!((peer.data().await, peer.data().await), (5, 6));
    peer.ack(4, 1).await;
    assert!(peer.is_quiet().await);
}

#[tokio::test]
async fn what_was_lost_is_told_before_anything_else() {
    let hub = Hub::bind().await;
    let (device, _events) = spawn(config(hub.address()));
    for id in 1..=200 {
        send(&device, id, 1_000);
    }
    let dropped = device.stats().borrow().dropped;
    assert!(dropped > 0, "the bound is 1 MiB");
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    assert_eq!((hello.first, hello.next), (dropped + 1, 201));
    peer.welcome(&hello, 0, PLENTY).await;
    let gap = DeviceControl::Gap { from: 1, to: dropped, reason: "spool overflow".into() };
    assert_eq!(peer.heard_besides_pings().await, Heard::Control(gap));
    assert_eq!(peer.data().await, dropped + 1);
}

#[tokio::test]
async fn a_hub_that_forgot_everything_gets_a_gap_for_what_is_gone() {
    let hub = Hub::bind().await;
    let (device, _events) = spawn(config(hub.address()));
    send(&device, 1, 0);
    send(&device, 2, 0);
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 2, PLENTY).await;
    device.stats().wait_for(|stats| stats.drained).await.unwrap();
    drop(peer);
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 0, PLENTY).await;
    let heard = peer.heard_besides_pings().await;
    assert!(matches!(heard, Heard::Control(DeviceControl::Gap { from: 1, to: 2, .. })), "{heard:?}");
}

#[tokio::test]
async fn more_channels_are_announced_in_the_same_spool_and_other_ones_in_a_new_one() {
    let hub = Hub::bind().await;
    let (device, _events) = spawn(config(hub.address()));
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 0, PLENTY).await;
    send(&device, 1, 0);
    assert_eq!(peer.data().await, 1);

    device.declare(channels(2)).unwrap();
    send(&device, 2, 0);
    assert!(peer.is_quiet().await, "not before what was sent is acknowledged");
    peer.ack(1, PLENTY).await;
    let grown = peer.hello().await;
    assert_eq!((grown.spool, grown.channels.len(), grown.first, grown.next), (hello.spool, 2, 2, 3));
    peer.welcome(&grown, 1, PLENTY).await;
    assert_eq!(peer.data().await, 2);

    device.declare(channels(1)).unwrap();
    send(&device, 3, 0);
    assert!(peer.is_quiet().await);
    peer.ack(2, PLENTY).await;
    let other = peer.hello().await;
    assert!(other.spool != hello.spool && other.channels.len() == 1 && other.next == 2);
    // A late word about the spool before.
    peer.ack(2, PLENTY).await;
    peer.welcome(&other, 0, PLENTY).await;
    assert_eq!(peer.data().await, 1);
}

#[tokio::test]
async fn a_clock_that_counts_from_the_start_says_so_with_each_hello() {
    let hub = Hub::bind().await;
    let clock = DeviceClock::Boot(Instant::now());
    let (_device, _events) = spawn(DeviceConfig { clock, ..config(hub.address()) });
    let first = hub.accept().await.hello().await;
    let second = hub.accept().await.hello().await;
    assert_eq!((first.clock, second.clock), (Clock::Boot, Clock::Boot));
    let (first, second) = (first.now_us.unwrap(), second.now_us.unwrap());
    assert!((0..second).contains(&first) && second < 600_000_000, "{first} {second}");
}

#[tokio::test]
async fn a_stale_spool_is_discarded_and_a_new_one_begun() {
    let hub = Hub::bind().await;
    let (device, mut events) = spawn(config(hub.address()));
    send(&device, 1, 0);
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    let stale = HubControl::Error { code: "stale_spool".into(), message: "has it all".into(), seq: None };
    peer.say(&stale).await;
    let fresh = peer.hello().await;
    assert!(fresh.spool != hello.spool && fresh.next == 1);
    assert_eq!(events.recv().await, Some(DeviceEvent::Discarded { messages: 1 }));
    peer.welcome(&fresh, 0, PLENTY).await;
    send(&device, 2, 0);
    assert_eq!(peer.data().await, 1);
    // A welcome that is ahead of us means the same.
    drop(peer);
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 7, PLENTY).await;
    assert!(peer.hello().await.spool != hello.spool);
}

#[tokio::test]
async fn a_command_is_given_once_in_time_and_answered() {
    let hub = Hub::bind().await;
    let (device, mut events) = spawn(config(hub.address()));
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 0, PLENTY).await;
    let command = |id: &str, expires_ms| HubControl::Command {
        id: id.to_owned(),
        name: "blink".into(),
        args: BTreeMap::new(),
        expires_ms,
    };
    peer.say(&command("late", 1)).await;
    peer.say(&command("a", u64::MAX >> 12)).await;
    peer.say(&command("a", u64::MAX >> 12)).await;
    peer.say(&command("b", u64::MAX >> 12)).await;
    assert_eq!(events.recv().await, Some(DeviceEvent::Connected));
    for expected in ["a", "b"] {
        let Some(DeviceEvent::Command { id, name, .. }) = events.recv().await else { panic!("not a command") };
        assert_eq!((id.as_str(), name.as_str()), (expected, "blink"));
        device.answer(id, true, Some("done".into()), None);
        let heard = peer.heard_besides_pings().await;
        let Heard::Control(DeviceControl::Result { id, ok: true, .. }) = heard else { panic!("{heard:?}") };
        assert_eq!(id, expected);
    }
    // Nobody takes events any more: the hub is told instead of being left waiting.
    for n in 0..100 {
        peer.say(&command(&format!("n{n}"), u64::MAX >> 12)).await;
    }
    let heard = peer.heard_besides_pings().await;
    assert!(matches!(heard, Heard::Control(DeviceControl::Result { ok: false, .. })), "{heard:?}");
}

#[tokio::test]
async fn what_the_hub_refuses_is_reported_and_the_connection_goes_on() {
    let hub = Hub::bind().await;
    let (device, mut events) = spawn(config(hub.address()));
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 0, PLENTY).await;
    assert_eq!(events.recv().await, Some(DeviceEvent::Connected));
    send(&device, 1, 0);
    assert_eq!(peer.data().await, 1);
    peer.say(&HubControl::Error { code: "bad_value".into(), message: "no\u{1b}[2J".into(), seq: Some(1) }).await;
    let refused = DeviceEvent::Refused { seq: Some(1), code: "bad_value".into(), message: "no[2J".into() };
    assert_eq!(events.recv().await, Some(refused));
    peer.ack(1, PLENTY).await;
    let stats = *device.stats().wait_for(|stats| stats.drained).await.unwrap();
    assert_eq!((stats.refused, stats.reconnects), (1, 0));
}

#[tokio::test]
async fn finishing_waits_for_the_acks_and_says_bye() {
    let hub = Hub::bind().await;
    let (device, _events) = spawn(config(hub.address()));
    send(&device, 1, 0);
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 0, PLENTY).await;
    assert_eq!(peer.data().await, 1);
    let finished = tokio::spawn(device.finish(Duration::from_secs(600)));
    assert!(peer.is_quiet().await);
    peer.ack(1, PLENTY).await;
    assert_eq!(peer.heard_besides_pings().await, Heard::Control(DeviceControl::Bye));
    assert_eq!(peer.heard_besides_pings().await, Heard::Closed(Some(1000)));
    drop(peer);
    let stats = finished.await.unwrap();
    assert!(stats.drained && stats.acked == 1 && !stats.connected);
}

#[tokio::test]
async fn finishing_gives_up_at_its_deadline_and_says_what_waits() {
    let hub = Hub::bind().await;
    let (device, _events) = spawn(config(hub.address()));
    send(&device, 1, 0);
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 0, PLENTY).await;
    let finished = tokio::spawn(device.finish(Duration::ZERO));
    // It may end before it reads the welcome; either way it closes in good order.
    loop {
        match peer.heard_besides_pings().await {
            Heard::Closed(code) => break assert_eq!(code, Some(1000)),
            Heard::Control(DeviceControl::Bye) | Heard::Data { seq: 1, .. } => {}
            other => panic!("{other:?}"),
        }
    }
    drop(peer);
    let stats = finished.await.unwrap();
    assert_eq!((stats.drained, stats.waiting_messages), (false, 1));
    // And without any hub at all.
    let nowhere = Hub::bind().await.address();
    let (device, _events) = spawn(config(nowhere));
    send(&device, 1, 0);
    assert_eq!(device.finish(Duration::ZERO).await.waiting_messages, 1);
}

#[tokio::test]
async fn a_hub_that_is_silent_is_left() {
    let hub = Hub::bind().await;
    let timing = Timing { silence_max: Duration::from_millis(200), ..hurried() };
    let (_device, mut events) = spawn(DeviceConfig { timing, ..config(hub.address()) });
    let mut peer = hub.accept().await;
    let hello = peer.hello().await;
    peer.welcome(&hello, 0, PLENTY).await;
    assert_eq!(peer.heard().await, Heard::Ping, "it asks before it leaves");
    // From here on this side does not read, so no pong goes out.
    assert_eq!(events.recv().await, Some(DeviceEvent::Connected));
    let Some(DeviceEvent::Disconnected { reason, .. }) = events.recv().await else { panic!("not disconnected") };
    assert!(reason.contains("nothing heard"), "{reason}");
}

#[tokio::test]
async fn what_no_hub_would_take_is_refused_at_once() {
    let hub = Hub::bind().await;
    let twice = DeviceConfig { channels: [channels(1), channels(1)].concat(), ..config(hub.address()) };
    assert!(matches!(DeviceClient::spawn(twice), Err(StartError::Hello(_))));
    let (device, _events) = spawn(config(hub.address()));
    let mut frame = FrameWriter::default();
    assert_eq!(device.send(&mut frame, 0.0), Err(SendError::Empty));
    frame.column(0, &vec![0; 30_000], &vec![0.5; 30_000]);
    assert!(matches!(device.send(&mut frame, 0.0), Err(SendError::TooLarge { readings: 30_000, .. })));
    assert_eq!(frame.readings(), 30_000, "the frame is left to its owner");
    assert!(device.declare([channels(1), channels(1)].concat()).is_err());
}

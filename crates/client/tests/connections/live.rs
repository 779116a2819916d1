//! A viewer's connection.

use std::time::Duration;

use client::live::{LiveConfig, LiveEvent, LiveHandle, connect};
use futures_util::StreamExt;
use protocol::live::{HubMessage, LiveData, ViewerMessage, control::Subscribe};
use tokio::sync::mpsc;

use crate::hub::{Hub, Peer};

/// 96 MB: more than the sockets' buffers and the channel hold.
const FRAMES: u64 = 2_000;

type Events = mpsc::Receiver<LiveEvent>;

fn viewer(hub: &Hub) -> (LiveHandle, Events) {
    connect(LiveConfig { url: hub.address().to_string(), token: Some("secret".into()) })
}

fn subscribe(id: u64) -> Subscribe {
    Subscribe { id, series: "*/*".into(), window_ms: 60_000, points: 100, max_hz: 10 }
}

fn welcome() -> HubMessage {
    HubMessage::Welcome {
        hub: "test".into(),
        version: "0".into(),
        started: 0,
        now: 0,
        heartbeat_ms: 2_000,
        features: Vec::new(),
    }
}

/// The next event that is not a round trip.
async fn next(events: &mut Events) -> LiveEvent {
    loop {
        match events.recv().await.expect("the task lives") {
            LiveEvent::RoundTrip(_) => {}
            event => return event,
        }
    }
}

async fn connected(hub: &Hub, events: &mut Events, attempt: u32) -> Peer {
    assert_eq!(next(events).await, LiveEvent::Connecting { attempt });
    let peer = hub.accept().await;
    assert_eq!(next(events).await, LiveEvent::Connected);
    peer
}

#[tokio::test]
async fn a_viewer_gets_what_it_asked_for() {
    let hub = Hub::bind().await;
    let (handle, mut events) = viewer(&hub);
    let mut peer = connected(&hub, &mut events, 1).await;
    assert_eq!(peer.path, "/ws/live");
    assert_eq!(peer.headers["authorization"], "Bearer secret");
    assert_eq!(peer.headers["sec-websocket-protocol"], "highwater.live.v1");
    handle.subscribe(subscribe(1));
    assert_eq!(peer.viewer_says().await, ViewerMessage::Subscribe(subscribe(1)));
    // Asked again for the same: a fresh snapshot is wanted.
    handle.subscribe(subscribe(1));
    assert_eq!(peer.viewer_says().await, ViewerMessage::Subscribe(subscribe(1)));
    handle.visibility(true);
    assert_eq!(peer.viewer_says().await, ViewerMessage::Visibility { hidden: true });
    handle.unsubscribe(1);
    assert_eq!(peer.viewer_says().await, ViewerMessage::Unsubscribe { id: 1 });

    peer.tell_viewer(&welcome()).await;
    assert_eq!(next(&mut events).await, LiveEvent::Message(welcome()));
    peer.tell_viewer(&HubMessage::Unknown).await;
    let data =
        LiveData { stream: 1, ids: vec![3], counts: vec![1], dt_ms: vec![0], values: vec![2.5], ..LiveData::default() };
    peer.show(&data).await;
    assert_eq!(next(&mut events).await, LiveEvent::Data(data));
}

#[tokio::test]
async fn the_way_there_and_back_is_measured() {
    let hub = Hub::bind().await;
    let (_handle, mut events) = viewer(&hub);
    let mut peer = connected(&hub, &mut events, 1).await;
    let echo = loop {
        let message = peer.socket.next().await.unwrap().unwrap();
        if let Ok(ViewerMessage::Echo { t }) = ViewerMessage::decode(&message.into_data()) {
            break t;
        }
    };
    peer.tell_viewer(&HubMessage::Echo { t: f64::MAX, now: 0 }).await;
    peer.tell_viewer(&HubMessage::Echo { t: echo, now: 0 }).await;
    let event = events.recv().await.unwrap();
    assert!(matches!(event, LiveEvent::RoundTrip(time) if time < Duration::from_secs(5)), "{event:?}");
}

#[tokio::test]
async fn a_new_connection_is_asked_for_the_same_again() {
    let hub = Hub::bind().await;
    let (handle, mut events) = viewer(&hub);
    for id in 1..=3 {
        handle.subscribe(subscribe(id));
    }
    handle.unsubscribe(2);
    handle.visibility(true);
    for attempt in [1, 2] {
        let mut peer = connected(&hub, &mut events, attempt).await;
        assert_eq!(peer.viewer_says().await, ViewerMessage::Visibility { hidden: true });
        assert_eq!(peer.viewer_says().await, ViewerMessage::Subscribe(subscribe(1)));
        assert_eq!(peer.viewer_says().await, ViewerMessage::Subscribe(subscribe(3)));
        peer.close(1012, "").await;
        let event = next(&mut events).await;
        let LiveEvent::Disconnected { reason, retry_in, attempt: following } = event else { panic!("{event:?}") };
        assert!(reason.contains("restarting") && retry_in <= Duration::from_secs(1) && following == attempt + 1);
    }
}

#[tokio::test]
async fn a_wait_can_be_cut_short_and_a_connection_replaced() {
    let hub = Hub::bind().await;
    let (handle, mut events) = viewer(&hub);
    assert_eq!(next(&mut events).await, LiveEvent::Connecting { attempt: 1 });
    hub.refuse("503 Service Unavailable\r\nRetry-After: 600").await;
    let event = next(&mut events).await;
    assert!(matches!(event, LiveEvent::Disconnected { retry_in, .. } if retry_in.as_secs() >= 600), "{event:?}");
    handle.reconnect_now();
    let _peer = connected(&hub, &mut events, 2).await;
    handle.reconnect_now();
    let event = next(&mut events).await;
    assert!(matches!(event, LiveEvent::Disconnected { retry_in: Duration::ZERO, .. }), "{event:?}");
    connected(&hub, &mut events, 3).await;
}

#[tokio::test]
async fn a_silent_hub_is_left_after_five_seconds() {
    let hub = Hub::bind().await;
    let (_handle, mut events) = viewer(&hub);
    let mut peer = connected(&hub, &mut events, 1).await;
    peer.tell_viewer(&welcome()).await;
    assert_eq!(next(&mut events).await, LiveEvent::Message(welcome()));
    let event = next(&mut events).await;
    let LiveEvent::Disconnected { reason, attempt, .. } = event else { panic!("{event:?}") };
    assert!(reason.contains("nothing heard for 5 s") && attempt == 2, "{reason}");
}

#[tokio::test]
async fn a_slow_application_slows_the_hub_and_loses_nothing() {
    let hub = Hub::bind().await;
    let (_handle, mut events) = viewer(&hub);
    let mut peer = connected(&hub, &mut events, 1).await;
    let sender = tokio::spawn(async move {
        let (dt_ms, values) = (vec![0; 4_000], vec![0.0; 4_000]);
        let mut data = LiveData { ids: vec![1], counts: vec![4_000], dt_ms, values, ..LiveData::default() };
        for stream in 0..FRAMES {
            data.stream = stream;
            peer.show(&data).await;
        }
        peer
    });
    while events.len() < events.max_capacity() {
        tokio::task::yield_now().await;
    }
    assert!(!sender.is_finished(), "96 MB are somewhere");
    for stream in 0..FRAMES {
        let event = next(&mut events).await;
        assert!(matches!(&event, LiveEvent::Data(data) if data.stream == stream), "{stream}");
    }
    sender.await.unwrap();
}

#[tokio::test]
async fn it_ends_when_nobody_wants_it_any_more() {
    let hub = Hub::bind().await;
    let (handle, mut events) = viewer(&hub);
    let mut peer = connected(&hub, &mut events, 1).await;
    let other = handle.clone();
    drop(handle);
    other.subscribe(subscribe(1));
    peer.viewer_says().await;
    drop(other);
    while events.recv().await.is_some() {}

    let (_handle, events) = viewer(&hub);
    let peer = hub.accept().await;
    drop(events);
    let mut socket = peer.socket;
    while let Some(Ok(_)) = socket.next().await {}
}

#[tokio::test]
async fn an_address_that_is_none_is_reported() {
    let (_handle, mut events) = connect(LiveConfig { url: "wss://hub".into(), token: None });
    assert_eq!(next(&mut events).await, LiveEvent::Connecting { attempt: 1 });
    let event = next(&mut events).await;
    assert!(matches!(&event, LiveEvent::Disconnected { reason, .. } if reason.contains("TLS")), "{event:?}");
}

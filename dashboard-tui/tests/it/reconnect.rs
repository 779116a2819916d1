//! The app on a real connection.

use std::{net::SocketAddr, time::Duration};

use client::live::{LiveConfig, LiveHandle};
use dashboard_tui::{event::Event, state::subscriptions::Request};
use tokio::time::timeout;

use crate::{fake_hub::FakeHub, farm, screen::Screen};

/// Longest wait for something that takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

struct Connected {
    screen: Screen,
    handle: LiveHandle,
    events: tokio::sync::mpsc::Receiver<client::live::LiveEvent>,
}

impl Connected {
    fn to(address: SocketAddr) -> Self {
        let url = address.to_string();
        let (handle, events) = client::live::connect(LiveConfig { url: url.clone(), token: None });
        Self { screen: Screen::new(100, 30, &["--hub", &url]), handle, events }
    }

    /// Runs the app as the loop does until the picture has what is waited for.
    async fn until(&mut self, what: &str, holds: impl Fn(&str) -> bool) {
        let run = async {
            loop {
                for request in self.screen.app.requests(self.screen.now_ms) {
                    match request {
                        Request::Subscribe(subscribe) => self.handle.subscribe(subscribe),
                        Request::Unsubscribe(id) => self.handle.unsubscribe(id),
                        Request::ReconnectNow => self.handle.reconnect_now(),
                    }
                }
                if holds(&self.screen.text()) {
                    return;
                }
                let event = self.events.recv().await.expect("the connection never ends by itself");
                self.screen.now_ms += 200;
                self.screen.app.on_event(Event::Live(event), self.screen.now_ms);
            }
        };
        let waited = timeout(PATIENCE, run).await;
        assert!(waited.is_ok(), "waited in vain for {what}:\n{}", self.screen.text());
    }
}

#[tokio::test]
async fn it_connects_survives_a_restart_and_shows_what_is_new() {
    let mut devices = farm::devices();
    let hub = FakeHub::start(devices.clone()).await;
    let mut connected = Connected::to(hub.address);
    connected.until("values and a chart", |text| text.contains("pressure 2.") && text.contains("━ pressure")).await;

    devices.retain(|device| device.id != "boiler-1");
    hub.restart_with(devices);
    connected.until("the banner", |text| text.contains("RECONNECTING") && text.contains("boiler-1 ")).await;
    connected.until("the new catalogue", |text| !text.contains("RECONNECTING") && !text.contains("boiler-1 ")).await;
    connected.until("a chart of the next device", |text| text.contains("boiler-2") && text.contains("━ flow")).await;
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_waited_for() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = free.local_addr().expect("bound");
    drop(free);
    let mut connected = Connected::to(address);
    connected.until("the third attempt", |text| text.contains("(attempt 3)")).await;
}

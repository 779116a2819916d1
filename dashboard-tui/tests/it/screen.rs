//! The real app on a test screen, with a hub that answers at once and a clock that stands until it is moved.

use std::time::Duration;

use clap::Parser;
use client::live::LiveEvent;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use dashboard_tui::{app::App, event::Event, options::Options, state::subscriptions::Request};
use jiff::tz::TimeZone;
use protocol::live::{DeviceRow, LiveData, control::Subscribe};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, layout::Rect};

use crate::farm::{self, NOW_MS};

pub struct Screen {
    pub app: App,
    pub now_ms: i64,
    /// What was asked of the connection besides subscriptions.
    pub reconnects: usize,
    /// Subscriptions that hold, with the streams that carry them.
    pub subscriptions: Vec<(Subscribe, u64)>,
    terminal: Terminal<TestBackend>,
    devices: Vec<DeviceRow>,
    next_stream: u64,
}

impl Screen {
    /// Before anything was heard.
    pub fn new(width: u16, height: u16, flags: &[&str]) -> Self {
        let options = Options::try_parse_from([&["dashboard-tui"], flags].concat()).expect("valid flags");
        let settings = options.settings(None).expect("valid settings");
        let area = Rect::new(0, 0, width, height);
        Self {
            app: App::new(settings, TimeZone::UTC, area),
            now_ms: NOW_MS,
            reconnects: 0,
            subscriptions: Vec::new(),
            terminal: Terminal::new(TestBackend::new(width, height)).expect("never fails"),
            devices: Vec::new(),
            next_stream: 1,
        }
    }

    /// Connected to a hub with these devices, snapshots received.
    pub fn live(width: u16, height: u16, devices: Vec<DeviceRow>) -> Self {
        let mut screen = Self::new(width, height, &[]);
        screen.connect(devices);
        screen
    }

    pub fn connect(&mut self, devices: Vec<DeviceRow>) {
        self.devices.clone_from(&devices);
        self.hub(LiveEvent::Connecting { attempt: 1 });
        self.hub(LiveEvent::Connected);
        for message in farm::greeting(devices, self.now_ms) {
            self.hub(LiveEvent::Message(message));
        }
        self.hub(LiveEvent::RoundTrip(Duration::from_millis(18)));
        self.settle();
    }

    /// The hub goes away, as it was 12 s ago; the third attempt is 4 s ahead.
    pub fn lose(&mut self) {
        let reason = "connection refused".to_owned();
        self.hub(LiveEvent::Disconnected { reason: reason.clone(), retry_in: Duration::from_secs(1), attempt: 2 });
        self.now_ms += 12_000;
        let retry_in = Duration::from_millis(3_900);
        self.hub(LiveEvent::Disconnected { reason, retry_in, attempt: 3 });
    }

    pub fn hub(&mut self, event: LiveEvent) {
        self.app.on_event(Event::Live(event), self.now_ms);
    }

    /// Lets the app ask and the hub answer until neither has anything to say.
    pub fn settle(&mut self) {
        let mut quiet = 0;
        for _ in 0..20 {
            let requests = self.app.requests(self.now_ms);
            quiet = if requests.is_empty() { quiet + 1 } else { 0 };
            if quiet == 2 {
                return;
            }
            for request in requests {
                match request {
                    Request::Subscribe(subscribe) => self.answer(subscribe),
                    Request::Unsubscribe(id) => self.subscriptions.retain(|(known, _)| known.id != id),
                    Request::ReconnectNow => self.reconnects += 1,
                }
            }
            // The pause that the app makes between two requests.
            self.now_ms += 150;
        }
        panic!("the app never stops asking");
    }

    fn answer(&mut self, subscribe: Subscribe) {
        let stream = self.next_stream;
        self.next_stream += 1;
        let (begin, data, end) = farm::answer(&self.devices, &subscribe, stream, self.now_ms);
        self.subscriptions.retain(|(known, _)| known.id != subscribe.id);
        self.subscriptions.push((subscribe, stream));
        self.hub(LiveEvent::Message(begin));
        self.hub(LiveEvent::Data(data));
        self.hub(LiveEvent::Message(end));
    }

    /// A frame of one reading of series 1, standing for `merged` more.
    pub fn readings(&mut self, subscription: u64, value: f64, merged: u64) {
        let stream = self.subscriptions.iter().find(|(known, _)| known.id == subscription).expect("asked for").1;
        let data = LiveData {
            stream,
            t0_ms: self.now_ms as u64,
            ids: vec![1],
            counts: vec![1],
            dt_ms: vec![0],
            values: vec![value],
            merged,
        };
        self.hub(LiveEvent::Data(data));
    }

    pub fn key(&mut self, code: KeyCode) {
        self.input(crossterm::event::Event::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }

    /// Types characters, each a key.
    pub fn keys(&mut self, text: &str) {
        text.chars().for_each(|character| self.key(KeyCode::Char(character)));
    }

    pub fn mouse(&mut self, kind: MouseEventKind, column: u16, row: u16) {
        self.input(crossterm::event::Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
    }

    pub fn click(&mut self, column: u16, row: u16) {
        self.mouse(MouseEventKind::Down(MouseButton::Left), column, row);
    }

    pub fn input(&mut self, input: crossterm::event::Event) {
        self.app.on_event(Event::Input(input), self.now_ms);
    }

    /// Draws a frame, whether due or not, and gives it.
    pub fn picture(&mut self) -> &Buffer {
        self.terminal.draw(|frame| self.app.draw(frame, self.now_ms)).expect("never fails");
        self.terminal.backend().buffer()
    }

    /// The picture as text.
    pub fn text(&mut self) -> String {
        self.picture();
        self.terminal.backend().to_string()
    }

    /// The id of the selected device.
    pub fn selected(&self) -> &str {
        self.app.state().selected(self.now_ms).map_or("", |device| device.id.as_str())
    }
}

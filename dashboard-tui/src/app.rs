//! The dashboard without its terminal: events in; a changed state, requests and pictures out.
//!
//! Owns the state, the theme and the keys, and decides when a frame is due: at once after input, at most ten times a
//! second for data, each second while ages are on the screen, and otherwise not at all.

mod input;

use client::live::LiveEvent;
use jiff::tz::TimeZone;
use protocol::live::HubMessage;
use ratatui::{Frame, layout::Rect};

use crate::{
    event::Event,
    keymap::Keymap,
    options::Settings,
    state::{
        State,
        filter::Filter,
        subscriptions::{Request, Subscriptions},
    },
    theme::Theme,
    view::{self, Look, layout::Panes, wording},
};

/// Shortest time between two frames that only data asks for.
const DATA_FRAME_MS: i64 = 100;
/// Time between two frames while only ages change.
const AGE_FRAME_MS: i64 = 1_000;

/// How soon a frame is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    /// Nothing has changed.
    No,
    /// Data has changed.
    Soon,
    /// The user waits.
    Now,
}

/// The dashboard.
pub struct App {
    state: State,
    keymap: Keymap,
    theme: Theme,
    zone: TimeZone,
    /// The hub's `host:port`.
    hub: String,
    area: Rect,
    subscriptions: Subscriptions,
    /// The filter before typing began, for when it is cancelled.
    filter_before: Filter,
    reconnect: bool,
    due: Due,
    drawn_at_ms: Option<i64>,
    quit: bool,
}

impl App {
    /// A dashboard on `area` for a user in `zone`.
    pub fn new(settings: Settings, zone: TimeZone, area: Rect) -> Self {
        let mut state = State::default();
        state.table.selected = settings.device;
        let mut app = Self {
            state,
            keymap: settings.keymap,
            theme: Theme::new(settings.theme),
            zone,
            hub: settings.hub,
            area,
            subscriptions: Subscriptions::default(),
            filter_before: Filter::default(),
            reconnect: false,
            due: Due::Now,
            drawn_at_ms: None,
            quit: false,
        };
        app.arrange(0);
        app
    }

    /// What is known and looked at.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// True once the user has left.
    pub fn has_quit(&self) -> bool {
        self.quit
    }

    /// Takes an event at `now_ms` of this machine's clock.
    pub fn on_event(&mut self, event: Event, now_ms: i64) {
        match event {
            Event::Input(input) => {
                self.on_input(&input, now_ms);
                self.due = Due::Now;
            }
            Event::Live(event) => self.on_live(event, now_ms),
            Event::Wake => {}
            Event::Stop => self.quit = true,
        }
        self.arrange(now_ms);
    }

    fn on_live(&mut self, event: LiveEvent, now_ms: i64) {
        let visible = match &event {
            LiveEvent::Message(HubMessage::Heartbeat { .. }) => false,
            LiveEvent::RoundTrip(duration) => {
                self.state.link.round_trip.map(wording::latency) != Some(wording::latency(*duration))
            }
            _ => true,
        };
        self.state.apply(event, now_ms);
        if visible {
            self.due = self.due.max(Due::Soon);
        }
    }

    /// Brings layout, scrolling and state together again.
    fn arrange(&mut self, now_ms: i64) {
        let panes = Panes::split(self.area, &self.state);
        self.state.shape = panes.shape(self.theme.lines.is_empty());
        let rows = self.state.table.rows(self.state.shown(), self.state.shown_ms(now_ms));
        let mut table = self.state.table.clone();
        table.scroll(&rows, self.state.shape.table_rows);
        self.state.table.offset = table.offset;
    }

    /// What to tell the connection now.
    pub fn requests(&mut self, now_ms: i64) -> Vec<Request> {
        let mut requests = self.subscriptions.update(&mut self.state, now_ms);
        if std::mem::take(&mut self.reconnect) {
            requests.push(Request::ReconnectNow);
        }
        requests
    }

    /// When something is to be done without an event, this machine's clock; `None`: never.
    pub fn wake_ms(&self) -> Option<i64> {
        [self.frame_due_ms(), self.subscriptions.due_ms()].into_iter().flatten().min()
    }

    /// True when a frame is to be drawn now.
    pub fn must_draw(&self, now_ms: i64) -> bool {
        self.frame_due_ms().is_some_and(|due_ms| due_ms <= now_ms)
    }

    fn frame_due_ms(&self) -> Option<i64> {
        let Some(drawn_at_ms) = self.drawn_at_ms else { return Some(0) };
        match self.due {
            Due::Now => Some(drawn_at_ms),
            Due::Soon => Some(drawn_at_ms + DATA_FRAME_MS),
            Due::No => self.shows_time().then_some(drawn_at_ms + AGE_FRAME_MS),
        }
    }

    /// True while something on the screen depends on what time it is.
    fn shows_time(&self) -> bool {
        let state = &self.state;
        let counts_down = !state.link.is_live() && state.link.reason.is_some();
        !state.shown().devices().is_empty() || counts_down || state.notice.is_some()
    }

    /// Draws a frame.
    pub fn draw(&mut self, frame: &mut Frame<'_>, now_ms: i64) {
        if self.area != frame.area() {
            self.area = frame.area();
            self.arrange(now_ms);
        }
        self.state.notice.take_if(|notice| notice.until_ms <= now_ms);
        let (theme, keymap, zone, hub) = (&self.theme, &self.keymap, &self.zone, self.hub.as_str());
        view::draw(frame, &self.state, Look { theme, keymap, zone, hub, now_ms });
        self.due = Due::No;
        self.drawn_at_ms = Some(now_ms);
    }
}

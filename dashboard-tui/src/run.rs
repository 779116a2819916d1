//! The loop around the [`App`]: events in, requests to the hub and frames out.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use tokio::time::Instant;

use crate::{
    app::App,
    event::{EventError, Events},
    options::Settings,
    state::subscriptions::Request,
    terminal::{Screen, TerminalError},
};

/// Why the dashboard ended other than by the user's wish.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The terminal.
    #[error(transparent)]
    Terminal(#[from] TerminalError),
    /// The sources of events.
    #[error(transparent)]
    Events(#[from] EventError),
}

/// This machine's clock as it was at the start, then as time passes: it never jumps.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    start_ms: i64,
}

impl Clock {
    /// Reads the clock.
    pub fn start() -> Self {
        Self { start: Instant::now(), start_ms: Timestamp::now().as_millisecond() }
    }

    /// Milliseconds since the Unix epoch.
    pub fn now_ms(self) -> i64 {
        self.start_ms + i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX / 2)
    }
}

/// Shows the dashboard until the user leaves or a signal comes.
pub async fn run(settings: Settings) -> Result<(), RunError> {
    let clock = Clock::start();
    let mut screen = Screen::enter(settings.mouse)?;
    let (hub, receiver) = client::live::connect(settings.live.clone());
    let mut events = Events::new(receiver)?;
    let mut app = App::new(settings, TimeZone::system(), screen.area()?);
    loop {
        for request in app.requests(clock.now_ms()) {
            match request {
                Request::Subscribe(subscribe) => hub.subscribe(subscribe),
                Request::Unsubscribe(id) => hub.unsubscribe(id),
                Request::ReconnectNow => hub.reconnect_now(),
            }
        }
        if app.must_draw(clock.now_ms()) {
            let now_ms = clock.now_ms();
            screen.draw(|frame| app.draw(frame, now_ms))?;
        }
        let wake_in = app.wake_ms().map(|at_ms| {
            let wait_ms = u64::try_from(at_ms - clock.now_ms()).unwrap_or(0);
            Duration::from_millis(wait_ms)
        });
        for event in events.next(wake_in).await? {
            app.on_event(event, clock.now_ms());
        }
        if app.has_quit() {
            return Ok(());
        }
    }
}

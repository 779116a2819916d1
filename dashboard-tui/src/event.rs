//! What the loop waits for: keys and the mouse, the connection, signals, and the time of the next frame.

use std::{io, time::Duration};

use client::live::LiveEvent;
use crossterm::event::EventStream;
use futures_util::{FutureExt, StreamExt};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::sleep,
};

/// Input that is taken together before a frame is drawn, so that a pasted text costs one.
const INPUT_BATCH_MAX: usize = 64;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A key, the mouse, or a new size of the terminal.
    Input(crossterm::event::Event),
    /// The connection.
    Live(LiveEvent),
    /// Time has passed.
    Wake,
    /// Somebody wants this program to end.
    Stop,
}

/// Why no more events come.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Signals could not be watched.
    #[error("cannot watch for signals")]
    Signals(#[source] io::Error),
    /// The terminal could not be read.
    #[error("cannot read from the terminal")]
    Input(#[source] io::Error),
    /// The terminal is gone.
    #[error("the terminal was closed")]
    Closed,
    /// The connection's task has ended, which it never does by itself.
    #[error("the connection to the hub has ended unexpectedly; the log file may say why")]
    Connection,
}

/// Every source of events.
pub struct Events {
    input: EventStream,
    live: mpsc::Receiver<LiveEvent>,
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Events {
    /// Watches the terminal, the connection, and the signals that end a program.
    pub fn new(live: mpsc::Receiver<LiveEvent>) -> Result<Self, EventError> {
        let watch = |kind| signal(kind).map_err(EventError::Signals);
        Ok(Self {
            input: EventStream::new(),
            live,
            terminate: watch(SignalKind::terminate())?,
            interrupt: watch(SignalKind::interrupt())?,
            hang_up: watch(SignalKind::hangup())?,
        })
    }

    /// Waits for at most `wake_in` (for ever without it); gives what has happened, never nothing.
    pub async fn next(&mut self, wake_in: Option<Duration>) -> Result<Vec<Event>, EventError> {
        tokio::select! {
            // A person before a device: keys are answered under any load.
            biased;
            _ = self.terminate.recv() => Ok(vec![Event::Stop]),
            _ = self.interrupt.recv() => Ok(vec![Event::Stop]),
            _ = self.hang_up.recv() => Ok(vec![Event::Stop]),
            input = self.input.next() => self.inputs(input),
            () = sleep(wake_in.unwrap_or_default()), if wake_in.is_some() => Ok(vec![Event::Wake]),
            event = self.live.recv() => Ok(vec![Event::Live(event.ok_or(EventError::Connection)?)]),
        }
    }

    fn inputs(&mut self, first: Option<io::Result<crossterm::event::Event>>) -> Result<Vec<Event>, EventError> {
        let mut events = vec![Event::Input(first.ok_or(EventError::Closed)?.map_err(EventError::Input)?)];
        while events.len() < INPUT_BATCH_MAX
            && let Some(Some(input)) = self.input.next().now_or_never()
        {
            events.push(Event::Input(input.map_err(EventError::Input)?));
        }
        Ok(events)
    }
}

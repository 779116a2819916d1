//! One device: asks its source when something is due, gathers samples into messages and hands them to its connection.
//!
//! Owns the source and the connection's handle. Takes the orders of the fleet; gives counts to the [`Board`]. Never
//! numbers, keeps or repeats a message: that is the connection's part.

mod batch;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use batch::Batch;
use client::device::{DeviceEvent, DeviceHandle, Stats};
use protocol::ids::Id;
use tokio::sync::{mpsc, watch};

use crate::source::{Sample, Source, SourceError};

/// Longest sleep: a step of the clock is noticed after that.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// The present time, microseconds since the Unix epoch.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// What all agents of a process write onto.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// Readings put into messages.
    readings: AtomicU64,
    /// Lines that the one source with an input could not use.
    lines_skipped: AtomicU64,
    trouble: Mutex<Option<Trouble>>,
}

/// Why the last connection was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// For a person.
    pub reason: String,
    /// When that device tries again.
    pub again_at: Instant,
}

impl Board {
    pub(crate) fn readings(&self) -> u64 {
        self.readings.load(Ordering::Relaxed)
    }

    pub(crate) fn lines_skipped(&self) -> u64 {
        self.lines_skipped.load(Ordering::Relaxed)
    }

    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }
}

/// What the fleet tells its agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Run,
    /// End; wait so long for what is not acknowledged.
    Finish(Duration),
}

/// How an agent ended.
#[derive(Debug)]
pub(crate) struct AgentEnd {
    pub(crate) device: Id,
    /// Of its connection, at the end.
    pub(crate) stats: Stats,
    /// Why the source gave up, if it did.
    pub(crate) failure: Option<SourceError>,
}

/// What an agent is made of.
pub(crate) struct Agent {
    pub(crate) device: Id,
    pub(crate) source: Box<dyn Source>,
    /// The source can wait: it is asked only while the connection has room. Otherwise the oldest messages go.
    pub(crate) is_patient: bool,
    /// How long samples are gathered into one message.
    pub(crate) gather: Duration,
    /// Messages after which it ends.
    pub(crate) messages_max: Option<u64>,
    pub(crate) handle: DeviceHandle,
    pub(crate) events: mpsc::Receiver<DeviceEvent>,
    pub(crate) orders: watch::Receiver<Order>,
    pub(crate) board: Arc<Board>,
}

/// Time for bye when there is nothing else to wait for.
const BYE_PATIENCE: Duration = Duration::from_secs(2);

impl Agent {
    pub(crate) async fn run(mut self) -> AgentEnd {
        let failure = self.work().await.err();
        // What was measured is delivered, however long the hub is away, unless somebody wants the end.
        let mut stats = self.handle.stats();
        let mut orders = self.orders.clone();
        loop {
            tokio::select! {
                () = ordered_to_end(&mut orders) => break,
                Some(event) = self.events.recv() => self.take(event),
                _ = stats.wait_for(|stats| stats.drained) => break,
            }
        }
        let patience = match *orders.borrow() {
            Order::Finish(patience) => patience,
            Order::Run => BYE_PATIENCE,
        };
        let stats = self.handle.finish(patience).await;
        AgentEnd { device: self.device, stats, failure }
    }

    /// Until the source ends, or the order to end.
    async fn work(&mut self) -> Result<(), SourceError> {
        let mut batch = Batch::new(self.gather);
        let (mut samples, mut messages, mut declared) = (Vec::new(), 0, self.source.channels().len());
        loop {
            if self.is_patient && self.room_or_end().await {
                break;
            }
            let now_us = now_us();
            let next_us = self.source.poll(now_us, &mut samples);
            // Only standard input has lines, and there is one of it.
            if let skipped @ 1.. = self.source.lines_skipped() {
                self.board.lines_skipped.store(skipped, Ordering::Relaxed);
            }
            let channels = self.source.channels();
            if channels.len() != declared {
                self.flush(&mut batch, &mut messages);
                declared = channels.len();
                if let Err(error) = self.handle.declare(self.source.channels().to_vec()) {
                    tracing::error!(device = %self.device, %error, "the hub would not take these channels");
                }
            }
            for sample in samples.drain(..) {
                if !batch.has_room(&sample) {
                    self.flush(&mut batch, &mut messages);
                }
                batch.add(self.source.channels(), &sample, now_us);
            }
            // A failing source has delivered what it had.
            let next_us = match next_us {
                Ok(Some(next_us)) => next_us,
                ended => {
                    self.flush(&mut batch, &mut messages);
                    return ended.map(|_| ());
                }
            };
            if batch.is_due(now_us, next_us) {
                self.flush(&mut batch, &mut messages);
            }
            let is_enough = self.messages_max.is_some_and(|max| messages >= max);
            let wake_us = batch.due_us().map_or(next_us, |due_us| due_us.min(next_us));
            if is_enough || self.sleep_or_end(wake_us - now_us).await {
                break;
            }
        }
        if self.messages_max.is_none_or(|max| messages < max) {
            self.flush(&mut batch, &mut messages);
        }
        Ok(())
    }

    fn flush(&self, batch: &mut Batch, messages: &mut u64) {
        let readings = batch.readings() as u64;
        match batch.send(&self.handle) {
            Ok(false) => {}
            Ok(true) => {
                *messages += 1;
                self.board.readings.fetch_add(readings, Ordering::Relaxed);
            }
            Err(error) => tracing::error!(device = %self.device, %error, "a message is left out"),
        }
    }

    /// Waits until the connection has room; true when it is time to end instead.
    async fn room_or_end(&mut self) -> bool {
        loop {
            tokio::select! {
                biased;
                () = ordered_to_end(&mut self.orders) => return true,
                Some(event) = self.events.recv() => self.take(event),
                () = self.handle.room() => return false,
            }
        }
    }

    /// Sleeps for so many microseconds; true when it is time to end instead.
    async fn sleep_or_end(&mut self, sleep_us: i64) -> bool {
        let sleep = Duration::from_micros(sleep_us.max(0).unsigned_abs()).min(SLEEP_MAX);
        let until = tokio::time::Instant::now() + sleep;
        // Others have their turn even when the source always has more.
        tokio::task::yield_now().await;
        loop {
            tokio::select! {
                biased;
                () = ordered_to_end(&mut self.orders) => return true,
                Some(event) = self.events.recv() => self.take(event),
                () = tokio::time::sleep_until(until) => return false,
            }
        }
    }

    fn take(&self, event: DeviceEvent) {
        if let DeviceEvent::Command { id, name, .. } = &event {
            let message = format!("{name}: this device carries out no commands");
            self.handle.answer(id.clone(), false, None, Some(message));
        }
        note(&self.board, event);
    }
}

fn note(board: &Board, event: DeviceEvent) {
    if let DeviceEvent::Disconnected { reason, retry_in, .. } = event {
        board.set_trouble(Trouble { reason, again_at: Instant::now() + retry_in });
    }
}

/// Until the order to end; a fleet that is gone counts as one.
async fn ordered_to_end(orders: &mut watch::Receiver<Order>) {
    // The answer is the same either way.
    drop(orders.wait_for(|order| *order != Order::Run).await);
}

/// The number of readings in a sample.
pub(crate) fn readings_in(sample: &Sample) -> usize {
    match sample {
        Sample::Point { .. } => 1,
        Sample::Run { values, .. } => values.len(),
    }
}

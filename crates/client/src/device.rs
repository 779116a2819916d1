//! A device's connection: `GET /ws/device`.
//!
//! Owns the outbox and one socket. Takes frames through [`DeviceHandle`], keeps each until the hub says that it is on
//! disk, and gives [`DeviceEvent`]s. Reconnects for as long as the handle lives and goes on where the hub says. It
//! never blocks its caller: what does not fit into the spool's bound pushes the oldest out, and the hub is told.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use protocol::{
    device::{ChannelDecl, Clock, DeviceControl, Hello, HelloError, control::ControlError, encode::FrameWriter},
    limits::{MESSAGE_BYTES_MAX, READINGS_PER_MESSAGE_MAX},
};
use tokio::{
    sync::{Notify, mpsc, watch},
    time::Instant,
};

mod commands;
mod config;
mod connection;
mod event;
mod link;
mod suspect;

pub use config::{DeviceClock, DeviceConfig, Identity, SpoolConfig, Timing};
pub use event::{DeviceEvent, Stats};

pub use crate::spool::folder::FolderError;
use crate::{outbox::Outbox, spool::folder::Folder};

/// Events that wait for the application. When it is full, commands are answered as not carried out and the rest is
/// left out: [`Stats`] has it all.
const EVENTS_MAX: usize = 32;
/// Answers to commands that wait for a connection; the oldest go first, for they expire first.
const ANSWERS_MAX: usize = 32;
/// What a frame has beside its items: heads, number and time.
const FRAME_HEAD_BYTES: usize = 32;

/// Why a device's connection cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The hub would refuse this hello.
    #[error("the device cannot introduce itself")]
    Hello(#[from] HelloError),
    /// The spool's folder cannot be used.
    #[error("the spool cannot be opened")]
    Folder(#[from] FolderError),
}

/// Why a frame is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing was written to it.
    #[error("the frame holds no readings")]
    Empty,
    /// The hub would refuse it.
    #[error(
        "the frame has {bytes} bytes and {readings} readings: at most {MESSAGE_BYTES_MAX} and {READINGS_PER_MESSAGE_MAX} go into one"
    )]
    TooLarge {
        /// Of the whole frame.
        bytes: usize,
        /// In it.
        readings: usize,
    },
}

/// What the connection's task is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Run,
    /// End when everything is acknowledged, at the latest then.
    Finish(Instant),
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    answers: VecDeque<DeviceControl>,
}

/// What the handle and the task share. The lock is never held across an await.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Something may be sent.
    sendable: Notify,
    /// Something was written to a file.
    unsynced: Notify,
    stats: watch::Sender<Stats>,
}

impl State {
    fn answer(&mut self, answer: DeviceControl) {
        if self.answers.len() == ANSWERS_MAX {
            self.answers.pop_front();
        }
        self.answers.push_back(answer);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a caller's thread leaves the queue as it was: each step leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the statistics, and brings up to date what the outbox knows.
    fn note(&self, state: &mut State, change: impl FnOnce(&mut Stats)) {
        let outbox = &mut state.outbox;
        self.stats.send_modify(|stats| {
            stats.waiting_messages = outbox.waiting();
            stats.waiting_bytes = outbox.byte_len();
            stats.dropped = outbox.dropped();
            stats.drained = outbox.is_drained();
            stats.on_disk = outbox.is_on_disk();
            change(stats);
        });
    }
}

/// Starts devices.
#[derive(Debug)]
pub struct DeviceClient;

impl DeviceClient {
    /// Opens the spool and starts the connection's task on the current Tokio runtime. The task ends with
    /// [`DeviceHandle::finish`], or without ceremony when the handle is dropped.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn spawn(config: DeviceConfig) -> Result<(DeviceHandle, mpsc::Receiver<DeviceEvent>), StartError> {
        let hello = checked(hello(&config))?;
        let outbox = match &config.spool.folder {
            Some(folder) => Outbox::on_disk(Folder::open(folder)?, hello, config.spool.bytes_max)?,
            None => Outbox::in_memory(hello, config.spool.bytes_max),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(State { outbox, answers: VecDeque::new() }),
            sendable: Notify::new(),
            unsynced: Notify::new(),
            stats: watch::Sender::new(Stats::default()),
        });
        shared.note(&mut shared.lock(), |_| {});
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let (orders, ordered) = watch::channel(Order::Run);
        tokio::spawn(link::Link::new(config, shared.clone(), ordered, events).run());
        Ok((DeviceHandle { shared, orders }, receiver))
    }
}

fn hello(config: &DeviceConfig) -> Hello {
    let Identity { device, title, model, firmware, labels, import } = config.identity.clone();
    Hello {
        device,
        // Drawn by the outbox; any valid number serves until then.
        spool: 1,
        first: 1,
        next: 1,
        clock: match config.clock {
            DeviceClock::Unix => Clock::Unix,
            DeviceClock::Boot(_) => Clock::Boot,
        },
        now_us: None,
        import,
        features: Vec::new(),
        channels: config.channels.clone(),
        title,
        model,
        firmware,
        labels,
    }
}

/// The hello as the hub will understand it, or why it will not.
fn checked(hello: Hello) -> Result<Hello, HelloError> {
    match DeviceControl::decode(&DeviceControl::Hello(Box::new(hello.clone())).encode()) {
        Ok(DeviceControl::Hello(understood)) => Ok(*understood),
        Err(ControlError::Hello(error)) => Err(error),
        // What is encoded by the same crate can be read; the hub has the last word.
        Ok(_) | Err(_) => Ok(hello),
    }
}

/// Gives a device's readings to its connection. The connection ends without ceremony when this is dropped.
#[derive(Debug)]
pub struct DeviceHandle {
    shared: Arc<Shared>,
    orders: watch::Sender<Order>,
}

impl DeviceHandle {
    /// Takes over what was written to `frame` (which is empty afterwards) with its base time, milliseconds on the
    /// device's clock. Returns at once with the message's number in its spool; it is kept until it is acknowledged.
    /// On error the frame is left as it is.
    pub fn send(&self, frame: &mut FrameWriter, t0_ms: f64) -> Result<u64, SendError> {
        if frame.is_empty() {
            return Err(SendError::Empty);
        }
        let (bytes, readings) = (frame.byte_len() + FRAME_HEAD_BYTES, frame.readings());
        if bytes > MESSAGE_BYTES_MAX || readings > READINGS_PER_MESSAGE_MAX {
            return Err(SendError::TooLarge { bytes, readings });
        }
        let mut state = self.shared.lock();
        let seq = state.outbox.push(frame, t0_ms);
        self.shared.note(&mut state, |_| {});
        drop(state);
        self.shared.unsynced.notify_one();
        self.shared.sendable.notify_one();
        Ok(seq)
    }

    /// Declares the channels of the frames to come. A list that only grew at its end is announced when everything
    /// sent before is acknowledged; any other change begins a new spool behind what waits.
    pub fn declare(&self, channels: Vec<ChannelDecl>) -> Result<(), HelloError> {
        let mut state = self.shared.lock();
        let understood = checked(Hello { channels, ..state.outbox.hello_to_write() })?;
        state.outbox.declare(understood.channels);
        drop(state);
        self.shared.sendable.notify_one();
        Ok(())
    }

    /// Answers a command; kept until there is a connection.
    pub fn answer(&self, id: String, ok: bool, value: Option<String>, message: Option<String>) {
        self.shared.lock().answer(DeviceControl::Result { id, ok, value, message });
        self.shared.sendable.notify_one();
    }

    /// How the connection is doing, now and whenever it changes.
    pub fn stats(&self) -> watch::Receiver<Stats> {
        self.shared.stats.subscribe()
    }

    /// Waits until less than half of the spool's bound is in use: for sources that can wait (a recording, a pipe).
    pub async fn room(&self) {
        let half = self.shared.lock().outbox.bytes_max() / 2;
        // The sender lives in `shared`: this cannot fail.
        let _ = self.stats().wait_for(|stats| stats.waiting_bytes < half).await;
    }

    /// Waits until everything is acknowledged, at most for `patience` and not at all when the next attempt to connect
    /// comes later than that, then says bye and closes. Returns how things stood at the end; what waits is kept where
    /// the spool is on disk.
    pub async fn finish(self, patience: Duration) -> Stats {
        self.orders.send_replace(Order::Finish(Instant::now() + patience));
        self.orders.closed().await;
        *self.shared.stats.borrow()
    }
}

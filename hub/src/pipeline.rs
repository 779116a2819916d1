//! The pipeline: the one owner of hub state.
//!
//! Takes messages from the edges in the order they come, gives each its place in the journal, lets live screens see
//! it, and releases acknowledgements once it is durable. No locks on the way: everything here belongs to one task. It
//! does no I/O of its own; bytes go to the journal's thread and to the logs and links of the connections.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use journal::Kind;
use protocol::{close, device::Hello, live::control::Subscribe};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::{
    clock,
    config::duration,
    historian::HistorianHandle,
    ingest::{
        self,
        budget::Budget,
        http::{Post, PostError, Posted},
        link::Link,
    },
    live::{fanout::Fanout, viewer::ViewerLink},
    metrics::Metrics,
    state::{
        State,
        record::{self, HubRecord},
    },
};

mod acks;
mod devices;
mod messages;
mod post;
mod presence;
mod viewers;

pub use presence::{Vital, Vitals};
pub use viewers::{SubscribeError, Subscribed, gap_row, resolve, series_row};

use acks::Acks;
use devices::Connections;
use presence::Presence;
use viewers::Viewers;

/// Inputs that may wait; a full queue makes connections wait, which TCP passes on to devices.
const INPUTS_WAITING_MAX: usize = 1_024;
/// Frames up to this size wait in the queue without more ado: 16 MiB in all.
const SMALL_FRAME_BYTES_MAX: usize = 16 * 1024;
/// Larger ones may take so much together, KiB.
const LARGE_FRAMES_KIB_MAX: usize = 32 * 1024;
/// Requests of viewers and the API that may wait.
const REQUESTS_WAITING_MAX: usize = 1_024;
/// Inputs taken at once before the journal is handed what they made.
const INPUTS_AT_ONCE: usize = 256;
/// Appended and not yet durable bytes above which no more input is taken.
const BACKLOG_BYTES_MAX: usize = 16 << 20;
/// Warnings about devices that are logged a second; the rest is only counted.
const WARNINGS_PER_SECOND: u32 = 5;
/// The clock may be set back by so much (a time server's correction) and is still believed.
const CLOCK_STEP_US_MAX: i64 = 1_000_000;
/// How often states of devices and the catalogue are looked at for viewers.
const TICK: Duration = Duration::from_millis(250);

/// The journal and its commits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// Length of a segment file, bytes.
    pub segment_bytes: u64,
    /// The least time between two syncs: 10 ms, but 200 ms on an SD card, which lasts years longer that way.
    pub commit_interval: CommitInterval,
    /// The journal is kept at this size by recycling what nobody needs any more, bytes.
    pub retain_bytes: u64,
    /// Free space below which nothing is acknowledged, bytes; 0 is max(256 MiB, min(5 % of the disk, 2 GiB)).
    pub reserve_bytes: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            commit_interval: CommitInterval::Auto,
            retain_bytes: 256 << 20,
            reserve_bytes: 0,
        }
    }
}

/// A time, or `auto` for what suits the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitInterval {
    /// 10 ms, or 200 ms on an SD card.
    Auto,
    /// As said.
    Fixed(Duration),
}

impl Serialize for CommitInterval {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Fixed(interval) => duration::serialize(interval, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for CommitInterval {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "auto" {
            return Ok(Self::Auto);
        }
        duration::deserialize(serde::de::value::StringDeserializer::new(text)).map(Self::Fixed)
    }
}

/// What devices' connections and the HTTP door bring.
#[derive(Debug)]
pub enum Input {
    /// A connection introduces a device and a spool of it.
    Hello {
        /// The connection's number.
        connection: u64,
        /// The way back.
        link: Arc<Link>,
        /// What it said.
        hello: Box<Hello>,
    },
    /// A data frame as it came.
    Frame {
        /// The connection's number.
        connection: u64,
        /// `[seq, t0, items]`.
        frame: Bytes,
        /// Room in memory that a large frame holds until it is handled.
        room: Option<OwnedSemaphorePermit>,
    },
    /// Messages that will never come.
    Gap {
        /// The connection's number.
        connection: u64,
        /// First missing number.
        from: u64,
        /// Last missing number.
        to: u64,
        /// In the device's words.
        reason: String,
    },
    /// The connection has ended.
    Closed {
        /// The connection's number.
        connection: u64,
        /// Why, for the journal.
        reason: String,
    },
    /// Readings by HTTP.
    Post(Box<Post>, oneshot::Sender<Result<Posted, PostError>>),
}

/// What viewers and the API ask for.
#[derive(Debug)]
pub enum Request {
    /// A viewer is there: it gets the catalogue and all changes of it.
    Enter(Arc<ViewerLink>),
    /// A viewer lost control messages and needs the whole catalogue again.
    Resync(Arc<ViewerLink>),
    /// A viewer has gone.
    Exit(Arc<ViewerLink>),
    /// A subscription, with its place among the snapshots that are made at the same time.
    Subscribe(Arc<ViewerLink>, Subscribe, OwnedSemaphorePermit, oneshot::Sender<Result<Subscribed, SubscribeError>>),
    /// The end of one.
    Unsubscribe(Arc<ViewerLink>, u64),
    /// Stop taking input, commit everything, acknowledge it, close all connections with this code.
    Stop(u16, oneshot::Sender<()>),
}

/// What the journal's thread reports; read by the pipeline when it is woken.
#[derive(Debug, Default)]
pub struct JournalReport {
    news: Mutex<News>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct News {
    durable_seq: u64,
    disk_full: Option<bool>,
    failed: Option<String>,
}

impl JournalReport {
    /// Called on the journal's thread.
    pub fn put(&self, commit: &journal::Commit) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        match commit {
            journal::Commit::Durable { seq } => news.durable_seq = *seq,
            journal::Commit::Failed { error, disk_full: true } => {
                tracing::error!(%error, "the disk is full: nothing is acknowledged until there is room");
                news.disk_full = Some(true);
            }
            journal::Commit::Failed { error, disk_full: false } => news.failed = Some(error.to_string()),
            journal::Commit::SpaceBack => news.disk_full = Some(false),
        }
        drop(news);
        self.notify.notify_one();
    }

    fn take(&self) -> News {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        News { durable_seq: news.durable_seq, disk_full: news.disk_full.take(), failed: news.failed.take() }
    }
}

/// Talks to the pipeline.
#[derive(Debug, Clone)]
pub struct PipelineHandle {
    inputs: mpsc::Sender<Input>,
    requests: mpsc::Sender<Request>,
    large_frames: Arc<Semaphore>,
}

/// The pipeline has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub is stopping")]
pub struct Stopped;

impl PipelineHandle {
    /// Brings an input; waits while the pipeline is behind.
    pub async fn input(&self, input: Input) -> Result<(), Stopped> {
        self.inputs.send(input).await.map_err(|_| Stopped)
    }

    /// Brings a data frame; a large one also waits for room, so that the queue is bounded in bytes too.
    pub async fn frame(&self, connection: u64, frame: Bytes) -> Result<(), Stopped> {
        let room = if frame.len() > SMALL_FRAME_BYTES_MAX {
            let kib = frame.len().div_ceil(1024) as u32;
            Some(Arc::clone(&self.large_frames).acquire_many_owned(kib).await.map_err(|_| Stopped)?)
        } else {
            None
        };
        self.input(Input::Frame { connection, frame, room }).await
    }

    /// Brings a small data frame if there is room for it now, which is almost always; else gives it back.
    pub fn try_frame(&self, connection: u64, frame: Bytes) -> Result<(), Bytes> {
        if frame.len() > SMALL_FRAME_BYTES_MAX {
            return Err(frame);
        }
        self.inputs.try_send(Input::Frame { connection, frame, room: None }).map_err(|error| {
            let Input::Frame { frame, .. } = error.into_inner() else { unreachable!("it was a frame") };
            frame
        })
    }

    /// Makes a request; waits while there are too many.
    pub async fn request(&self, request: Request) -> Result<(), Stopped> {
        self.requests.send(request).await.map_err(|_| Stopped)
    }
}

/// Everything the pipeline is made of.
pub struct Parts {
    /// The state at the end of the journal.
    pub state: State,
    /// The journal's one producer.
    pub appender: journal::Appender,
    /// What the journal's thread reports.
    pub report: Arc<JournalReport>,
    /// Answers questions about the past.
    pub historian: HistorianHandle,
    /// Where readings go that viewers watch.
    pub fanout: Fanout,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Devices' limits.
    pub config: ingest::Config,
    /// The latest arrival in the journal, microseconds: a hub clock behind it is not believed.
    pub last_arrival_us: i64,
    /// The random number of this run.
    pub run: u64,
    /// For its length.
    pub journal: journal::Handle,
    /// The journal is allowed to be this long before history is called behind, bytes.
    pub journal_bytes_max: u64,
}

/// The owner itself.
pub struct Pipeline {
    state: State,
    appender: journal::Appender,
    report: Arc<JournalReport>,
    historian: HistorianHandle,
    fanout: Fanout,
    metrics: Arc<Metrics>,
    config: ingest::Config,
    connections: Connections,
    acks: Acks,
    viewers: Viewers,
    presence: Presence,
    messages: messages::Scratch,
    /// Arrival of what is being handled, microseconds; read once for all inputs taken together.
    arrival_us: i64,
    /// The same instant on the monotonic clock.
    now: Instant,
    last_arrival_us: i64,
    is_clock_synchronised: bool,
    /// Warnings a second that may be logged about devices.
    warnings: Budget,
    /// The credit that devices were last told without their asking.
    announced_credit: u64,
    run: u64,
    journal: journal::Handle,
    journal_bytes_max: u64,
    durable_seq: u64,
    disk_full: bool,
    /// History does not keep up: nothing is taken until it does, because it must never be lapped.
    history_behind: bool,
    stopping: Option<(u16, oneshot::Sender<()>)>,
    inputs: mpsc::Receiver<Input>,
    requests: mpsc::Receiver<Request>,
}

/// Why the pipeline ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// It was asked to.
    #[error("stopped")]
    Stopped,
    /// A sync failed; nothing more can be promised.
    #[error(
        "the journal cannot be written: {0}. Check the disk, then start the hub again: what was acknowledged is safe"
    )]
    JournalFailed(String),
    /// A part of the hub broke down; this is a mistake in the program.
    #[error(
        "{0} broke down. Start the hub again: what was acknowledged is safe. Please report this with the log above"
    )]
    Broken(&'static str),
}

impl Pipeline {
    /// A pipeline, the way to talk to it, and the devices' vital signs for the API.
    pub fn new(parts: Parts) -> (Self, PipelineHandle, Vitals) {
        let (input_sender, inputs) = mpsc::channel(INPUTS_WAITING_MAX);
        let (request_sender, requests) = mpsc::channel(REQUESTS_WAITING_MAX);
        let (presence, vitals) = Presence::new(&parts.state);
        let credit = parts.config.credit;
        let durable_seq = parts.journal.durable_seq();
        let pipeline = Self {
            state: parts.state,
            appender: parts.appender,
            report: parts.report,
            historian: parts.historian,
            fanout: parts.fanout,
            metrics: parts.metrics,
            config: parts.config,
            connections: Connections::default(),
            acks: Acks::default(),
            viewers: Viewers::default(),
            presence,
            messages: messages::Scratch::default(),
            arrival_us: clock::now_us(),
            now: Instant::now(),
            last_arrival_us: parts.last_arrival_us,
            is_clock_synchronised: clock::is_synchronised(),
            warnings: Budget::new(WARNINGS_PER_SECOND),
            announced_credit: credit,
            run: parts.run,
            journal: parts.journal,
            journal_bytes_max: parts.journal_bytes_max,
            durable_seq,
            disk_full: false,
            history_behind: false,
            stopping: None,
            inputs,
            requests,
        };
        let large_frames = Arc::new(Semaphore::new(LARGE_FRAMES_KIB_MAX));
        (pipeline, PipelineHandle { inputs: input_sender, requests: request_sender, large_frames }, vitals)
    }

    /// Runs until it is asked to stop or the journal fails.
    pub async fn run(mut self) -> Ended {
        let report = Arc::clone(&self.report);
        let mut taken = Vec::with_capacity(INPUTS_AT_ONCE);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = self.next_due();
            let takes_input =
                self.stopping.is_none() && !self.history_behind && self.appender.backlog_bytes() < BACKLOG_BYTES_MAX;
            tokio::select! {
                biased;
                () = report.notify.notified() => {
                    if let Some(ended) = self.on_commit() {
                        return ended;
                    }
                }
                Some(request) = self.requests.recv() => self.on_request(request),
                _ = tick.tick() => self.on_tick(),
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now).into()), if due.is_some() => {}
                _ = self.inputs.recv_many(&mut taken, INPUTS_AT_ONCE), if takes_input => {}
            }
            // Requests come first above, so that screens stay quick; here inputs get their turn whatever came.
            while takes_input
                && taken.len() < INPUTS_AT_ONCE
                && let Ok(input) = self.inputs.try_recv()
            {
                taken.push(input);
            }
            self.read_clocks();
            for input in taken.drain(..) {
                self.on_input(input);
            }
            self.appender.flush();
            self.fanout.flush_due(self.now);
            self.send_acks();
            if let Some(ended) = self.finish_stopping() {
                return ended;
            }
        }
    }

    /// When something has to be done without anything coming in.
    fn next_due(&self) -> Option<Instant> {
        [self.fanout.next_due(), self.acks.next_due()].into_iter().flatten().min()
    }

    fn on_input(&mut self, input: Input) {
        match input {
            Input::Frame { connection, frame, room: _room } => self.on_frame(connection, &frame),
            Input::Hello { connection, link, hello } => self.on_hello(connection, &link, &hello),
            Input::Gap { connection, from, to, reason } => self.on_gap(connection, from, to, reason),
            Input::Closed { connection, reason } => self.on_closed(connection, reason),
            Input::Post(post, reply) => self.on_post(&post, reply),
        }
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Enter(viewer) => self.on_enter(viewer),
            Request::Resync(viewer) => self.send_catalogue(&viewer),
            Request::Exit(viewer) => self.on_exit(&viewer),
            Request::Subscribe(viewer, subscribe, place, reply) => {
                let answer = self.on_subscribe(Arc::clone(&viewer), &subscribe, place);
                if let Err(Ok(Subscribed { joined, .. })) = reply.send(answer) {
                    // The viewer has gone meanwhile.
                    self.fanout.leave(joined.log.number, &viewer);
                }
            }
            Request::Unsubscribe(viewer, stream) => self.fanout.leave(stream, &viewer),
            Request::Stop(code, done) => {
                let stop = HubRecord { version: env!("CARGO_PKG_VERSION").into(), run: self.run };
                self.appender.append(Kind::HubStop, clock::now_us(), &[&record::encode(&stop)]);
                self.stopping = Some((code, done));
            }
        }
    }

    /// What the journal has made durable is acknowledged; what it cannot do any more ends the hub.
    fn on_commit(&mut self) -> Option<Ended> {
        let news = self.report.take();
        if let Some(error) = news.failed {
            self.connections.close_all(close::CANNOT_WRITE, "the hub cannot write to its disk");
            self.viewers.close_all(close::CANNOT_WRITE);
            return Some(Ended::JournalFailed(error));
        }
        if let Some(disk_full) = news.disk_full {
            self.disk_full = disk_full;
            self.announced_credit = self.credit();
            self.metrics.disk_full.set(i64::from(disk_full));
            self.announce_credit();
            if !disk_full {
                // Snapshots of meanwhile lack what was appended and not durable.
                self.fanout.all_changed();
            }
        }
        if news.durable_seq > self.durable_seq {
            self.durable_seq = news.durable_seq;
            self.historian.wake();
            self.release_durable();
        }
        None
    }

    fn on_tick(&mut self) {
        self.read_clocks();
        self.is_clock_synchronised = clock::is_synchronised();
        let journal_bytes = self.journal.used_bytes();
        self.metrics.journal_bytes.set(journal_bytes as i64);
        self.metrics.journal_durable.set(self.durable_seq as i64);
        // What is released counts no more, although it is recycled only when something is appended.
        let is_behind = self.journal.unreleased_bytes() > self.journal_bytes_max;
        let was_behind = std::mem::replace(&mut self.history_behind, is_behind);
        if was_behind != self.history_behind {
            tracing::warn!(behind = self.history_behind, journal_bytes, "history falls behind: devices have to wait");
        }
        if self.credit() != self.announced_credit {
            self.announced_credit = self.credit();
            self.announce_credit();
        }
        self.look_after_viewers();
        self.metrics.live_streams.set(self.fanout.stream_count() as i64);
        let totals = self.fanout.totals;
        self.metrics.live(totals.frames, totals.points, totals.merged);
    }

    /// Once everything appended is durable and acknowledged, closes the connections and ends.
    fn finish_stopping(&mut self) -> Option<Ended> {
        // With a full disk nothing more becomes durable: what is not acknowledged stays with the devices.
        let is_last = self.stopping.is_some() && (self.disk_full || self.durable_seq + 1 >= self.appender.next_seq());
        let (code, done) = self.stopping.take_if(|_| is_last)?;
        self.send_all_acks();
        self.connections.close_all(code, "the hub is stopping");
        self.viewers.close_all(code);
        // Whoever asked may have given up waiting.
        let _ = done.send(());
        Some(Ended::Stopped)
    }

    /// Whether one more warning about a device may be logged now: a broken fleet shall not fill the disk with them.
    fn may_warn(&mut self) -> bool {
        let may_warn = self.warnings.try_take(self.now);
        if !may_warn {
            self.metrics.warnings_suppressed.inc();
        }
        may_warn
    }

    fn read_clocks(&mut self) {
        self.now = Instant::now();
        self.arrival_us = clock::now_us();
        self.last_arrival_us = self.last_arrival_us.max(self.arrival_us);
    }

    /// Whether the hub's own clock can be used to judge a device's: not while the system says that it is not
    /// synchronised, nor while it is behind what it once was.
    fn is_clock_trusted(&self) -> bool {
        self.is_clock_synchronised && self.arrival_us + CLOCK_STEP_US_MAX >= self.last_arrival_us
    }
}

/// An http waiter or an acknowledgement that waits for its record to become durable, in journal order.
type InOrder<T> = VecDeque<(u64, T)>;

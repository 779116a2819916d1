//! The pipeline: the one owner of hub state.
//!
//! Takes messages from the edges in the order they come, gives each its place in the journal, lets live screens see
//! it, and releases acknowledgements once it is durable. No locks on the way: everything here belongs to one task. It
//! does no I/O of its own; bytes go to the journal's thread and to the logs and links of the connections.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use journal::Kind;
use protocol::close;
use tokio::sync::{mpsc, oneshot};

use crate::{
    clock,
    historian::HistorianHandle,
    ingest::{self, budget::Budget},
    live::fanout::Fanout,
    metrics::Metrics,
    state::{
        State,
        record::{self, HubRecord},
    },
};

mod acks;
mod config;
mod devices;
mod inbox;
mod messages;
mod post;
mod presence;
mod report;
mod viewers;

pub use config::{CommitInterval, JournalConfig};
pub use inbox::{Input, PipelineHandle, Request, Stopped};
pub use presence::{Vital, Vitals};
pub use report::JournalReport;
pub use viewers::{SubscribeError, Subscribed, gap_row, resolve, series_row};

use acks::Acks;
use devices::Connections;
use presence::Presence;
use viewers::Viewers;

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
        let (handle, inputs, requests) = PipelineHandle::new();
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
        (pipeline, handle, vitals)
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

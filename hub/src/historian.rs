//! The historian: the thread that follows the journal and remembers.
//!
//! It owns history and the durable [`State`], applies every durable record in order, and commits both in one
//! transaction. It answers questions about the past at an exact place in the journal: a question asked behind record N
//! sees N and nothing after it, which is how a live screen joins history and live without gap or duplicate. It never
//! sees a record before it is durable, and nothing waits for it but its own questioners and, when it falls far
//! behind, the credit of devices.

use std::{
    sync::{Arc, atomic::Ordering},
    thread,
    time::{Duration, Instant},
};

use history::History;
use journal::{Kind, ReadError, Reader, Record, Records};
use protocol::device::{Batch, data};

use crate::{
    clock,
    ingest::admission,
    state::{
        State,
        fold::Applied,
        record::DataHead,
        store::{self, Dirty},
    },
};

mod config;
mod handle;
mod questions;
mod replay_cost;
mod start;

pub use config::Config;
pub use handle::{Busy, HistorianHandle};
pub use questions::Present;
pub use start::{Loaded, OpenError, Replayed};

use handle::Shared;
use questions::{ANSWER_SLICE, Questions};
use replay_cost::ReplayCost;

/// Bytes of journal read at once.
const READ_BYTES: usize = 1 << 20;
/// The historian looks around this often when nothing wakes it.
const PARK_MAX: Duration = Duration::from_millis(250);
/// How often old history is looked for.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);
/// Forgotten spools of one device (a script that posts under a new one each time) above which everything is stored, so
/// that they need not be kept for a replay.
const FORGOTTEN_MAX: usize = 1_000;
/// Applying what is left of the journal may take so long when the hub stops.
const STOP_MAX: Duration = Duration::from_secs(2);
/// Full heads wait so long for others: a transaction for each would write the same pages, those of devices and marks above
/// all, again and again.
const SEAL_INTERVAL: Duration = Duration::from_secs(5);
/// A commit that failed (a full disk, mostly) is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// The thread's own side.
pub struct Historian {
    history: History,
    state: State,
    dirty: Dirty,
    journal: journal::Handle,
    reader: Reader,
    batch: Batch,
    applied_seq: u64,
    last_commit: Instant,
    retry_at: Option<Instant>,
    replay: ReplayCost,
    commit_interval: Duration,
    head_bytes_max: usize,
    last_retention: Instant,
    questions: Questions,
    shared: Arc<Shared>,
}

impl Historian {
    /// Applies everything that is durable, stopping where a question wants the present.
    fn follow(&mut self) -> Result<(), ReadError> {
        let mut records = Records::new();
        loop {
            // The order matters: a question that is here before a record becomes durable is found before it is applied.
            let mut durable_seq = self.journal.durable_seq();
            self.questions.take();
            self.answer();
            if self.applied_seq >= durable_seq || self.is_stuck() {
                return Ok(());
            }
            if !self.read(&mut records)? {
                continue;
            }
            for record in records.iter() {
                if record.seq > durable_seq {
                    // It became durable after the look above, and so may have been appended behind a newer question.
                    durable_seq = self.journal.durable_seq();
                    self.questions.take();
                }
                if self.questions.exact_seq < record.seq {
                    let present = &mut Present { state: &self.state, history: &mut self.history };
                    self.questions.answer_exact(self.applied_seq, present);
                }
                self.apply(&record);
            }
            self.shared.applied_seq.store(self.applied_seq, Ordering::Release);
            self.answer();
            // While a replay repeats what is stored already, other readings of those records are still to come.
            if self.is_commit_due() && self.applied_seq >= self.history.applied_seq() {
                self.commit();
            }
        }
    }

    fn answer(&mut self) {
        let present = &mut Present { state: &self.state, history: &mut self.history };
        self.questions.answer(self.applied_seq, present);
    }

    /// The database takes nothing and memory is used up: the journal keeps what comes until it does again.
    fn is_stuck(&self) -> bool {
        self.retry_at.is_some() && self.history.head_bytes() > 2 * self.head_bytes_max
    }

    /// The next records; false when a damaged range was passed over instead.
    fn read(&mut self, records: &mut Records) -> Result<bool, ReadError> {
        match self.reader.read(records, READ_BYTES) {
            Ok(()) => Ok(true),
            Err(ReadError::Lapped { first_available }) => {
                // History is never lapped while the journal waits for it; after damage a range can be missing.
                tracing::error!(from = self.applied_seq + 1, to = first_available - 1, "journal records are missing");
                self.reader = self.journal.reader(first_available)?;
                self.applied_seq = first_available - 1;
                Ok(false)
            }
            Err(ReadError::Lost { from_seq, to_seq }) => {
                tracing::error!(from_seq, to_seq, "journal records are damaged; what they held is lost");
                self.applied_seq = to_seq;
                Ok(false)
            }
            Err(error @ ReadError::Read(_)) => Err(error),
        }
    }

    fn apply(&mut self, record: &Record<'_>) {
        // Records up to what is stored only feed series that were not sealed yet; the rest of the state has them.
        let is_known = record.seq <= self.history.applied_seq();
        self.applied_seq = record.seq;
        self.replay.add(record.seq, record.payload.len());
        if is_known {
            if let (Kind::Data, Ok((head, frame))) = (record.kind, DataHead::decode(record.payload)) {
                self.apply_readings(record, &head, frame, false);
            }
            self.history.end_record(record.seq);
            return;
        }
        match self.state.apply(record) {
            Ok(Applied::Data(head, frame)) => {
                self.dirty.streams.insert(head.stream);
                self.apply_readings(record, &head, frame, true);
            }
            Ok(Applied::Catalogue(catalogue)) => {
                self.dirty.catalogue.insert(catalogue.device);
            }
            Ok(Applied::Gap(gap)) => self.touch(gap.stream),
            Ok(Applied::Refused(refused)) => self.touch(refused.stream),
            Ok(Applied::Event) => {
                self.history.append_event(record.seq, record.arrival_us, record.kind as u8, record.payload);
            }
            Err(error) => tracing::error!(%error, seq = record.seq, "a record of the journal cannot be read"),
        }
        self.history.end_record(record.seq);
    }

    fn touch(&mut self, stream: u32) {
        self.dirty.streams.insert(stream);
        if let Some(stream) = self.state.streams.get(&stream) {
            self.dirty.devices.insert(stream.device);
        }
    }

    fn apply_readings(&mut self, record: &Record<'_>, head: &DataHead, frame: &[u8], is_new: bool) {
        let Some(stream) = self.state.streams.get(&head.stream) else { return };
        if let Err(error) = data::decode(frame, &stream.channels, &mut self.batch) {
            // It was decoded before it was journaled, so this is a record of another version or a bug.
            tracing::error!(%error, seq = record.seq, "a stored message cannot be decoded");
            return;
        }
        let mut dropped = 0;
        if head.shift_us != 0 {
            self.batch.times_us.iter_mut().for_each(|time_us| *time_us = time_us.saturating_add(head.shift_us));
        }
        for run in &self.batch.runs {
            match stream.series.get(usize::from(run.channel)) {
                Some(&Some(series)) => {
                    let (times_us, values) = (&self.batch.times_us[run.range()], &self.batch.values[run.range()]);
                    self.history.append(record.seq, record.arrival_us, series, head.flags, times_us, values);
                }
                _ => dropped += u64::from(run.len),
            }
        }
        let device = stream.device;
        if is_new {
            let stored = self.batch.len() as u64 - dropped;
            self.state.count_readings(head.stream, admission::span(&self.batch.times_us), stored, dropped);
            self.dirty.devices.insert(device);
        }
    }

    /// Writes chunks and state in one transaction and lets the journal have back what is no longer needed.
    fn commit(&mut self) {
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return;
        }
        let (state, dirty) = (&self.state, &self.dirty);
        match self.history.commit(self.applied_seq, |transaction| store::save(transaction, state, dirty)) {
            Ok(_) => {
                self.dirty.clear();
                self.retry_at = None;
                self.last_commit = Instant::now();
                let replay_from = self.history.replay_from();
                self.journal.release(replay_from.saturating_sub(1));
                self.dirty.catalogue.extend(self.state.prune(replay_from));
            }
            Err(error) => {
                let error: anyhow::Error = error.into();
                tracing::error!(error = format!("{error:#}"), "history cannot be written; trying again");
                self.retry_at = Some(Instant::now() + RETRY_AFTER);
            }
        }
    }

    /// Whether readings are to be stored now.
    fn is_commit_due(&self) -> bool {
        let can_wait = self.last_commit.elapsed() < SEAL_INTERVAL;
        self.history.must_commit() || (self.history.wants_commit() && !can_wait)
    }

    /// Commits what has waited long enough, keeps the journal that a restart would have to replay short, and deletes
    /// what is older than it is kept.
    fn keep_house(&mut self) {
        if let Some(below_seq) = self.replay.release_below(self.history.replay_from()) {
            self.history.release_below(below_seq);
        }
        if self.state.devices.iter().any(|device| device.forgotten.len() > FORGOTTEN_MAX) {
            self.history.release_below(self.applied_seq + 1);
        }
        let is_due = self.last_commit.elapsed() >= self.commit_interval && !self.dirty.is_empty();
        if is_due || self.is_commit_due() {
            self.commit();
        }
        if self.last_retention.elapsed() >= RETENTION_INTERVAL {
            self.retain();
        }
    }

    /// One bounded step; the next one follows soon while there is more.
    fn retain(&mut self) {
        match self.history.retain(clock::now_us()) {
            Ok(retained) if retained.more => {}
            Ok(_) => self.last_retention = Instant::now(),
            Err(error) => {
                tracing::error!(error = format!("{:#}", anyhow::Error::from(error)), "old history cannot be deleted");
                self.last_retention = Instant::now();
            }
        }
    }

    fn run(mut self) {
        let mut stop_by = None;
        loop {
            if let Err(error) = self.follow() {
                tracing::error!(error = format!("{:#}", anyhow::Error::from(error)), "cannot read the journal");
            }
            self.keep_house();
            if self.shared.stop.load(Ordering::Acquire) {
                let stop_by = stop_by.get_or_insert_with(|| Instant::now() + STOP_MAX);
                // What is not applied in time is replayed at the next start.
                if self.applied_seq >= self.journal.durable_seq() || Instant::now() >= *stop_by {
                    self.history.release_below(self.applied_seq + 1);
                    self.commit();
                    return;
                }
            }
            thread::park_timeout(if self.questions.is_empty() { PARK_MAX } else { ANSWER_SLICE / 20 });
        }
    }
}

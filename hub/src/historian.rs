//! The historian: the thread that follows the journal and remembers.
//!
//! It owns history and the durable [`State`], applies every durable record in order, and commits both in one
//! transaction. It answers questions about the past at an exact place in the journal: a question asked behind record N
//! sees N and nothing after it, which is how a live screen joins history and live without gap or duplicate. It never
//! sees a record before it is durable, and nothing waits for it but its own questioners and, when it falls far
//! behind, the credit of devices.

use std::{
    collections::VecDeque,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use history::{History, View, ViewError};
use journal::{Kind, ReadError, Reader, Record, Records};
use protocol::device::{Batch, data};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use crate::{
    clock,
    ingest::admission,
    state::{
        State,
        fold::Applied,
        record::DataHead,
        store::{self, Dirty, StoreError},
    },
};

/// Questions that may wait; further ones are told that the hub is busy.
const QUESTIONS_WAITING_MAX: usize = 1_024;
/// Bytes of journal read at once.
const READ_BYTES: usize = 1 << 20;
/// The historian looks around this often when nothing wakes it.
const PARK_MAX: Duration = Duration::from_millis(250);
/// What the journal adds to each payload, about.
const RECORD_OVERHEAD_BYTES: u64 = 24;
/// How often old history is looked for.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);
/// Forgotten spools of one device (a script that posts under a new one each time) above which everything is stored, so
/// that they need not be kept for a replay.
const FORGOTTEN_MAX: usize = 1_000;
/// Applying what is left of the journal may take so long when the hub stops.
const STOP_MAX: Duration = Duration::from_secs(2);
/// Whoever asks for the present gives up after this.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Answers that may wait are given for so long before the journal is read on.
const ANSWER_SLICE: Duration = Duration::from_millis(20);
/// Full heads wait so long for others: a transaction for each would write the same pages, those of devices and marks above
/// all, again and again.
const SEAL_INTERVAL: Duration = Duration::from_secs(5);
/// A commit that failed (a full disk, mostly) is tried again after this.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What is kept, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Readings a chunk is sealed at.
    pub chunk_readings: usize,
    /// Memory that readings not yet sealed may take in all, bytes.
    pub head_bytes_max: usize,
    /// How long every single reading is kept.
    #[serde(with = "crate::config::duration")]
    pub keep_raw: Duration,
    /// How long one-minute minimum, maximum and mean are kept.
    #[serde(with = "crate::config::duration")]
    pub keep_minutes: Duration,
    /// How long one-hour minimum, maximum and mean are kept.
    #[serde(with = "crate::config::duration")]
    pub keep_hours: Duration,
    /// What was learned is written to the database at least this often.
    #[serde(with = "crate::config::duration")]
    pub commit_interval: Duration,
    /// Questions about the past that are answered at the same time.
    pub readers_max: usize,
    /// Journal that a restart may have to replay, bytes: readings that have waited longer for their chunk are spilled.
    pub replay_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(24 * 3600 * days);
        Self {
            chunk_readings: 1_024,
            head_bytes_max: 24 << 20,
            keep_raw: days(90),
            keep_minutes: days(365 * 2),
            keep_hours: days(365 * 20),
            commit_interval: Duration::from_secs(30),
            readers_max: 4,
            replay_bytes_max: 96 << 20,
        }
    }
}

impl Config {
    fn of_history(&self) -> history::Config {
        let keep = |max_age| history::Retention { max_age: Some(max_age) };
        history::Config {
            chunk_readings: self.chunk_readings,
            head_bytes_max: self.head_bytes_max,
            retention: [keep(self.keep_raw), keep(self.keep_minutes), keep(self.keep_hours)],
            // As many again for live screens, which must not wait for a slow export.
            readers_max: self.readers_max * 2,
            ..history::Config::default()
        }
    }
}

/// Why the historian cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database.
    #[error("cannot open the history database")]
    History(#[source] history::OpenError),
    /// The hub's own tables in it.
    #[error("cannot load the hub's state")]
    State(#[source] StoreError),
    /// The journal does not reach back to where history ends.
    #[error("cannot read the journal behind history")]
    Journal(#[source] ReadError),
}

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
    questions: mpsc::Receiver<Question>,
    waiting: VecDeque<Question>,
    /// The least place that a waiting question needs exactly.
    exact_seq: u64,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    applied_seq: AtomicU64,
    stop: AtomicBool,
}

/// A question: carried out on the historian's thread once record `behind_seq` is applied.
struct Question {
    behind_seq: u64,
    /// It must be before the next record is applied.
    is_exact: bool,
    ask: Box<dyn FnOnce(&mut Present<'_>) + Send>,
}

/// What a question may look at.
pub struct Present<'a> {
    /// The durable state.
    pub state: &'a State,
    history: &'a mut History,
}

impl Present<'_> {
    /// A view of these series as they are at this place in the journal, to be read on another thread.
    pub fn view(&mut self, series: &[u32], from_us: i64, to_us: i64) -> Result<View, ViewError> {
        self.history.view(series, from_us, to_us)
    }
}

/// Asks the historian.
#[derive(Clone)]
pub struct HistorianHandle {
    questions: mpsc::SyncSender<Question>,
    journal: journal::Handle,
    thread: thread::Thread,
    shared: Arc<Shared>,
}

/// Too many questions wait, or the hub is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub is busy answering others; try again in a second")]
pub struct Busy;

impl HistorianHandle {
    /// Asks for something exactly behind record `behind_seq`. The question is in place when this returns: whoever
    /// appends the next record afterwards can be sure that it is not seen.
    pub fn ask<T: Send + 'static>(
        &self,
        behind_seq: u64,
        ask: impl FnOnce(&mut Present<'_>) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Busy>> + Send + 'static {
        self.question(behind_seq, true, ask)
    }

    /// Asks for something as of everything that is on disk by now, or a little later: who has had a reading
    /// acknowledged finds it.
    pub fn ask_now<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Present<'_>) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Busy>> + Send + 'static {
        let answered = self.question(self.journal.durable_seq(), false, ask);
        async move { tokio::time::timeout(ANSWER_MAX, answered).await.map_err(|_| Busy)? }
    }

    fn question<T: Send + 'static>(
        &self,
        behind_seq: u64,
        is_exact: bool,
        ask: impl FnOnce(&mut Present<'_>) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Busy>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            behind_seq,
            is_exact,
            ask: Box::new(move |present| {
                // Who no longer waits for the answer does not get one.
                if !answer.is_closed() {
                    drop(answer.send(ask(present)));
                }
            }),
        };
        let asked = self.questions.try_send(question).map_err(|_| Busy);
        self.wake();
        async move {
            asked?;
            answered.await.map_err(|_| Busy)
        }
    }

    /// There is something new in the journal.
    pub fn wake(&self) {
        self.thread.unpark();
    }

    /// The last record that was applied.
    pub fn applied_seq(&self) -> u64 {
        self.shared.applied_seq.load(Ordering::Acquire)
    }

    /// Applies what is durable, commits, and ends. The thread is joined by whoever started it.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
    }
}

/// What was loaded before the journal is opened: the database knows sequence numbers that the journal must not reuse.
pub struct Loaded {
    history: History,
    state: State,
}

impl Loaded {
    /// Opens the database in the data folder.
    pub fn open(path: &Path, config: &Config) -> Result<Self, OpenError> {
        let history = History::open(path, config.of_history()).map_err(OpenError::History)?;
        store::create_tables(history.connection()).map_err(OpenError::State)?;
        let state = store::load(history.connection()).map_err(OpenError::State)?;
        Ok(Self { history, state })
    }

    /// The highest sequence number that the database knows.
    pub fn applied_seq(&self) -> u64 {
        self.history.applied_seq()
    }
}

/// The historian before its thread runs.
pub struct Replayed {
    historian: Historian,
    questions: mpsc::SyncSender<Question>,
}

impl Historian {
    /// Replays what the database does not have yet.
    pub fn replay(loaded: Loaded, journal: journal::Handle, config: &Config) -> Result<Replayed, OpenError> {
        let Loaded { history, state } = loaded;
        let from_seq = history.replay_from().max(journal.oldest_seq());
        let reader = journal.reader(from_seq).map_err(OpenError::Journal)?;
        let (sender, questions) = mpsc::sync_channel(QUESTIONS_WAITING_MAX);
        let mut historian = Self {
            history,
            state,
            dirty: Dirty::default(),
            journal,
            reader,
            batch: Batch::default(),
            applied_seq: from_seq.saturating_sub(1),
            last_commit: Instant::now(),
            retry_at: None,
            replay: ReplayCost::new(config.replay_bytes_max),
            commit_interval: config.commit_interval,
            head_bytes_max: config.head_bytes_max,
            last_retention: Instant::now(),
            questions,
            waiting: VecDeque::new(),
            exact_seq: u64::MAX,
            shared: Arc::default(),
        };
        historian.follow().map_err(OpenError::Journal)?;
        Ok(Replayed { historian, questions: sender })
    }

    /// Applies everything that is durable, stopping where a question wants the present.
    fn follow(&mut self) -> Result<(), ReadError> {
        let mut records = Records::new();
        loop {
            // The order matters: a question that is here before a record becomes durable is found before it is applied.
            let mut durable_seq = self.journal.durable_seq();
            self.take_questions();
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
                    self.take_questions();
                }
                if self.exact_seq < record.seq {
                    self.answer_exact();
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

    /// Puts new questions in line. One too many is dropped, which tells its asker that the hub is busy; those that need
    /// an exact place are few, one a subscription, and never are.
    fn take_questions(&mut self) {
        for question in self.questions.try_iter() {
            if question.is_exact {
                self.exact_seq = self.exact_seq.min(question.behind_seq);
            } else if self.waiting.len() >= QUESTIONS_WAITING_MAX {
                continue;
            }
            self.waiting.push_back(question);
        }
    }

    /// Carries out questions whose place is reached, for a while; those that need this very place all.
    fn answer(&mut self) {
        self.answer_exact();
        let began = Instant::now();
        for _ in 0..self.waiting.len() {
            if began.elapsed() > ANSWER_SLICE {
                return;
            }
            self.answer_next(|question, applied_seq| question.behind_seq <= applied_seq);
        }
    }

    fn answer_exact(&mut self) {
        if self.exact_seq > self.applied_seq {
            return;
        }
        for _ in 0..self.waiting.len() {
            self.answer_next(|question, applied_seq| question.is_exact && question.behind_seq <= applied_seq);
        }
        let exact = self.waiting.iter().filter(|question| question.is_exact);
        self.exact_seq = exact.map(|question| question.behind_seq).min().unwrap_or(u64::MAX);
    }

    /// Carries out the first question in line if its time has come, else puts it at the end.
    fn answer_next(&mut self, is_due: impl Fn(&Question, u64) -> bool) {
        let Some(question) = self.waiting.pop_front() else { return };
        if is_due(&question, self.applied_seq) {
            (question.ask)(&mut Present { state: &self.state, history: &mut self.history });
        } else {
            self.waiting.push_back(question);
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
            thread::park_timeout(if self.waiting.is_empty() { PARK_MAX } else { ANSWER_SLICE / 20 });
        }
    }
}

/// How much of the journal a restart would have to replay: marks along it, some eight for the most it may be.
#[derive(Debug)]
struct ReplayCost {
    bytes_max: u64,
    bytes: u64,
    /// Bytes between two marks.
    step: u64,
    marks: VecDeque<(u64, u64)>,
}

impl ReplayCost {
    fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: 0, step: (bytes_max / 8).min(1 << 20), marks: VecDeque::new() }
    }

    fn add(&mut self, seq: u64, payload_bytes: usize) {
        if self.marks.back().is_none_or(|&(_, bytes)| self.bytes >= bytes + self.step) {
            self.marks.push_back((seq, self.bytes));
        }
        self.bytes += payload_bytes as u64 + RECORD_OVERHEAD_BYTES;
    }

    /// When a replay from `replay_from` would cost too much: below which record everything should be stored to halve it.
    fn release_below(&mut self, replay_from: u64) -> Option<u64> {
        while self.marks.get(1).is_some_and(|&(seq, _)| seq <= replay_from) {
            self.marks.pop_front();
        }
        let &(_, oldest) = self.marks.front()?;
        if self.bytes - oldest <= self.bytes_max {
            return None;
        }
        let enough = self.bytes - self.bytes_max / 2;
        self.marks.iter().rev().find(|&&(_, bytes)| bytes <= enough).map(|&(seq, _)| seq)
    }
}

impl Replayed {
    /// The state at the end of the journal, for the pipeline to go on from.
    pub fn state(&self) -> State {
        let mut state = self.historian.state.clone();
        state.streams.values_mut().for_each(|stream| stream.durable = stream.mark);
        state
    }

    /// Starts the thread.
    /// The receiver closes when the thread has ended, however it did.
    pub fn start(self) -> std::io::Result<(HistorianHandle, thread::JoinHandle<()>, oneshot::Receiver<()>)> {
        let shared = Arc::clone(&self.historian.shared);
        shared.applied_seq.store(self.historian.applied_seq, Ordering::Release);
        let (alive, ended) = oneshot::channel();
        let historian = self.historian;
        let journal = historian.journal.clone();
        let joined = thread::Builder::new().name("historian".into()).spawn(move || {
            let _alive = alive;
            historian.run();
        })?;
        let handle = HistorianHandle { questions: self.questions, journal, thread: joined.thread().clone(), shared };
        Ok((handle, joined, ended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_that_grows_too_long_is_halved() {
        let mut cost = ReplayCost::new(8 << 20);
        for seq in 1..=8 {
            cost.add(seq, (1 << 20) - RECORD_OVERHEAD_BYTES as usize);
            assert_eq!(cost.release_below(1), None);
        }
        cost.add(9, 1 << 20);
        assert_eq!(cost.release_below(1), Some(6));
        assert_eq!(cost.release_below(6), None);
    }
}

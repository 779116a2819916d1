//! The way to a running historian: load the database, replay what the journal has behind it, start the thread.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering, mpsc},
    thread,
    time::Instant,
};

use history::History;
use journal::ReadError;
use protocol::device::Batch;
use tokio::sync::oneshot;

use super::{
    Config, Historian, HistorianHandle,
    questions::{Question, Questions},
    replay_cost::ReplayCost,
};
use crate::state::{
    State,
    store::{self, Dirty, StoreError},
};

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

impl Historian {
    /// Replays what the database does not have yet.
    pub fn replay(loaded: Loaded, journal: journal::Handle, config: &Config) -> Result<Replayed, OpenError> {
        let Loaded { history, state } = loaded;
        let from_seq = history.replay_from().max(journal.oldest_seq());
        let reader = journal.reader(from_seq).map_err(OpenError::Journal)?;
        let (questions, sender) = Questions::new();
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
            shared: Arc::default(),
        };
        historian.follow().map_err(OpenError::Journal)?;
        Ok(Replayed { historian, questions: sender })
    }
}

/// The historian before its thread runs.
pub struct Replayed {
    historian: Historian,
    questions: mpsc::SyncSender<Question>,
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

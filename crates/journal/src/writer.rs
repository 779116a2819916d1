//! The journal's thread: takes what was appended, commits it at the configured pace, says what became of it.

use std::io;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::Config;
use crate::appender::Appender;
use crate::block::Block;
use crate::disk::Disk;
use crate::handle::Handle;
use crate::intake::Intake;
use crate::log::{CommitError, Log};

/// How often a full disk is looked at again.
const SPACE_POLL: Duration = Duration::from_millis(200);

/// Buffers above this many times the commit size are given back after a burst.
const BUFFER_COMMITS_MAX: usize = 2;

/// What became of appended records.
#[derive(Clone, Debug)]
pub enum Commit {
    /// Everything up to `seq` is durable.
    Durable {
        /// The highest durable sequence.
        seq: u64,
    },
    /// Nothing more becomes durable: until [`SpaceBack`](Commit::SpaceBack) if `disk_full`, else for ever.
    Failed {
        /// What went wrong.
        error: Arc<CommitError>,
        /// The disk is full. What was appended is kept and committed when there is room.
        disk_full: bool,
    },
    /// There is room again; commits go on.
    SpaceBack,
}

/// Starts the thread that drives `log`.
pub(crate) fn start<D: Disk>(
    log: Log<D>,
    config: &Config,
    on_commit: impl FnMut(Commit) + Send + 'static,
) -> io::Result<(Appender, Handle)> {
    let intake = Arc::new(Intake::new(config.commit_bytes));
    let appender = Appender::new(Arc::clone(&intake), log.durable_seq() + 1);
    let index = Arc::clone(log.index());
    let writer = Writer {
        log,
        intake: Arc::clone(&intake),
        on_commit,
        commit_interval: config.commit_interval,
        buffer_len_max: config.commit_bytes.saturating_mul(BUFFER_COMMITS_MAX),
    };
    let thread = thread::Builder::new().name("journal".to_owned()).spawn(move || writer.run())?;
    Ok((appender, Handle::new(index, intake, Arc::new(Mutex::new(Some(thread))))))
}

struct Writer<D: Disk, F> {
    log: Log<D>,
    intake: Arc<Intake>,
    on_commit: F,
    commit_interval: Duration,
    buffer_len_max: usize,
}

impl<D: Disk, F: FnMut(Commit)> Writer<D, F> {
    fn run(mut self) -> Result<(), Arc<CommitError>> {
        let mut block = Block::new();
        let mut due = None;
        loop {
            let is_last = self.intake.take(&mut block, due);
            due = Some(Instant::now() + self.commit_interval);
            if !block.is_empty() {
                self.commit(&mut block)?;
                block.shrink_to(self.buffer_len_max);
            }
            if is_last {
                return self.log.close().map_err(Arc::new);
            }
        }
    }

    /// Commits all of `block`, however long the disk stays full.
    fn commit(&mut self, block: &mut Block) -> Result<(), Arc<CommitError>> {
        let mut was_full = false;
        loop {
            let (before_seq, before_len) = (self.log.durable_seq(), block.records_len());
            let outcome = self.log.commit(block);
            // First, so that who reads the backlog when told of the commit finds it shorter.
            self.intake.add_durable_bytes(before_len - block.records_len());
            if outcome.is_ok() && was_full {
                (self.on_commit)(Commit::SpaceBack);
            }
            if self.log.durable_seq() > before_seq {
                (self.on_commit)(Commit::Durable { seq: self.log.durable_seq() });
            }
            let Err(error) = outcome else { return Ok(()) };
            let disk_full = error.is_disk_full();
            let error = Arc::new(error);
            if !(disk_full && was_full) {
                (self.on_commit)(Commit::Failed { error: Arc::clone(&error), disk_full });
            }
            if !disk_full || !self.wait_for_room() {
                return Err(error);
            }
            was_full = true;
        }
    }

    /// Waits until the disk has room; `false` if the journal is closed first.
    fn wait_for_room(&self) -> bool {
        loop {
            if self.intake.wait_closing(SPACE_POLL) {
                return false;
            }
            if self.log.has_room() {
                return true;
            }
        }
    }
}

impl<D: Disk, F> Drop for Writer<D, F> {
    /// Also when `on_commit` panics: whoever waits for the journal is told.
    fn drop(&mut self) {
        self.intake.end();
        self.log.index().end();
    }
}

#[cfg(test)]
mod tests;

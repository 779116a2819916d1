//! The cheap clone through which everybody but the producer talks to the journal.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::index::Index;
use crate::intake::Intake;
use crate::log::CommitError;
use crate::reader::{ReadError, Reader};

type Thread = JoinHandle<Result<(), Arc<CommitError>>>;

/// Reads, waits for and releases what the journal holds.
#[derive(Clone)]
pub struct Handle {
    index: Arc<Index>,
    intake: Arc<Intake>,
    thread: Arc<Mutex<Option<Thread>>>,
}

/// Why not everything was durable when the journal closed.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// A commit failed, or the disk was full.
    #[error("the journal's last commit failed")]
    Commit(#[source] Arc<CommitError>),
    /// The journal's thread panicked, most likely in `on_commit`.
    #[error("the journal's thread panicked")]
    Panicked,
}

impl Handle {
    pub(crate) fn new(index: Arc<Index>, intake: Arc<Intake>, thread: Arc<Mutex<Option<Thread>>>) -> Self {
        Self { index, intake, thread }
    }

    /// The highest durable sequence. Costs an atomic load.
    pub fn durable_seq(&self) -> u64 {
        self.index.durable_seq()
    }

    /// Blocks until more than `above` is durable, the journal has closed or failed, or `timeout` is over; returns the highest durable
    /// sequence.
    pub fn wait_durable(&self, above: u64, timeout: Duration) -> u64 {
        self.index.wait_durable(above, timeout)
    }

    /// A cursor that begins with `from_seq`, which need not be durable yet.
    pub fn reader(&self, from_seq: u64) -> Result<Reader, ReadError> {
        Reader::new(Arc::clone(&self.index), from_seq)
    }

    /// History needs nothing up to `seq` any more: segments wholly below may be recycled once the journal is at its cap. A lower
    /// `seq` than before changes nothing.
    pub fn release(&self, seq: u64) {
        self.index.release(seq);
    }

    /// The oldest sequence that can be read; one above the last when there is none.
    pub fn oldest_seq(&self) -> u64 {
        self.index.oldest_seq()
    }

    /// Bytes of the segments that hold records, the zeros ahead in the newest included.
    pub fn used_bytes(&self) -> u64 {
        self.index.used_bytes()
    }

    /// Bytes of the segments that history still needs; they are what makes the journal grow beyond its cap.
    pub fn unreleased_bytes(&self) -> u64 {
        self.index.unreleased_bytes()
    }

    /// Commits what was flushed, ends the journal's thread and waits for it. What is appended afterwards never becomes durable.
    /// Must not be called from `on_commit`.
    pub fn close(self) -> Result<(), CloseError> {
        self.intake.close();
        let thread = self.thread.lock().expect("nothing panics while the thread's handle is locked").take();
        // Another clone may have closed it already.
        thread.map_or(Ok(()), |thread| match thread.join() {
            Ok(outcome) => outcome.map_err(CloseError::Commit),
            Err(_) => Err(CloseError::Panicked),
        })
    }
}

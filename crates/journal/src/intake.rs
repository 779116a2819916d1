//! Where the appender leaves records and the writer's thread finds them. Owns the pending block and who waits for it.
//!
//! Bounded by its producer: the appender says how much waits, and the pipeline stops reading above a bound of its own.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::block::Block;

pub(crate) struct Intake {
    pending: Mutex<Pending>,
    wake: Condvar,
    /// Bytes of records that became durable since the opening.
    durable_bytes: AtomicU64,
    /// The writer takes a block early when it has this many bytes.
    commit_bytes: usize,
}

struct Pending {
    block: Block,
    waiting: Waiting,
    /// No more is coming.
    closing: bool,
    /// Nobody takes anything any more.
    ended: bool,
}

/// What the writer waits for. It is woken for nothing else: a wake is a system call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waiting {
    No,
    ForRecords,
    ForCommitBytes,
}

impl Intake {
    pub(crate) fn new(commit_bytes: usize) -> Self {
        let pending = Pending { block: Block::new(), waiting: Waiting::No, closing: false, ended: false };
        Self { pending: Mutex::new(pending), wake: Condvar::new(), durable_bytes: AtomicU64::new(0), commit_bytes }
    }

    /// Adds `block`'s records and leaves a buffer in it to fill again.
    pub(crate) fn give(&self, block: &mut Block) {
        let mut pending = self.lock();
        if pending.ended {
            block.clear();
            return;
        }
        pending.block.absorb(block);
        let wake = match pending.waiting {
            Waiting::No => false,
            Waiting::ForRecords => true,
            Waiting::ForCommitBytes => pending.block.records_len() >= self.commit_bytes,
        };
        if wake {
            pending.waiting = Waiting::No;
            drop(pending);
            self.wake.notify_one();
        }
    }

    /// Waits for records, then until `due` or until enough of them wait, and moves them into the empty `block`. `true` when no more
    /// is coming.
    pub(crate) fn take(&self, block: &mut Block, due: Option<Instant>) -> bool {
        let mut pending = self.lock();
        while !pending.closing {
            if pending.block.is_empty() {
                pending.waiting = Waiting::ForRecords;
                pending = self.wake.wait(pending).expect(NO_PANIC);
            } else if let Some(left) = due.and_then(|due| due.checked_duration_since(Instant::now()))
                && !left.is_zero()
                && pending.block.records_len() < self.commit_bytes
            {
                pending.waiting = Waiting::ForCommitBytes;
                pending = self.wake.wait_timeout(pending, left).expect(NO_PANIC).0;
            } else {
                break;
            }
        }
        pending.waiting = Waiting::No;
        block.absorb(&mut pending.block);
        pending.closing
    }

    /// Waits for `timeout` or until no more is coming; whether that is so.
    pub(crate) fn wait_closing(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut pending = self.lock();
        while !pending.closing
            && let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
        {
            pending = self.wake.wait_timeout(pending, left).expect(NO_PANIC).0;
        }
        pending.closing
    }

    /// No more is coming.
    pub(crate) fn close(&self) {
        self.lock().closing = true;
        self.wake.notify_one();
    }

    /// The writer is gone.
    pub(crate) fn end(&self) {
        let mut pending = self.lock();
        pending.ended = true;
        pending.block = Block::new();
    }

    pub(crate) fn add_durable_bytes(&self, len: usize) {
        self.durable_bytes.fetch_add(len as u64, Relaxed);
    }

    pub(crate) fn durable_bytes(&self) -> u64 {
        self.durable_bytes.load(Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().expect(NO_PANIC)
    }
}

/// Why the lock is never poisoned.
const NO_PANIC: &str = "nothing panics while the intake is locked";

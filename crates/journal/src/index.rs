//! What the writer tells the readers: which segments there are, how far they may be read, what has been released.
//!
//! The writer changes it when segments come and go and once a commit; readers look a position up once a batch. A recycled segment
//! leaves the index before its file is touched, so a reader that finds its segment still listed after a read has read the truth.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::disk::{Disk, DiskFile};

/// Opens segments for readers, whatever the disk's type.
pub(crate) trait OpenSegment: Send + Sync {
    fn open_segment(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
}

impl<D: Disk> OpenSegment for D {
    fn open_segment(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.open(name)?))
    }
}

/// A segment that holds records.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) first_seq: u64,
    /// Where its readable bytes end: the durable end of the active one, the file's end of an older one.
    pub(crate) end: u64,
    /// Length of the file.
    pub(crate) bytes: u64,
    /// A reader found damage: the file is evidence and is not used again.
    pub(crate) damaged: bool,
}

pub(crate) struct Index {
    state: Mutex<State>,
    /// Told when `durable_seq` moves and when the writer ends.
    moved: Condvar,
    durable_seq: AtomicU64,
    oldest_seq: AtomicU64,
    used_bytes: AtomicU64,
    released_seq: AtomicU64,
    disk: Arc<dyn OpenSegment>,
}

struct State {
    /// Ascending by `first_seq`.
    segments: VecDeque<Segment>,
    /// The writer has ended; nothing becomes durable any more.
    ended: bool,
}

/// Where a sequence is.
pub(crate) struct Place {
    pub(crate) id: u64,
    pub(crate) first_seq: u64,
    pub(crate) end: u64,
    /// The last durable sequence that the segment can hold.
    pub(crate) last_seq: u64,
    /// The segment, opened, if it is not the one the reader has.
    pub(crate) file: Option<io::Result<Box<dyn DiskFile>>>,
}

/// The answer to a look-up.
pub(crate) enum Found {
    At(Place),
    /// Not durable yet.
    Ahead,
    /// Recycled; the oldest sequence left is given.
    Lapped(u64),
}

impl Index {
    pub(crate) fn new(disk: Arc<dyn OpenSegment>, segments: VecDeque<Segment>, durable_seq: u64) -> Self {
        let index = Self {
            state: Mutex::new(State { segments, ended: false }),
            moved: Condvar::new(),
            durable_seq: AtomicU64::new(durable_seq),
            oldest_seq: AtomicU64::new(0),
            used_bytes: AtomicU64::new(0),
            released_seq: AtomicU64::new(0),
            disk,
        };
        index.tally(&index.lock());
        index
    }

    pub(crate) fn durable_seq(&self) -> u64 {
        self.durable_seq.load(SeqCst)
    }

    pub(crate) fn oldest_seq(&self) -> u64 {
        self.oldest_seq.load(SeqCst)
    }

    pub(crate) fn used_bytes(&self) -> u64 {
        self.used_bytes.load(SeqCst)
    }

    /// Bytes of the segments that cannot be recycled, because something in them is not released.
    pub(crate) fn unreleased_bytes(&self) -> u64 {
        let state = self.lock();
        let released_seq = self.released_seq();
        // The last record of a segment is the one before the next segment's first; the newest is being written.
        let released = state.segments.iter().skip(1).take_while(|next| next.first_seq - 1 <= released_seq).count();
        state.segments.iter().skip(released).map(|segment| segment.bytes).sum()
    }

    pub(crate) fn released_seq(&self) -> u64 {
        self.released_seq.load(SeqCst)
    }

    pub(crate) fn release(&self, seq: u64) {
        self.released_seq.fetch_max(seq, SeqCst);
    }

    /// Waits until more than `above` is durable, the writer has ended, or `timeout` is over.
    pub(crate) fn wait_durable(&self, above: u64, timeout: Duration) -> u64 {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        while self.durable_seq() <= above && !state.ended {
            let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else {
                break;
            };
            state = self.moved.wait_timeout(state, left).expect(NO_PANIC).0;
        }
        self.durable_seq()
    }

    /// Finds `seq`, opening its segment unless it is the one called `open_id`.
    pub(crate) fn locate(&self, seq: u64, open_id: Option<u64>) -> Found {
        let state = self.lock();
        let durable_seq = self.durable_seq();
        let Some(at) = state.segments.partition_point(|segment| segment.first_seq <= seq).checked_sub(1) else {
            let oldest_seq = self.oldest_seq();
            return if seq < oldest_seq { Found::Lapped(oldest_seq) } else { Found::Ahead };
        };
        if seq > durable_seq {
            return Found::Ahead;
        }
        let segment = &state.segments[at];
        let next = state.segments.get(at + 1);
        Found::At(Place {
            id: segment.id,
            first_seq: segment.first_seq,
            end: segment.end,
            last_seq: next.map_or(durable_seq, |next| durable_seq.min(next.first_seq - 1)),
            // Opened under the lock: the name cannot be recycled meanwhile.
            file: (open_id != Some(segment.id)).then(|| self.disk.open_segment(&segment.name)),
        })
    }

    /// Keeps a segment from being used again.
    pub(crate) fn mark_damaged(&self, id: u64) {
        if let Some(segment) = self.lock().segments.iter_mut().find(|segment| segment.id == id) {
            segment.damaged = true;
        }
    }

    /// Adds a segment after the others.
    pub(crate) fn push(&self, segment: Segment) {
        let mut state = self.lock();
        state.segments.push_back(segment);
        self.tally(&state);
    }

    /// The newest segment holds durable records up to `end`; its file is `bytes` long.
    pub(crate) fn publish(&self, durable_seq: u64, end: u64, bytes: u64) {
        let mut state = self.lock();
        if let Some(newest) = state.segments.back_mut() {
            newest.end = end;
            newest.bytes = bytes;
        }
        self.durable_seq.store(durable_seq, SeqCst);
        self.tally(&state);
        self.moved.notify_all();
    }

    /// Takes the oldest segment out if it is released and the journal with `extra` bytes more is over `cap` bytes.
    pub(crate) fn pop_over(&self, cap: u64, extra: u64) -> Option<Segment> {
        if self.used_bytes() + extra <= cap {
            return None;
        }
        let mut state = self.lock();
        // The newest is being written; it stays.
        let second = state.segments.get(1)?;
        if second.first_seq - 1 > self.released_seq() {
            return None;
        }
        let oldest = state.segments.pop_front();
        self.tally(&state);
        oldest
    }

    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.moved.notify_all();
    }

    fn tally(&self, state: &State) {
        let oldest_seq = state.segments.front().map_or(self.durable_seq() + 1, |oldest| oldest.first_seq);
        self.oldest_seq.store(oldest_seq, SeqCst);
        self.used_bytes.store(state.segments.iter().map(|segment| segment.bytes).sum(), SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect(NO_PANIC)
    }
}

/// Why the lock is never poisoned.
const NO_PANIC: &str = "nothing panics while the index is locked";

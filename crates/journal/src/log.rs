//! The durable log itself: writes batches, syncs, begins and recycles segments. Owns the active segment's file and the disk's folder.
//!
//! A plain struct without thread, clock or queue, so that a test can drive it through any history of faults. What its order of steps
//! guarantees, and recovery relies on:
//! - A segment is begun only when everything in the earlier ones is durable. Only the newest can have a torn tail.
//! - A file's name is durable before its first byte is written. Contents never appear under an earlier name.
//! - After a failed sync nothing is written any more. What the page cache holds then may never reach the disk.

use std::io;
use std::sync::Arc;

use crate::Config;
use crate::block::{Block, Part};
use crate::disk::{Disk, DiskFile};
use crate::format::{self, BATCH_HEADER_LEN, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::index::{Index, Segment};

mod recovery;

pub use recovery::{LossReason, LostRange, OpenError, Recovery};

/// A segment's file grows by this many zero bytes at a time: overwriting costs fewer device bytes than appending, and a whole segment
/// of zeros at once would hold up a commit on a slow card for a second.
const ZERO_AHEAD_BYTES: u64 = 1 << 20;
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Recycled files kept for the next segments; more are removed.
const SPARES_MAX: usize = 2;

/// Why a commit did not become durable.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Less is free than [`Config::reserve_bytes`].
    #[error("only {free_bytes} bytes are free on the disk, and {reserve_bytes} are held in reserve")]
    BelowReserve {
        /// Free bytes.
        free_bytes: u64,
        /// The floor.
        reserve_bytes: u64,
    },
    /// The free space is not known.
    #[error("cannot ask for the free space")]
    FreeSpace(#[source] io::Error),
    /// A new segment cannot be created.
    #[error("cannot create the journal's segment {name}")]
    CreateSegment {
        /// File name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A segment that is no longer needed cannot be recycled.
    #[error("cannot recycle the journal's segment {name}")]
    Recycle {
        /// File name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A segment cannot be written.
    #[error("cannot write the journal's segment {name}")]
    Write {
        /// File name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A segment cannot be synced: the disk has lost writes.
    #[error("cannot sync the journal's segment {name}")]
    Sync {
        /// File name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder cannot be synced.
    #[error("cannot sync the journal's folder")]
    SyncFolder(#[source] io::Error),
    /// An earlier commit failed; the log takes nothing more.
    #[error("the journal stopped after an earlier error")]
    Stopped,
}

impl CommitError {
    /// Whether the disk is full: nothing is lost, and the same commit succeeds once there is room.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::BelowReserve { .. } => true,
            Self::CreateSegment { source, .. } | Self::Write { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}

pub(crate) struct Log<D: Disk> {
    disk: Arc<D>,
    config: Config,
    index: Arc<Index>,
    active: Option<Active<D::File>>,
    spares: Vec<String>,
    durable_seq: u64,
    /// Written, but only durable after the next sync.
    written_seq: u64,
    /// Of the newest segment; 0 before the first.
    newest_id: u64,
    next_id: u64,
    stopped: bool,
}

/// The segment that is being written.
struct Active<F> {
    file: F,
    name: String,
    header: SegmentHeader,
    /// Where the next batch goes; 0 until the header is written.
    tail: u64,
    /// Length of the file, zeros ahead of the tail included.
    len: u64,
}

impl<D: Disk> Log<D> {
    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.index
    }

    pub(crate) fn durable_seq(&self) -> u64 {
        self.durable_seq
    }

    /// Makes all of `block` durable and leaves it empty. When the disk is full, what is left in the block is still to be committed.
    pub(crate) fn commit(&mut self, block: &mut Block) -> Result<(), CommitError> {
        if self.stopped {
            return Err(CommitError::Stopped);
        }
        let outcome = self.recycle(0).and_then(|()| self.write(block)).and_then(|()| self.sync());
        self.stopped = outcome.as_ref().is_err_and(|error| !error.is_disk_full());
        outcome
    }

    /// Leaves a last mark, so that the next opening knows all of it to be durable.
    pub(crate) fn close(&mut self) -> Result<(), CommitError> {
        let mut mark = Block::mark(self.durable_seq + 1);
        match &self.active {
            Some(active) if active.tail > 0 && !self.stopped => {
                self.write_part(&mut mark, Part { records_len: 0, count: 0 })?;
                self.sync()
            }
            _ => Ok(()),
        }
    }

    /// Whether a commit that found the disk full is worth another try: a whole segment is free above the reserve.
    pub(crate) fn has_room(&self) -> bool {
        let wanted = self.config.reserve_bytes.saturating_add(self.config.segment_bytes);
        self.disk.free_bytes().is_ok_and(|free_bytes| free_bytes >= wanted)
    }

    fn write(&mut self, block: &mut Block) -> Result<(), CommitError> {
        self.check_reserve()?;
        while !block.is_empty() {
            let part = self.place(block)?;
            self.write_part(block, part)?;
        }
        Ok(())
    }

    /// What of `block` goes into the active segment now; a new one is begun if not a record fits.
    fn place(&mut self, block: &Block) -> Result<Part, CommitError> {
        if let Some(active) = &self.active {
            let part = self.fitting(active, block);
            if part.count > 0 {
                return Ok(part);
            }
        }
        let active = match self.active.take_if(|active| active.tail == 0) {
            Some(unused) => unused,
            None => self.begin_segment(block.first_seq())?,
        };
        let part = self.fitting(&active, block);
        self.active = Some(active);
        // A record larger than a segment gets a segment of its own size.
        Ok(if part.count > 0 { part } else { block.first() })
    }

    /// As much of `block` as the segment has room for.
    fn fitting(&self, active: &Active<D::File>, block: &Block) -> Part {
        let room = self.config.segment_bytes.saturating_sub(active.tail.max(SEGMENT_HEADER_LEN as u64));
        block.fitting(usize::try_from(room).unwrap_or(usize::MAX))
    }

    /// Writes one batch to the active segment. An error leaves segment and block as they were.
    fn write_part(&mut self, block: &mut Block, part: Part) -> Result<(), CommitError> {
        let active = self.active.as_mut().expect("callers have begun a segment");
        let write_error = |source| CommitError::Write { name: active.name.clone(), source };
        let start = active.tail.max(SEGMENT_HEADER_LEN as u64);
        let end = start + (BATCH_HEADER_LEN + part.records_len) as u64;
        if end > active.len {
            let ahead = end.next_multiple_of(ZERO_AHEAD_BYTES.min(self.config.segment_bytes));
            let len = end.max(ahead.min(self.config.segment_bytes));
            write_zeros(&active.file, active.len, len).map_err(write_error)?;
            active.len = len;
        }
        if active.tail == 0 {
            active.file.write_at(&active.header.encode(), 0).map_err(write_error)?;
        }
        let batch = block.seal(part, active.header.id, self.durable_seq);
        active.file.write_at(batch, start).map_err(write_error)?;
        active.tail = end;
        self.written_seq = block.first_seq() + u64::from(part.count) - 1;
        block.consume(part);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), CommitError> {
        if let Some(active) = &self.active {
            active.file.sync_data().map_err(|source| CommitError::Sync { name: active.name.clone(), source })?;
            self.durable_seq = self.written_seq;
            self.index.publish(self.durable_seq, active.tail, active.len);
        }
        Ok(())
    }

    fn check_reserve(&mut self) -> Result<(), CommitError> {
        let free_bytes = self.disk.free_bytes().map_err(CommitError::FreeSpace)?;
        let reserve_bytes = self.config.reserve_bytes;
        if free_bytes >= reserve_bytes {
            return Ok(());
        }
        while let Some(name) = self.spares.pop() {
            self.disk.remove(&name).map_err(|source| CommitError::Recycle { name, source })?;
        }
        Err(CommitError::BelowReserve { free_bytes, reserve_bytes })
    }

    /// Begins a segment with `first_seq`, in a recycled file if there is one.
    fn begin_segment(&mut self, first_seq: u64) -> Result<Active<D::File>, CommitError> {
        if self.written_seq > self.durable_seq {
            self.sync()?;
        }
        self.recycle(self.config.segment_bytes)?;
        let id = self.draw_id();
        let name = format::segment_name(first_seq, id);
        let create_error = |source| CommitError::CreateSegment { name: name.clone(), source };
        let file = if let Some(spare) = self.spares.last() {
            self.disk.rename(spare, &name).map_err(create_error)?;
            self.spares.pop();
            self.disk.open(&name)
        } else {
            self.disk.create(&name)
        }
        .map_err(create_error)?;
        self.disk.sync_dir().map_err(CommitError::SyncFolder)?;
        let len = file.len().map_err(create_error)?;
        let header = SegmentHeader {
            version: format::VERSION,
            id,
            first_seq,
            durable_seq: self.durable_seq,
            previous_id: self.newest_id,
        };
        self.newest_id = id;
        let end = SEGMENT_HEADER_LEN as u64;
        self.index.push(Segment { id, name: name.clone(), first_seq, end, bytes: len, damaged: false });
        Ok(Active { file, name, header, tail: 0, len })
    }

    /// Takes released segments out, oldest first, while the journal with `extra` bytes more is over its cap.
    fn recycle(&mut self, extra: u64) -> Result<(), CommitError> {
        while let Some(segment) = self.index.pop_over(self.config.retain_bytes, extra) {
            self.retire(&segment).map_err(|source| CommitError::Recycle { name: segment.name, source })?;
            // One at a time, so that after a power loss the segments left are still an unbroken run.
            self.disk.sync_dir().map_err(CommitError::SyncFolder)?;
        }
        Ok(())
    }

    fn retire(&mut self, segment: &Segment) -> io::Result<()> {
        if segment.damaged {
            return self.disk.rename(&segment.name, &format::set_aside_name(&segment.name));
        }
        // The file of a record larger than a segment would hold too much of the disk.
        if self.spares.len() >= SPARES_MAX || segment.bytes > 2 * self.config.segment_bytes {
            return self.disk.remove(&segment.name);
        }
        let spare = format::spare_name(segment.id);
        self.disk.rename(&segment.name, &spare)?;
        self.spares.push(spare);
        Ok(())
    }

    fn draw_id(&mut self) -> u64 {
        self.next_id = crate::mix(self.next_id);
        self.next_id
    }
}

fn write_zeros(file: &impl DiskFile, from: u64, to: u64) -> io::Result<()> {
    let mut at = from;
    while at < to {
        let len = ZEROS.len().min((to - at) as usize);
        file.write_at(&ZEROS[..len], at)?;
        at += len as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

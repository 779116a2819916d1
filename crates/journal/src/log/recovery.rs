//! Opening the log: finds what is durable, drops the torn tail, reports what is lost.
//!
//! Segments before the newest were durable before the next was begun. They are not read here, or a full journal on a slow card would
//! take seconds to open: a hole between them shows in their headers, and readers verify every record. The newest is read whole.
//! A record above the highest durable mark counts if everything before it is intact; it is written again and synced first, as after
//! a kill or an I/O error it may exist in the page cache alone.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Active, Log};
use crate::Config;
use crate::disk::{Disk, DiskFile};
use crate::format::{self, FileName, SEGMENT_HEADER_LEN, SegmentHeader};
use crate::index::{Index, Segment};
use crate::segment::{self, Scan};

/// Shorter segments would be mostly headers.
const SEGMENT_BYTES_MIN: u64 = 4096;

/// Why a journal cannot be opened. Damage is no reason: it is reported in [`Recovery::lost`].
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be listed.
    #[error("cannot list the journal's folder")]
    List(#[source] io::Error),
    /// A segment cannot be opened.
    #[error("cannot open the journal's segment {name}")]
    OpenSegment {
        /// File name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A newer release wrote the journal.
    #[error("the journal's segment {name} has format version {version}; this release reads up to {}", format::VERSION)]
    NewerVersion {
        /// File name.
        name: String,
        /// The version in the file.
        version: u32,
    },
    /// What may exist in the page cache alone cannot be written again.
    #[error("cannot write the newest records of the journal's segment {name} again")]
    Rewrite {
        /// File name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A segment that holds nothing cannot be recycled.
    #[error("cannot recycle the journal's empty segment {name}")]
    Recycle {
        /// File name.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder cannot be synced.
    #[error("cannot sync the journal's folder")]
    SyncFolder(#[source] io::Error),
    /// The writer's thread cannot be started.
    #[error("cannot start the journal's thread")]
    StartThread(#[source] io::Error),
}

/// What an opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// The oldest sequence that can be read; `last_seq + 1` when there is none.
    pub first_seq: u64,
    /// The highest durable sequence; the next record gets the one after it.
    pub last_seq: u64,
    /// Bytes of the torn tail that were dropped. None of it was ever reported durable.
    pub torn_bytes: u64,
    /// Records that were durable once and cannot be read. A range is reported at each opening for as long as the journal shows the
    /// hole, so that a crash before it is recorded does not hide it; who records it compares. Damage inside older segments is
    /// found when they are read.
    pub lost: Vec<LostRange>,
    /// Files in the folder that hold evidence of damage, copies of damaged segments among them. They are never read or deleted.
    pub set_aside: Vec<String>,
    /// When the last readable record arrived, in microseconds since the Unix epoch; 0 when there is none.
    pub last_arrival_us: i64,
    /// Random, drawn at this opening: with it, even the number of a record that was dropped is never mistaken for another's.
    pub run: u64,
    /// How long the opening took.
    pub duration: Duration,
}

/// A run of lost records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostRange {
    /// First lost sequence.
    pub from_seq: u64,
    /// Last lost sequence.
    pub to_seq: u64,
    /// The damaged segment, or the one before the hole; empty when there is none.
    pub segment: String,
    /// Why.
    pub reason: LossReason,
}

/// How records were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossReason {
    /// The bytes are there and wrong.
    Damaged,
    /// A file, or its end, is gone.
    Missing,
}

/// A segment file as found.
struct Found {
    name: String,
    id: u64,
    first_seq: u64,
    len: u64,
    /// `None` if damaged, or never written.
    header: Option<SegmentHeader>,
}

/// What the folder holds.
struct Folder {
    /// Ascending by first sequence.
    segments: Vec<Found>,
    spares: Vec<String>,
    set_aside: Vec<String>,
}

/// How the newest segment ends.
struct Tail<F> {
    last_seq: u64,
    torn_bytes: u64,
    lost: Vec<LostRange>,
    last_arrival_us: Option<i64>,
    /// The segment to go on in, if nothing of its own follows its tail.
    active: Option<Active<F>>,
    /// It was begun, and no durable batch of it reached the disk.
    is_empty: bool,
    /// Its bytes are evidence of damage.
    is_damaged: bool,
}

impl<D: Disk> Log<D> {
    /// Opens what `disk` holds. `run` is the opening's random number; segment ids are drawn from it.
    pub(crate) fn open(disk: D, config: Config, floor_seq: u64, run: u64) -> Result<(Self, Recovery), OpenError> {
        let started = Instant::now();
        let config = Config { segment_bytes: config.segment_bytes.max(SEGMENT_BYTES_MIN), ..config };
        let mut folder = Folder::read(&disk)?;
        let mut lost = folder.holes(&disk);
        let mut tail = match folder.segments.last() {
            Some(newest) => Tail::read(&disk, newest, floor_seq)?,
            None => Tail::of_nothing(floor_seq),
        };
        if tail.is_empty {
            folder.recycle_newest(&disk)?;
        }
        if tail.is_damaged {
            folder.copy_newest_aside(&disk);
        }
        disk.sync_dir().map_err(OpenError::SyncFolder)?;
        lost.append(&mut tail.lost);
        let last_arrival_us = tail.last_arrival_us.or_else(|| folder.last_arrival_us(&disk)).unwrap_or(0);
        let disk = Arc::new(disk);
        let newest_end = tail.active.as_ref().map(|active| active.tail);
        let index = Arc::new(Index::new(Arc::clone(&disk) as _, folder.listed(newest_end), tail.last_seq));
        let recovery = Recovery {
            first_seq: index.oldest_seq(),
            last_seq: tail.last_seq,
            torn_bytes: tail.torn_bytes,
            lost,
            set_aside: folder.set_aside,
            last_arrival_us,
            run,
            duration: started.elapsed(),
        };
        let log = Self {
            disk,
            config,
            index,
            active: tail.active,
            spares: folder.spares,
            durable_seq: tail.last_seq,
            written_seq: tail.last_seq,
            newest_id: folder.segments.last().map_or(0, |newest| newest.id),
            next_id: run,
            stopped: false,
        };
        Ok((log, recovery))
    }
}

impl Folder {
    fn read<D: Disk>(disk: &D) -> Result<Self, OpenError> {
        let mut folder = Self { segments: Vec::new(), spares: Vec::new(), set_aside: Vec::new() };
        for name in disk.list().map_err(OpenError::List)? {
            match FileName::parse(&name) {
                Some(FileName::Segment { first_seq, id }) => {
                    folder.segments.push(Found::read(disk, name, first_seq, id)?);
                }
                Some(FileName::Spare) => folder.spares.push(name),
                Some(FileName::SetAside) => folder.set_aside.push(name),
                None => {}
            }
        }
        folder.segments.sort_by_key(|found| (found.first_seq, found.id));
        folder.set_aside.sort();
        Ok(folder)
    }

    /// Ranges of which a whole file is gone: the segment after the hole names another one as the one before it.
    fn holes<D: Disk>(&self, disk: &D) -> Vec<LostRange> {
        let mut lost = Vec::new();
        for (before, after) in self.segments.iter().zip(self.segments.iter().skip(1)) {
            if after.header.is_none_or(|header| header.previous_id == before.id) {
                continue;
            }
            let last_seq = before.scan(disk).map_or(before.first_seq - 1, |scan| scan.last_seq());
            if last_seq + 1 < after.first_seq {
                lost.push(LostRange {
                    from_seq: last_seq + 1,
                    to_seq: after.first_seq - 1,
                    segment: before.name.clone(),
                    reason: LossReason::Missing,
                });
            }
        }
        lost
    }

    fn recycle_newest<D: Disk>(&mut self, disk: &D) -> Result<(), OpenError> {
        let Some(empty) = self.segments.pop() else { return Ok(()) };
        let spare = format::spare_name(empty.id);
        let renamed = disk.rename(&empty.name, &spare);
        renamed.map_err(|source| OpenError::Recycle { name: empty.name, source })?;
        self.spares.push(spare);
        Ok(())
    }

    /// Keeps the evidence, as far as there is room for it; the segment itself stays, since what is intact in it is still read.
    fn copy_newest_aside<D: Disk>(&mut self, disk: &D) {
        let Some(newest) = self.segments.last() else { return };
        let name = format::set_aside_name(&newest.name);
        if self.set_aside.contains(&name) {
            return;
        }
        let copy = || {
            let bytes = segment::read_file(&disk.open(&newest.name)?, newest.len)?;
            let file = disk.create(&name)?;
            file.write_at(&bytes, 0)?;
            file.sync_data()
        };
        match copy() {
            Ok(()) => self.set_aside.push(name),
            // Half a copy is no evidence. If it cannot be removed either, it is merely in the way.
            Err(_) => drop(disk.remove(&name)),
        }
    }

    /// Arrival of the last record in the newest segment, in microseconds.
    fn last_arrival_us<D: Disk>(&self, disk: &D) -> Option<i64> {
        self.segments.last()?.scan(disk).ok()?.last_arrival_us()
    }

    /// The segments as the index lists them. An older one may be read to its file's end.
    fn listed(&self, newest_end: Option<u64>) -> VecDeque<Segment> {
        let mut segments: VecDeque<_> = self
            .segments
            .iter()
            .map(|found| Segment {
                id: found.id,
                name: found.name.clone(),
                first_seq: found.first_seq,
                end: found.len,
                bytes: found.len,
                damaged: false,
            })
            .collect();
        if let (Some(newest), Some(end)) = (segments.back_mut(), newest_end) {
            newest.end = end;
        }
        segments
    }
}

impl Found {
    fn read<D: Disk>(disk: &D, name: String, first_seq: u64, id: u64) -> Result<Self, OpenError> {
        let read = || {
            let file = disk.open(&name)?;
            let mut bytes = [0; SEGMENT_HEADER_LEN];
            // A header that cannot be read is as good as a damaged one.
            let count = file.read_at(&mut bytes, 0).unwrap_or(0);
            Ok((file.len()?, SegmentHeader::decode(&bytes[..count])))
        };
        let (len, header) = read().map_err(|source| OpenError::OpenSegment { name: name.clone(), source })?;
        if let Some(header) = header.filter(|header| header.version > format::VERSION) {
            return Err(OpenError::NewerVersion { name, version: header.version });
        }
        // Not the name's: left by the file's earlier use.
        let header = header.filter(|header| header.id == id);
        Ok(Self { name, id, first_seq, len, header })
    }

    fn scan<D: Disk>(&self, disk: &D) -> io::Result<Scan> {
        let bytes = segment::read_file(&disk.open(&self.name)?, self.len)?;
        Ok(Scan::new(&bytes, self.id, self.first_seq))
    }
}

impl<F: DiskFile> Tail<F> {
    /// Of a journal without segments.
    fn of_nothing(floor_seq: u64) -> Self {
        let lost = (floor_seq > 0).then(|| LostRange {
            from_seq: 1,
            to_seq: floor_seq,
            segment: String::new(),
            reason: LossReason::Missing,
        });
        Self {
            last_seq: floor_seq,
            torn_bytes: 0,
            lost: lost.into_iter().collect(),
            last_arrival_us: None,
            active: None,
            is_empty: false,
            is_damaged: false,
        }
    }

    /// Reads the newest segment, and makes durable what counts of it.
    fn read<D: Disk<File = F>>(disk: &D, newest: &Found, floor_seq: u64) -> Result<Self, OpenError> {
        let open_error = |source| OpenError::OpenSegment { name: newest.name.clone(), source };
        let file = disk.open(&newest.name).map_err(open_error)?;
        let bytes = segment::read_file(&file, newest.len).map_err(open_error)?;
        let scan = Scan::new(&bytes, newest.id, newest.first_seq);
        let marked_seq = scan.durable_seq().max(newest.first_seq - 1);
        let durable_seq = marked_seq.max(floor_seq);
        rewrite(&file, &bytes, &scan, durable_seq)
            .map_err(|source| OpenError::Rewrite { name: newest.name.clone(), source })?;

        let kept = || scan.beyond.iter().filter(|batch| batch.header.first_seq <= durable_seq);
        let last_seq =
            kept().map(|batch| batch.header.last_seq()).max().unwrap_or(0).max(scan.tail_seq).max(durable_seq);
        let is_damaged = marked_seq > scan.tail_seq;
        let mut lost = Vec::new();
        let mut next_seq = scan.tail_seq + 1;
        let mut lose_before = |next_seq: u64, seq: u64| {
            if next_seq < seq {
                let reason = if is_damaged { LossReason::Damaged } else { LossReason::Missing };
                lost.push(LostRange { from_seq: next_seq, to_seq: seq - 1, segment: newest.name.clone(), reason });
            }
        };
        for batch in kept().filter(|batch| batch.header.first_seq > scan.tail_seq) {
            lose_before(next_seq, batch.header.first_seq);
            next_seq = batch.header.first_seq + u64::from(batch.intact);
        }
        lose_before(next_seq, last_seq + 1);

        let torn = scan.beyond.iter().filter(|batch| batch.header.count > 0 && batch.header.first_seq > durable_seq);
        let torn_bytes = torn.map(|batch| batch.header.len() as u64).sum();
        // Behind other bytes of this segment nothing is written: a stale batch could seem to follow a new one.
        let is_clean = scan.beyond.is_empty() && last_seq == scan.tail_seq;
        let is_empty = scan.batches.is_empty() && last_seq < newest.first_seq;
        let active = (is_clean && !is_empty).then(|| Active {
            file,
            name: newest.name.clone(),
            header: newest.header.unwrap_or(SegmentHeader {
                version: format::VERSION,
                id: newest.id,
                first_seq: newest.first_seq,
                durable_seq: newest.first_seq - 1,
                previous_id: 0,
            }),
            tail: scan.tail as u64,
            len: newest.len,
        });
        let last_arrival_us = kept().filter_map(|batch| batch.last_arrival_us).next_back().or(scan.last_arrival_us());
        Ok(Self { last_seq, torn_bytes, lost, last_arrival_us, active, is_empty, is_damaged })
    }
}

/// Writes again, and syncs, the intact batches that no mark says are durable.
fn rewrite(file: &impl DiskFile, bytes: &[u8], scan: &Scan, durable_seq: u64) -> io::Result<()> {
    let Some(first) = scan.batches.iter().find(|batch| batch.header.first_seq > durable_seq) else {
        return Ok(());
    };
    // The segment's header lies in the first batch's first sector and is written with it.
    file.write_at(&bytes[first.offset..scan.tail], first.offset as u64)?;
    file.sync_data()
}

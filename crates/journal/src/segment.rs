//! A segment's contents as recovery and damaged reads see them. Owns nothing; takes a file, gives bytes and the batches in them.

use std::io;

use crate::disk::DiskFile;
use crate::format::{self, BATCH_HEADER_LEN, BatchHeader, SEGMENT_HEADER_LEN};

/// A sector that cannot be read costs this much, not the whole segment.
const READ_UNIT: usize = 4096;

/// The bytes up to `end` or the end of the file. A part that the disk cannot read is zero, which is no valid batch; an error if it
/// can read nothing: then the disk is gone, not damaged.
pub(crate) fn read_file(file: &dyn DiskFile, end: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; end.min(file.len()?) as usize];
    let error = match file.read_at(&mut bytes, 0) {
        Ok(count) => {
            bytes.truncate(count);
            return Ok(bytes);
        }
        Err(error) => error,
    };
    let mut readable = 0;
    for (unit, at) in bytes.chunks_mut(READ_UNIT).zip((0..).step_by(READ_UNIT)) {
        match file.read_at(unit, at) {
            Ok(count) => readable += count,
            Err(_) => unit.fill(0),
        }
    }
    if readable == 0 { Err(error) } else { Ok(bytes) }
}

/// A batch whose header is intact.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batch {
    /// Where it begins in the file.
    pub(crate) offset: usize,
    pub(crate) header: BatchHeader,
    /// How many of its records, from the first on, are intact.
    pub(crate) intact: u32,
    /// Arrival of the last of those in microseconds.
    pub(crate) last_arrival_us: Option<i64>,
}

impl Batch {
    fn read(bytes: &[u8], offset: usize, segment_id: u64) -> Option<Self> {
        let (header, mut crc) = BatchHeader::decode(bytes.get(offset..)?, segment_id)?;
        let mut batch = Self { offset, header, intact: 0, last_arrival_us: None };
        let mut records = &bytes[offset + BATCH_HEADER_LEN..bytes.len().min(batch.end())];
        while batch.intact < header.count
            && let Some(record_header) = format::record_header(records)
            && let Some((record, rest)) = records.split_at_checked(record_header.len)
            && let Some(record_crc) = format::verify_record(record, crc)
        {
            batch.intact += 1;
            batch.last_arrival_us = Some(record_header.arrival_us);
            crc = record_crc;
            records = rest;
        }
        Some(batch)
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.intact == self.header.count
    }

    pub(crate) fn end(&self) -> usize {
        self.offset + self.header.len()
    }
}

/// What a whole segment holds.
pub(crate) struct Scan {
    /// The unbroken run of whole batches from the start.
    pub(crate) batches: Vec<Batch>,
    /// Where that run ends in the file.
    pub(crate) tail: usize,
    /// The sequence of its last record, or one less than the segment's first.
    pub(crate) tail_seq: u64,
    /// Batches found behind something invalid, whole or not.
    pub(crate) beyond: Vec<Batch>,
}

impl Scan {
    /// Looks at all of a segment's `bytes`.
    pub(crate) fn new(bytes: &[u8], segment_id: u64, first_seq: u64) -> Self {
        let mut scan =
            Self { batches: Vec::new(), tail: SEGMENT_HEADER_LEN, tail_seq: first_seq - 1, beyond: Vec::new() };
        while let Some(batch) = Batch::read(bytes, scan.tail, segment_id)
            && batch.is_whole()
            && batch.header.first_seq > scan.tail_seq
        {
            scan.tail = batch.end();
            scan.tail_seq = batch.header.last_seq();
            scan.batches.push(batch);
        }
        let mut from = scan.tail;
        while let Some((offset, _)) = format::find_batch(bytes, from, segment_id) {
            let batch = Batch::read(bytes, offset, segment_id).expect("its header was just found intact");
            from = if batch.is_whole() { batch.end() } else { offset + 1 };
            scan.beyond.push(batch);
        }
        scan
    }

    /// The highest sequence that some batch says was durable.
    pub(crate) fn durable_seq(&self) -> u64 {
        self.batches.iter().chain(&self.beyond).map(|batch| batch.header.durable_seq).max().unwrap_or(0)
    }

    /// The highest sequence that some batch holds, intact or not.
    pub(crate) fn last_seq(&self) -> u64 {
        self.beyond.iter().map(|batch| batch.header.last_seq()).max().unwrap_or(0).max(self.tail_seq)
    }

    /// Arrival of the last record of the unbroken run, in microseconds.
    pub(crate) fn last_arrival_us(&self) -> Option<i64> {
        self.batches.iter().rev().find_map(|batch| batch.last_arrival_us)
    }
}

#[cfg(test)]
mod tests;

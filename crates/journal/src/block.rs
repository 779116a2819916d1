//! A run of records on its way to the disk. Owns their bytes; the appender fills it, the log cuts batches from its front.

use crate::format::{self, BATCH_HEADER_LEN, BatchHeader, RECORD_HEADER_LEN};
use crate::record::Kind;

/// The longest payload of one record, in bytes (1 GiB): a batch's length is a u32.
pub const PAYLOAD_LEN_MAX: usize = 1 << 30;

pub(crate) struct Block {
    /// Room for one batch header, then the records, so that a batch is written without being copied.
    bytes: Vec<u8>,
    /// Where the first record that is not yet written begins; a batch header always fits before it.
    start: usize,
    /// That record's sequence; set by the first push after a clear.
    first_seq: u64,
    /// How many records are not yet written.
    count: u32,
}

/// A prefix of a block's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Bytes of records, without a batch header.
    pub(crate) records_len: usize,
    pub(crate) count: u32,
}

impl Block {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; BATCH_HEADER_LEN], start: BATCH_HEADER_LEN, first_seq: 0, count: 0 }
    }

    /// A block without records, for a batch that only carries a mark.
    pub(crate) fn mark(first_seq: u64) -> Self {
        Self { first_seq, ..Self::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Bytes of the records not yet written.
    pub(crate) fn records_len(&self) -> usize {
        self.bytes.len() - self.start
    }

    /// Appends a record; `seq` must follow the last one.
    pub(crate) fn push(&mut self, seq: u64, kind: Kind, arrival_us: i64, parts: &[&[u8]]) -> usize {
        if self.count == 0 {
            self.first_seq = seq;
        }
        debug_assert_eq!(seq, self.first_seq + u64::from(self.count));
        let payload_len: usize = parts.iter().map(|part| part.len()).sum();
        assert!(payload_len <= PAYLOAD_LEN_MAX, "a record of {payload_len} bytes is over the limit");
        self.bytes.reserve(RECORD_HEADER_LEN + payload_len);
        self.bytes.extend_from_slice(&format::encode_record_header(payload_len as u32, arrival_us, kind));
        for part in parts {
            self.bytes.extend_from_slice(part);
        }
        self.count += 1;
        RECORD_HEADER_LEN + payload_len
    }

    /// Takes over `other`'s records, which must follow its own; `other` keeps a buffer to fill again.
    pub(crate) fn absorb(&mut self, other: &mut Self) {
        if self.is_empty() {
            std::mem::swap(self, other);
        } else {
            debug_assert_eq!(other.first_seq, self.first_seq + u64::from(self.count));
            self.bytes.extend_from_slice(&other.bytes[other.start..]);
            self.count += other.count;
        }
        other.clear();
    }

    /// Forgets the records and keeps the buffer.
    pub(crate) fn clear(&mut self) {
        self.bytes.truncate(BATCH_HEADER_LEN);
        self.start = BATCH_HEADER_LEN;
        self.count = 0;
    }

    /// Gives memory above `len` bytes back after a burst.
    pub(crate) fn shrink_to(&mut self, len: usize) {
        self.bytes.shrink_to(len);
    }

    /// As many whole records as fit with their batch header into `room` bytes.
    pub(crate) fn fitting(&self, room: usize) -> Part {
        let room = room.min(u32::MAX as usize).saturating_sub(BATCH_HEADER_LEN);
        if self.records_len() <= room {
            return Part { records_len: self.records_len(), count: self.count };
        }
        let mut part = Part { records_len: 0, count: 0 };
        while part.count < self.count {
            let len = format::record_len(&self.bytes[self.start + part.records_len..]);
            if part.records_len + len > room {
                break;
            }
            part.records_len += len;
            part.count += 1;
        }
        part
    }

    /// The first record alone.
    pub(crate) fn first(&self) -> Part {
        Part { records_len: format::record_len(&self.bytes[self.start..]), count: 1 }
    }

    /// The batch of `part`, its header and CRCs filled in. What was consumed before it is overwritten.
    pub(crate) fn seal(&mut self, part: Part, segment_id: u64, durable_seq: u64) -> &[u8] {
        let header = BatchHeader {
            records_len: part.records_len as u32,
            count: part.count,
            first_seq: self.first_seq,
            durable_seq,
            segment_id,
        };
        let batch = &mut self.bytes[self.start - BATCH_HEADER_LEN..self.start + part.records_len];
        let (place, mut records) = batch.split_first_chunk_mut().expect("room for a header is kept before the records");
        let mut crc = header.encode(place);
        while !records.is_empty() {
            let (record, rest) = records.split_at_mut(format::record_len(records));
            crc = format::seal_record(record, crc);
            records = rest;
        }
        batch
    }

    /// Leaves out the records of `part`: they are written.
    pub(crate) fn consume(&mut self, part: Part) {
        self.start += part.records_len;
        self.first_seq += u64::from(part.count);
        self.count -= part.count;
        if self.count == 0 {
            self.clear();
        }
    }
}

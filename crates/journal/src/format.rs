//! The bytes on disk. Owns the layout of a segment file and its name; knows no files.
//!
//! A segment is a header of 64 bytes and then batches, back to back; what follows the last batch means nothing. All numbers are
//! little-endian.
//!
//! | segment header | | batch header | | record | |
//! | --- | --- | --- | --- | --- | --- |
//! | 0 | magic, 8 bytes | 0 | magic, 4 bytes | 0 | CRC32C |
//! | 8 | version, u32 | 4 | CRC32C of bytes 8 to 40 | 4 | payload length, u32 |
//! | 12 | CRC32C of all other bytes | 8 | length of the records, u32 | 8 | arrival in µs, i64 |
//! | 16 | id, u64 | 12 | number of records, u32 | 16 | kind, u8 |
//! | 24 | first sequence, u64 | 16 | first sequence, u64 | 17 | payload |
//! | 32 | durable sequence before it, u64 | 24 | durable sequence when written, u64 | | |
//! | 40 | id of the segment before it, u64 | 32 | id of the segment, u64 | | |
//!
//! The segment's id is random and never used twice, and a batch's CRC covers it. A record's CRC continues the CRC before it (the
//! batch header's, for the first), so it covers the id and its own place in the batch too: bytes that an earlier use of a recycled
//! file left behind never validate. A device cannot forge a header inside a payload, as it does not know the id.

use crate::record::Kind;

/// The format this code writes, and the newest it reads.
pub(crate) const VERSION: u32 = 1;
pub(crate) const SEGMENT_HEADER_LEN: usize = 64;
pub(crate) const BATCH_HEADER_LEN: usize = 40;
pub(crate) const RECORD_HEADER_LEN: usize = 17;

const SEGMENT_MAGIC: [u8; 8] = *b"HWJOURNL";
/// The first byte is no letter, digit or zero, so that the search for a header seldom stops in vain.
const BATCH_MAGIC: [u8; 4] = [0xB7, b'H', b'W', b'B'];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) version: u32,
    pub(crate) id: u64,
    pub(crate) first_seq: u64,
    /// Everything up to here was durable, in earlier segments, when this one was begun.
    pub(crate) durable_seq: u64,
    /// 0 when there was none.
    pub(crate) previous_id: u64,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        bytes[..8].copy_from_slice(&SEGMENT_MAGIC);
        bytes[8..12].copy_from_slice(&self.version.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.durable_seq.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.previous_id.to_le_bytes());
        let crc = segment_header_crc(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header at the start of `bytes`; `None` when it is damaged or was never written.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; SEGMENT_HEADER_LEN] = bytes.first_chunk()?;
        if bytes[..8] != SEGMENT_MAGIC || u32_at(bytes, 12) != segment_header_crc(bytes) {
            return None;
        }
        Some(Self {
            version: u32_at(bytes, 8),
            id: u64_at(bytes, 16),
            first_seq: u64_at(bytes, 24),
            durable_seq: u64_at(bytes, 32),
            previous_id: u64_at(bytes, 40),
        })
    }
}

fn segment_header_crc(bytes: &[u8; SEGMENT_HEADER_LEN]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub(crate) records_len: u32,
    pub(crate) count: u32,
    pub(crate) first_seq: u64,
    /// Everything up to here was durable when the batch was written.
    pub(crate) durable_seq: u64,
    pub(crate) segment_id: u64,
}

impl BatchHeader {
    /// Writes the header into `bytes` and gives its CRC, which the first record's continues.
    pub(crate) fn encode(&self, bytes: &mut [u8; BATCH_HEADER_LEN]) -> u32 {
        bytes[..4].copy_from_slice(&BATCH_MAGIC);
        bytes[8..12].copy_from_slice(&self.records_len.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.count.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_seq.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.durable_seq.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.segment_id.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    /// The header at the start of `bytes` and its CRC, if it is one of this segment's.
    pub(crate) fn decode(bytes: &[u8], segment_id: u64) -> Option<(Self, u32)> {
        let bytes: &[u8; BATCH_HEADER_LEN] = bytes.first_chunk()?;
        if bytes[..4] != BATCH_MAGIC || u64_at(bytes, 32) != segment_id {
            return None;
        }
        let crc = crc32c::crc32c(&bytes[8..]);
        let header = Self {
            records_len: u32_at(bytes, 8),
            count: u32_at(bytes, 12),
            first_seq: u64_at(bytes, 16),
            durable_seq: u64_at(bytes, 24),
            segment_id,
        };
        (u32_at(bytes, 4) == crc).then_some((header, crc))
    }

    /// The last record's sequence; one less than the first for a batch without records, which only carries a mark.
    pub(crate) fn last_seq(&self) -> u64 {
        self.first_seq.saturating_add(u64::from(self.count)).saturating_sub(1)
    }

    /// Header and records, in bytes.
    pub(crate) fn len(&self) -> usize {
        BATCH_HEADER_LEN + self.records_len as usize
    }
}

/// The next place, from `from` on, where one of this segment's batches may begin: an intact header, its records unseen.
pub(crate) fn find_batch(bytes: &[u8], from: usize, segment_id: u64) -> Option<(usize, BatchHeader)> {
    let mut at = from;
    while let Some(skip) = bytes.get(at..)?.iter().position(|&byte| byte == BATCH_MAGIC[0]) {
        at += skip;
        if let Some((header, _)) = BatchHeader::decode(&bytes[at..], segment_id) {
            return Some((at, header));
        }
        at += 1;
    }
    None
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    /// Header and payload, in bytes.
    pub(crate) len: usize,
    pub(crate) arrival_us: i64,
    pub(crate) kind: Kind,
}

/// The bytes of a record's header, its CRC still missing.
pub(crate) fn encode_record_header(payload_len: u32, arrival_us: i64, kind: Kind) -> [u8; RECORD_HEADER_LEN] {
    let mut bytes = [0; RECORD_HEADER_LEN];
    bytes[4..8].copy_from_slice(&payload_len.to_le_bytes());
    bytes[8..16].copy_from_slice(&arrival_us.to_le_bytes());
    bytes[16] = kind as u8;
    bytes
}

/// Header and payload in bytes of the record at the start of `bytes`, which may end within its payload.
pub(crate) fn record_len(bytes: &[u8]) -> usize {
    RECORD_HEADER_LEN + u32_at(bytes, 4) as usize
}

/// The header at the start of `bytes`, its CRC not looked at.
pub(crate) fn record_header(bytes: &[u8]) -> Option<RecordHeader> {
    let bytes: &[u8; RECORD_HEADER_LEN] = bytes.first_chunk()?;
    Some(RecordHeader {
        len: record_len(bytes),
        arrival_us: u64_at(bytes, 8) as i64,
        kind: Kind::from_number(bytes[16])?,
    })
}

/// Puts the CRC into a whole record and gives it for the next one to continue.
pub(crate) fn seal_record(record: &mut [u8], crc_before: u32) -> u32 {
    let crc = crc32c::crc32c_append(crc_before, &record[4..]);
    record[..4].copy_from_slice(&crc.to_le_bytes());
    crc
}

/// A whole record's CRC, if it is right and the kind is known.
pub(crate) fn verify_record(record: &[u8], crc_before: u32) -> Option<u32> {
    let crc = crc32c::crc32c_append(crc_before, &record[4..]);
    (u32_at(record, 0) == crc && Kind::from_number(record[16]).is_some()).then_some(crc)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass whole headers"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(*bytes[at..].first_chunk().expect("callers pass whole headers"))
}

const SEGMENT_SUFFIX: &str = ".journal";
const SPARE_SUFFIX: &str = ".spare";
const SET_ASIDE_SUFFIX: &str = ".damaged";

/// What a file in the folder is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    /// Holds records from `first_seq` on.
    Segment { first_seq: u64, id: u64 },
    /// A recycled segment waiting for its next use.
    Spare,
    /// Evidence of damage; never read, never deleted.
    SetAside,
}

impl FileName {
    /// `None` for a file that is not the journal's.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        if name.ends_with(SET_ASIDE_SUFFIX) {
            return Some(Self::SetAside);
        }
        if name.ends_with(SPARE_SUFFIX) {
            return Some(Self::Spare);
        }
        let (first_seq, id) = name.strip_suffix(SEGMENT_SUFFIX)?.split_once('-')?;
        if first_seq.len() != 20 || id.len() != 16 {
            return None;
        }
        Some(Self::Segment {
            first_seq: first_seq.parse().ok().filter(|&seq| seq > 0)?,
            id: u64::from_str_radix(id, 16).ok()?,
        })
    }
}

/// The id is in the name so that batches can be told even when the header is damaged.
pub(crate) fn segment_name(first_seq: u64, id: u64) -> String {
    format!("{first_seq:020}-{id:016x}{SEGMENT_SUFFIX}")
}

pub(crate) fn spare_name(id: u64) -> String {
    format!("{id:016x}{SPARE_SUFFIX}")
}

pub(crate) fn set_aside_name(segment: &str) -> String {
    format!("{segment}{SET_ASIDE_SUFFIX}")
}

#[cfg(test)]
mod tests;

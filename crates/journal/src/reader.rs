//! A cursor over durable records. Owns a position and an open segment; reads the segment files themselves, so it is the same code
//! live and after a restart. It never waits, never writes, and never returns a record that is not durable or not intact.

use std::io;
use std::sync::Arc;

use crate::disk::DiskFile;
use crate::format::{self, BATCH_HEADER_LEN, BatchHeader, RECORD_HEADER_LEN, SEGMENT_HEADER_LEN};
use crate::index::{Found, Index, Place};
use crate::record::Records;
use crate::segment;

/// Why a read gave no records.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The records at the position were recycled. The reader stays where it is; open another one further on.
    #[error("the journal no longer holds the records before {first_available}")]
    Lapped {
        /// The oldest sequence that is still there.
        first_available: u64,
    },
    /// These records, both ends included, were durable once and are damaged or missing. The reader has moved past them: go on reading.
    #[error("the records {from_seq} to {to_seq} are lost")]
    Lost {
        /// First lost sequence.
        from_seq: u64,
        /// Last lost sequence.
        to_seq: u64,
    },
    /// The segment at the position cannot be opened or read. The reader stays where it is; try again.
    #[error("cannot read the journal's segment")]
    Read(#[source] io::Error),
}

/// Reads durable records in order, from one sequence on.
pub struct Reader {
    index: Arc<Index>,
    /// The next record to return.
    next_seq: u64,
    cursor: Option<Cursor>,
}

/// A place in an open segment.
struct Cursor {
    file: Box<dyn DiskFile>,
    segment_id: u64,
    /// Offset of the next byte to parse.
    offset: u64,
    /// Sequence of the record there, or the least that the batch there may begin with.
    seq: u64,
    /// What is left of the batch that `offset` is in.
    records_left: u32,
    bytes_left: usize,
    /// CRC of what comes before `offset` in that batch.
    crc: u32,
}

/// How parsing a run of bytes ended.
enum Stop {
    /// A whole header or record needs this many bytes from `offset` on.
    Needs(usize),
    /// The next batch begins at this sequence, above the expected one.
    Jump(u64),
    /// What is at `offset` is not intact.
    Damage,
    /// Everything asked for is parsed.
    End,
}

impl Reader {
    pub(crate) fn new(index: Arc<Index>, from_seq: u64) -> Result<Self, ReadError> {
        let first_available = index.oldest_seq();
        if from_seq < first_available {
            return Err(ReadError::Lapped { first_available });
        }
        Ok(Self { index, next_seq: from_seq, cursor: None })
    }

    /// The sequence that the next read begins with.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Reads the next durable records into `records`, replacing what it held: about `bytes_max` bytes, but at least one record.
    /// Empty when the reader has caught up.
    pub fn read(&mut self, records: &mut Records, bytes_max: usize) -> Result<(), ReadError> {
        let mut want = bytes_max.max(BATCH_HEADER_LEN);
        loop {
            records.clear();
            let open_id = self.cursor.as_ref().map(|cursor| cursor.segment_id);
            let mut place = match self.index.locate(self.next_seq, open_id) {
                Found::At(place) => place,
                Found::Ahead => return Ok(()),
                Found::Lapped(first_available) => return Err(ReadError::Lapped { first_available }),
            };
            let next_seq = self.next_seq;
            let cursor = match self.enter(&mut place) {
                Ok(cursor) => cursor,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(self.lost_before(place.last_seq + 1));
                }
                Err(error) => return Err(ReadError::Read(error)),
            };
            let stop = cursor.fill(records, next_seq, &place, want);
            let first_available = self.index.oldest_seq();
            if first_available > place.first_seq {
                // Recycled while it was read: the bytes may be another segment's.
                records.clear();
                self.cursor = None;
                return Err(ReadError::Lapped { first_available });
            }
            if !records.is_empty() {
                self.next_seq += records.len() as u64;
                return Ok(());
            }
            match stop {
                // Only records below the position were met, or a batch without any.
                Stop::End => want = bytes_max.max(BATCH_HEADER_LEN),
                Stop::Needs(bytes) => want = bytes.max(want),
                Stop::Jump(seq) => return Err(self.lost_before(seq)),
                Stop::Damage => {
                    if let Some(lost) = self.resync(&place) {
                        return Err(lost);
                    }
                }
            }
        }
    }

    /// The cursor in the segment of `place`, which is opened unless it was.
    fn enter(&mut self, place: &mut Place) -> io::Result<&mut Cursor> {
        if let Some(opened) = place.file.take() {
            self.cursor = None;
            self.cursor = Some(Cursor::new(opened?, place));
        }
        Ok(self.cursor.as_mut().expect("without one, the place comes with an opened file"))
    }

    fn lost_before(&mut self, seq: u64) -> ReadError {
        let lost = ReadError::Lost { from_seq: self.next_seq, to_seq: seq - 1 };
        self.next_seq = seq;
        lost
    }

    /// Moves behind the damage, to the next intact batch of the segment or to its end. `None` when no record was lost by it.
    fn resync(&mut self, place: &Place) -> Option<ReadError> {
        let cursor = self.cursor.as_mut().expect("damage is found through it");
        let bytes = match segment::read_file(&*cursor.file, place.end) {
            Ok(bytes) => bytes,
            Err(error) => return Some(ReadError::Read(error)),
        };
        let first_available = self.index.oldest_seq();
        if first_available > place.first_seq {
            self.cursor = None;
            return Some(ReadError::Lapped { first_available });
        }
        self.index.mark_damaged(place.id);
        let mut from = cursor.offset as usize + 1;
        while let Some((at, header)) = format::find_batch(&bytes, from, place.id) {
            if header.first_seq >= self.next_seq && header.first_seq <= place.last_seq {
                cursor.offset = at as u64;
                cursor.seq = header.first_seq;
                cursor.records_left = 0;
                cursor.bytes_left = 0;
                return (header.first_seq > self.next_seq).then(|| self.lost_before(header.first_seq));
            }
            from = at + 1;
        }
        self.cursor = None;
        Some(self.lost_before(place.last_seq + 1))
    }
}

impl Cursor {
    fn new(file: Box<dyn DiskFile>, place: &Place) -> Self {
        Self {
            file,
            segment_id: place.id,
            offset: SEGMENT_HEADER_LEN as u64,
            seq: place.first_seq,
            records_left: 0,
            bytes_left: 0,
            crc: 0,
        }
    }

    /// Reads up to `want` bytes and lists the records in them from `next_seq` on.
    fn fill(&mut self, records: &mut Records, mut next_seq: u64, place: &Place, want: usize) -> Stop {
        let left = usize::try_from(place.end.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let want = want.min(left);
        records.bytes.resize(want, 0);
        let Ok(count) = self.file.read_at(&mut records.bytes, self.offset) else {
            return Stop::Damage;
        };
        records.bytes.truncate(count);
        records.first_seq = next_seq;
        let mut at = 0;
        let stop = loop {
            match self.step(&records.bytes[at..], next_seq, place.last_seq) {
                Ok((len, listed)) => {
                    if listed {
                        records.starts.push(at as u32);
                        next_seq += 1;
                    }
                    at += len;
                }
                // A record or a header that ends behind what was read is whole only if there is more to read.
                Err(Stop::Needs(bytes)) if bytes > left - at || count < want => break Stop::Damage,
                Err(stop) => break stop,
            }
            if self.seq > place.last_seq && self.records_left == 0 {
                break Stop::End;
            }
        };
        self.offset += at as u64;
        stop
    }

    /// Passes one batch header or one record at the start of `bytes`: its length, and whether it is a record to return.
    fn step(&mut self, bytes: &[u8], next_seq: u64, last_seq: u64) -> Result<(usize, bool), Stop> {
        if self.records_left == 0 {
            return self.step_header(bytes, next_seq, last_seq).map(|len| (len, false));
        }
        if bytes.len() < RECORD_HEADER_LEN {
            return Err(Stop::Needs(RECORD_HEADER_LEN));
        }
        let len = format::record_len(bytes);
        if len > self.bytes_left {
            return Err(Stop::Damage);
        }
        let record = bytes.get(..len).ok_or(Stop::Needs(len))?;
        self.crc = format::verify_record(record, self.crc).ok_or(Stop::Damage)?;
        let listed = self.seq >= next_seq;
        self.seq += 1;
        self.records_left -= 1;
        self.bytes_left -= len;
        Ok((len, listed))
    }

    fn step_header(&mut self, bytes: &[u8], next_seq: u64, last_seq: u64) -> Result<usize, Stop> {
        if self.bytes_left > 0 {
            return Err(Stop::Damage);
        }
        if bytes.len() < BATCH_HEADER_LEN {
            return Err(Stop::Needs(BATCH_HEADER_LEN));
        }
        let (header, crc) = BatchHeader::decode(bytes, self.segment_id).ok_or(Stop::Damage)?;
        if header.first_seq < self.seq || header.first_seq > last_seq {
            return Err(Stop::Damage);
        }
        if header.first_seq > next_seq {
            return Err(Stop::Jump(header.first_seq));
        }
        self.seq = header.first_seq;
        self.records_left = header.count;
        self.bytes_left = header.records_len as usize;
        self.crc = crc;
        Ok(BATCH_HEADER_LEN)
    }
}

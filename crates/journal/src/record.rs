//! Records as they are read back: their kinds, and a reusable buffer of them.

use crate::format::{self, RECORD_HEADER_LEN};

/// What a record is about. The numbers are on disk for ever; a new kind raises the format version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Readings of one batch.
    Data = 1,
    /// A run of messages or records that is known to be lost.
    Gap = 2,
    /// A message that was refused, and why.
    Refused = 3,
    /// A change of the catalogue of devices and channels.
    Catalogue = 4,
    /// A device connected.
    Connect = 5,
    /// A device disconnected.
    Disconnect = 6,
    /// The hub started.
    HubStart = 7,
    /// The hub stopped on purpose.
    HubStop = 8,
    /// Time passed without a reading.
    Timer = 9,
    /// Somebody operated the hub.
    Operator = 10,
}

impl Kind {
    /// The kind with this number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Data,
            2 => Self::Gap,
            3 => Self::Refused,
            4 => Self::Catalogue,
            5 => Self::Connect,
            6 => Self::Disconnect,
            7 => Self::HubStart,
            8 => Self::HubStop,
            9 => Self::Timer,
            10 => Self::Operator,
            _ => return None,
        })
    }
}

/// One durable record, borrowed from [`Records`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number: from 1, ascending, never used twice.
    pub seq: u64,
    /// When it arrived, in microseconds since the Unix epoch.
    pub arrival_us: i64,
    /// What it is about.
    pub kind: Kind,
    /// The bytes given to [`Appender::append`](crate::Appender::append), its parts joined.
    pub payload: &'a [u8],
}

/// A reusable buffer of consecutive records, filled by [`Reader::read`](crate::Reader::read).
#[derive(Debug, Default)]
pub struct Records {
    /// Bytes as they are in the segment, batch headers included.
    pub(crate) bytes: Vec<u8>,
    /// Where in `bytes` each record starts; verified before it is put here.
    pub(crate) starts: Vec<u32>,
    /// The number of the first record.
    pub(crate) first_seq: u64,
}

impl Records {
    /// An empty buffer.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many records it holds.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether it holds none: the reader has caught up.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The records, in ascending order of sequence, without a hole.
    pub fn iter(&self) -> impl Iterator<Item = Record<'_>> {
        self.starts.iter().zip(self.first_seq..).map(|(&start, seq)| {
            let bytes = &self.bytes[start as usize..];
            let header = format::record_header(bytes).expect("only verified records are listed");
            Record {
                seq,
                arrival_us: header.arrival_us,
                kind: header.kind,
                payload: &bytes[RECORD_HEADER_LEN..header.len],
            }
        })
    }

    pub(crate) fn clear(&mut self) {
        self.starts.clear();
    }
}

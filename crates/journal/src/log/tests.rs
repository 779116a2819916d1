//! The log without its thread, on the test disk.

use std::sync::Arc;

use super::*;
use crate::record::{Kind, Records};
use crate::test_disk::TestDisk;
use crate::{ReadError, Reader};

mod damage;
mod faults;
mod model;

fn small(segment_bytes: u64, retain_bytes: u64) -> Config {
    Config { segment_bytes, retain_bytes, reserve_bytes: 0, ..Config::default() }
}

/// A record of the tests' own making; everything about it follows from the number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    arrival_us: i64,
    kind: Kind,
    payload: Vec<u8>,
}

impl Made {
    fn new(number: u64, payload_len: usize) -> Self {
        let mut payload = Vec::with_capacity(payload_len + 8);
        let mut state = number;
        while payload.len() < payload_len {
            state = crate::mix(state);
            payload.extend_from_slice(&state.to_le_bytes());
        }
        payload.truncate(payload_len);
        let kind = Kind::from_number(1 + (number % 10) as u8).unwrap();
        Self { arrival_us: number as i64 * 1_000, kind, payload }
    }

    fn push_to(&self, block: &mut Block, seq: u64) {
        let (head, rest) = self.payload.split_at(self.payload.len() / 3);
        block.push(seq, self.kind, self.arrival_us, &[head, rest]);
    }
}

/// Commits records `from_seq` to `to_seq`, each made from its sequence, as one block.
fn commit_made(log: &mut Log<TestDisk>, seqs: std::ops::RangeInclusive<u64>, payload_len: usize) {
    let mut block = Block::new();
    for seq in seqs {
        Made::new(seq, payload_len).push_to(&mut block, seq);
    }
    log.commit(&mut block).unwrap();
}

/// First and last sequences.
type Ranges = Vec<(u64, u64)>;

/// Everything readable from the oldest record on, and the ranges that the reader reports lost.
fn read_everything(log: &Log<TestDisk>) -> (Vec<(u64, Made)>, Ranges) {
    let mut reader = Reader::new(Arc::clone(log.index()), log.index().oldest_seq()).unwrap();
    let mut records = Records::new();
    let (mut all, mut lost) = (Vec::new(), Vec::new());
    loop {
        match reader.read(&mut records, 300) {
            Ok(()) if records.is_empty() => return (all, lost),
            Ok(()) => all.extend(records.iter().map(|record| {
                let made = Made { arrival_us: record.arrival_us, kind: record.kind, payload: record.payload.to_vec() };
                (record.seq, made)
            })),
            Err(ReadError::Lost { from_seq, to_seq }) => lost.push((from_seq, to_seq)),
            Err(error) => panic!("{error}"),
        }
    }
}

//! What a restart would cost: how much of the journal has to be read again, and what to store so that it is less.

use std::collections::VecDeque;

/// What the journal adds to each payload, about.
const RECORD_OVERHEAD_BYTES: u64 = 24;

/// How much of the journal a restart would have to replay: marks along it, some eight for the most it may be.
#[derive(Debug)]
pub(super) struct ReplayCost {
    bytes_max: u64,
    bytes: u64,
    /// Bytes between two marks.
    step: u64,
    marks: VecDeque<(u64, u64)>,
}

impl ReplayCost {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { bytes_max, bytes: 0, step: (bytes_max / 8).min(1 << 20), marks: VecDeque::new() }
    }

    pub(super) fn add(&mut self, seq: u64, payload_bytes: usize) {
        if self.marks.back().is_none_or(|&(_, bytes)| self.bytes >= bytes + self.step) {
            self.marks.push_back((seq, self.bytes));
        }
        self.bytes += payload_bytes as u64 + RECORD_OVERHEAD_BYTES;
    }

    /// When a replay from `replay_from` would cost too much: below which record everything should be stored to halve it.
    pub(super) fn release_below(&mut self, replay_from: u64) -> Option<u64> {
        while self.marks.get(1).is_some_and(|&(seq, _)| seq <= replay_from) {
            self.marks.pop_front();
        }
        let &(_, oldest) = self.marks.front()?;
        if self.bytes - oldest <= self.bytes_max {
            return None;
        }
        let enough = self.bytes - self.bytes_max / 2;
        self.marks.iter().rev().find(|&&(_, bytes)| bytes <= enough).map(|&(seq, _)| seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replay_that_grows_too_long_is_halved() {
        let mut cost = ReplayCost::new(8 << 20);
        for seq in 1..=8 {
            cost.add(seq, (1 << 20) - RECORD_OVERHEAD_BYTES as usize);
            assert_eq!(cost.release_below(1), None);
        }
        cost.add(9, 1 << 20);
        assert_eq!(cost.release_below(1), Some(6));
        assert_eq!(cost.release_below(6), None);
    }
}

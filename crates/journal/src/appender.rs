//! The journal's single producer. Owns the batch being built and the next sequence; takes no lock until it is flushed.

use std::sync::Arc;

use crate::block::Block;
use crate::intake::Intake;
use crate::record::Kind;

/// Adds records. There is one, it belongs to the hub's pipeline; dropping it flushes it and ends the journal's thread.
pub struct Appender {
    block: Block,
    next_seq: u64,
    /// Bytes of records appended since the opening.
    appended_bytes: u64,
    intake: Arc<Intake>,
}

impl Appender {
    pub(crate) fn new(intake: Arc<Intake>, next_seq: u64) -> Self {
        Self { block: Block::new(), next_seq, appended_bytes: 0, intake }
    }

    /// Adds a record to the batch being built and returns its sequence. Its payload is the `parts` joined. No system call, no lock,
    /// and no allocation once the buffers have grown.
    ///
    /// # Panics
    /// If the payload is longer than [`PAYLOAD_LEN_MAX`](crate::PAYLOAD_LEN_MAX).
    pub fn append(&mut self, kind: Kind, arrival_us: i64, parts: &[&[u8]]) -> u64 {
        let seq = self.next_seq;
        self.appended_bytes += self.block.push(seq, kind, arrival_us, parts) as u64;
        self.next_seq += 1;
        seq
    }

    /// Hands what was appended to the journal's thread. Costs next to nothing when nothing was.
    pub fn flush(&mut self) {
        if !self.block.is_empty() {
            self.intake.give(&mut self.block);
        }
    }

    /// The sequence that the next record gets.
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Bytes appended and not yet durable, 17 for each record besides its payload. Up to date when
    /// `on_commit` is called. The pipeline stops reading above a bound: this is what keeps the journal's memory bounded.
    pub fn backlog_bytes(&self) -> usize {
        (self.appended_bytes - self.intake.durable_bytes()) as usize
    }
}

impl Drop for Appender {
    fn drop(&mut self) {
        self.flush();
        self.intake.close();
    }
}

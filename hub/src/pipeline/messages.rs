//! Data frames and gaps of devices: decoding, duplicates, the journal, live screens. The hot path.

use journal::Kind;
use protocol::{
    close,
    device::{Batch, DataError, Refusal, data},
};

use super::{Pipeline, acks::Unacknowledged};
use crate::{
    ingest::admission::Admitted,
    state::record::{self, DATA_HEAD_BYTES_MAX, DataHead, GapRecord, RefusedRecord},
};

/// Reason of a gap that nobody explained.
const UNEXPLAINED: &str = "unexplained";

/// Reused for every message.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub batch: Batch,
}

impl Pipeline {
    pub(super) fn on_frame(&mut self, number: u64, frame: &[u8]) {
        let is_trusted = self.is_clock_trusted();
        // A connection that was taken over or closed has nothing more to say here.
        let Some(connection) = self.connections.get_mut(number) else { return };
        let Some(stream) = self.state.streams.get(&connection.stream) else {
            self.say_hello_again(number);
            return;
        };
        match data::decode(frame, &stream.channels, &mut self.messages.batch) {
            Ok(()) => {
                let admitted = { connection.clock.admit(&self.messages.batch, self.arrival_us, is_trusted) };
                let stream = connection.stream;
                self.store(number, stream, frame, admitted);
            }
            Err(DataError::Refused { seq, refusal, detail }) => {
                let stream = connection.stream;
                self.refuse(number, stream, seq, refusal, &detail);
            }
            Err(DataError::Unreadable(detail)) => {
                self.metrics.unreadable.inc();
                connection.link.error("unreadable", format!("{detail}. {}", Refusal::Malformed.advice()), None);
                connection.link.close(close::UNREADABLE, "the message cannot be read, not even its number");
                // What comes behind it is not taken: it would turn a message that can be sent again into a gap.
                self.on_closed(number, "a message could not be read".into());
            }
        }
    }

    /// Gives a decoded message its place; the batch of the scratch holds it. Gives how many readings were stored and
    /// dropped; none for a duplicate.
    pub(super) fn store(
        &mut self,
        connection: u64,
        number: u32,
        frame: &[u8],
        admitted: Admitted,
    ) -> Option<(u64, u64)> {
        let seq = self.messages.batch.seq;
        if !self.is_next(connection, number, seq) {
            return None;
        }
        let head = DataHead { stream: number, seq, shift_us: admitted.shift_us, flags: admitted.flags };
        let mut buffer = [0; DATA_HEAD_BYTES_MAX];
        let record = self.appender.append(Kind::Data, self.arrival_us, &[head.encode(&mut buffer), frame]);
        self.state.apply_data(&head, self.arrival_us);
        self.acks.messages.push_back((record, Unacknowledged { stream: number, seq }));
        let stream = &self.state.streams[&number];
        let (batch, mut dropped) = (&self.messages.batch, 0);
        for run in &batch.runs {
            match stream.series[usize::from(run.channel)] {
                Some(series) => {
                    let range = run.range();
                    let (times_us, values) = (&batch.times_us[range.clone()], &batch.values[range]);
                    self.fanout.push(self.now, series, times_us, admitted.shift_us, values);
                }
                None => dropped += u64::from(run.len),
            }
        }
        let (device, stored) = (stream.device, batch.len() as u64 - dropped);
        self.state.count_readings(number, admitted.span_us, stored, dropped);
        self.metrics.messages_stored.inc();
        self.metrics.readings_stored.inc_by(stored);
        if dropped > 0 {
            self.metrics.readings_dropped.inc_by(dropped);
        }
        if admitted.flags & protocol::flags::SKEWED != 0 {
            self.metrics.readings_skewed.inc_by(batch.len() as u64);
        }
        self.presence.touch(&self.state, device, self.arrival_us);
        Some((stored, dropped))
    }

    /// Journals that a message was refused, acknowledges it, and tells the device why.
    fn refuse(&mut self, connection: u64, number: u32, seq: u64, refusal: Refusal, detail: &str) {
        if !self.is_next(connection, number, seq) {
            return;
        }
        let refused = RefusedRecord { stream: number, seq, code: refusal.code().into() };
        let record = self.appender.append(Kind::Refused, self.arrival_us, &[&record::encode(&refused)]);
        self.state.apply_refused(&refused, self.arrival_us);
        self.acks.messages.push_back((record, Unacknowledged { stream: number, seq }));
        self.metrics.refused(refusal);
        let device = self.state.streams[&number].device;
        self.presence.touch(&self.state, device, self.arrival_us);
        if let Some(connection) = self.connections.get_mut(connection) {
            connection.link.error(refusal.code(), format!("{detail}: {}", refusal.advice()), Some(seq));
        }
    }

    /// True when `seq` goes on the stream's run; a jump is journaled as a gap first. A duplicate is counted and
    /// acknowledged (again) when its first copy is durable.
    fn is_next(&mut self, connection: u64, number: u32, seq: u64) -> bool {
        let stream = &self.state.streams[&number];
        let (mark, device) = (stream.mark, stream.device);
        if seq <= mark {
            self.metrics.messages_duplicate.inc();
            self.presence.duplicate(device, self.arrival_us);
            if seq <= stream.durable {
                self.acks_due(connection);
            }
            return false;
        }
        if seq > mark + 1 {
            self.put_gap(number, mark + 1, seq - 1, UNEXPLAINED.into());
        }
        true
    }

    pub(super) fn on_gap(&mut self, number: u64, from: u64, to: u64, reason: String) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        let stream = connection.stream;
        let Some(mark) = self.state.streams.get(&stream).map(|stream| stream.mark) else {
            self.say_hello_again(number);
            return;
        };
        if to <= mark {
            self.acks_due(number);
            return;
        }
        if from > mark + 1 {
            self.put_gap(stream, mark + 1, from - 1, UNEXPLAINED.into());
        }
        self.put_gap(stream, from.max(mark + 1), to, reason);
    }

    /// The connection's spool was forgotten: the device has used eight newer ones meanwhile.
    fn say_hello_again(&mut self, number: u64) {
        if let Some(connection) = self.connections.get_mut(number) {
            connection.link.close(close::POLICY, "this spool was forgotten for newer ones: say hello again");
        }
        self.on_closed(number, "its spool was forgotten".into());
    }

    fn put_gap(&mut self, stream: u32, from: u64, to: u64, reason: String) {
        let gap = GapRecord { stream, from, to, reason };
        let record = self.appender.append(Kind::Gap, self.arrival_us, &[&record::encode(&gap)]);
        self.state.apply_gap(&gap, self.arrival_us);
        self.metrics.messages_lost.inc_by(to - from + 1);
        self.acks.messages.push_back((record, Unacknowledged { stream, seq: to }));
        if self.may_warn() {
            tracing::warn!(
                device = %self.state.devices[self.state.streams[&stream].device as usize].id,
                from, to, reason = gap.reason, "messages are missing"
            );
        }
    }
}

//! Gathers samples into one message.

use std::time::Duration;

use client::device::{DeviceHandle, SendError};
use protocol::device::{ChannelDecl, encode::FrameWriter};

use super::readings_in;
use crate::source::{RunValues, Sample};

/// Bytes of items in a message at most: a frame of this size crosses a slow link in a second or two, and the largest
/// run that a source gives still fits behind it.
const ITEM_BYTES_MAX: usize = 48 * 1024;
/// What a reading may take in a message beside its heads.
const READING_BYTES_MAX: usize = 24;

pub(super) struct Batch {
    frame: FrameWriter,
    /// The time that offsets count from, and when the first sample came.
    opened: Option<(i64, i64)>,
    gather_us: i64,
}

impl Batch {
    pub(super) fn new(gather: Duration) -> Self {
        let gather_us = i64::try_from(gather.as_micros()).unwrap_or(i64::MAX);
        Self { frame: FrameWriter::default(), opened: None, gather_us }
    }

    pub(super) fn readings(&self) -> usize {
        self.frame.readings()
    }

    /// Whether the sample fits into the message, which always takes one.
    pub(super) fn has_room(&self, sample: &Sample) -> bool {
        self.frame.is_empty() || self.frame.byte_len() + readings_in(sample) * READING_BYTES_MAX <= ITEM_BYTES_MAX
    }

    pub(super) fn add(&mut self, channels: &[ChannelDecl], sample: &Sample, now_us: i64) {
        let time_us = match sample {
            Sample::Point { time_us, .. } => *time_us,
            Sample::Run { start_us, .. } => *start_us,
        };
        let (t0_us, _) = *self.opened.get_or_insert((floor_to_ms(time_us), now_us));
        let dt_ms = (time_us - t0_us) as f64 / 1e3;
        match sample {
            Sample::Point { channel, value, .. } => {
                self.frame.scalar(*channel as u16, dt_ms, raw(&channels[*channel], *value));
            }
            Sample::Run { channel, period_us, values, .. } => {
                let (number, period_ms) = (*channel as u16, *period_us as f64 / 1e3);
                match values {
                    RunValues::I16(counts) => self.frame.fixed_rate_i16(number, dt_ms, period_ms, counts),
                    RunValues::F64(values) => {
                        let decl = &channels[*channel];
                        let values: Vec<f64> = values.iter().map(|&value| raw(decl, value)).collect();
                        self.frame.fixed_rate_f64(number, dt_ms, period_ms, &values);
                    }
                }
            }
        }
    }

    /// When the message is to leave, microseconds since the Unix epoch; `None` while it is empty.
    pub(super) fn due_us(&self) -> Option<i64> {
        self.opened.map(|(_, opened_us)| opened_us.saturating_add(self.gather_us))
    }

    /// Whether to send it now: it is due, or nothing more will come before it is.
    pub(super) fn is_due(&self, now_us: i64, next_us: i64) -> bool {
        self.due_us().is_some_and(|due_us| now_us >= due_us || next_us >= due_us)
    }

    /// Hands the message over, if there is one; a message that no hub would take is emptied all the same.
    pub(super) fn send(&mut self, handle: &DeviceHandle) -> Result<bool, SendError> {
        let Some((t0_us, _)) = self.opened.take() else { return Ok(false) };
        let sent = handle.send(&mut self.frame, t0_us as f64 / 1e3);
        if sent.is_err() {
            self.frame = FrameWriter::default();
        }
        sent.map(|_| true)
    }
}

/// Whole milliseconds are short on the wire.
fn floor_to_ms(time_us: i64) -> i64 {
    time_us - time_us.rem_euclid(1_000)
}

/// What goes on the wire for a value: the hub applies the channel's scale and offset.
fn raw(channel: &ChannelDecl, value: f64) -> f64 {
    (value - channel.offset.unwrap_or(0.0)) / channel.scale.unwrap_or(1.0)
}

#[cfg(test)]
mod tests {
    use protocol::{
        device::{
            Channel,
            data::{self, Batch as Decoded},
        },
        ids::Id,
    };

    use super::*;

    fn channels() -> Vec<ChannelDecl> {
        let gauge = |name: &str| ChannelDecl::gauge(Id::new(name).unwrap());
        vec![gauge("temp"), ChannelDecl { scale: Some(0.01), offset: Some(5.0), ..gauge("vibration") }]
    }

    fn decoded(batch: &mut Batch) -> Decoded {
        let t0_us = batch.opened.take().unwrap().0;
        let frame = batch.frame.finish(1, t0_us as f64 / 1e3);
        let known: Vec<Channel> = channels().iter().map(ChannelDecl::decoding).collect();
        let mut decoded = Decoded::default();
        data::decode(&frame, &known, &mut decoded).unwrap();
        decoded
    }

    #[test]
    fn what_is_gathered_arrives_with_its_times_and_in_its_unit() {
        let (t, mut batch) = (1_770_000_000_000_250, Batch::new(Duration::from_millis(100)));
        let run = |values| Sample::Run { channel: 1, start_us: t - 3_000, period_us: 1_000, values };
        for sample in [
            Sample::Point { channel: 0, time_us: t, value: 21.5 },
            run(RunValues::I16(vec![100, -100])),
            run(RunValues::F64(vec![7.5, f64::NAN])),
            Sample::Point { channel: 1, time_us: t + 1, value: 6.0 },
        ] {
            batch.add(&channels(), &sample, t);
        }
        assert_eq!(batch.readings(), 6);
        let decoded = decoded(&mut batch);
        assert_eq!(decoded.times_us, [t, t - 3_000, t - 2_000, t - 3_000, t - 2_000, t + 1]);
        for (value, expected) in decoded.values.iter().zip([21.5, 6.0, 4.0, 7.5, f64::NAN, 6.0]) {
            assert!((value - expected).abs() < 1e-9 || (value.is_nan() && expected.is_nan()), "{value} {expected}");
        }
    }

    #[test]
    fn a_message_leaves_when_it_is_due_or_when_waiting_brings_nothing() {
        let mut batch = Batch::new(Duration::from_millis(100));
        assert!(!batch.is_due(0, 0) && batch.due_us().is_none());
        batch.add(&channels(), &Sample::Point { channel: 0, time_us: 0, value: 1.0 }, 1_000);
        assert_eq!(batch.due_us(), Some(101_000));
        assert!(!batch.is_due(1_000, 50_000), "more comes in time");
        assert!(batch.is_due(1_000, 1_000_000), "a slow source is not kept waiting");
        assert!(batch.is_due(101_000, 101_001));
    }

    #[test]
    fn a_message_stays_within_bounds() {
        let mut batch = Batch::new(Duration::ZERO);
        let sample = Sample::Run { channel: 0, start_us: 0, period_us: 1, values: RunValues::F64(vec![0.5; 1_000]) };
        while batch.has_room(&sample) {
            batch.add(&channels(), &sample, 0);
        }
        assert!(batch.frame.byte_len() <= ITEM_BYTES_MAX && batch.readings() >= 2_000);
    }
}

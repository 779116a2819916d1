//! Writes data frames as a device sends them.

use crate::codec::writer::{self, tag};

/// Builds the items of one data frame; [`FrameWriter::finish`] puts number and time in front.
///
/// Reuse one: its buffer stays.
#[derive(Debug, Default)]
pub struct FrameWriter {
    items: Vec<u8>,
    count: usize,
    readings: usize,
}

impl FrameWriter {
    /// `[channel, dt, value]`; `dt_ms` counts from the frame's `t0`, NaN is written as null.
    pub fn scalar(&mut self, channel: u16, dt_ms: f64, value: f64) {
        self.begin(3, channel, 1);
        writer::number(&mut self.items, dt_ms);
        if value.is_nan() {
            writer::null(&mut self.items);
        } else {
            writer::number(&mut self.items, value);
        }
    }

    /// `[channel, dt, values]` as typed arrays (u32 and f64) of equal length.
    pub fn column(&mut self, channel: u16, dts_ms: &[u32], values: &[f64]) {
        assert_eq!(dts_ms.len(), values.len(), "columns of one item have the same length");
        self.begin(3, channel, values.len());
        writer::typed(&mut self.items, tag::U32, dts_ms, u32::to_le_bytes);
        writer::typed(&mut self.items, tag::F64, values, f64::to_le_bytes);
    }

    /// `[channel, start, period, values]` with 16-bit values, to be scaled by the channel's `scale`.
    pub fn fixed_rate_i16(&mut self, channel: u16, start_ms: f64, period_ms: f64, values: &[i16]) {
        self.begin(4, channel, values.len());
        writer::number(&mut self.items, start_ms);
        writer::number(&mut self.items, period_ms);
        writer::typed(&mut self.items, tag::I16, values, i16::to_le_bytes);
    }

    /// `[channel, start, period, values]` with doubles.
    pub fn fixed_rate_f64(&mut self, channel: u16, start_ms: f64, period_ms: f64, values: &[f64]) {
        self.begin(4, channel, values.len());
        writer::number(&mut self.items, start_ms);
        writer::number(&mut self.items, period_ms);
        writer::typed(&mut self.items, tag::F64, values, f64::to_le_bytes);
    }

    fn begin(&mut self, elements: usize, channel: u16, readings: usize) {
        writer::array(&mut self.items, elements);
        writer::unsigned(&mut self.items, u64::from(channel));
        self.count += 1;
        self.readings += readings;
    }

    /// Readings written so far.
    pub fn readings(&self) -> usize {
        self.readings
    }

    /// Bytes the items take so far.
    pub fn byte_len(&self) -> usize {
        self.items.len()
    }

    /// True when nothing was written since the last [`finish`](Self::finish).
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The whole frame `[seq, t0, [item …]]`; the writer is empty again.
    pub fn finish(&mut self, seq: u64, t0_ms: f64) -> Vec<u8> {
        let mut frame = Vec::with_capacity(self.items.len() + 32);
        writer::array(&mut frame, 3);
        writer::unsigned(&mut frame, seq);
        writer::time_ms(&mut frame, t0_ms);
        writer::array(&mut frame, self.count);
        frame.extend_from_slice(&self.items);
        self.items.clear();
        self.count = 0;
        self.readings = 0;
        frame
    }
}

//! What waits for one viewer of a stream when its frames cannot be sent: kept as it is while that is little, else
//! merged to the smallest, largest and last of each series. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::live::LiveData;

use super::{
    conflate::{Keep, Pending},
    frames::{Span, encode_rows},
};

/// What is kept of a series once frames are merged.
const KEEP: Keep = Keep { stretch_us: 1_000_000, points_max: 32 };

/// Frames that were not sent; bounded by what may be kept, then by the stream's number of series.
#[derive(Debug, Default)]
pub struct Lag {
    kept: Vec<Bytes>,
    kept_bytes: usize,
    series: BTreeMap<u32, Pending>,
    /// Points that conflation had left out before.
    merged: u64,
    data: LiveData,
    times_us: Vec<i64>,
}

impl Lag {
    /// Takes a frame that could not be sent. As long as all of them have at most `keep_bytes` they stay as they are.
    pub fn absorb(&mut self, frame: Bytes, keep_bytes: usize) {
        if self.series.is_empty() && self.kept_bytes + frame.len() <= keep_bytes {
            self.kept_bytes += frame.len();
            self.kept.push(frame);
            return;
        }
        self.kept_bytes = 0;
        for kept in std::mem::take(&mut self.kept) {
            self.merge(&kept);
        }
        self.merge(&frame);
    }

    fn merge(&mut self, frame: &[u8]) {
        // Frames are this hub's own; one that does not decode would be a bug, and leaving it out the mildest answer.
        if self.data.decode(frame).is_err() {
            debug_assert!(false, "a frame of this hub's own decodes");
            return;
        }
        self.merged += self.data.merged;
        let t0_us = self.data.t0_ms as i64 * 1000;
        for (id, dt_ms, values) in self.data.series() {
            self.times_us.clear();
            self.times_us.extend(dt_ms.iter().map(|&dt_ms| t0_us + i64::from(dt_ms) * 1000));
            self.series.entry(id).or_default().extend(&self.times_us, 0, values, KEEP);
        }
    }

    /// Gives what waits as frames of the stream and begins anew; returns how many points were left out.
    pub fn take(&mut self, stream: u64, mut give: impl FnMut(Bytes)) -> u64 {
        self.kept_bytes = 0;
        self.kept.drain(..).for_each(&mut give);
        if self.series.is_empty() {
            return 0;
        }
        let (mut rows, mut merged) = (Vec::new(), std::mem::take(&mut self.merged));
        for (id, mut pending) in std::mem::take(&mut self.series) {
            pending.settle(KEEP);
            rows.extend(pending.points().iter().map(|&point| (id, point)));
            merged += pending.clear();
        }
        // A viewer that was away for long: what it missed first may have left every window.
        merged += Span::behind(&rows).cut(&mut rows);
        encode_rows(stream, &rows, merged, &mut self.data, give);
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(t0_ms: u64, values: &[f64]) -> Bytes {
        let data = LiveData {
            stream: 4,
            t0_ms,
            ids: vec![7],
            counts: vec![values.len() as u16],
            dt_ms: (0..values.len() as u32).collect(),
            values: values.to_vec(),
            merged: 1,
        };
        let mut bytes = Vec::new();
        data.encode(&mut bytes);
        bytes.into()
    }

    fn taken(lag: &mut Lag) -> (Vec<Bytes>, u64) {
        let mut frames = Vec::new();
        let merged = lag.take(4, |frame| frames.push(frame));
        (frames, merged)
    }

    #[test]
    fn what_a_slow_viewer_missed_is_merged_and_counted() {
        let mut lag = Lag::default();
        assert_eq!(taken(&mut lag), (Vec::new(), 0));
        lag.absorb(frame(1_000, &[3.0, 5.0, 9.0, 4.0]), 0);
        lag.absorb(frame(2_000, &[1.0, 5.0]), 0);
        let (frames, merged) = taken(&mut lag);
        // Six points came, five stay, three at most of each second; two more had been left out before.
        assert_eq!(merged, 3);
        let mut data = LiveData::default();
        data.decode(&frames[0]).expect("readable");
        assert_eq!((data.stream, data.merged, data.t0_ms), (4, 3, 1_000));
        assert_eq!(data.values, [3.0, 9.0, 4.0, 1.0, 5.0]);
        assert_eq!(data.dt_ms, [0, 2, 3, 1_000, 1_001]);
    }

    #[test]
    fn what_may_be_kept_is_not_merged() {
        let (mut lag, some) = (Lag::default(), [frame(1_000, &[3.0, 9.0]), frame(2_000, &[1.0, 5.0])]);
        let keep_bytes = some[0].len() + some[1].len();
        for frame in &some {
            lag.absorb(frame.clone(), keep_bytes);
        }
        assert_eq!(taken(&mut lag), (some.to_vec(), 0));
        for frame in &some {
            lag.absorb(frame.clone(), keep_bytes);
        }
        // One more, and all are one frame, with nothing to leave out; three points had been left out before.
        lag.absorb(frame(3_000, &[2.0]), keep_bytes);
        let (frames, merged) = taken(&mut lag);
        assert_eq!((frames.len(), merged), (1, 3));
    }
}

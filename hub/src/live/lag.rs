//! What a slow viewer has missed of one stream, merged: smallest, largest and last of each series. Pure.

use std::collections::BTreeMap;

use bytes::Bytes;
use protocol::live::LiveData;

use super::{
    conflate::{Keep, Pending},
    fanout::encode_rows,
};

/// What is kept of a series while a viewer does not read.
const KEEP: Keep = Keep { stretch_us: 1_000_000, points_max: 32 };

/// Merged frames; bounded by the stream's number of series.
#[derive(Debug, Default)]
pub struct Lag {
    series: BTreeMap<u32, Pending>,
    /// Points that conflation had left out before.
    merged: u64,
    data: LiveData,
    times_us: Vec<i64>,
}

impl Lag {
    /// Takes a frame that the viewer has not read.
    pub fn absorb(&mut self, frame: &[u8]) {
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

    /// Gives what was merged as frames of the stream and begins anew; returns how many points were left out.
    pub fn take(&mut self, stream: u64, give: impl FnMut(Bytes)) -> u64 {
        if self.series.is_empty() {
            return 0;
        }
        let (mut rows, mut merged) = (Vec::new(), std::mem::take(&mut self.merged));
        for (id, mut pending) in std::mem::take(&mut self.series) {
            pending.settle(KEEP);
            rows.extend(pending.points().iter().map(|&point| (id, point)));
            merged += pending.clear();
        }
        encode_rows(stream, &rows, merged, &mut self.data, give);
        merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(t0_ms: u64, values: &[f64]) -> Vec<u8> {
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
        bytes
    }

    #[test]
    fn what_a_slow_viewer_missed_is_merged_and_counted() {
        let mut lag = Lag::default();
        assert_eq!(lag.take(4, |_| panic!("nothing was missed")), 0);
        lag.absorb(&frame(1_000, &[3.0, 5.0, 9.0, 4.0]));
        lag.absorb(&frame(2_000, &[1.0, 5.0]));
        let mut frames = Vec::new();
        // Six points came, five stay, three at most of each second; two more had been left out before.
        assert_eq!(lag.take(4, |frame| frames.push(frame)), 3);
        let mut data = LiveData::default();
        data.decode(&frames[0]).expect("readable");
        assert_eq!((data.stream, data.merged, data.t0_ms), (4, 3, 1_000));
        assert_eq!(data.values, [3.0, 9.0, 4.0, 1.0, 5.0]);
        assert_eq!(data.dt_ms, [0, 2, 3, 1_000, 1_001]);
    }
}

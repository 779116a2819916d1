//! History as the frames that stand in front of live ones.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture, future::Shared};
use history::{Buckets, View};
use protocol::{
    limits::WINDOW_MS_MAX,
    live::{GapRow, LiveData},
};

use super::{conflate::Point, fanout::encode_rows};

/// What a stream's window held at one marker, encoded.
#[derive(Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Data frames in the order they are sent.
    pub frames: Vec<Bytes>,
    /// What is known to be missing inside the window.
    pub gaps: Vec<GapRow>,
    /// Begin of the window, microseconds.
    pub from_us: i64,
    /// End of the window, microseconds.
    pub to_us: i64,
}

/// Why there is no snapshot; shared between viewers, so it is text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The historian has too many requests waiting, or is stopping.
    #[error("the hub is busy answering others; try again in a second")]
    Busy,
    /// History could not be read.
    #[error("history cannot be read: {0}")]
    History(String),
}

/// A snapshot that is being made, or was; identical subscriptions share it.
#[derive(Clone)]
pub struct SharedSnapshot(Shared<BoxFuture<'static, Result<Arc<Snapshot>, SnapshotError>>>);

impl fmt::Debug for SharedSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSnapshot({:?})", self.0.peek())
    }
}

impl SharedSnapshot {
    /// Shares the result of `future`.
    pub fn new(future: impl Future<Output = Result<Snapshot, SnapshotError>> + Send + 'static) -> Self {
        Self(future.map(|result| result.map(Arc::new)).boxed().shared())
    }

    /// Waits for it.
    pub async fn get(self) -> Result<Arc<Snapshot>, SnapshotError> {
        self.0.await
    }
}

/// What to read and how to encode it.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The stream that the frames belong to.
    pub stream: u64,
    /// Series numbers.
    pub series: Vec<u32>,
    /// Begin of the window, microseconds.
    pub from_us: i64,
    /// End of the window, microseconds, exclusive.
    pub to_us: i64,
    /// Points a series.
    pub points: u32,
    /// Known gaps in the window.
    pub gaps: Vec<GapRow>,
}

impl Plan {
    /// Reads and encodes; blocks, so it belongs on a blocking thread.
    pub fn carry_out(self, view: &mut View) -> Result<Snapshot, SnapshotError> {
        let mut snapshot = Snapshot { frames: Vec::new(), gaps: self.gaps, from_us: self.from_us, to_us: self.to_us };
        let (mut rows, mut data) = (Vec::new(), LiveData::default());
        for &series in &self.series {
            let answer = view
                .buckets(series, self.from_us, self.to_us, self.points as usize)
                .map_err(|error| SnapshotError::History(error.to_string()))?;
            push_rows(&mut rows, series, &answer);
            // Encoded in parts, so that a large window never stands in memory twice.
            if rows.len() > 16_384 {
                encode_rows(self.stream, &rows, 0, &mut data, |frame| snapshot.frames.push(frame));
                rows.clear();
            }
        }
        encode_rows(self.stream, &rows, 0, &mut data, |frame| snapshot.frames.push(frame));
        Ok(snapshot)
    }
}

/// Raw readings as they are; a reduced bucket as its smallest, largest and last point in time order.
fn push_rows(rows: &mut Vec<(u32, Point)>, series: u32, answer: &Buckets) {
    match answer {
        Buckets::Raw(readings) => rows.extend(
            readings.times_us.iter().zip(&readings.values).map(|(&time_us, &value)| (series, Point { time_us, value })),
        ),
        Buckets::Buckets { rows: buckets, .. } => {
            for bucket in buckets {
                let mut points = [
                    Point { time_us: bucket.min_us, value: bucket.min },
                    Point { time_us: bucket.max_us, value: bucket.max },
                    Point { time_us: bucket.last_us, value: bucket.last },
                ];
                points.sort_by_key(|point| point.time_us);
                for (i, &point) in points.iter().enumerate() {
                    if i == 0 || point.time_us != points[i - 1].time_us {
                        rows.push((series, point));
                    }
                }
            }
        }
    }
}

/// The window of a subscription that begins now.
pub fn window(now_us: i64, window_ms: u64) -> (i64, i64) {
    // A little into the future, because devices' clocks may be a little ahead of the hub's.
    let span_us = window_ms.clamp(1, WINDOW_MS_MAX) as i64 * 1000;
    (now_us - span_us, now_us + crate::ingest::admission::AHEAD_US_MAX)
}

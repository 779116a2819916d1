//! History as the frames that stand in front of live ones.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture, future::Shared};
use history::{Buckets, View, ViewError};
use protocol::{
    device::Kind,
    limits::{LIVE_CONTROL_BYTES_MAX, POINTS_PER_SNAPSHOT_MAX, WINDOW_MS_MAX},
    live::{GapRow, HubMessage, LiveData, SeriesRow},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    conflate::Point,
    frames::{Span, encode_rows},
};
use crate::{clock::wire_ms, historian::HistorianHandle};

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
    /// As many others are being answered as can be at a time, or the hub is stopping.
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

    /// Whether it is known that it cannot be had.
    pub fn has_failed(&self) -> bool {
        self.0.peek().is_some_and(Result::is_err)
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
    /// Reads and encodes; blocks, so it belongs on a blocking thread. `states` are those of the series, ascending, whose
    /// value holds until the next one: each begins with the one it was at when the window began.
    fn carry_out(self, states: &[u32], view: &mut View) -> Result<Snapshot, SnapshotError> {
        let mut snapshot = Snapshot { frames: Vec::new(), gaps: self.gaps, from_us: self.from_us, to_us: self.to_us };
        let span = Span { from_us: self.from_us, to_us: self.to_us - 1 };
        let (mut rows, mut data) = (Vec::new(), LiveData::default());
        for &series in &self.series {
            let failed = |error: history::QueryError| SnapshotError::History(error.to_string());
            let answer = view.buckets(series, self.from_us, self.to_us, self.points as usize).map_err(failed)?;
            if states.binary_search(&series).is_ok()
                && let Some((time_us, value)) = view.last_before(series, self.from_us).map_err(failed)?
            {
                rows.push((series, Point { time_us: time_us.max(span.oldest_us()), value }));
            }
            push_rows(&mut rows, series, &answer, span);
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

/// Begins to take a snapshot behind record `marker`. The question is in place when this returns: what is appended
/// afterwards is not in it. It is made to its end whether somebody waits for it or not, because until then it holds one
/// of history's few readers, and with it its `place`.
pub fn take(historian: &HistorianHandle, marker: u64, plan: Plan, place: OwnedSemaphorePermit) -> SharedSnapshot {
    let wanted = plan.series.clone();
    let (from_us, to_us) = (plan.from_us, plan.to_us);
    let view = historian.ask(marker, move |present| {
        let kind_of = |series: u32| present.state.series.get(series as usize).map(|series| series.decl.kind);
        let states: Vec<u32> = wanted.iter().copied().filter(|&series| kind_of(series) == Some(Kind::State)).collect();
        present.view(&wanted, from_us, to_us).map(|view| (states, view))
    });
    let made = tokio::spawn(async move {
        let (states, mut view) = view.await.map_err(|_| SnapshotError::Busy)?.map_err(|error| match error {
            ViewError::ReadersBusy(_) => SnapshotError::Busy,
            error => SnapshotError::History(error.to_string()),
        })?;
        let made = tokio::task::spawn_blocking(move || {
            let made = plan.carry_out(&states, &mut view);
            // In this order: who gets the place next finds the reader free.
            drop(view);
            drop(place);
            made
        });
        made.await.unwrap_or_else(|error| Err(SnapshotError::History(error.to_string())))
    });
    SharedSnapshot::new(async { made.await.unwrap_or_else(|error| Err(SnapshotError::History(error.to_string()))) })
}

/// Raw readings as they are; a reduced bucket as its smallest, largest and last point in time order. A bucket at an edge
/// may reach over it; what is outside belongs to no window.
fn push_rows(rows: &mut Vec<(u32, Point)>, series: u32, answer: &Buckets, span: Span) {
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
                    if span.holds(point) && (i == 0 || point.time_us != points[i - 1].time_us) {
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

/// Points a series in a snapshot of so many series, of those that were asked for.
pub fn points_of(wanted: u32, series: usize) -> u32 {
    wanted.min(POINTS_PER_SNAPSHOT_MAX / series.max(1) as u32).max(1)
}

/// The message in front of a snapshot's frames; times are microseconds. When it would be too large its rows hold only
/// what a series is called: the catalogue has the rest.
pub fn beginning(id: u64, stream: u64, (from_us, to_us): (i64, i64), points: u32, mut series: Vec<SeriesRow>) -> Bytes {
    let encode = |series: Vec<SeriesRow>| {
        HubMessage::Snapshot { id, stream, from: wire_ms(from_us), to: wire_ms(to_us), points, series }.encode()
    };
    let message = encode(series.clone());
    if message.len() <= LIVE_CONTROL_BYTES_MAX {
        return message.into();
    }
    for row in &mut series {
        (row.title, row.unit, row.decimals, row.period_ms) = (None, None, None, None);
        row.states.clear();
    }
    encode(series).into()
}

#[cfg(test)]
mod tests {
    use protocol::{
        device::Kind,
        limits::{POINTS_MAX, SERIES_PER_SUBSCRIPTION_MAX, TEXT_CHARS_MAX},
    };

    use super::*;

    #[test]
    fn the_beginning_of_the_largest_snapshot_fits_a_message() {
        let row = |number: usize, text: &str| SeriesRow {
            id: u32::MAX - number as u32,
            device: format!("{number:064}"),
            channel: format!("{number:064}"),
            title: Some(text.to_owned()),
            unit: Some(text.to_owned()),
            kind: Kind::Counter,
            decimals: Some(2),
            period_ms: Some(0.1),
            states: vec![text.to_owned()],
        };
        for (text, is_whole) in [("°C", true), (&"°".repeat(TEXT_CHARS_MAX), false)] {
            let series: Vec<_> = (0..SERIES_PER_SUBSCRIPTION_MAX).map(|number| row(number, text)).collect();
            let message = beginning(1 << 52, 1 << 52, (0, i64::MAX), u32::MAX, series.clone());
            assert!(message.len() <= LIVE_CONTROL_BYTES_MAX, "{} bytes", message.len());
            let HubMessage::Snapshot { series: said, .. } = HubMessage::decode(&message).expect("readable") else {
                panic!("no snapshot")
            };
            assert_eq!(said.len(), series.len());
            assert_eq!(said == series, is_whole);
            assert!(said.iter().zip(&series).all(|(said, row)| said.id == row.id && said.channel == row.channel));
        }
    }

    #[test]
    fn many_series_get_fewer_points_each() {
        assert_eq!(points_of(600, 0), 600);
        assert_eq!(points_of(600, 1_024), 600);
        assert_eq!(points_of(POINTS_MAX, 1_024), 1_024);
        assert_eq!(points_of(POINTS_MAX, 10), POINTS_MAX);
    }

    #[test]
    fn what_a_bucket_has_outside_of_the_window_is_left_out() {
        let bucket = |start_us| history::Bucket {
            start_us,
            count: 3,
            min: 1.0,
            min_us: start_us,
            max: 3.0,
            max_us: start_us + 5,
            sum: 6.0,
            last: 2.0,
            last_us: start_us + 9,
        };
        let (mut rows, span) = (Vec::new(), Span { from_us: 105, to_us: 115 });
        let answer = Buckets::Buckets { width_us: 10, rows: vec![bucket(100), bucket(110)] };
        push_rows(&mut rows, 7, &answer, span);
        let times: Vec<i64> = rows.iter().map(|(_, point)| point.time_us).collect();
        assert_eq!(times, [105, 109, 110, 115]);
    }
}

//! Rows into data frames: what fits into one, and which times viewers can be shown. Pure.

use bytes::Bytes;
use protocol::{
    limits::{LIVE_FRAME_BYTES_MAX, WINDOW_MS_MAX},
    live::LiveData,
};

use super::conflate::Point;
use crate::{clock::wire_ms, ingest::admission::AHEAD_US_MAX};

/// A row takes 12 bytes and at most 6 more when it begins a series.
const ROW_BYTES_MAX: usize = 12 + 6;
/// What a frame's times may span, microseconds: they are a u32 of milliseconds behind its first.
const FRAME_SPAN_US_MAX: i64 = u32::MAX as i64 * 1000;
/// The longest window, microseconds.
const WINDOW_US_MAX: i64 = WINDOW_MS_MAX as i64 * 1000;

/// The times that viewers are shown, microseconds, both ends included. At most some minutes longer than the longest
/// window, so that every time in it is a u32 of milliseconds behind any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Oldest.
    pub from_us: i64,
    /// Newest.
    pub to_us: i64,
}

impl Span {
    /// What any window that ends at `now_us` reaches, and as far ahead as a live reading may be; twice that, because the
    /// present is looked at now and then only. An import may bring readings of the next century, which are on no
    /// screen yet.
    pub fn around(now_us: i64) -> Self {
        Self { from_us: now_us - WINDOW_US_MAX, to_us: now_us + 2 * AHEAD_US_MAX }
    }

    /// What a window reaches that ends at the newest of these rows: for as long as the present is not known.
    pub fn behind(rows: &[(u32, Point)]) -> Self {
        let to_us = rows.iter().map(|(_, point)| point.time_us).max().unwrap_or(0);
        Self { from_us: to_us.saturating_sub(WINDOW_US_MAX), to_us }
    }

    /// Whether it is shown.
    pub fn holds(self, point: Point) -> bool {
        (self.from_us..=self.to_us).contains(&point.time_us)
    }

    /// The oldest time that still fits one frame with everything that is shown, microseconds: some days before it begins.
    pub fn oldest_us(self) -> i64 {
        self.to_us - FRAME_SPAN_US_MAX
    }

    /// Leaves out what is not shown; gives how much that was.
    pub fn cut(self, rows: &mut Vec<(u32, Point)>) -> u64 {
        let before = rows.len();
        rows.retain(|&(_, point)| self.holds(point));
        (before - rows.len()) as u64
    }
}

/// Encodes rows that are grouped by series and within one [`Span`] into frames of at most [`LIVE_FRAME_BYTES_MAX`]. The
/// first tells that so many points were left out.
pub fn encode_rows(stream: u64, rows: &[(u32, Point)], merged: u64, data: &mut LiveData, mut give: impl FnMut(Bytes)) {
    let mut merged = merged;
    for part in rows.chunks((LIVE_FRAME_BYTES_MAX - LiveData::byte_len_max(0, 0)) / ROW_BYTES_MAX) {
        let t0_ms = part.iter().map(|(_, point)| wire_ms(point.time_us)).min().expect("a chunk has a row");
        data.clear();
        (data.stream, data.t0_ms) = (stream, t0_ms);
        for &(id, point) in part {
            match (data.ids.last(), data.counts.last_mut()) {
                (Some(&last), Some(count)) if last == id => *count += 1,
                _ => {
                    data.ids.push(id);
                    data.counts.push(1);
                }
            }
            data.dt_ms.push((wire_ms(point.time_us) - t0_ms) as u32);
            data.values.push(point.value);
        }
        data.merged = std::mem::take(&mut merged);
        let mut frame = Vec::with_capacity(LiveData::byte_len_max(data.ids.len(), data.values.len()));
        data.encode(&mut frame);
        give(Bytes::from(frame));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_US: i64 = 1_770_000_000_000_000;

    fn encode(rows: &[(u32, Point)], merged: u64) -> Vec<LiveData> {
        let mut frames = Vec::new();
        encode_rows(1, rows, merged, &mut LiveData::default(), |frame| {
            assert!(frame.len() <= LIVE_FRAME_BYTES_MAX);
            let mut data = LiveData::default();
            data.decode(&frame).expect("readable");
            frames.push(data);
        });
        frames
    }

    #[test]
    fn frames_stay_below_their_limit_and_lose_nothing() {
        let rows: Vec<_> =
            (0..20_000).map(|i| (i / 100, Point { time_us: i64::from(i) * 1_000, value: f64::from(i) })).collect();
        let (mut seen, mut merged) = (0, 0);
        for data in encode(&rows, 7) {
            merged += data.merged;
            for (id, dt_ms, values) in data.series() {
                for (&dt, &value) in dt_ms.iter().zip(values) {
                    assert_eq!((id, data.t0_ms + u64::from(dt)), (seen / 100, u64::from(seen)));
                    assert!((value - f64::from(seen)).abs() < f64::EPSILON);
                    seen += 1;
                }
            }
        }
        assert_eq!((seen, merged), (20_000, 7));
    }

    #[test]
    fn what_is_carried_in_from_before_the_longest_window_fits_a_frame() {
        for ahead_us in [0, 1, 999] {
            let span = Span { to_us: NOW_US + 2 * AHEAD_US_MAX + ahead_us, from_us: NOW_US - WINDOW_US_MAX };
            assert!(span.oldest_us() < span.from_us - 86_400_000_000, "at least a day before it");
            let times = [span.oldest_us(), span.from_us, span.to_us];
            let [data] = &encode(&times.map(|time_us| (1, Point { time_us, value: 1.0 })), 0)[..] else {
                panic!("one frame")
            };
            let seen: Vec<u64> = data.dt_ms.iter().map(|&dt_ms| data.t0_ms + u64::from(dt_ms)).collect();
            assert_eq!(seen, times.map(wire_ms));
        }
    }

    #[test]
    fn what_is_shown_fits_a_frame_and_another_century_is_not_shown() {
        let Span { from_us, to_us } = Span::around(NOW_US);
        let times = [from_us - 1, from_us, NOW_US, to_us, to_us + 1, 4_102_444_800_000_000];
        let mut rows = times.map(|time_us| (1, Point { time_us, value: 1.0 })).to_vec();
        assert_eq!(Span::around(NOW_US).cut(&mut rows), 3);
        let [data] = &encode(&rows, 0)[..] else { panic!("one frame") };
        let seen: Vec<u64> = data.dt_ms.iter().map(|&dt_ms| data.t0_ms + u64::from(dt_ms)).collect();
        assert_eq!(seen, [from_us, NOW_US, to_us].map(wire_ms));
    }

    #[test]
    fn without_a_clock_the_newest_reading_is_the_present() {
        let mut rows = [0, NOW_US, NOW_US - WINDOW_US_MAX].map(|time_us| (1, Point { time_us, value: 1.0 })).to_vec();
        assert_eq!(Span::behind(&rows).cut(&mut rows), 1);
        assert_eq!(rows.len(), 2);
    }
}

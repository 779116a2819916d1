//! Which points of a series are kept when there are more than can be shown: the smallest, the largest and the last of
//! each stretch of time. By the readings' own time, so that a backlog of an hour keeps its shape however fast it comes.
//!
//! Pure. The same code serves a stream between two flushes and a viewer that is too slow.

/// Points of one series that wait to be sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pending {
    points: Vec<Point>,
    merged: u64,
}

/// What is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Of each stretch of this length three points stay, microseconds; 0 keeps every point.
    pub stretch_us: i64,
    /// Points of one series that may wait at most; beyond that stretches grow.
    pub points_max: usize,
}

/// One reading: time in microseconds since the Unix epoch, value (NaN: missing).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Microseconds since the Unix epoch.
    pub time_us: i64,
    /// NaN is a missing measurement.
    pub value: f64,
}

impl Pending {
    /// Adds readings; `shift_us` is added to their times.
    pub fn extend(&mut self, times_us: &[i64], shift_us: i64, values: &[f64], keep: Keep) {
        debug_assert_eq!(times_us.len(), values.len());
        let readings = times_us.iter().zip(values);
        self.points
            .extend(readings.map(|(&time_us, &value)| Point { time_us: time_us.saturating_add(shift_us), value }));
        let mut stretch_us = keep.stretch_us.max(1_000);
        while self.points.len() > keep.points_max.max(POINTS_A_STRETCH) {
            self.reduce(stretch_us);
            stretch_us = stretch_us.saturating_mul(2);
        }
    }

    /// Leaves out what need not be sent; to be called before [`points`](Self::points).
    pub fn settle(&mut self, keep: Keep) {
        if keep.stretch_us > 0 && self.points.len() > POINTS_A_STRETCH {
            self.reduce(keep.stretch_us);
        }
    }

    /// Leaves the smallest, the largest and the last of each stretch, in time order, each once.
    fn reduce(&mut self, stretch_us: i64) {
        let before = self.points.len();
        let (mut begin, mut kept) = (0, 0);
        while begin < before {
            let stretch = self.points[begin].time_us.div_euclid(stretch_us);
            let same = self.points[begin..].iter().take_while(|point| point.time_us.div_euclid(stretch_us) == stretch);
            let end = begin + same.count();
            for point in extremes(&self.points[begin..end]) {
                // Never ahead of what is still to be read: at most as many stay as there were.
                self.points[kept] = point;
                kept += 1;
            }
            begin = end;
        }
        self.points.truncate(kept);
        self.merged += (before - kept) as u64;
    }

    /// True when nothing waits.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// What waits, in the order it is to be sent.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Empties it; gives how many points were left out since the last time.
    pub fn clear(&mut self) -> u64 {
        self.points.clear();
        std::mem::take(&mut self.merged)
    }
}

/// Points that stay of one stretch.
const POINTS_A_STRETCH: usize = 3;

/// The smallest, the largest and the last, in time order, each once.
fn extremes(points: &[Point]) -> impl Iterator<Item = Point> + use<> {
    let measured = || points.iter().copied().filter(|point| !point.value.is_nan());
    let smallest = measured().reduce(|best, point| if point.value < best.value { point } else { best });
    let largest = measured().reduce(|best, point| if point.value > best.value { point } else { best });
    let mut kept = [smallest, largest, points.last().copied()];
    kept.sort_by_key(|point| point.map_or(i64::MIN, |point| point.time_us));
    let is_same = |a: Option<Point>, b: Option<Point>| {
        a.zip(b).is_some_and(|(a, b)| a.time_us == b.time_us && a.value.to_bits() == b.value.to_bits())
    };
    for place in 1..kept.len() {
        if is_same(kept[place - 1], kept[place]) {
            kept[place - 1] = None;
        }
    }
    kept.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is kept of values that are a millisecond apart, before settling; and all of them.
    fn pending(chunks: &[Vec<f64>], keep: Keep) -> (Pending, Vec<Point>) {
        let (mut pending, mut all, mut time_us) = (Pending::default(), Vec::new(), 0);
        for chunk in chunks {
            let times: Vec<i64> = (0..chunk.len() as i64).map(|i| time_us + i * 1_000).collect();
            time_us += chunk.len() as i64 * 1_000;
            pending.extend(&times, 100, chunk, keep);
            all.extend(times.iter().zip(chunk).map(|(&time_us, &value)| Point { time_us: time_us + 100, value }));
        }
        (pending, all)
    }

    fn lowest(points: &[Point]) -> f64 {
        points.iter().map(|point| point.value).fold(f64::INFINITY, f64::min)
    }

    fn highest(points: &[Point]) -> f64 {
        points.iter().map(|point| point.value).fold(f64::NEG_INFINITY, f64::max)
    }

    proptest! {
        #[test]
        fn smallest_largest_and_last_of_each_stretch_survive_and_the_rest_is_counted(
            chunks in prop::collection::vec(prop::collection::vec(prop_oneof![-5.0..5.0_f64, Just(f64::NAN)], 0..30), 0..9),
            stretch_ms in 1_i64..20,
        ) {
            let keep = Keep { stretch_us: stretch_ms * 1_000, points_max: 1_000 };
            let (mut pending, all) = pending(&chunks, keep);
            pending.settle(keep);
            let kept = pending.points().to_vec();
            prop_assert!(kept.is_sorted_by_key(|point| point.time_us));
            let stretch = |point: &Point| point.time_us.div_euclid(keep.stretch_us);
            if all.len() > POINTS_A_STRETCH {
                for of_all in all.chunk_by(|a, b| stretch(a) == stretch(b)) {
                    let of_kept: Vec<_> = kept.iter().copied().filter(|point| stretch(point) == stretch(&of_all[0])).collect();
                    prop_assert!(of_kept.len() <= POINTS_A_STRETCH);
                    prop_assert_eq!(of_kept.last().map(|point| point.time_us), of_all.last().map(|point| point.time_us));
                    prop_assert_eq!(lowest(&of_kept).to_bits(), lowest(of_all).to_bits());
                    prop_assert_eq!(highest(&of_kept).to_bits(), highest(of_all).to_bits());
                }
            }
            prop_assert_eq!(kept.len() as u64 + pending.clear(), all.len() as u64);
        }

        #[test]
        fn memory_is_bounded_whatever_comes(
            chunks in prop::collection::vec(prop::collection::vec(-5.0..5.0_f64, 0..200), 0..9),
            points_max in 3_usize..50,
        ) {
            let (mut pending, all) = pending(&chunks, Keep { stretch_us: 0, points_max });
            let kept = pending.points().to_vec();
            prop_assert!(kept.len() <= points_max);
            prop_assert_eq!(lowest(&kept).to_bits(), lowest(&all).to_bits());
            prop_assert_eq!(highest(&kept).to_bits(), highest(&all).to_bits());
            prop_assert_eq!(kept.len() as u64 + pending.clear(), all.len() as u64);
        }
    }

    #[test]
    fn a_backlog_keeps_its_shape_however_fast_it_comes() {
        let keep = Keep { stretch_us: 100_000, points_max: 1_000 };
        let times: Vec<i64> = (0..120).map(|i| i * 500_000).collect();
        let values: Vec<f64> = (0..120).map(f64::from).collect();
        let mut pending = Pending::default();
        pending.extend(&times, 0, &values, keep);
        pending.settle(keep);
        assert_eq!(pending.points().len(), 120);
        assert_eq!(pending.clear(), 0);
    }
}

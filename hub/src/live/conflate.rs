//! Which points of a series are kept when there are more than can be shown: the smallest, the largest and the last.
//!
//! Pure. The same code serves a stream between two flushes and a viewer that is too slow.

/// Points of one series that wait to be sent. While there are at most `limit` all are kept; beyond that the smallest,
/// the largest and the last, in time order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pending {
    points: Vec<Point>,
    merged: u64,
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
    pub fn extend(&mut self, times_us: &[i64], shift_us: i64, values: &[f64], limit: usize) {
        debug_assert_eq!(times_us.len(), values.len());
        let point = |i: usize| Point { time_us: times_us[i].saturating_add(shift_us), value: values[i] };
        if self.points.len() + values.len() <= limit {
            self.points.extend((0..values.len()).map(point));
            return;
        }
        let Some(last) = values.len().checked_sub(1) else { return };
        let extreme = |better: fn(f64, f64) -> bool| {
            (0..values.len())
                .filter(|&i| !values[i].is_nan())
                .reduce(|best, i| if better(values[i], values[best]) { i } else { best })
        };
        let before = self.points.len() + values.len();
        let smallest = extreme(|new, best| new < best).map(point);
        let largest = extreme(|new, best| new > best).map(point);
        self.points.extend([smallest, largest].into_iter().flatten());
        self.points.push(point(last));
        self.reduce();
        self.merged += (before - self.points.len()) as u64;
    }

    /// Leaves the smallest, the largest and the last, in time order, each once.
    fn reduce(&mut self) {
        let Some(&last) = self.points.last() else { return };
        let measured = || self.points.iter().filter(|point| !point.value.is_nan());
        let smallest = measured().copied().reduce(|best, point| if point.value < best.value { point } else { best });
        let largest = measured().copied().reduce(|best, point| if point.value > best.value { point } else { best });
        let mut kept = [smallest, largest, Some(last)];
        kept.sort_by_key(|point| point.map_or(i64::MIN, |point| point.time_us));
        self.points.clear();
        for point in kept.into_iter().flatten() {
            let is_twice = self.points.last().is_some_and(|before| {
                before.time_us == point.time_us && before.value.to_bits() == point.value.to_bits()
            });
            if !is_twice {
                self.points.push(point);
            }
        }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pending(chunks: &[Vec<f64>], limit: usize) -> (Pending, Vec<Point>) {
        let (mut pending, mut all, mut time_us) = (Pending::default(), Vec::new(), 0);
        for chunk in chunks {
            let times: Vec<i64> = (0..chunk.len() as i64).map(|i| time_us + i).collect();
            time_us += chunk.len() as i64;
            pending.extend(&times, 100, chunk, limit);
            all.extend(times.iter().zip(chunk).map(|(&time_us, &value)| Point { time_us: time_us + 100, value }));
        }
        (pending, all)
    }

    proptest! {
        #[test]
        fn smallest_largest_and_last_survive_and_the_rest_is_counted(
            chunks in prop::collection::vec(prop::collection::vec(prop_oneof![-5.0..5.0_f64, Just(f64::NAN)], 0..9), 0..9),
            limit in 3_usize..12,
        ) {
            let (mut pending, all) = pending(&chunks, limit);
            let kept: Vec<Point> = pending.points().to_vec();
            prop_assert!(kept.len() <= limit);
            prop_assert!(kept.is_sorted_by_key(|point| point.time_us));
            prop_assert_eq!(kept.last().map(|p| p.time_us), all.last().map(|p| p.time_us));
            let lowest = |points: &[Point]| points.iter().map(|p| p.value).fold(f64::INFINITY, f64::min);
            let highest = |points: &[Point]| points.iter().map(|p| p.value).fold(f64::NEG_INFINITY, f64::max);
            prop_assert_eq!(lowest(&kept).to_bits(), lowest(&all).to_bits());
            prop_assert_eq!(highest(&kept).to_bits(), highest(&all).to_bits());
            let count = kept.len();
            prop_assert_eq!(count as u64 + pending.clear(), all.len() as u64);
        }
    }

    #[test]
    fn few_points_are_all_kept() {
        let (pending, all) = pending(&[vec![1.0], vec![3.0, 2.0]], 3);
        assert_eq!(pending.points(), all);
    }
}

//! The readings of one series over the window that is drawn, reduced to what the screen can show.

use std::collections::VecDeque;

/// Points one bucket keeps: the least, the greatest and the last.
const BUCKET_POINTS_MAX: usize = 3;
/// Points a trace keeps, whatever arrives: 2 000 buckets.
const POINTS_MAX: usize = 6_000;

/// One reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Hub's clock, milliseconds since the Unix epoch.
    pub time_ms: i64,
    /// NaN is a missing measurement.
    pub value: f64,
}

/// Points in time order. A bucket (the time that one dot of the screen stands for) holds at most three of them, so
/// memory depends on the width of the screen and not on the rate of the device.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    points: VecDeque<Point>,
    bucket_ms: i64,
}

impl Trace {
    /// An empty trace whose dots stand for `bucket_ms` milliseconds, at least one.
    pub fn new(bucket_ms: i64) -> Self {
        Self { points: VecDeque::new(), bucket_ms: bucket_ms.max(1) }
    }

    /// Puts a reading in its place. One with the time of another replaces it.
    pub fn push(&mut self, point: Point) {
        let index = match self.points.back() {
            Some(last) if point.time_ms <= last.time_ms => {
                self.points.partition_point(|known| known.time_ms < point.time_ms)
            }
            _ => self.points.len(),
        };
        match self.points.get_mut(index) {
            Some(known) if known.time_ms == point.time_ms => *known = point,
            _ => self.points.insert(index, point),
        }
        self.reduce_bucket_at(index);
        if self.points.len() > POINTS_MAX {
            self.points.pop_front();
        }
    }

    /// Leaves only the least, the greatest and the last value of the bucket around `index`; missing measurements go
    /// first, because what was measured in the same dot of the screen says more.
    fn reduce_bucket_at(&mut self, index: usize) {
        let bucket = self.bucket(index);
        let mut start = index;
        while start > 0 && self.bucket(start - 1) == bucket {
            start -= 1;
        }
        let mut end = index + 1;
        while end < self.points.len() && self.bucket(end) == bucket {
            end += 1;
        }
        if end - start <= BUCKET_POINTS_MAX {
            return;
        }
        let by_value = |&a: &usize, &b: &usize| self.points[a].value.total_cmp(&self.points[b].value);
        let measured = (start..end).filter(|&i| !self.points[i].value.is_nan());
        let least = measured.clone().min_by(by_value);
        let greatest = measured.clone().max_by(by_value);
        let newest = measured.clone().next_back().unwrap_or(end - 1);
        for i in (start..end).rev() {
            if Some(i) != least && Some(i) != greatest && i != newest {
                self.points.remove(i);
            }
        }
    }

    fn bucket(&self, index: usize) -> i64 {
        self.points[index].time_ms.div_euclid(self.bucket_ms)
    }

    /// Forgets what lies before `from_ms`, except the point from which a line enters the window.
    pub fn trim_before(&mut self, from_ms: i64) {
        while self.points.get(1).is_some_and(|second| second.time_ms <= from_ms) {
            self.points.pop_front();
        }
    }

    /// Every point, in time order.
    pub fn points(&self) -> impl Iterator<Item = Point> + Clone {
        self.points.iter().copied()
    }

    /// The newest point.
    pub fn last(&self) -> Option<Point> {
        self.points.back().copied()
    }

    /// The newest point at or before `time_ms`.
    pub fn last_at(&self, time_ms: i64) -> Option<Point> {
        let after = self.points.partition_point(|point| point.time_ms <= time_ms);
        after.checked_sub(1).map(|index| self.points[index])
    }

    /// Milliseconds that one dot stands for.
    pub fn bucket_ms(&self) -> i64 {
        self.bucket_ms
    }

    /// The usual time between two points, milliseconds: the median, which a few outages do not move.
    pub fn interval_ms(&self) -> Option<i64> {
        let mut intervals: Vec<i64> =
            self.points.iter().zip(self.points.iter().skip(1)).map(|(a, b)| b.time_ms - a.time_ms).collect();
        if intervals.is_empty() {
            return None;
        }
        let middle = intervals.len() / 2;
        Some(*intervals.select_nth_unstable(middle).1)
    }

    /// The mean of each of `buckets` equal parts of the time from `from_ms` to `to_ms`. A part without a reading has
    /// what stood before, as long as `hold` allows; else NaN.
    pub fn means(&self, from_ms: i64, to_ms: i64, buckets: usize, hold: Hold) -> Vec<f64> {
        let mut points = self.points.iter().copied().peekable();
        let mut standing: Option<Point> = None;
        while let Some(point) = points.next_if(|point| point.time_ms <= from_ms) {
            standing = Some(point);
        }
        let span_ms = (to_ms - from_ms).max(1);
        let end_ms = |bucket: usize| from_ms + span_ms * (bucket as i64 + 1) / buckets as i64;
        let mut means = Vec::with_capacity(buckets);
        for bucket in 0..buckets {
            let (mut sum, mut count) = (0.0, 0_u32);
            let mut missing = false;
            while let Some(point) = points.next_if(|point| point.time_ms <= end_ms(bucket)) {
                missing |= point.value.is_nan();
                if !point.value.is_nan() {
                    sum += point.value;
                    count += 1;
                }
                standing = Some(point);
            }
            means.push(match standing {
                _ if count > 0 => sum / f64::from(count),
                Some(last) if !missing && hold.covers(last, end_ms(bucket) - span_ms / (2 * buckets as i64)) => {
                    last.value
                }
                _ => f64::NAN,
            });
        }
        means
    }
}

/// How long a reading stands for what comes after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Milliseconds; `None` is for ever.
    pub silence_max_ms: Option<i64>,
    /// Nothing stands after this, hub's clock.
    pub known_to_ms: i64,
}

impl Hold {
    fn covers(self, last: Point, time_ms: i64) -> bool {
        time_ms <= self.known_to_ms && self.silence_max_ms.is_none_or(|max| time_ms - last.time_ms <= max)
    }
}

#[cfg(test)]
mod tests;

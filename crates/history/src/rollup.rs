//! Rollups: what a stretch of time adds up to.
//!
//! A stored rollup row is a pure function of the readings in chunks. One bucket may have several rows, because each seal
//! adds what it sealed: they are combined when they are read. A reading that replaces an earlier one of the same time
//! cannot be added that way; its bucket is computed again from raw and written as a row that supersedes all before it.

/// What the readings of one stretch of time add up to. NaN readings count in nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// The first instant of the bucket: microseconds since the Unix epoch, a multiple of the bucket's width.
    pub start_us: i64,
    /// How many readings it has.
    pub count: u64,
    /// Their sum, in the channel's unit.
    pub sum: f64,
    /// The least value.
    pub min: f64,
    /// The greatest value.
    pub max: f64,
    /// The value of the latest reading.
    pub last: f64,
    /// When the least value first occurred.
    pub min_us: i64,
    /// When the greatest value first occurred.
    pub max_us: i64,
    /// When the latest reading was measured.
    pub last_us: i64,
}

impl Bucket {
    /// The mean of the readings; NaN when there is none.
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    /// A bucket without readings.
    pub(crate) fn empty(start_us: i64) -> Self {
        Self {
            start_us,
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            last: f64::NAN,
            min_us: start_us,
            max_us: start_us,
            last_us: start_us,
        }
    }

    /// Adds one reading, not NaN, whose time is above that of every reading before.
    fn push(&mut self, time_us: i64, value: f64) {
        if self.count == 0 || value < self.min {
            (self.min, self.min_us) = (value, time_us);
        }
        if self.count == 0 || value > self.max {
            (self.max, self.max_us) = (value, time_us);
        }
        (self.last, self.last_us) = (value, time_us);
        self.sum += value;
        self.count += 1;
    }

    /// Adds the readings of `other`, none of which is counted here yet.
    pub(crate) fn merge(&mut self, other: &Bucket) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = Bucket { start_us: self.start_us, ..*other };
            return;
        }
        if (other.min, other.min_us) < (self.min, self.min_us) {
            (self.min, self.min_us) = (other.min, other.min_us);
        }
        if (-other.max, other.max_us) < (-self.max, self.max_us) {
            (self.max, self.max_us) = (other.max, other.max_us);
        }
        if other.last_us >= self.last_us {
            (self.last, self.last_us) = (other.last, other.last_us);
        }
        self.sum += other.sum;
        self.count += other.count;
    }
}

/// A bucket as it is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Row {
    pub(crate) bucket: Bucket,
    /// The row supersedes every earlier row of its bucket instead of adding to them.
    pub(crate) replaces: bool,
}

impl Row {
    /// Puts a later row of the same bucket on top of this one.
    pub(crate) fn apply(&mut self, later: &Row) {
        if later.replaces {
            *self = *later;
        } else {
            self.bucket.merge(&later.bucket);
        }
    }
}

/// Microseconds a row of rollup level 1 and of level 2; level 0 has readings.
pub(crate) const WIDTHS_US: [i64; 3] = [0, 60_000_000, 3_600_000_000];

/// The start of the bucket that holds `time_us`. At the very beginning of time the first bucket is a short one.
pub(crate) fn bucket_start(time_us: i64, width_us: i64) -> i64 {
    time_us.saturating_sub(time_us.rem_euclid(width_us))
}

/// Adds readings in time order to `buckets`, whose last bucket may still be growing.
pub(crate) fn fold(width_us: i64, times_us: &[i64], values: &[f64], buckets: &mut Vec<Bucket>) {
    let mut at = 0;
    while at < times_us.len() {
        let start_us = bucket_start(times_us[at], width_us);
        let end_us = start_us.saturating_add(width_us);
        if buckets.last().is_none_or(|last| last.start_us != start_us) {
            buckets.push(Bucket::empty(start_us));
        }
        let bucket = buckets.last_mut().expect("one was just made sure of");
        // The first reading belongs to the bucket by construction, also where its end is cut off by the end of time.
        let first = at;
        while at < times_us.len() && (times_us[at] < end_us || at == first) {
            if !values[at].is_nan() {
                bucket.push(times_us[at], values[at]);
            }
            at += 1;
        }
    }
}

/// Adds later rows, sorted by bucket, to the sorted rows `tail`: one row a bucket.
pub(crate) fn add_rows(tail: &mut Vec<Row>, later: &[Row]) {
    for row in later {
        match tail.binary_search_by_key(&row.bucket.start_us, |old| old.bucket.start_us) {
            Ok(at) => tail[at].apply(row),
            Err(at) => tail.insert(at, *row),
        }
    }
}

/// Combines rows of several origins into one bucket each of `width_us`, a multiple of the rows' own width. A row's order
/// says when it was written: later ones apply on top of earlier ones. Buckets without readings are left out.
pub(crate) fn combine(mut rows: Vec<(i64, Row)>, width_us: i64) -> Vec<Bucket> {
    rows.sort_by_key(|(order, row)| (row.bucket.start_us, *order));
    let mut buckets: Vec<Bucket> = Vec::new();
    let mut add = |row: &Row| {
        let start_us = bucket_start(row.bucket.start_us, width_us);
        match buckets.last_mut() {
            Some(bucket) if bucket.start_us == start_us => bucket.merge(&row.bucket),
            _ => buckets.push(Bucket { start_us, ..row.bucket }),
        }
    };
    let mut open: Option<Row> = None;
    for (_, row) in &rows {
        match &mut open {
            Some(current) if current.bucket.start_us == row.bucket.start_us => current.apply(row),
            _ => {
                if let Some(done) = open.replace(*row) {
                    add(&done);
                }
            }
        }
    }
    if let Some(done) = open {
        add(&done);
    }
    buckets.retain(|bucket| bucket.count > 0);
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(readings: &[(i64, f64)]) -> Bucket {
        let (times_us, values): (Vec<i64>, Vec<f64>) = readings.iter().copied().unzip();
        let mut buckets = Vec::new();
        fold(100, &times_us, &values, &mut buckets);
        assert_eq!(buckets.len(), 1);
        buckets[0]
    }

    #[test]
    fn a_bucket_split_in_any_way_adds_up_to_the_same() {
        let readings = [(0, 3.0), (1, f64::NAN), (2, -1.0), (3, 7.0), (4, -1.0), (5, 7.0), (6, 2.0)];
        let whole = bucket(&readings);
        assert_eq!((whole.count, whole.min_us, whole.max_us, whole.last), (6, 2, 3, 2.0));
        for mask in 0_u32..1 << readings.len() {
            let pick = |side: bool| -> Vec<(i64, f64)> {
                readings.iter().copied().filter(|(time, _)| (mask >> time & 1 == 1) == side).collect()
            };
            let mut merged = Bucket::empty(0);
            for part in [pick(true), pick(false)] {
                if !part.is_empty() {
                    merged.merge(&bucket(&part));
                }
            }
            assert_eq!(merged, whole, "mask {mask:b}");
        }
    }

    #[test]
    fn a_replacing_row_supersedes_what_came_before_it_only() {
        let row = |readings: &[(i64, f64)], replaces| Row { bucket: bucket(readings), replaces };
        let rows = vec![(3, row(&[(9, 5.0)], false)), (1, row(&[(1, 1.0)], false)), (2, row(&[(1, 2.0)], true))];
        let combined = combine(rows, 100);
        assert_eq!(combined.len(), 1);
        assert_eq!((combined[0].count, combined[0].sum, combined[0].last), (2, 7.0, 5.0));
    }

    #[test]
    fn buckets_at_the_ends_of_time_do_not_overflow() {
        let mut buckets = Vec::new();
        fold(3_600_000_000, &[i64::MIN, 0, i64::MAX], &[1.0, 2.0, 3.0], &mut buckets);
        assert_eq!(buckets.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [1, 1, 1]);
    }
}

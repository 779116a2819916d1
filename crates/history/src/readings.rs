//! Readings of one series as columns, the shape in which they are stored, merged and answered.

use std::ops::Range;

/// The flag of a reading whose time was not above every earlier time of its series. History sets it; the other bits are
/// the caller's and are kept as they came.
pub const LATE: u8 = 1;

/// Readings of one series; all columns have the same length.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Readings {
    /// When it was measured: microseconds since the Unix epoch.
    pub times_us: Vec<i64>,
    /// What was measured, in the channel's unit. NaN is a missing measurement: stored, shown as a gap, counted nowhere.
    pub values: Vec<f64>,
    /// Bits: late 1, estimated 2, skewed 4.
    pub flags: Vec<u8>,
    /// When the record that carried it arrived: whole seconds since the Unix epoch.
    pub arrivals_s: Vec<u32>,
}

impl Readings {
    /// How many readings there are.
    pub fn len(&self) -> usize {
        self.times_us.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.times_us.is_empty()
    }

    /// Removes all readings and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.times_us.clear();
        self.values.clear();
        self.flags.clear();
        self.arrivals_s.clear();
    }

    /// Appends the readings of `other` in `range`.
    pub(crate) fn extend_from(&mut self, other: &Readings, range: Range<usize>) {
        self.times_us.extend_from_slice(&other.times_us[range.clone()]);
        self.values.extend_from_slice(&other.values[range.clone()]);
        self.flags.extend_from_slice(&other.flags[range.clone()]);
        self.arrivals_s.extend_from_slice(&other.arrivals_s[range]);
    }

    /// The readings in `range`, copied.
    pub(crate) fn part(&self, range: Range<usize>) -> Readings {
        let mut part = Readings::default();
        part.extend_from(self, range);
        part
    }

    /// Puts the readings in time order; those of the same time stay in the order they came.
    pub(crate) fn sort_by_time(&mut self) {
        if self.times_us.is_sorted() {
            return;
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|&i| self.times_us[i]);
        *self = Readings {
            times_us: order.iter().map(|&i| self.times_us[i]).collect(),
            values: order.iter().map(|&i| self.values[i]).collect(),
            flags: order.iter().map(|&i| self.flags[i]).collect(),
            arrivals_s: order.iter().map(|&i| self.arrivals_s[i]).collect(),
        };
    }

    /// The positions whose times lie in `[from_us, to_us)`; the readings are in time order.
    pub(crate) fn span(&self, from_us: i64, to_us: i64) -> Range<usize> {
        let start = self.times_us.partition_point(|&time| time < from_us);
        let end = self.times_us.partition_point(|&time| time < to_us);
        start..end.max(start)
    }
}

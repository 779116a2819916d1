//! The open end of a series: readings that came and are in no chunk yet.

pub(crate) mod packed;

use packed::Packed;

use crate::readings::{LATE, Readings};

/// The unsealed readings of one series, those in time order apart from those that came late.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    /// Journal sequence of the oldest record held here.
    pub(crate) first_seq: u64,
    /// Journal sequence of the newest record held here.
    pub(crate) last_seq: u64,
    /// The least time held, microseconds.
    first_us: i64,
    in_order: Packed,
    late: Packed,
}

impl Head {
    pub(crate) fn new(first_seq: u64) -> Self {
        Self { first_seq, first_us: i64::MAX, ..Self::default() }
    }

    /// Takes the readings of one record. `newest_us` is the newest time that the series has ever had, and is moved on.
    pub(crate) fn push(
        &mut self,
        seq: u64,
        arrival_s: u32,
        flags: u8,
        times_us: &[i64],
        values: &[f64],
        newest_us: &mut i64,
    ) {
        self.last_seq = seq;
        for &time_us in times_us {
            self.first_us = self.first_us.min(time_us);
        }
        let mut start = 0;
        while start < times_us.len() {
            let late = times_us[start] <= *newest_us;
            let mut end = start;
            while end < times_us.len() && (times_us[end] <= *newest_us) == late {
                *newest_us = times_us[end].max(*newest_us);
                end += 1;
            }
            let (packed, flags) = if late { (&mut self.late, flags | LATE) } else { (&mut self.in_order, flags) };
            packed.push(arrival_s, flags, &times_us[start..end], &values[start..end]);
            start = end;
        }
    }

    /// How many readings are held.
    pub(crate) fn len(&self) -> usize {
        self.in_order.len() + self.late.len()
    }

    /// Whether it holds a reading before `to_us`.
    pub(crate) fn begins_before(&self, to_us: i64) -> bool {
        self.first_us < to_us
    }

    /// The memory it takes, spare room included.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.in_order.capacity() + self.late.capacity()
    }

    /// Appends what is held to what `unsealed` already has, which came earlier.
    pub(crate) fn append_to(&self, unsealed: &mut Unsealed) {
        self.in_order.append_to(&mut unsealed.in_order);
        self.late.append_to(&mut unsealed.late);
        unsealed.late.sort_by_time();
    }
}

/// Unsealed readings, unpacked: the spilled ones first, then the head's.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unsealed {
    /// Strictly rising times, above those of every stored chunk in order.
    pub(crate) in_order: Readings,
    /// By time; of equal times the one that came last stands last.
    pub(crate) late: Readings,
}

impl Unsealed {
    /// How many readings there are.
    pub(crate) fn len(&self) -> usize {
        self.in_order.len() + self.late.len()
    }

    /// Takes out what is worth a chunk now: at least half of `chunk_readings` in order, and what came late with them; or
    /// as much late alone, so that the import of a backlog does not cut the live readings into crumbs. Late readings go
    /// alone only if they are older than all that stay in order: what stays can then still be late to nothing sealed.
    pub(crate) fn take_ripe(&mut self, chunk_readings: usize) -> Unsealed {
        let half = chunk_readings / 2;
        let open_us = self.in_order.times_us.first().copied().unwrap_or(i64::MAX);
        let older = self.late.span(i64::MIN, open_us);
        let staying = self.len() - older.len();
        if self.in_order.len() >= half || older.len() < half || staying >= chunk_readings {
            return std::mem::take(self);
        }
        let newer = self.late.part(older.end..self.late.len());
        let late = self.late.part(older);
        self.late = newer;
        Unsealed { in_order: Readings::default(), late }
    }

    /// The times and values of all readings, in time order; of equal times the one that came last.
    pub(crate) fn resolved(&self) -> (Vec<i64>, Vec<f64>) {
        let (in_order, late) = (&self.in_order, &self.late);
        let mut times_us = Vec::with_capacity(self.len());
        let mut values = Vec::with_capacity(self.len());
        let mut at = 0;
        for (i, &late_us) in late.times_us.iter().enumerate() {
            let from = at;
            while at < in_order.len() && in_order.times_us[at] < late_us {
                at += 1;
            }
            times_us.extend_from_slice(&in_order.times_us[from..at]);
            values.extend_from_slice(&in_order.values[from..at]);
            if late.times_us.get(i + 1) != Some(&late_us) {
                times_us.push(late_us);
                values.push(late.values[i]);
                at += usize::from(in_order.times_us.get(at) == Some(&late_us));
            }
        }
        times_us.extend_from_slice(&in_order.times_us[at..]);
        values.extend_from_slice(&in_order.values[at..]);
        (times_us, values)
    }
}

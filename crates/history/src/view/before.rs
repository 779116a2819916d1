//! What a series was at when a range begins: the last reading before it, however long ago.
//!
//! The index tells a time at which there is a reading for sure; only what lies between it and the range is decoded. So
//! the cost is that of a chunk or two, whether the reading is a second or a year old.

use std::ops::ControlFlow;

use super::{Series, View};
use crate::SeriesId;
use crate::error::QueryError;
use crate::readings::Readings;
use crate::rollup::{WIDTHS_US, bucket_start};
use crate::seal;
use crate::store::{self, LATE_LANE};

impl View {
    /// Time (microseconds since the Unix epoch) and value (NaN: missing) of the last reading of a series before
    /// `before_us`, which is cut to the end of the view's range. Where raw readings are no longer kept it is the last
    /// measured one of the latest minute or hour that ends before.
    pub fn last_before(&mut self, series: SeriesId, before_us: i64) -> Result<Option<(i64, f64)>, QueryError> {
        let known = self.series(series)?;
        let before_us = before_us.min(self.to_us);
        let raw = self.last_reading(series, &known, before_us).map_err(QueryError::ReadReadings)?;
        if raw.is_some() {
            return Ok(raw);
        }
        for level in [1, 2] {
            let end_us = bucket_start(before_us.min(self.meta.floors_us[0]), WIDTHS_US[level]);
            let from_us = self.row_before(series, &known, level, end_us).map_err(QueryError::ReadRollups)?;
            let from_us = from_us.map(|from_us| from_us.max(self.meta.floors_us[level]));
            let Some(from_us) = from_us.filter(|&from_us| from_us < end_us) else { continue };
            let buckets = self.collect(series, &known, level, from_us, end_us, WIDTHS_US[level])?;
            if let Some(last) = buckets.last() {
                return Ok(Some((last.last_us, last.last)));
            }
        }
        Ok(None)
    }

    fn last_reading(&self, series: SeriesId, known: &Series, before_us: i64) -> rusqlite::Result<Option<(i64, f64)>> {
        let floor_us = self.meta.floors_us[0];
        let (mut last, mut end_us) = (None, before_us);
        // Once, and twice more for each damaged chunk in the way.
        while last.is_none()
            && end_us > floor_us
            && let Some(from_us) = self.known_before(series, known, 0, end_us)?
        {
            self.reader(series, &known.unsealed).stream(from_us.max(floor_us), end_us, |readings| {
                last = readings.times_us.last().copied().zip(readings.values.last().copied());
                ControlFlow::Continue(())
            })?;
            end_us = from_us;
        }
        Ok(last)
    }

    /// The start of a row of a rollup level before `end_us`, a whole bucket's end, such that the last one is not before it.
    fn row_before(&self, series: SeriesId, known: &Series, level: usize, end_us: i64) -> rusqlite::Result<Option<i64>> {
        let open = seal::decode_open_rows(series, store::open_rows(self.conn(), series)?.as_ref(), level);
        let open = open.iter().map(|row| row.bucket.start_us).filter(|&start_us| start_us < end_us).max();
        let stored = self.known_before(series, known, level as u8, end_us)?;
        Ok(open.max(stored.map(|time_us| bucket_start(time_us, WIDTHS_US[level]))))
    }

    /// The latest time before `before_us` at which there is a reading (level 0), or a row or an unsealed reading, for sure.
    fn known_before(
        &self,
        series: SeriesId,
        known: &Series,
        level: u8,
        before_us: i64,
    ) -> rusqlite::Result<Option<i64>> {
        let unsealed = |readings: &Readings| readings.times_us[readings.span(i64::MIN, before_us)].last().copied();
        let in_memory = unsealed(&known.unsealed.in_order).max(unsealed(&known.unsealed.late));
        let in_order = store::known_before(self.conn(), level, series, before_us)?;
        let late = store::known_before(self.conn(), level + LATE_LANE, series, before_us)?;
        Ok(in_memory.max(in_order).max(late))
    }
}

//! A consistent look at some series, to be queried on another thread than the writer's.

mod before;
mod readers;
mod width;

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

pub(crate) use readers::Readers;
use rusqlite::Connection;

use crate::SeriesId;
use crate::codec;
use crate::error::{QueryError, ViewError};
use crate::events::{self, Event};
use crate::head::{Head, Unsealed};
use crate::raw::RawReader;
use crate::readings::Readings;
use crate::rollup::{self, Bucket, Row, WIDTHS_US};
use crate::seal;
use crate::store::{self, LATE_LANE, Meta, StateRow};

/// Rollup chunk references fetched at a time.
const PAGE_CHUNKS: usize = 256;

/// The past of some series at one instant. It holds one of the history's readers until it is dropped.
pub struct View {
    /// Present until the view is dropped.
    conn: Option<Connection>,
    readers: Arc<Readers>,
    meta: Meta,
    heads: HashMap<SeriesId, Head>,
    from_us: i64,
    to_us: i64,
    damaged: Cell<u64>,
}

/// The answer to a question for a number of points.
#[derive(Debug, Clone, PartialEq)]
pub enum Buckets {
    /// There are no more readings than points were asked for: here they are, in time order, one a time.
    Raw(Readings),
    /// Buckets of equal width, in time order. Those without a reading are left out: a gap.
    Buckets {
        /// Microseconds a bucket; starts are multiples of it.
        width_us: i64,
        /// The buckets with at least one reading.
        rows: Vec<Bucket>,
    },
}

/// What a query needs of a series besides its chunks.
struct Series {
    state: StateRow,
    unsealed: Unsealed,
}

impl View {
    /// Whether a query within a range, or for the last reading before it, can touch a head. A bucket at an edge reaches
    /// over it, by at most [`width::REACH`] times the range.
    pub(crate) fn needs(head: &Head, from_us: i64, to_us: i64) -> bool {
        let reach_us = to_us.saturating_sub(from_us).max(1_000).saturating_mul(width::REACH);
        head.begins_before(to_us.saturating_add(reach_us))
    }

    /// Takes a reader and its snapshot. Runs on the writer's thread, which is what makes heads and snapshot agree.
    pub(crate) fn begin(
        readers: &Arc<Readers>,
        heads: HashMap<SeriesId, Head>,
        from_us: i64,
        to_us: i64,
    ) -> Result<View, ViewError> {
        let (conn, meta) = readers.take()?;
        let readers = Arc::clone(readers);
        Ok(View { conn: Some(conn), readers, meta, heads, from_us, to_us, damaged: Cell::new(0) })
    }

    /// The last journal sequence of the stored part of the view.
    pub fn applied_seq(&self) -> u64 {
        self.meta.applied_seq
    }

    /// How many chunks queries on this view have skipped because they are damaged; each is logged.
    pub fn damaged_chunks(&self) -> u64 {
        self.damaged.get()
    }

    /// Calls `each` with the readings of a series in `[from_us, to_us)`, a chunk or so at a time, in time order, until it
    /// breaks. Of several readings with one time only the last that came is given. The range is cut to that of the view.
    pub fn raw(
        &mut self,
        series: SeriesId,
        from_us: i64,
        to_us: i64,
        each: impl FnMut(&Readings) -> ControlFlow<()>,
    ) -> Result<(), QueryError> {
        let known = self.series(series)?;
        let from_us = from_us.max(self.from_us).max(self.meta.floors_us[0]);
        self.reader(series, &known.unsealed)
            .stream(from_us, to_us.min(self.to_us), each)
            .map_err(QueryError::ReadReadings)
    }

    /// What a series did in `[from_us, to_us)`, in at most `points` points (at least 2): the readings themselves when
    /// there are no more of them, else buckets of the least round width, aligned to the epoch. The buckets at both ends
    /// are whole ones and may reach over the range. Where raw readings or finer rows are no longer kept, coarser rows
    /// stand in. The range is cut to that of the view.
    pub fn buckets(
        &mut self,
        series: SeriesId,
        from_us: i64,
        to_us: i64,
        points: usize,
    ) -> Result<Buckets, QueryError> {
        let known = self.series(series)?;
        let (from_us, to_us) = (from_us.max(self.from_us), to_us.min(self.to_us));
        if from_us >= to_us {
            return Ok(Buckets::Raw(Readings::default()));
        }
        let points = points.max(2);
        if from_us >= self.meta.floors_us[0]
            && let Some(readings) = self.few(series, &known, from_us, to_us, points)?
        {
            return Ok(Buckets::Raw(readings));
        }
        let width_us = width::nice(from_us, to_us, points);
        let (start_us, end_us) = width::whole(from_us, to_us, width_us);
        let level = [2, 1].into_iter().find(|&level| width_us % WIDTHS_US[level] == 0).unwrap_or(0);
        let rows = self.collect(series, &known, level, start_us, end_us, width_us)?;
        Ok(Buckets::Buckets { width_us, rows })
    }

    /// Time (microseconds since the Unix epoch) and value of the newest reading of a series, if any is still kept. For a
    /// view up to `i64::MAX`: one that ends earlier may not have the newest readings.
    pub fn latest(&mut self, series: SeriesId) -> Result<Option<(i64, f64)>, QueryError> {
        let known = self.series(series)?;
        let newest_us = known.unsealed.in_order.times_us.last().copied().unwrap_or(known.state.newest_us);
        let from_us = newest_us.max(self.meta.floors_us[0]);
        let mut latest = None;
        let each = |readings: &Readings| {
            latest = readings.times_us.last().copied().zip(readings.values.last().copied());
            ControlFlow::Continue(())
        };
        self.reader(series, &known.unsealed).stream(from_us, i64::MAX, each).map_err(QueryError::ReadReadings)?;
        Ok(latest)
    }

    /// The events in `[from_us, to_us)` in the order of their records, at most `limit`. Not cut to the view's range.
    pub fn events(&mut self, from_us: i64, to_us: i64, limit: usize) -> Result<Vec<Event>, QueryError> {
        let from_us = from_us.max(self.meta.floors_us[0]);
        events::between(self.conn(), from_us, to_us, limit).map_err(QueryError::ReadEvents)
    }

    /// The readings of a range if there are at most `points`.
    fn few(
        &self,
        series: SeriesId,
        known: &Series,
        from_us: i64,
        to_us: i64,
        points: usize,
    ) -> Result<Option<Readings>, QueryError> {
        let mut readings = Readings::default();
        let reader = self.reader(series, &known.unsealed);
        let gathered = reader.stream(from_us, to_us, |some| {
            readings.extend_from(some, 0..some.len().min(points + 1 - readings.len()));
            if readings.len() > points { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        gathered.map_err(QueryError::ReadReadings)?;
        Ok((readings.len() <= points).then_some(readings))
    }

    /// Buckets of `width_us` over `[start_us, end_us)` from one level; what the level no longer has, from the next.
    fn collect(
        &self,
        series: SeriesId,
        known: &Series,
        level: usize,
        start_us: i64,
        end_us: i64,
        width_us: i64,
    ) -> Result<Vec<Bucket>, QueryError> {
        let floor_us = self.meta.floors_us[level];
        let mut buckets = Vec::new();
        if level < 2 && start_us < floor_us {
            buckets = self.collect(series, known, level + 1, start_us, end_us.min(floor_us), width_us)?;
        }
        let start_us = start_us.max(floor_us);
        let own = if level == 0 {
            let mut own = Vec::new();
            let folded = self.reader(series, &known.unsealed).stream(start_us, end_us, |readings| {
                rollup::fold(width_us, &readings.times_us, &readings.values, &mut own);
                ControlFlow::Continue(())
            });
            folded.map_err(QueryError::ReadReadings)?;
            own.retain(|bucket| bucket.count > 0);
            own
        } else {
            let rows = self.rows(series, known, level, start_us, end_us).map_err(QueryError::ReadRollups)?;
            rollup::combine(rows, width_us)
        };
        // The floor may lie inside a bucket that is wider than an hour.
        for bucket in own {
            match buckets.last_mut() {
                Some(last) if last.start_us == bucket.start_us => last.merge(&bucket),
                _ => buckets.push(bucket),
            }
        }
        Ok(buckets)
    }

    /// The rollup rows of a level that start in `[start_us, end_us)`, each with its place in the order of writing.
    fn rows(
        &self,
        series: SeriesId,
        known: &Series,
        level: usize,
        start_us: i64,
        end_us: i64,
    ) -> rusqlite::Result<Vec<(i64, Row)>> {
        if start_us >= end_us {
            return Ok(Vec::new());
        }
        let within = |row: &Row| (start_us..end_us).contains(&row.bucket.start_us);
        let mut rows = Vec::new();
        let mut add = |order: i64, some: Vec<Row>| {
            rows.extend(some.into_iter().filter(within).map(|row| (order, row)));
        };
        let conn = self.conn();
        let mut page_from_us = Some(start_us);
        while let Some(from_us) = page_from_us.take() {
            let page = store::chunks_from(conn, level as u8, series, from_us, PAGE_CHUNKS)?;
            if page.len() == PAGE_CHUNKS {
                page_from_us = page.last().map(|chunk| chunk.t1_us + 1);
            }
            for chunk in page {
                if chunk.t0_us >= end_us {
                    page_from_us = None;
                    break;
                }
                add(chunk.blob, self.decode_rows(series, chunk.blob)?);
            }
        }
        for chunk in store::late_chunks(conn, level as u8 + LATE_LANE, series, start_us, end_us)? {
            add(chunk.blob, self.decode_rows(series, chunk.blob)?);
        }
        add(i64::MAX - 1, seal::decode_open_rows(series, store::open_rows(conn, series)?.as_ref(), level));
        let reader = self.reader(series, &known.unsealed);
        add(i64::MAX, seal::unsealed_rows(&reader, &reader.collisions()?, WIDTHS_US[level])?);
        Ok(rows)
    }

    fn decode_rows(&self, series: SeriesId, blob: i64) -> rusqlite::Result<Vec<Row>> {
        match store::with_blob(self.conn(), blob, codec::rows::decode)? {
            Some(Ok(rows)) => Ok(rows),
            damage => {
                self.damaged.set(self.damaged.get() + 1);
                let error = damage.and_then(Result::err);
                tracing::warn!(series, blob, ?error, "skipping a damaged rollup chunk");
                Ok(Vec::new())
            }
        }
    }

    fn series(&self, series: SeriesId) -> Result<Series, QueryError> {
        let head = self.heads.get(&series).ok_or(QueryError::NotInView(series))?;
        let state = store::state(self.conn(), series).map_err(QueryError::ReadState)?.unwrap_or_default();
        let mut unsealed = seal::decode_spill(series, &state);
        head.append_to(&mut unsealed);
        Ok(Series { state, unsealed })
    }

    fn reader<'a>(&'a self, series: SeriesId, unsealed: &'a Unsealed) -> RawReader<'a> {
        RawReader { conn: self.conn(), series, unsealed, floor_us: self.meta.floors_us[0], damaged: &self.damaged }
    }

    fn conn(&self) -> &Connection {
        self.conn.as_ref().expect("the connection is taken out only when the view is dropped")
    }
}

impl Drop for View {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            self.readers.give_back(conn);
        }
    }
}

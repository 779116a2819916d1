//! Sealing: unsealed readings become chunks, their rollup rows join the open rows, and full open rows become chunks too.

use std::cell::Cell;
use std::ops::ControlFlow;

use rusqlite::Connection;

use crate::SeriesId;
use crate::codec;
use crate::head::{Head, Unsealed};
use crate::raw::RawReader;
use crate::readings::Readings;
use crate::rollup::{self, Bucket, Row, WIDTHS_US, bucket_start};
use crate::store::{self, LATE_LANE, StateRow};

/// Open rows of one level at which the closed ones become a chunk. Both lists are written again at each seal: with up to
/// 64 rows of some 25 bytes each they stay within one page.
const OPEN_ROWS_MAX: usize = 64;

/// Rows of a chunk at most. An import closes thousands at once, and a query is to decode no more than it needs.
const CHUNK_ROWS_MAX: usize = 2 * OPEN_ROWS_MAX;

/// What became of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed {
    /// Readings that became chunks.
    pub(crate) chunked: usize,
    /// Readings now in the spilled row of the series.
    pub(crate) spilled: usize,
    /// Bytes of the chunks and the spill.
    pub(crate) bytes: usize,
}

/// Stores the head of a series inside the caller's transaction: as chunks if there is enough of it, the rest as its spill.
pub(crate) fn seal(
    conn: &Connection,
    series: SeriesId,
    head: &Head,
    newest_us: i64,
    chunk_readings: usize,
    raw_floor_us: i64,
) -> rusqlite::Result<Sealed> {
    let mut state = store::state(conn, series)?.unwrap_or_default();
    let mut unsealed = decode_spill(series, &state);
    head.append_to(&mut unsealed);
    state.sealed_seq = head.last_seq;
    state.newest_us = newest_us;
    let mut sealed = Sealed { chunked: 0, spilled: 0, bytes: 0 };
    if unsealed.len() >= chunk_readings {
        let ripe = unsealed.take_ripe(chunk_readings);
        sealed.chunked = ripe.len();
        roll_up(conn, series, &ripe, raw_floor_us)?;
        sealed.bytes += put_chunks(conn, 0, series, &ripe.in_order, chunk_readings)?;
        sealed.bytes += put_chunks(conn, LATE_LANE, series, &ripe.late, chunk_readings)?;
    }
    let encode = |readings: &Readings| (!readings.is_empty()).then(|| codec::readings::encode(readings));
    state.spill = [encode(&unsealed.in_order), encode(&unsealed.late)];
    state.spilled = unsealed.len();
    sealed.spilled = state.spilled;
    sealed.bytes += state.spill.iter().flatten().map(Vec::len).sum::<usize>();
    store::put_state(conn, series, &state)?;
    Ok(sealed)
}

/// Adds what is about to become chunks to the open rows of both levels.
fn roll_up(conn: &Connection, series: SeriesId, ripe: &Unsealed, raw_floor_us: i64) -> rusqlite::Result<()> {
    let damaged = Cell::new(0);
    let reader = RawReader { conn, series, unsealed: ripe, floor_us: raw_floor_us, damaged: &damaged };
    let collisions = reader.collisions()?;
    let mut encoded = store::open_rows(conn, series)?;
    for level in [1, 2] {
        let mut open = decode_open_rows(series, encoded.as_ref(), level);
        rollup::add_rows(&mut open, &unsealed_rows(&reader, &collisions, WIDTHS_US[level])?);
        if open.len() >= OPEN_ROWS_MAX {
            close_rows(conn, series, level, &mut open)?;
        }
        encoded.get_or_insert_default()[level - 1] = codec::rows::encode_open(&open, WIDTHS_US[level]);
    }
    encoded.map_or(Ok(()), |encoded| store::put_open_rows(conn, series, &encoded))
}

/// The rollup rows, by bucket, of what a reader has unsealed: rows to add, and rows that replace their bucket because it
/// holds one of the `collisions`, where a late reading takes the place of a stored one.
pub(crate) fn unsealed_rows(reader: &RawReader<'_>, collisions: &[i64], width_us: i64) -> rusqlite::Result<Vec<Row>> {
    let mut replaced: Vec<i64> = collisions.iter().map(|&time_us| bucket_start(time_us, width_us)).collect();
    replaced.dedup();
    // Where raw readings are gone a bucket cannot be computed again, and the late reading is added to it.
    replaced.retain(|&start_us| start_us >= reader.floor_us);
    let mut buckets = Vec::new();
    if reader.unsealed.late.is_empty() {
        let in_order = &reader.unsealed.in_order;
        rollup::fold(width_us, &in_order.times_us, &in_order.values, &mut buckets);
    } else {
        let (times_us, values) = reader.unsealed.resolved();
        rollup::fold(width_us, &times_us, &values, &mut buckets);
    }
    buckets.retain(|bucket| bucket.count > 0 && replaced.binary_search(&bucket.start_us).is_err());
    let mut rows: Vec<Row> = buckets.into_iter().map(|bucket| Row { bucket, replaces: false }).collect();
    for start_us in replaced {
        let mut buckets = Vec::new();
        reader.stream(start_us, start_us.saturating_add(width_us), |readings| {
            rollup::fold(width_us, &readings.times_us, &readings.values, &mut buckets);
            ControlFlow::Continue(())
        })?;
        let bucket = buckets.pop().unwrap_or(Bucket::empty(start_us));
        rollup::add_rows(&mut rows, &[Row { bucket, replaces: true }]);
    }
    Ok(rows)
}

/// The spilled readings of a series. Damage is logged and costs them only.
pub(crate) fn decode_spill(series: SeriesId, state: &StateRow) -> Unsealed {
    let decode = |bytes: &Option<Vec<u8>>| match bytes.as_deref().map(codec::readings::decode) {
        None => Readings::default(),
        Some(Ok(readings)) => readings,
        Some(Err(error)) => {
            tracing::warn!(series, %error, "spilled readings are damaged");
            Readings::default()
        }
    };
    Unsealed { in_order: decode(&state.spill[0]), late: decode(&state.spill[1]) }
}

/// The open rows of a series at level 1 or 2. Damage is logged and costs them only.
pub(crate) fn decode_open_rows(series: SeriesId, encoded: Option<&[Vec<u8>; 2]>, level: usize) -> Vec<Row> {
    let bytes = encoded.map(|levels| &levels[level - 1]).filter(|bytes| !bytes.is_empty());
    match bytes.map(|bytes| codec::rows::decode_open(bytes, WIDTHS_US[level])) {
        None => Vec::new(),
        Some(Ok(rows)) => rows,
        Some(Err(error)) => {
            tracing::warn!(series, level, %error, "open rollup rows are damaged");
            Vec::new()
        }
    }
}

/// Moves all rows but the newest, which still grows, into chunks.
fn close_rows(conn: &Connection, series: SeriesId, level: usize, open: &mut Vec<Row>) -> rusqlite::Result<()> {
    let newest = open.pop();
    let end_us = store::lane_end(conn, level as u8, series)?;
    let late = end_us.map_or(0, |end_us| open.partition_point(|row| row.bucket.start_us <= end_us));
    for (lane, rows) in [(level as u8 + LATE_LANE, &open[..late]), (level as u8, &open[late..])] {
        for rows in rows.chunks(CHUNK_ROWS_MAX) {
            let span_us = [rows[0].bucket.start_us, rows[rows.len() - 1].bucket.start_us];
            store::put_chunk(conn, lane, series, span_us, rows.len(), &codec::rows::encode(rows))?;
        }
    }
    open.clear();
    open.extend(newest);
    Ok(())
}

/// Writes readings as chunks of `chunk_readings` to twice as many, and gives their bytes.
fn put_chunks(
    conn: &Connection,
    lane: u8,
    series: SeriesId,
    readings: &Readings,
    chunk_readings: usize,
) -> rusqlite::Result<usize> {
    let chunks = (readings.len() / chunk_readings).max(1);
    let mut bytes = 0;
    for i in 0..chunks {
        let range = readings.len() * i / chunks..readings.len() * (i + 1) / chunks;
        if range.is_empty() {
            continue;
        }
        let span_us = [readings.times_us[range.start], readings.times_us[range.end - 1]];
        let n = range.len();
        let blob = if n == readings.len() {
            codec::readings::encode(readings)
        } else {
            codec::readings::encode(&readings.part(range))
        };
        store::put_chunk(conn, lane, series, span_us, n, &blob)?;
        bytes += blob.len();
    }
    Ok(bytes)
}

//! Retention: what is older than its level is kept is deleted, a bounded step at a time.
//!
//! The *floor* of a level moves first, by whole hours, in the same transaction as the first deletion: queries answer
//! nothing older, so an answer does not depend on how far the sweep has come.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::config::Config;
use crate::error::RetainError;
use crate::events;
use crate::rollup::{WIDTHS_US, bucket_start};
use crate::store::{self, LATE_LANE, Meta};

/// Chunks and events deleted in one step: some milliseconds, so that sealing is not kept waiting.
const STEP_ROWS_MAX: usize = 1_024;
/// Series looked at in one step.
const STEP_SERIES_MAX: usize = 4_096;

/// What one step of retention did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Retained {
    /// Chunks deleted in this step.
    pub chunks: usize,
    /// Events deleted in this step.
    pub events: usize,
    /// There is more to do: call again.
    pub more: bool,
}

/// How far the sweep of the old has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sweep {
    lane: u8,
    /// The next series to look at.
    series: i64,
}

/// Lanes in the order in which they are swept.
const LANES: [u8; 6] = [0, LATE_LANE, 1, 1 + LATE_LANE, 2, 2 + LATE_LANE];

/// Does one step. `sweep` is where the last one stopped; a new sweep begins when a floor moves.
pub(crate) fn step(
    conn: &mut Connection,
    config: &Config,
    meta: &mut Meta,
    sweep: &mut Option<Sweep>,
    now_us: i64,
) -> Result<Retained, RetainError> {
    let floors_us = floors(config, meta, now_us);
    let start = match *sweep {
        Some(start) => start,
        None if floors_us == meta.floors_us => return Ok(Retained::default()),
        None => Sweep { lane: LANES[0], series: 0 },
    };
    let meta_after = Meta { floors_us, ..*meta };
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(RetainError::Begin)?;
    if meta_after != *meta {
        store::put_meta(&transaction, &meta_after).map_err(RetainError::StoreFloors)?;
    }
    let mut next = Some(start);
    let (mut chunks, mut looked_at) = (0, 0);
    while let Some(at) = next
        && chunks < STEP_ROWS_MAX
        && looked_at < STEP_SERIES_MAX
    {
        let (deleted, following) =
            sweep_series(&transaction, at, &meta_after, STEP_ROWS_MAX - chunks).map_err(RetainError::DeleteChunks)?;
        chunks += deleted;
        next = following;
        looked_at += 1;
    }
    let events = events::delete_before(&transaction, meta_after.floor_us(0), STEP_ROWS_MAX)
        .map_err(RetainError::DeleteEvents)?;
    transaction.commit().map_err(RetainError::Commit)?;
    // Events that are left are come back to by way of the end of the last lane.
    let end = Sweep { lane: LANES[LANES.len() - 1], series: i64::MAX };
    *sweep = next.or((events == STEP_ROWS_MAX).then_some(end));
    *meta = meta_after;
    Ok(Retained { chunks, events, more: sweep.is_some() })
}

/// The floors at `now_us`; a floor never moves back.
fn floors(config: &Config, meta: &Meta, now_us: i64) -> [i64; 3] {
    let mut floors_us = meta.floors_us;
    for (floor_us, retention) in floors_us.iter_mut().zip(&config.retention) {
        if let Some(max_age) = retention.max_age {
            let age_us = i64::try_from(max_age.as_micros()).unwrap_or(i64::MAX);
            *floor_us = (*floor_us).max(bucket_start(now_us.saturating_sub(age_us), WIDTHS_US[2]));
        }
    }
    floors_us
}

/// Deletes chunks that end before the floor (a rollup chunk ends where its last row starts, and floors are whole hours)
/// of the first series at or behind a position, and says how many and where to go on.
fn sweep_series(conn: &Connection, at: Sweep, meta: &Meta, room: usize) -> rusqlite::Result<(usize, Option<Sweep>)> {
    let floor_us = meta.floor_us(at.lane % LATE_LANE);
    let next_lane =
        || LANES.into_iter().skip_while(|&lane| lane != at.lane).nth(1).map(|lane| Sweep { lane, series: 0 });
    if floor_us == i64::MIN {
        return Ok((0, next_lane()));
    }
    let series: Option<i64> = conn
        .prepare_cached("SELECT series FROM chunk WHERE lane = ? AND series >= ? ORDER BY series LIMIT 1")?
        .query_row(params![at.lane, at.series], |row| row.get(0))
        .optional()?;
    let Some(series) = series else {
        return Ok((0, next_lane()));
    };
    let old: Vec<(i64, i64)> = conn
        .prepare_cached(
            "SELECT t1_us, blob FROM chunk WHERE lane = ? AND series = ? AND t1_us < ? ORDER BY t1_us LIMIT ?",
        )?
        .query_map(params![at.lane, series, floor_us, room as i64], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (t1_us, blob) in &old {
        conn.prepare_cached("DELETE FROM chunk WHERE lane = ? AND series = ? AND t1_us = ? AND blob = ?")?
            .execute(params![at.lane, series, t1_us, blob])?;
        conn.prepare_cached("DELETE FROM blob WHERE id = ?")?.execute([blob])?;
    }
    let next_series = if old.len() == room { series } else { series + 1 };
    Ok((old.len(), Some(Sweep { lane: at.lane, series: next_series })))
}

//! Events: what happened besides readings (connects, hub starts, operator actions), for backtests.

use rusqlite::{Connection, params};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The journal sequence of its record.
    pub seq: u64,
    /// When it happened: microseconds since the Unix epoch.
    pub at_us: i64,
    /// What it is; the numbers are the caller's.
    pub kind: u8,
    /// Its details; the encoding is the caller's.
    pub payload: Vec<u8>,
}

/// Stores an event; one that is stored already (a replay) stays as it is.
pub(crate) fn put(conn: &Connection, event: &Event) -> rusqlite::Result<()> {
    conn.prepare_cached("INSERT OR IGNORE INTO event (seq, at_us, kind, payload) VALUES (?, ?, ?, ?)")?
        .execute(params![event.seq as i64, event.at_us, event.kind, event.payload])
        .map(drop)
}

/// The events in `[from_us, to_us)` in the order of their records, at most `limit`.
pub(crate) fn between(conn: &Connection, from_us: i64, to_us: i64, limit: usize) -> rusqlite::Result<Vec<Event>> {
    conn.prepare_cached(
        "SELECT seq, at_us, kind, payload FROM event WHERE at_us >= ? AND at_us < ? ORDER BY seq LIMIT ?",
    )?
    .query_map(params![from_us, to_us, limit as i64], |row| {
        Ok(Event { seq: row.get::<_, i64>(0)? as u64, at_us: row.get(1)?, kind: row.get(2)?, payload: row.get(3)? })
    })?
    .collect()
}

/// Deletes at most `limit` events before `floor_us`, and says how many there were.
pub(crate) fn delete_before(conn: &Connection, floor_us: i64, limit: usize) -> rusqlite::Result<usize> {
    conn.prepare_cached("DELETE FROM event WHERE seq IN (SELECT seq FROM event WHERE at_us < ? LIMIT ?)")?
        .execute(params![floor_us, limit as i64])
}

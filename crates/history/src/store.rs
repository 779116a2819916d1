//! The tables, and every SQL statement that reads or writes them.
//!
//! ```text
//! history_meta   one row: applied_seq, replay_from, and the floor of each level (nothing older is answered)
//! blob           append-only bytes, in the order of sealing
//! chunk          index of the blobs: (level, series, t1, blob) → t0, n
//! series_state   one row a series, overwritten at each seal and spill
//! open_rows      one row a series, overwritten at each seal: rollup rows that are in no chunk yet
//! event          connects, hub starts, operator actions
//! ```
//! A *lane* is the level, or the level + [`LATE_LANE`] for what came late. In the plain lanes the chunks of a series never
//! overlap, so a range scan knows where to stop; late chunks may span anything, and are few.

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::SeriesId;
use crate::error::OpenError;

/// "HWTR" in the file's header.
const APPLICATION_ID: i32 = 0x4857_5452;
/// The format that this code writes and the newest that it reads.
pub(crate) const FORMAT: i32 = 1;

/// Added to a level: the lane of what came late.
pub(crate) const LATE_LANE: u8 = 4;

/// The writer-ahead log is checkpointed every 16 MiB: a page that is dirtied by each of many seals in between (a series'
/// state, the end of its index) is then written to the database once, not once a commit.
const CHECKPOINT_PAGES: i64 = 4_096;

const TABLES: &str = "
CREATE TABLE history_meta (
    id INTEGER PRIMARY KEY CHECK (id = 0),
    applied_seq INTEGER NOT NULL,
    replay_from INTEGER NOT NULL,
    floor0_us INTEGER NOT NULL,
    floor1_us INTEGER NOT NULL,
    floor2_us INTEGER NOT NULL
);
INSERT INTO history_meta VALUES (0, 0, 1, -9223372036854775808, -9223372036854775808, -9223372036854775808);
CREATE TABLE blob (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
CREATE TABLE chunk (
    lane INTEGER NOT NULL,
    series INTEGER NOT NULL,
    t1_us INTEGER NOT NULL,
    blob INTEGER NOT NULL,
    t0_us INTEGER NOT NULL,
    n INTEGER NOT NULL,
    PRIMARY KEY (lane, series, t1_us, blob)
) WITHOUT ROWID;
CREATE TABLE series_state (
    series INTEGER PRIMARY KEY,
    sealed_seq INTEGER NOT NULL,
    newest_us INTEGER NOT NULL,
    spilled INTEGER NOT NULL,
    spill_in_order BLOB,
    spill_late BLOB
);
CREATE TABLE open_rows (
    series INTEGER PRIMARY KEY,
    minutes BLOB NOT NULL,
    hours BLOB NOT NULL
);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    at_us INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    payload BLOB NOT NULL
);
CREATE INDEX event_at ON event (at_us);
";

/// Where one chunk lies in time and in the blob table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChunkRef {
    /// The least time in it, microseconds.
    pub(crate) t0_us: i64,
    /// The greatest time in it, microseconds.
    pub(crate) t1_us: i64,
    /// Its blob; of two chunks the one sealed later has the greater number.
    pub(crate) blob: i64,
}

/// What is stored about a series besides its chunks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StateRow {
    /// Records up to here are stored.
    pub(crate) sealed_seq: u64,
    /// The newest time among them, microseconds.
    pub(crate) newest_us: i64,
    /// How many readings are spilled.
    pub(crate) spilled: usize,
    /// Spilled readings in order and late, encoded.
    pub(crate) spill: [Option<Vec<u8>>; 2],
}

/// The single row of `history_meta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) applied_seq: u64,
    pub(crate) replay_from: u64,
    /// Per level: nothing older is answered, and chunks that end before are deleted. Whole hours.
    pub(crate) floors_us: [i64; 3],
}

impl Meta {
    /// The floor of one level, microseconds.
    pub(crate) fn floor_us(&self, level: u8) -> i64 {
        self.floors_us[usize::from(level)]
    }
}

/// Puts a fresh connection into the mode that a durable commit needs, checks whose file it is and makes the tables.
pub(crate) fn set_up_writer(conn: &mut Connection, cache_bytes: usize) -> Result<(), OpenError> {
    let pragmas = |conn: &Connection| -> rusqlite::Result<()> {
        set_up_connection(conn, cache_bytes)?;
        conn.pragma_update(None, "journal_mode", "WAL")?;
        conn.pragma_update(None, "synchronous", "FULL")?;
        conn.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        conn.pragma_update(None, "journal_size_limit", 4 * CHECKPOINT_PAGES * 4_096)
    };
    // The header is read before anything is written: a foreign or newer file stays as it is.
    let number = |name: &str| conn.pragma_query_value(None, name, |row| row.get::<_, i32>(0)).map_err(OpenError::SetUp);
    let (application_id, format) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(OpenError::SetUp)?;
    let fresh = application_id == 0 && format == 0 && tables == 0;
    if !fresh && application_id != APPLICATION_ID {
        return Err(OpenError::Foreign(application_id));
    }
    if format > FORMAT {
        return Err(OpenError::NewerFormat { found: format, supported: FORMAT });
    }
    pragmas(conn).map_err(OpenError::SetUp)?;
    if fresh {
        create_tables(conn).map_err(OpenError::CreateTables)?;
    }
    Ok(())
}

fn create_tables(conn: &mut Connection) -> rusqlite::Result<()> {
    let transaction = conn.transaction()?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// What writer and readers have in common.
pub(crate) fn set_up_connection(conn: &Connection, cache_bytes: usize) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(32);
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    // A negative cache size is in KiB.
    conn.pragma_update(None, "cache_size", -((cache_bytes / 1_024).max(64) as i64))
}

/// Reads the single row of `history_meta`; inside a read transaction this is also what takes the snapshot.
pub(crate) fn meta(conn: &Connection) -> rusqlite::Result<Meta> {
    conn.prepare_cached("SELECT applied_seq, replay_from, floor0_us, floor1_us, floor2_us FROM history_meta")?
        .query_row([], |row| {
            Ok(Meta {
                applied_seq: row.get::<_, i64>(0)? as u64,
                replay_from: row.get::<_, i64>(1)? as u64,
                floors_us: [row.get(2)?, row.get(3)?, row.get(4)?],
            })
        })
}

/// Overwrites the single row of `history_meta`.
pub(crate) fn put_meta(conn: &Connection, meta: &Meta) -> rusqlite::Result<()> {
    let [floor0, floor1, floor2] = meta.floors_us;
    conn.prepare_cached(
        "UPDATE history_meta SET applied_seq = ?, replay_from = ?, floor0_us = ?, floor1_us = ?, floor2_us = ?",
    )?
    .execute(params![meta.applied_seq as i64, meta.replay_from as i64, floor0, floor1, floor2])
    .map(drop)
}

/// Appends a blob and its index row.
pub(crate) fn put_chunk(
    conn: &Connection,
    lane: u8,
    series: SeriesId,
    [t0_us, t1_us]: [i64; 2],
    n: usize,
    bytes: &[u8],
) -> rusqlite::Result<()> {
    let blob = conn.prepare_cached("INSERT INTO blob (bytes) VALUES (?)")?.insert([bytes])?;
    conn.prepare_cached("INSERT INTO chunk (lane, series, t1_us, blob, t0_us, n) VALUES (?, ?, ?, ?, ?, ?)")?
        .execute(params![lane, series, t1_us, blob, t0_us, n as i64])
        .map(drop)
}

/// Hands the bytes of a blob to `read` without copying them; `None` when the row is missing.
pub(crate) fn with_blob<T>(conn: &Connection, blob: i64, read: impl FnOnce(&[u8]) -> T) -> rusqlite::Result<Option<T>> {
    conn.prepare_cached("SELECT bytes FROM blob WHERE id = ?")?
        .query_row([blob], |row| Ok(read(row.get_ref(0)?.as_blob()?)))
        .optional()
}

/// Chunks of a plain lane that end at or after `from_us`, in time order, at most `limit`.
pub(crate) fn chunks_from(
    conn: &Connection,
    lane: u8,
    series: SeriesId,
    from_us: i64,
    limit: usize,
) -> rusqlite::Result<Vec<ChunkRef>> {
    conn.prepare_cached(
        "SELECT t0_us, t1_us, blob FROM chunk WHERE lane = ? AND series = ? AND t1_us >= ? ORDER BY t1_us LIMIT ?",
    )?
    .query_map(params![lane, series, from_us, limit as i64], chunk_ref)?
    .collect()
}

/// Chunks of a late lane that touch `[from_us, to_us)`, by their first time.
pub(crate) fn late_chunks(
    conn: &Connection,
    lane: u8,
    series: SeriesId,
    from_us: i64,
    to_us: i64,
) -> rusqlite::Result<Vec<ChunkRef>> {
    conn.prepare_cached(
        "SELECT t0_us, t1_us, blob FROM chunk WHERE lane = ? AND series = ? AND t1_us >= ? AND t0_us < ? ORDER BY t0_us",
    )?
    .query_map(params![lane, series, from_us, to_us], chunk_ref)?
    .collect()
}

/// The latest time before `before_us` at which the index alone tells that a lane has a reading, or a row. It may have
/// later ones before `before_us`, in the chunk that this time begins.
pub(crate) fn known_before(
    conn: &Connection,
    lane: u8,
    series: SeriesId,
    before_us: i64,
) -> rusqlite::Result<Option<i64>> {
    let ended: Option<i64> = conn
        .prepare_cached("SELECT max(t1_us) FROM chunk WHERE lane = ? AND series = ? AND t1_us < ?")?
        .query_row(params![lane, series, before_us], |row| row.get(0))?;
    // In a plain lane only the first chunk that ends later can begin before.
    let open = if lane < LATE_LANE {
        chunks_from(conn, lane, series, before_us, 1)?
    } else {
        late_chunks(conn, lane, series, before_us, before_us)?
    };
    let begun = open.iter().map(|chunk| chunk.t0_us).filter(|&t0_us| t0_us < before_us).max();
    Ok(ended.max(begun))
}

fn chunk_ref(row: &Row<'_>) -> rusqlite::Result<ChunkRef> {
    Ok(ChunkRef { t0_us: row.get(0)?, t1_us: row.get(1)?, blob: row.get(2)? })
}

/// The time at which the last chunk of a lane ends.
pub(crate) fn lane_end(conn: &Connection, lane: u8, series: SeriesId) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT max(t1_us) FROM chunk WHERE lane = ? AND series = ?")?
        .query_row(params![lane, series], |row| row.get(0))
}

/// A series' state row.
pub(crate) fn state(conn: &Connection, series: SeriesId) -> rusqlite::Result<Option<StateRow>> {
    conn.prepare_cached(
        "SELECT sealed_seq, newest_us, spilled, spill_in_order, spill_late FROM series_state WHERE series = ?",
    )?
    .query_row([series], |row| {
        Ok(StateRow {
            sealed_seq: row.get::<_, i64>(0)? as u64,
            newest_us: row.get(1)?,
            spilled: row.get::<_, i64>(2)? as usize,
            spill: [row.get(3)?, row.get(4)?],
        })
    })
    .optional()
}

/// Overwrites a series' state row.
pub(crate) fn put_state(conn: &Connection, series: SeriesId, state: &StateRow) -> rusqlite::Result<()> {
    let StateRow { sealed_seq, newest_us, spilled, spill: [in_order, late] } = state;
    conn.prepare_cached("REPLACE INTO series_state VALUES (?, ?, ?, ?, ?, ?)")?
        .execute(params![series, *sealed_seq as i64, newest_us, *spilled as i64, in_order, late])
        .map(drop)
}

/// A series' open rows of levels 1 and 2, encoded; `None` before its first seal.
pub(crate) fn open_rows(conn: &Connection, series: SeriesId) -> rusqlite::Result<Option<[Vec<u8>; 2]>> {
    conn.prepare_cached("SELECT minutes, hours FROM open_rows WHERE series = ?")?
        .query_row([series], |row| Ok([row.get(0)?, row.get(1)?]))
        .optional()
}

/// Overwrites a series' open rows. They are apart from its state because a spill, which comes several times as often as a
/// seal, leaves them as they are.
pub(crate) fn put_open_rows(
    conn: &Connection,
    series: SeriesId,
    [minutes, hours]: &[Vec<u8>; 2],
) -> rusqlite::Result<()> {
    conn.prepare_cached("REPLACE INTO open_rows VALUES (?, ?, ?)")?.execute(params![series, minutes, hours]).map(drop)
}

/// Calls `each` with every series' id, sealed sequence, newest time and number of spilled readings.
pub(crate) fn each_state(conn: &Connection, mut each: impl FnMut(SeriesId, u64, i64, u32)) -> rusqlite::Result<()> {
    let mut statement = conn.prepare("SELECT series, sealed_seq, newest_us, spilled FROM series_state")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(row.get(0)?, row.get::<_, i64>(1)? as u64, row.get(2)?, row.get(3)?);
    }
    Ok(())
}

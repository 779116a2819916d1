//! The pool of reader connections. A connection is opened when it is first needed and kept.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OpenFlags};

use crate::error::ViewError;
use crate::store::{self, Meta};

/// Reader connections, shared by the history and its views.
pub(crate) struct Readers {
    path: PathBuf,
    max: usize,
    cache_bytes: usize,
    pool: Mutex<Pool>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    /// Connections that views hold.
    busy: usize,
}

impl Readers {
    pub(crate) fn new(path: PathBuf, max: usize, cache_bytes: usize) -> Self {
        Self { path, max, cache_bytes, pool: Mutex::default() }
    }

    /// A connection with a read transaction begun, and what the transaction sees.
    pub(crate) fn take(&self) -> Result<(Connection, Meta), ViewError> {
        let idle = {
            let mut pool = self.pool();
            if pool.busy >= self.max {
                return Err(ViewError::ReadersBusy(self.max));
            }
            pool.busy += 1;
            pool.idle.pop()
        };
        let begun = idle.map_or_else(|| self.open().map_err(ViewError::Open), Ok).and_then(|conn| {
            // BEGIN alone takes no snapshot; the first read does.
            let meta = conn.execute_batch("BEGIN").and_then(|()| store::meta(&conn)).map_err(ViewError::Begin)?;
            Ok((conn, meta))
        });
        if begun.is_err() {
            self.pool().busy -= 1;
        }
        begun
    }

    /// Ends the read transaction and keeps the connection for the next view; one that cannot end it is closed.
    pub(crate) fn give_back(&self, conn: Connection) {
        let ended = conn.execute_batch("COMMIT");
        let mut pool = self.pool();
        pool.busy -= 1;
        match ended {
            Ok(()) => pool.idle.push(conn),
            Err(error) => tracing::warn!(%error, "closing a history reader"),
        }
    }

    fn open(&self) -> rusqlite::Result<Connection> {
        // Not read-only for SQLite, which must be able to take part in the write-ahead log's index; only for us.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.path, flags)?;
        store::set_up_connection(&conn, self.cache_bytes)?;
        conn.pragma_update(None, "query_only", true)?;
        Ok(conn)
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        // Nothing in the pool is left half done by a panic elsewhere.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

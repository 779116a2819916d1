//! What can fail, one variant a step.

use rusqlite::Error as Sqlite;

/// Why a history could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A setting is out of its range.
    #[error("history configuration: {0}")]
    Config(&'static str),
    /// The file could not be opened or created.
    #[error("could not open the history database")]
    Open(#[source] Sqlite),
    /// The connection could not be put into the mode that durability needs.
    #[error("could not set up the history database connection")]
    SetUp(#[source] Sqlite),
    /// The file is a database of something else.
    #[error("the file is a SQLite database, but not a history of this program (application id {0:#010x})")]
    Foreign(i32),
    /// The file was written by a newer version of this program.
    #[error("the history database has format {found}; this program reads up to {supported}: install the newer version")]
    NewerFormat {
        /// The format number in the file.
        found: i32,
        /// The highest number this program reads.
        supported: i32,
    },
    /// The tables could not be made.
    #[error("could not create the history tables")]
    CreateTables(#[source] Sqlite),
    /// The stored state could not be read.
    #[error("could not read the state of the history database")]
    ReadState(#[source] Sqlite),
}

/// Why a commit failed. Nothing of it is stored, and nothing is lost: what was to be sealed is still in memory.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<E> {
    /// Called between `append` and the `end_record` that completes the record.
    #[error("a record is still open")]
    RecordOpen,
    /// The transaction could not be started.
    #[error("could not begin a history transaction")]
    Begin(#[source] Sqlite),
    /// A series could not be sealed or spilled.
    #[error("could not seal series {series}")]
    Seal {
        /// The series.
        series: u32,
        /// What `SQLite` said.
        #[source]
        source: Sqlite,
    },
    /// An event could not be stored.
    #[error("could not store an event")]
    StoreEvent(#[source] Sqlite),
    /// The caller's own part of the transaction failed.
    #[error("the caller's part of the history transaction failed")]
    Extra(#[source] E),
    /// The sequence number could not be stored.
    #[error("could not store the applied sequence number")]
    StoreState(#[source] Sqlite),
    /// The transaction did not reach the disk.
    #[error("could not commit the history transaction")]
    Commit(#[source] Sqlite),
}

/// Why a step of retention failed. Nothing of the step is stored.
#[derive(Debug, thiserror::Error)]
pub enum RetainError {
    /// The transaction could not be started.
    #[error("could not begin a retention step")]
    Begin(#[source] Sqlite),
    /// The new floors could not be stored.
    #[error("could not store the retention floors")]
    StoreFloors(#[source] Sqlite),
    /// Old chunks could not be found or deleted.
    #[error("could not delete old chunks")]
    DeleteChunks(#[source] Sqlite),
    /// Old events could not be deleted.
    #[error("could not delete old events")]
    DeleteEvents(#[source] Sqlite),
    /// The transaction did not reach the disk.
    #[error("could not commit a retention step")]
    Commit(#[source] Sqlite),
}

/// Why a view could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// As many views as the configuration allows are open; try again when one has been dropped.
    #[error("all {0} history readers are busy")]
    ReadersBusy(usize),
    /// Another reader connection could not be opened.
    #[error("could not open a history reader")]
    Open(#[source] Sqlite),
    /// The read transaction could not be started.
    #[error("could not begin a history snapshot")]
    Begin(#[source] Sqlite),
}

/// Why a query failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The view was not opened for this series.
    #[error("series {0} is not in this view")]
    NotInView(u32),
    /// Raw readings could not be read.
    #[error("could not read raw readings")]
    ReadReadings(#[source] Sqlite),
    /// Rollup rows could not be read.
    #[error("could not read rollup rows")]
    ReadRollups(#[source] Sqlite),
    /// A series' open rows and spilled readings could not be read.
    #[error("could not read the state of a series")]
    ReadState(#[source] Sqlite),
    /// Events could not be read.
    #[error("could not read events")]
    ReadEvents(#[source] Sqlite),
}

//! What was measured, kept: compressed chunks of readings and rollups in one `SQLite` database.
//!
//! *Owns* the tables, the chunk codec, the open heads in memory, and retention. *Takes* readings of numbered series, each
//! with the journal sequence number of the record that carried it, in that order. *Gives* raw readings and buckets of any
//! range from a consistent [`View`]. *Never* knows a device or the journal, reads a clock, runs async code, or answers from
//! what a crash could take back: the caller feeds it durable records only.
//!
//! # State and replay
//! State = the database at [`History::applied_seq`] plus the records after it. A series' readings stay in a head in memory
//! until there are enough for a chunk; one transaction then stores chunk, rollup rows and the sequence number up to which
//! the series is stored. After a crash the caller appends every record from [`History::replay_from`] again: what a series
//! already has is ignored, so replaying is exact. Slow series are spilled to an overwritten row when memory runs short or
//! when the journal wants a segment back ([`History::release_below`]).
//!
//! # Threads
//! One thread owns the [`History`]. A [`View`] is made there in microseconds, and queried on any other.

mod codec;
mod config;
mod error;
mod events;
mod head;
mod history;
mod raw;
mod readings;
mod retention;
mod rollup;
mod seal;
mod store;
mod view;

pub use config::{Config, Retention};
pub use error::{CommitError, OpenError, QueryError, RetainError, ViewError};
pub use events::Event;
pub use history::{Committed, History};
pub use readings::{LATE, Readings};
pub use retention::Retained;
pub use rollup::Bucket;
pub use view::{Buckets, View};

/// The hub's dense number of one channel of one device.
pub type SeriesId = u32;

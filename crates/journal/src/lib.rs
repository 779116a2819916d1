//! The hub's durable log: append, group commit, segments, recovery, cursors.
//!
//! Owns one folder of segment files and one thread that writes them. Takes records (a kind, an arrival time, bytes whose meaning it
//! does not know) and gives each a sequence number; says when they are durable; gives them back to any number of readers, live and
//! after a restart alike. It never reports a record durable before `fdatasync` has returned for it and its file's name is on disk,
//! never uses a number twice, never retries a failed sync, and never asks anybody to delete a file.
//!
//! | | |
//! | --- | --- |
//! | [`open`] | recovers the folder, starts the thread |
//! | [`Appender`] | the single producer: builds batches without a lock or a system call |
//! | [`Handle`] | everybody else: durable mark, readers, release, close |
//! | [`Reader`] | a cursor over durable records |
//! | [`Disk`] | what it needs of a disk: [`FileDisk`], or `TestDisk` (feature `test-disk`), which loses power on demand |
//!
//! Segments are kept until the journal is over [`Config::retain_bytes`] and the oldest is [released](Handle::release); then its file is
//! used again. A reader that was still there gets [`ReadError::Lapped`].

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

mod appender;
mod block;
mod disk;
mod format;
mod handle;
mod index;
mod intake;
mod log;
mod reader;
mod record;
mod segment;
#[cfg(any(test, feature = "test-disk"))]
pub mod test_disk;
mod writer;

pub use appender::Appender;
pub use block::PAYLOAD_LEN_MAX;
pub use disk::{Disk, DiskFile, FileDisk, FolderError};
pub use handle::{CloseError, Handle};
pub use log::{CommitError, LossReason, LostRange, OpenError, Recovery};
pub use reader::{ReadError, Reader};
pub use record::{Kind, Record, Records};
pub use writer::Commit;

/// How the journal writes and what it keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Length of a segment file in bytes, at least 4 KiB. A record that does not fit gets a segment of its own size.
    pub segment_bytes: u64,
    /// The least time between the starts of two syncs.
    pub commit_interval: Duration,
    /// A sync starts sooner when this many bytes wait.
    pub commit_bytes: usize,
    /// Released segments are recycled when the journal is longer than this many bytes; what is not released stays.
    pub retain_bytes: u64,
    /// While fewer bytes are free on the disk, nothing is committed.
    pub reserve_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            commit_interval: Duration::from_millis(10),
            commit_bytes: 4 << 20,
            retain_bytes: 256 << 20,
            reserve_bytes: 256 << 20,
        }
    }
}

/// An open journal.
pub struct Opened {
    /// The one producer.
    pub appender: Appender,
    /// For everybody else.
    pub journal: Handle,
    /// What was found.
    pub recovery: Recovery,
}

/// Opens the journal on `disk` and starts its thread.
///
/// `floor_seq` is the highest sequence known from elsewhere (stored watermarks, cursors), all of which was durable: the next record
/// gets one more than it or than the journal's own last, whichever is higher. `on_commit` is called on the journal's thread and holds
/// up the next commit until it returns.
pub fn open<D: Disk>(
    disk: D,
    config: Config,
    floor_seq: u64,
    on_commit: impl FnMut(Commit) + Send + 'static,
) -> Result<Opened, OpenError> {
    // The standard library's hasher is keyed with random numbers of the system; that is all the randomness needed here.
    let run = RandomState::new().hash_one(std::time::Instant::now());
    let (log, recovery) = log::Log::open(disk, config, floor_seq, run)?;
    let (appender, journal) = writer::start(log, &config, on_commit).map_err(OpenError::StartThread)?;
    Ok(Opened { appender, journal, recovery })
}

/// The next number of a well-mixed sequence without short cycles (the step and finish of `SplitMix64`).
fn mix(state: u64) -> u64 {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

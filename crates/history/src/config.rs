//! What can be set about history.

use std::time::Duration;

/// Settings of a [`History`](crate::History).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Readings after which a series' head becomes a chunk: 16 to 16 384. 1 024 suits small machines, 4 096 bigger ones:
    /// fewer bytes, more memory.
    pub chunk_readings: usize,
    /// Bytes of memory that all heads together may take before the largest are spilled to disk.
    pub head_bytes_max: usize,
    /// How long each level is kept: raw readings, one-minute rows, one-hour rows. A coarser level is kept at least as
    /// long as the finer one.
    pub retention: [Retention; 3],
    /// Views that may be open at the same time; each has a reader connection of its own.
    pub readers_max: usize,
    /// `SQLite`'s page cache, in bytes, of the writer.
    pub writer_cache_bytes: usize,
    /// `SQLite`'s page cache, in bytes, of each reader.
    pub reader_cache_bytes: usize,
}

/// How long one level is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Data older than this is deleted, in steps of an hour; `None` keeps it for ever.
    pub max_age: Option<Duration>,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Default for Config {
    fn default() -> Self {
        let days = |days: u32| Retention { max_age: Some(DAY * days) };
        Self {
            chunk_readings: 1_024,
            head_bytes_max: 24 << 20,
            retention: [days(30), days(365), Retention { max_age: None }],
            readers_max: 4,
            writer_cache_bytes: 4 << 20,
            reader_cache_bytes: 1 << 20,
        }
    }
}

impl Config {
    /// What is wrong with the settings, if anything.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let age = |level: usize| self.retention[level].max_age.unwrap_or(Duration::MAX);
        if !(16..=16_384).contains(&self.chunk_readings) {
            Some("chunk_readings must be 16 to 16384")
        } else if self.readers_max == 0 {
            Some("readers_max must be at least 1")
        } else if age(0) > age(1) || age(1) > age(2) {
            Some("a coarser level must be kept at least as long as the finer one")
        } else {
            None
        }
    }
}

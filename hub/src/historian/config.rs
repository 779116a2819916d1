//! What the configuration says about history.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is kept, and for how long.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Readings a chunk is sealed at.
    pub chunk_readings: usize,
    /// Memory that readings not yet sealed may take in all, bytes.
    pub head_bytes_max: usize,
    /// How long every single reading is kept.
    #[serde(with = "crate::config::duration")]
    pub keep_raw: Duration,
    /// How long one-minute minimum, maximum and mean are kept.
    #[serde(with = "crate::config::duration")]
    pub keep_minutes: Duration,
    /// How long one-hour minimum, maximum and mean are kept.
    #[serde(with = "crate::config::duration")]
    pub keep_hours: Duration,
    /// What was learned is written to the database at least this often.
    #[serde(with = "crate::config::duration")]
    pub commit_interval: Duration,
    /// Questions about the past that are answered at the same time.
    pub readers_max: usize,
    /// Journal that a restart may have to replay, bytes: readings that have waited longer for their chunk are spilled.
    pub replay_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        let days = |days: u64| Duration::from_secs(24 * 3600 * days);
        Self {
            chunk_readings: 1_024,
            head_bytes_max: 24 << 20,
            keep_raw: days(90),
            keep_minutes: days(365 * 2),
            keep_hours: days(365 * 20),
            commit_interval: Duration::from_secs(30),
            readers_max: 4,
            replay_bytes_max: 96 << 20,
        }
    }
}

impl Config {
    pub(super) fn of_history(&self) -> history::Config {
        let keep = |max_age| history::Retention { max_age: Some(max_age) };
        history::Config {
            chunk_readings: self.chunk_readings,
            head_bytes_max: self.head_bytes_max,
            retention: [keep(self.keep_raw), keep(self.keep_minutes), keep(self.keep_hours)],
            // As many again for live screens, which must not wait for a slow export.
            readers_max: self.readers_max * 2,
            ..history::Config::default()
        }
    }
}

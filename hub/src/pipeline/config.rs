//! What the configuration says about the journal.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::duration;

/// The journal and its commits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// Length of a segment file, bytes.
    pub segment_bytes: u64,
    /// The least time between two syncs: 10 ms, but 200 ms on an SD card, which lasts years longer that way.
    pub commit_interval: CommitInterval,
    /// The journal is kept at this size by recycling what nobody needs any more, bytes.
    pub retain_bytes: u64,
    /// Free space below which nothing is acknowledged, bytes; 0 is max(256 MiB, min(5 % of the disk, 2 GiB)).
    pub reserve_bytes: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            commit_interval: CommitInterval::Auto,
            retain_bytes: 256 << 20,
            reserve_bytes: 0,
        }
    }
}

/// A time, or `auto` for what suits the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitInterval {
    /// 10 ms, or 200 ms on an SD card.
    Auto,
    /// As said.
    Fixed(Duration),
}

impl Serialize for CommitInterval {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Auto => serializer.serialize_str("auto"),
            Self::Fixed(interval) => duration::serialize(interval, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for CommitInterval {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == "auto" {
            return Ok(Self::Auto);
        }
        duration::deserialize(serde::de::value::StringDeserializer::new(text)).map(Self::Fixed)
    }
}

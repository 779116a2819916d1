//! Live screens: subscriptions, conflation, sessions.
//!
//! [`fanout`] is owned by the pipeline: readings go in, one encoded frame a stream comes out into a [`log`] that all
//! viewers of the stream read with a cursor of their own. [`session`] is one viewer's connection, [`snapshot`] turns
//! history into the frames that stand in front of live ones, [`frames`] encodes both, [`conflate`] decides which points
//! are kept when there are too many. Nothing here can slow ingest down.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub mod catalogue;
pub mod conflate;
pub mod fanout;
pub mod frames;
pub mod lag;
pub mod log;
pub mod session;
pub mod snapshot;
pub mod viewer;

/// Limits and times of viewers' connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Viewers at a time; further ones are refused with 503.
    pub viewers_max: usize,
    /// Shortest time between two frames of a subscription that wants every change. Grows with the number of viewers.
    #[serde(with = "crate::config::duration")]
    pub flush_interval: Duration,
    /// A viewer hears from the hub at least this often.
    #[serde(with = "crate::config::duration")]
    pub heartbeat: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { viewers_max: 2_000, flush_interval: Duration::from_millis(5), heartbeat: Duration::from_secs(2) }
    }
}

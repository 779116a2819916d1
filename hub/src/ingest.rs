//! The edges where readings come in.
//!
//! [`websocket`] is the door for devices, [`http`] the one for curl and scripts; both only bring messages to the
//! pipeline and carry its answers back. [`admission`] holds the clock rules. [`link`] is what a connection's task and
//! the pipeline share.

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub mod admission;
pub mod budget;
pub mod http;
pub mod link;
pub mod websocket;

/// Limits and times of devices' connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Messages a device may have on the way without an acknowledgement.
    pub credit: u64,
    /// Messages a second that one device may send on average; faster ones are slowed down, nothing is dropped.
    pub messages_per_second: u32,
    /// A connection that has not said hello by then is closed.
    #[serde(with = "crate::config::duration")]
    pub hello_timeout: Duration,
    /// The hub pings a device this often.
    #[serde(with = "crate::config::duration")]
    pub ping_interval: Duration,
    /// A device that is silent for so long is dropped.
    #[serde(with = "crate::config::duration")]
    pub silence_max: Duration,
    /// Devices in all; further ones are refused.
    pub devices_max: u32,
    /// Series in all; readings of further ones are dropped and counted.
    pub series_max: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            credit: 1024,
            messages_per_second: 20_000,
            hello_timeout: Duration::from_secs(5),
            ping_interval: Duration::from_secs(15),
            silence_max: Duration::from_secs(45),
            devices_max: 20_000,
            series_max: 100_000,
        }
    }
}

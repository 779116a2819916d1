//! What a device's connection needs to know.

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use protocol::{device::ChannelDecl, ids::Id};
use tokio::time::Instant;

use crate::address::HubAddress;

/// Who the device is, as hello says it.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Its id.
    pub device: Id,
    /// What people call it.
    pub title: Option<String>,
    /// Hardware model.
    pub model: Option<String>,
    /// Software version on the device.
    pub firmware: Option<String>,
    /// Free key and value pairs.
    pub labels: BTreeMap<String, String>,
    /// A recording: times are kept as they are, clock rules and alerts are skipped.
    pub import: bool,
}

impl Identity {
    /// A live device of which only the id is known.
    pub fn new(device: Id) -> Self {
        Self { device, title: None, model: None, firmware: None, labels: BTreeMap::new(), import: false }
    }
}

/// Where the device's times count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceClock {
    /// The Unix epoch.
    Unix,
    /// The device's start: the instant its time 0 stands for.
    Boot(Instant),
}

/// Where unacknowledged messages are kept, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolConfig {
    /// A folder of this device alone: messages survive a restart and are synced before they are sent. Absent: in
    /// memory, where they die with the process.
    pub folder: Option<PathBuf>,
    /// Bytes kept at most, at least 1 MiB; when it is reached the oldest go, and the hub is told which.
    pub bytes_max: u64,
}

/// Periods and patience. The default is what the protocol asks for; tests are in more of a hurry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// First ceiling of the backoff.
    pub backoff_first: Duration,
    /// Last ceiling of the backoff.
    pub backoff_max: Duration,
    /// Longest wait for the answer to hello.
    pub hello_timeout: Duration,
    /// How often a ping is sent.
    pub ping_every: Duration,
    /// Silence after which the hub is taken for gone.
    pub silence_max: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            backoff_first: Duration::from_millis(250),
            backoff_max: Duration::from_secs(30),
            hello_timeout: Duration::from_secs(10),
            ping_every: Duration::from_secs(15),
            silence_max: Duration::from_secs(45),
        }
    }
}

/// Everything a device's connection needs to know.
#[derive(Clone)]
pub struct DeviceConfig {
    /// Where to connect.
    pub hub: HubAddress,
    /// Sent as `Authorization: Bearer`.
    pub token: Option<String>,
    /// Who is speaking.
    pub identity: Identity,
    /// What it measures; frames refer to channels by place.
    pub channels: Vec<ChannelDecl>,
    /// Where its times count from.
    pub clock: DeviceClock,
    /// Where unacknowledged messages are kept.
    pub spool: SpoolConfig,
    /// Periods and patience.
    pub timing: Timing,
}

impl fmt::Debug for DeviceConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceConfig")
            .field("hub", &self.hub)
            .field("token", &self.token.as_ref().map(|_| "(secret)"))
            .field("identity", &self.identity)
            .field("spool", &self.spool)
            .finish_non_exhaustive()
    }
}

//! What a device's connection reports.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// How a device's connection is doing. Messages are counted since the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Whether the hub has welcomed us on the present connection.
    pub connected: bool,
    /// Connections lost or not come about.
    pub reconnects: u64,
    /// Messages put on the wire, repeated ones included.
    pub sent: u64,
    /// Messages that the hub has on its disk, those of earlier runs included.
    pub acked: u64,
    /// Messages held and not acknowledged.
    pub waiting_messages: u64,
    /// Bytes they take, in memory or on disk.
    pub waiting_bytes: u64,
    /// Messages that went because the bound was reached, or because the hub called their spool stale.
    pub dropped: u64,
    /// Messages that the hub refused by number.
    pub refused: u64,
    /// Messages in quarantine.
    pub quarantined: u64,
    /// From sending a message to its ack, the newest measurement, microseconds.
    pub ack_round_trip_us: Option<u64>,
    /// Nothing is waiting, and the hub knows of every loss.
    pub drained: bool,
    /// Messages are kept in files; false from the start, or since the disk failed.
    pub on_disk: bool,
}

/// What happens on the connection.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceEvent {
    /// The hub welcomed us.
    Connected,
    /// The connection ended, or did not come about.
    Disconnected {
        /// For a person.
        reason: String,
        /// When the next attempt begins.
        retry_in: Duration,
        /// Which attempt that will be, from 2.
        attempt: u32,
    },
    /// The hub refused something; the connection may go on.
    Refused {
        /// The message it is about.
        seq: Option<u64>,
        /// Stable code.
        code: String,
        /// For a person.
        message: String,
    },
    /// Something to carry out, and to [`answer`](super::DeviceHandle::answer). Given once, and not after it expired.
    Command {
        /// Unique text.
        id: String,
        /// What to do.
        name: String,
        /// Arguments by name.
        args: BTreeMap<String, String>,
        /// Milliseconds since the Unix epoch after which it must not be run.
        expires_ms: u64,
    },
    /// A message over which the hub closed the connection three times was taken out; the hub is told of the gap.
    Quarantined {
        /// Its number.
        seq: u64,
        /// Where it is kept; absent when the spool is in memory.
        path: Option<PathBuf>,
    },
    /// The hub has more of a spool than this device: the device's disk was rolled back. The spool was discarded.
    Discarded {
        /// Messages that were in it.
        messages: u64,
    },
}

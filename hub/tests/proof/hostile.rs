//! Input that is wrong, or meant to harm: each gets a clear answer, is counted, and harms nobody else.

mod connections;
mod controls;
mod floods;
mod frames;

use crate::support::TestHub;

/// Closes of devices' connections by the hub with this code.
async fn closes(hub: &TestHub, code: u16) -> u64 {
    hub.metrics().await.get(&format!("device_connections_closed_total{{code=\"{code}\"}}"))
}

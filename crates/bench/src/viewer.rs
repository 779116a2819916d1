//! A viewer of the load generator.

use std::net::SocketAddr;

use anyhow::{Context, bail};
use protocol::{
    LIVE_SUBPROTOCOL,
    live::{HubMessage, ViewerMessage, control::Subscribe},
};

use crate::link::Opening;

/// A CBOR array of seven elements: live data. Control messages are maps.
const DATA_BEGIN: u8 = 0x87;

/// Connects a viewer and waits until its history is complete: what follows is live.
pub fn open(address: SocketAddr, series: &str, max_hz: u32) -> anyhow::Result<Opening> {
    let mut opening = Opening::connect(address, "/ws/live", LIVE_SUBPROTOCOL)?;
    let subscribe = Subscribe { id: 1, series: series.into(), window_ms: 1_000, points: 10, max_hz };
    opening.send(&ViewerMessage::Subscribe(subscribe).encode())?;
    loop {
        let (_, message) = opening.receive().context("no snapshot")?;
        if is_data(&message) {
            continue;
        }
        match HubMessage::decode(&message)? {
            HubMessage::SnapshotEnd { .. } => return Ok(opening),
            HubMessage::Error { message, .. } => bail!("the hub does not subscribe: {message}"),
            _ => {}
        }
    }
}

/// Whether a message carries readings.
pub fn is_data(message: &[u8]) -> bool {
    message.first() == Some(&DATA_BEGIN)
}

//! The wire of Highwater: what devices, the hub and viewers say to one another.
//!
//! Owns the frames of the device protocol ([`device`]) and of the live protocol ([`live`]), the rules for ids,
//! units and text, and every limit ([`limits`]). Takes and gives bytes and plain columns. Does no I/O, reads no
//! clock, spawns nothing: time is an argument wherever it matters.
//!
//! The public specification with worked examples is `docs/protocol.md`.

pub mod close;
pub mod codec;
pub mod device;
pub mod ids;
pub mod limits;
pub mod live;
pub mod selector;
pub mod text;
pub mod units;

/// What is known about a reading besides its time and value; bits of one byte, journaled and kept in history.
pub mod flags {
    /// The reading's time is at or before the newest one its series had when it arrived.
    pub const LATE: u8 = 1;
    /// The time was reconstructed: the device's clock counts from a boot whose instant is not known exactly.
    pub const ESTIMATED: u8 = 2;
    /// The device's clock (or the hub's) was implausible; the time was anchored on arrival.
    pub const SKEWED: u8 = 4;
}

/// Subprotocol that a device offers on `GET /ws/device`.
pub const DEVICE_SUBPROTOCOL: &str = "highwater.device.v1";
/// Subprotocol that a viewer offers on `GET /ws/live`.
pub const LIVE_SUBPROTOCOL: &str = "highwater.live.v1";

//! The live protocol: `GET /ws/live`, subprotocol `highwater.live.v1`. One socket a viewer, used by the web page
//! and the terminal alike.
//!
//! [`control`] holds the maps, [`data`] the columnar frames that carry history and live readings alike.

pub mod control;
pub mod data;

pub use control::{DeviceRow, DeviceState, GapRow, HubMessage, SeriesRow, ViewerMessage};
pub use data::LiveData;

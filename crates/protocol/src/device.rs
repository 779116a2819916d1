//! The device protocol: `GET /ws/device`, subprotocol `highwater.device.v1`.
//!
//! [`hello`] and [`control`] are the maps, [`data`] decodes readings into reused columns, [`encode`] writes them.

pub mod control;
pub mod data;
pub mod encode;
pub mod hello;

pub use control::{DeviceControl, HubControl};
pub use data::{Batch, Channel, DataError, Refusal, Run};
pub use hello::{ChannelDecl, Clock, Hello, HelloError, Kind};

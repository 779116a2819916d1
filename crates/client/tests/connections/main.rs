//! Connections of devices and viewers over real sockets, to a hub that does what each test tells it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod delivery;
mod device;
mod endings;
mod hub;
mod live;

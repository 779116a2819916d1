//! Devices over real sockets: the library's fleet, and the program as people run it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fleet;
mod hub;
mod program;

//! Devices for Highwater: simulated ones, this machine, another program's output, or a recording.
//!
//! Owns where readings come from ([`source`]), what can go wrong with them ([`fault`]), the agent that sends them
//! (`agent`) and many agents together ([`fleet`]). Takes options ([`options`]) and gives a status ([`status`]). What
//! is not acknowledged is the `client` crate's affair.

mod agent;
pub mod fault;
pub mod fleet;
pub mod options;
pub mod source;
pub mod status;

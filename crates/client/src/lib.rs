//! A connection to a hub that survives everything.
//!
//! Owns both ends that are not the hub: a device's connection with its spool of unacknowledged messages
//! ([`device`]), and a viewer's ([`live`]). Takes a hub's address ([`address`]) and a token ([`token`]), gives events
//! over bounded channels. Reconnects by itself, with jitter ([`backoff`]); never gives up and never blocks its
//! caller for long.

pub mod address;
pub mod backoff;
pub mod device;
pub mod live;
mod outbox;
mod socket;
mod spool;
pub mod token;

//! A connection to a hub that survives everything.
//!
//! Owns the sockets of the two protocols from the far side: [`live`] is a viewer's. Takes a hub's address
//! ([`address`]) and gives events over bounded channels. Reconnects by itself, with jitter ([`backoff`]); never
//! gives up, never blocks its caller for long and never spawns a thread.

pub mod address;
pub mod backoff;
pub mod live;
mod socket;

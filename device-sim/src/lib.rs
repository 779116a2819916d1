//! Devices for Highwater: where their readings come from ([`source`]) and what can go wrong with them ([`fault`]).
//!
//! Owns the sources and the faults. Takes the time as an argument and gives samples in physical units. Knows nothing
//! of sequence numbers, spools and sockets: that is the agent's part.

pub mod fault;
pub mod source;

//! The hub, proven against hostile and unlucky worlds: real sockets, real files, real processes.
//!
//! One binary, so that it is linked once. [`support`] holds the hub under test, devices, viewers and a REST client.
//! Tests wait on conditions with a deadline. Random ones print their seed and take `SEED` to repeat; `KILLS` says how
//! often the kill test kills. What needs root, strace, Python and the like is skipped by name where it is missing.

#![allow(clippy::float_cmp, reason = "a reading comes back as it was sent, to the last bit")]

mod bad_line;
mod clocks;
mod device_examples;
mod disk;
mod doors;
mod happy;
mod hostile;
mod kill;
mod ledger;
mod live;
mod post;
mod recordings;
mod rest;
mod shutdown;
mod support;
mod tidy;

//! The terminal page: which devices report, what they say and how it went, live, over any terminal.
//!
//! Owns the screen. Takes the live protocol from [`client::live`], keys and the mouse; gives pictures to a terminal
//! and wishes (subscriptions) to the connection. It never decides whether a device is fresh, never talks to a device
//! and keeps nothing on disk.
//!
//! | module | what |
//! | --- | --- |
//! | [`state`] | what is known and what is looked at. Pure: no clock, no terminal, no socket |
//! | [`view`] | draws the state; one file a widget. Reads `state`, never the reverse |
//! | [`app`] | events in; a changed state, requests to the hub and the next time to draw out |
//! | [`run`] | the loop: terminal, socket, signals and clock around an [`app::App`] |
//! | [`keymap`] | the one table of keys, from which footer, help overlay and configuration follow |
//! | [`once`] | the same data as a plain table, for scripts |
//!
//! Times are milliseconds since the Unix epoch (`i64`), as in the live protocol; those of readings and windows are
//! the hub's clock, those of the loop are this machine's.

pub mod action;
pub mod app;
pub mod config;
pub mod event;
pub mod keymap;
pub mod once;
pub mod options;
pub mod run;
pub mod state;
pub mod terminal;
pub mod theme;
pub mod view;

//! The dashboard as its users meet it: the real app on a test screen, over real sockets, and in a real terminal.
//!
//! Pictures are compared with `snapshots/` and never rewritten by a test run that is not asked to: `INSTA_UPDATE=always`.

mod fake_hub;
mod farm;
mod once;
mod reconnect;
mod screen;
mod screens;
mod styles;
mod terminal;
mod tidy;

//! REST: one file a resource. Holds read handles only; [`error`] is the one place where an error becomes a status.

pub mod devices;
pub mod error;
pub mod health;
pub mod openapi;
pub mod query;
pub mod series;

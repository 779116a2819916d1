//! What the hub knows, as a fold over journal records.
//!
//! [`record`] is the payload format of each record kind; [`fold`] applies records to a [`State`] in memory (pure: no
//! clock, no I/O); [`store`] keeps the durable part in the database of history. The pipeline owns one `State` that
//! runs ahead with what was appended, the historian owns one that follows what is durable. Both are made by the same
//! code from the same records, so a restart ends where the last run was.

pub mod fold;
pub mod record;
pub mod store;

pub use fold::{Delivery, Device, GapNote, Series, State, Stream};

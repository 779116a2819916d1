//! The hub's clock, read at the edges only.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch; before it counts as 0.
pub fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as i64)
}

/// Whole milliseconds of a time in microseconds, for the wire; before the epoch counts as 0.
pub fn wire_ms(time_us: i64) -> u64 {
    u64::try_from(time_us.div_euclid(1000)).unwrap_or(0)
}

//! The hub's clock, read at the edges only.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// Microseconds since the Unix epoch; before it counts as 0.
pub fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_micros() as i64)
}

/// False while the system's time service says that it has not set the clock yet (a Pi without a battery after boot).
/// Systems without that service are believed.
pub fn is_synchronised() -> bool {
    let folder = Path::new("/run/systemd/timesync");
    !folder.exists() || folder.join("synchronized").exists()
}

/// Whole milliseconds of a time in microseconds, for the wire; before the epoch counts as 0.
pub fn wire_ms(time_us: i64) -> u64 {
    u64::try_from(time_us.div_euclid(1000)).unwrap_or(0)
}

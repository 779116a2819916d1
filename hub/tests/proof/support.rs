//! The hub under test and those who talk to it.

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use hub::clock::{now_us, wire_ms};
use rand::{SeedableRng, rngs::SmallRng};

mod api;
mod bystander;
mod cbor;
mod device;
mod metrics;
mod mount;
mod process;
mod rest;
mod test_hub;
mod viewer;

pub use api::{Api, Point};
pub use bystander::Bystander;
pub use cbor::cbor;
pub use device::{Device, End, hello};
pub use metrics::Metrics;
pub use mount::Mount;
pub use process::{RealHub, device_sim, run_hub};
pub use rest::{Answer, get, post, request, try_status};
pub use test_hub::{TestHub, small_config};
pub use viewer::Viewer;

/// Nothing that a test waits for takes this long unless it will never happen. Generous, because test machines are slow.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Between two looks at a condition that nobody announces.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until `look` gives something.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// Waits until `look` gives what is wanted, and says what it gave last if it never does.
pub async fn eventually_equal<T: PartialEq + Debug>(what: &str, wanted: T, mut look: impl AsyncFnMut() -> T) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = look().await;
        if seen == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: wanted {wanted:?}, but it stays at {seen:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// A result that must come in time.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Random numbers for one test: from `SEED`, else fresh; printed either way.
pub fn rng(test: &str) -> SmallRng {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random::<u64>);
    println!("{test}: SEED={seed}");
    SmallRng::seed_from_u64(seed)
}

/// Milliseconds since the Unix epoch.
pub fn now_ms() -> u64 {
    wire_ms(now_us())
}

//! How long to wait before the next attempt to connect. Pure: no clock, the randomness is an argument.
//!
//! Full jitter: a uniform draw between nothing and a ceiling that doubles with each failure, so that a thousand
//! devices do not come back in step after the hub restarts.

use std::time::Duration;

use rand::{Rng, RngExt};

/// Least wait after the hub said no to who we are, or after another connection took this device over.
const DENIED_WAIT_MIN: Duration = Duration::from_secs(60);
/// Longest wait that a hub can ask for; more is a slip of somebody's configuration.
const TOLD_WAIT_MAX: Duration = Duration::from_secs(600);

/// What the end of a connection says about when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// Nothing: the usual backoff.
    None,
    /// Not before this has passed (503 with Retry-After, close 1013).
    After(Duration),
    /// Not before a person has probably looked at it: at least 60 s (401, 403, close 4001).
    Denied,
}

/// The ceilings of consecutive failures.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    /// Ceilings from `first`, doubling with each failure, to `max`.
    pub fn new(first: Duration, max: Duration) -> Self {
        Self { first, max, failures: 0 }
    }

    /// The connection was of use: the next failure counts as the first.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait after one more failure. What was told is kept, with the usual draw on top of it: a hub tells
    /// many at once.
    pub fn next(&mut self, advice: Advice, rng: &mut impl Rng) -> Duration {
        let ceiling = self.first.saturating_mul(1 << self.failures.min(20)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        let jitter = ceiling.mul_f64(rng.random_range(0.0..1.0));
        match advice {
            Advice::None => jitter,
            Advice::After(told) => told.min(TOLD_WAIT_MAX) + jitter,
            Advice::Denied => DENIED_WAIT_MIN + jitter,
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::SmallRng};

    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn waits_are_drawn_below_ceilings_that_double_up_to_the_longest() {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut longest = [Duration::ZERO; 10];
        for _ in 0..2_000 {
            let mut backoff = Backoff::new(seconds(0.25), seconds(30.0));
            for longest in &mut longest {
                *longest = backoff.next(Advice::None, &mut rng).max(*longest);
            }
        }
        let ceilings = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0].map(seconds);
        for (longest, ceiling) in longest.into_iter().zip(ceilings) {
            assert!(longest <= ceiling && longest > ceiling.mul_f64(0.98), "{longest:?} of {ceiling:?}");
        }
    }

    #[test]
    fn a_useful_connection_starts_the_ceilings_again() {
        let mut rng = SmallRng::seed_from_u64(2);
        let mut backoff = Backoff::new(seconds(0.25), seconds(30.0));
        for _ in 0..100 {
            backoff.next(Advice::None, &mut rng);
        }
        backoff.reset();
        assert!(backoff.next(Advice::None, &mut rng) <= seconds(0.25));
    }

    #[test]
    fn what_was_told_is_kept_and_bounded() {
        let mut rng = SmallRng::seed_from_u64(3);
        let mut backoff = Backoff::new(seconds(0.25), seconds(30.0));
        let told = backoff.next(Advice::After(seconds(5.0)), &mut rng);
        assert!((seconds(5.0)..=seconds(5.25)).contains(&told), "{told:?}");
        assert!(backoff.next(Advice::After(seconds(1e9)), &mut rng) <= seconds(601.0));
        assert!(backoff.next(Advice::Denied, &mut rng) >= seconds(60.0));
    }
}

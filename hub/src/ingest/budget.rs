//! How much of something may happen a second. Pure: the instant is an argument.

use std::time::{Duration, Instant};

/// A token bucket: one second's worth may be taken at once.
#[derive(Debug)]
pub struct Budget {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Budget {
    /// A full bucket.
    pub fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second), tokens: f64::from(per_second), filled: Instant::now() }
    }

    /// Takes a token in any case; gives how long to wait until it was there.
    pub fn take(&mut self, now: Instant) -> Option<Duration> {
        self.tokens -= 1.0;
        if self.tokens >= 0.0 {
            return None;
        }
        self.fill(now);
        (self.tokens < 0.0).then(|| Duration::from_secs_f64(-self.tokens / self.per_second))
    }

    /// Takes a token if there is one.
    pub fn try_take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let is_there = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(is_there));
        is_there
    }

    fn fill(&mut self, now: Instant) {
        let gained = now.duration_since(self.filled).as_secs_f64() * self.per_second;
        self.filled = now;
        self.tokens = (self.tokens + gained).min(self.per_second);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_device_is_slowed_to_its_rate() {
        let mut budget = Budget::new(100);
        let start = budget.filled;
        let waits: Vec<_> = (0..100).map(|_| budget.take(start)).collect();
        assert!(waits.iter().all(Option::is_none), "a second's worth may come at once");
        let wait = budget.take(start).expect("the budget is used up");
        assert!((wait.as_secs_f64() - 0.01).abs() < 1e-6, "{wait:?}");
        assert_eq!(budget.take(start + Duration::from_secs(10)), None);
    }

    #[test]
    fn what_may_be_left_out_is_left_out_until_there_is_a_token() {
        let mut budget = Budget::new(2);
        let start = budget.filled;
        let taken = (0..1_000).filter(|_| budget.try_take(start)).count();
        assert_eq!(taken, 2);
        assert!(budget.try_take(start + Duration::from_millis(500)));
        assert!(!budget.try_take(start + Duration::from_millis(500)));
    }
}

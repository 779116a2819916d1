//! How many readings arrive, over the last minute.

/// Seconds that are remembered.
const SECONDS: usize = 60;
/// Seconds looked at first, so that a change shows soon.
const SECONDS_SHORT: usize = 10;
/// Readings that must be expected in the short time before it is looked at.
const READINGS_ENOUGH: usize = 5;

/// Counts of the last minute, a slot a second.
#[derive(Debug, Clone, PartialEq)]
pub struct RateMeter {
    counts: [u32; SECONDS],
    /// How many of them are the estimate for what the hub left out.
    merged: [u32; SECONDS],
    /// The second of the newest count, seconds since the Unix epoch.
    newest_s: i64,
    /// When counting began.
    since_s: i64,
}

/// A measured rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Readings a second.
    pub per_second: f64,
    /// True when points that the hub left out had to be attributed by estimate.
    pub estimated: bool,
}

impl RateMeter {
    /// Begins to count at `now_ms`.
    pub fn new(now_ms: i64) -> Self {
        let second = now_ms.div_euclid(1_000);
        Self { counts: [0; SECONDS], merged: [0; SECONDS], newest_s: second, since_s: second }
    }

    /// Counts `readings` that arrived at `now_ms`, `merged` of them only by estimate.
    pub fn add(&mut self, now_ms: i64, readings: u32, merged: u32) {
        let second = now_ms.div_euclid(1_000);
        // A clock that was set back counts into the newest second.
        for passed in self.newest_s + 1..=second.min(self.newest_s + SECONDS as i64) {
            self.counts[slot(passed)] = 0;
            self.merged[slot(passed)] = 0;
        }
        self.newest_s = self.newest_s.max(second);
        let slot = slot(self.newest_s);
        self.counts[slot] = self.counts[slot].saturating_add(readings).saturating_add(merged);
        self.merged[slot] = self.merged[slot].saturating_add(merged);
    }

    /// The rate at `now_ms`; `None` in the first seconds, when it would be a guess.
    pub fn rate(&self, now_ms: i64) -> Option<Rate> {
        // The second that is running is not complete.
        let second = now_ms.div_euclid(1_000);
        let known_s = (second - self.since_s).clamp(0, SECONDS as i64 - 1) as usize;
        if known_s < 3 {
            return None;
        }
        let sum = |seconds| self.sum(&self.counts, second, seconds);
        let short = known_s.min(SECONDS_SHORT);
        // Over the short time only where it would hold enough readings to be a measure.
        let enough = sum(known_s) as usize * short >= READINGS_ENOUGH * known_s;
        let seconds = if enough { short } else { known_s };
        let count = sum(seconds);
        let estimated = self.sum(&self.merged, second, seconds) > 0;
        Some(Rate { per_second: f64::from(count) / seconds as f64, estimated })
    }

    /// What was counted in the `seconds` before second `end`.
    fn sum(&self, counts: &[u32; SECONDS], end: i64, seconds: usize) -> u32 {
        let remembered = |second: &i64| *second <= self.newest_s && *second > self.newest_s - SECONDS as i64;
        (end - seconds as i64..end).filter(remembered).map(|second| counts[slot(second)]).sum()
    }
}

fn slot(second: i64) -> usize {
    second.rem_euclid(SECONDS as i64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_device_shows_its_rate_soon_and_its_silence_soon() {
        let mut meter = RateMeter::new(0);
        assert_eq!(meter.rate(2_999), None);
        for tenth in 0..200 {
            meter.add(tenth * 100, 4, 0);
        }
        assert_eq!(meter.rate(20_000), Some(Rate { per_second: 40.0, estimated: false }));
        assert_eq!(meter.rate(25_000).map(|rate| rate.per_second), Some(20.0));
        assert_eq!(meter.rate(31_000).map(|rate| rate.per_second), Some(0.0), "silence shows within seconds");
        assert_eq!(meter.rate(120_000).map(|rate| rate.per_second), Some(0.0));
    }

    #[test]
    fn a_slow_device_is_measured_over_the_minute() {
        let mut meter = RateMeter::new(0);
        for second in (0..300).step_by(20) {
            meter.add(second * 1_000, 1, 0);
        }
        let rate = meter.rate(300_000).expect("known").per_second;
        assert!((0.03..=0.06).contains(&rate), "{rate}");
    }

    #[test]
    fn what_the_hub_left_out_is_counted_and_said() {
        let mut meter = RateMeter::new(0);
        for second in 0..20 {
            meter.add(second * 1_000, 3, 7);
        }
        assert_eq!(meter.rate(20_000), Some(Rate { per_second: 10.0, estimated: true }));
        for second in 20..40 {
            meter.add(second * 1_000, 10, 0);
        }
        assert_eq!(meter.rate(40_000), Some(Rate { per_second: 10.0, estimated: false }));
    }

    #[test]
    fn a_clock_that_jumps_does_no_harm() {
        let mut meter = RateMeter::new(1_000_000);
        meter.add(0, 1, 0);
        meter.add(i64::MAX / 2, 1, 0);
        meter.add(1_000_000, 1, 0);
        assert_eq!(meter.rate(0), None);
    }
}

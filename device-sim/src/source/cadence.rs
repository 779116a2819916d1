//! When the next sample of a periodic measurement is due.
//!
//! Owns the grid of instants `phase + n × period`. Takes the current time and gives due instants one after the other,
//! so that what is measured does not depend on how often anybody asks.

/// Longest delay that is made up for, microseconds. A machine that was suspended for longer measured nothing
/// meanwhile, and a minute of the fastest channel is all that one poll may produce.
pub const CATCH_UP_US_MAX: i64 = 60_000_000;

/// A grid of due instants. Times in microseconds since the Unix epoch.
#[derive(Debug, Clone)]
#[expect(clippy::struct_field_names, reason = "all are times, and the unit stands last")]
pub struct Cadence {
    period_us: i64,
    phase_us: i64,
    next_us: Option<i64>,
}

impl Cadence {
    /// Instants `phase_us + n × period_us`. `period_us` must be above 0.
    pub fn new(period_us: i64, phase_us: i64) -> Self {
        debug_assert!(period_us > 0, "a period is above 0");
        Self { period_us, phase_us: phase_us.rem_euclid(period_us), next_us: None }
    }

    /// The instant that is due next, given that it is `now_us`; it may lie before or after.
    ///
    /// The first call, a delay above [`CATCH_UP_US_MAX`] and a clock that was set back by more than that start the
    /// grid afresh at the first instant not before `now_us`.
    pub fn due_us(&mut self, now_us: i64) -> i64 {
        let keeps = |next_us: &i64| {
            let delay_us = now_us.saturating_sub(*next_us);
            (-CATCH_UP_US_MAX - self.period_us..=CATCH_UP_US_MAX).contains(&delay_us)
        };
        let next_us = self.next_us.filter(keeps).unwrap_or_else(|| self.first_from(now_us));
        self.next_us = Some(next_us);
        next_us
    }

    /// Goes on to the instant after the one that [`due_us`](Self::due_us) gave.
    pub fn advance(&mut self) {
        self.next_us = self.next_us.map(|next_us| next_us + self.period_us);
    }

    /// Time between two instants, microseconds.
    pub fn period_us(&self) -> i64 {
        self.period_us
    }

    fn first_from(&self, now_us: i64) -> i64 {
        let into_us = (now_us - self.phase_us).rem_euclid(self.period_us);
        if into_us == 0 { now_us } else { now_us + self.period_us - into_us }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [i64; 0] = [];

    fn due(cadence: &mut Cadence, now_us: i64) -> Vec<i64> {
        let mut instants = Vec::new();
        while cadence.due_us(now_us) <= now_us {
            instants.push(cadence.due_us(now_us));
            cadence.advance();
        }
        instants
    }

    #[test]
    fn instants_lie_on_the_grid_and_none_is_left_out() {
        let mut cadence = Cadence::new(1_000, 300);
        assert_eq!(due(&mut cadence, 10_000), NONE, "the first is the next on the grid, not one before the start");
        assert_eq!(due(&mut cadence, 12_300), [10_300, 11_300, 12_300]);
        assert_eq!(due(&mut cadence, 12_999), NONE);
    }

    #[test]
    fn a_start_on_the_grid_is_due_at_once() {
        assert_eq!(due(&mut Cadence::new(1_000, 0), 5_000), [5_000]);
        assert_eq!(due(&mut Cadence::new(1_000, 250), -750), [-750], "before the epoch as after it");
    }

    #[test]
    fn a_long_sleep_is_not_made_up_for() {
        let mut cadence = Cadence::new(1_000_000, 0);
        assert_eq!(due(&mut cadence, 0), [0]);
        assert_eq!(due(&mut cadence, CATCH_UP_US_MAX).len(), 60);
        let woken_us = 3_600_000_000;
        assert_eq!(due(&mut cadence, woken_us), [woken_us]);
    }

    #[test]
    fn a_clock_set_back_does_not_silence_the_device() {
        let mut cadence = Cadence::new(1_000_000, 0);
        due(&mut cadence, 7_200_000_000);
        assert_eq!(due(&mut cadence, 7_199_500_000), NONE, "a small step back waits");
        assert_eq!(due(&mut cadence, 3_600_000_000), [3_600_000_000], "a large one starts afresh");
    }
}

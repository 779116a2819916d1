//! A two-point controller: switches on at one threshold and off at the other.
//!
//! Takes what it controls and gives whether it is on.

/// On below (or above) one value, off beyond another; in between it stays as it is.
#[derive(Debug, Clone)]
pub(super) struct Thermostat {
    on_at: f64,
    off_at: f64,
    is_on: bool,
}

impl Thermostat {
    /// Heats when `on_at` is below `off_at`, cools when it is above.
    pub(super) fn new(on_at: f64, off_at: f64, is_on: bool) -> Self {
        Self { on_at, off_at, is_on }
    }

    /// Decides by the present value and gives whether it is on.
    pub(super) fn decide(&mut self, value: f64) -> bool {
        let heats = self.on_at < self.off_at;
        let past = |threshold: f64, rising: bool| if rising { value >= threshold } else { value <= threshold };
        self.is_on = if self.is_on { !past(self.off_at, heats) } else { past(self.on_at, !heats) };
        self.is_on
    }

    /// Whether it is on.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }
}

/// What becomes of `value` after `elapsed_s` seconds when it nears `target` with the time constant `memory_s`.
/// Exact, so that a long step does not overshoot.
pub(super) fn relax(value: f64, target: f64, elapsed_s: f64, memory_s: f64) -> f64 {
    target + (value - target) * (-elapsed_s / memory_s).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heater_and_a_cooler_keep_their_band() {
        let mut heater = Thermostat::new(60.0, 70.0, false);
        let states: Vec<bool> = [65.0, 60.0, 65.0, 70.0, 65.0].map(|value| heater.decide(value)).into();
        assert_eq!(states, [false, true, true, false, false]);
        let mut cooler = Thermostat::new(-17.0, -20.0, false);
        let states: Vec<bool> = [-18.0, -16.9, -18.0, -20.1, -18.0].map(|value| cooler.decide(value)).into();
        assert_eq!(states, [false, true, true, false, false]);
    }

    #[test]
    fn relaxing_in_one_step_or_in_many_is_the_same() {
        let once = relax(20.0, 80.0, 600.0, 300.0);
        let stepwise = (0..600).fold(20.0, |value, _| relax(value, 80.0, 1.0, 300.0));
        assert!((once - stepwise).abs() < 1e-9, "{once} {stepwise}");
    }
}

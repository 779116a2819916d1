//! Randomness with the shape that nature gives it: seeded, portable, cheap.
//!
//! Takes a generator and gives numbers. The generator is named, not `SmallRng`, because a seed must mean the same on
//! a 32-bit Pi and on a 64-bit server.

use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};

/// The generator of everything simulated.
pub(crate) type Rng = Xoshiro256PlusPlus;

/// Nearly normal, mean 0, standard deviation 1, never beyond ±2√3 (about 3.46): the sum of four uniform numbers (Irwin–Hall).
/// One draw and no logarithm; a sensor has no infinite tails either.
pub(super) fn gaussian(rng: &mut Rng) -> f64 {
    // Four 16-bit numbers sum up to 0 … 262 140, with standard deviation √(4 · (65 536² − 1) / 12).
    const MEAN: f64 = 131_070.0;
    const DEVIATION: f64 = 37_837.227;
    let bits = rng.next_u64();
    let sum: u64 = (0..4).map(|part| (bits >> (16 * part)) & 0xffff).sum();
    (sum as f64 - MEAN) / DEVIATION
}

/// A waiting time with this mean, for events that know nothing of each other (a Poisson process). Same unit as `mean`.
pub(crate) fn waiting_time(mean: f64, rng: &mut Rng) -> f64 {
    -mean * (1.0 - rng.random::<f64>()).ln()
}

/// A number from −1 to 1 that belongs to a place: the same seed and place always give the same one.
pub(super) fn at(seed: u64, place: i64) -> f64 {
    let mut rng = Rng::seed_from_u64(seed ^ place.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15));
    rng.random_range(-1.0..1.0)
}

/// A quantity that wanders slowly about 0 and is pulled back: an Ornstein–Uhlenbeck process, stepped exactly, so that
/// its spread does not depend on the step.
#[derive(Debug, Clone)]
pub(super) struct Wander {
    value: f64,
    deviation: f64,
    memory_s: f64,
}

impl Wander {
    /// Wanders with the standard deviation `deviation` and forgets where it was over about `memory_s` seconds.
    /// Starts anywhere that it may be later.
    pub(super) fn new(deviation: f64, memory_s: f64, rng: &mut Rng) -> Self {
        Self { value: deviation * gaussian(rng), deviation, memory_s }
    }

    /// Goes on by `elapsed_s` seconds.
    pub(super) fn step(&mut self, elapsed_s: f64, rng: &mut Rng) {
        let kept = (-elapsed_s / self.memory_s).exp();
        self.value = kept * self.value + self.deviation * (1.0 - kept * kept).sqrt() * gaussian(rng);
    }

    /// Where it is.
    pub(super) fn value(&self) -> f64 {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt())
    }

    #[test]
    fn gaussian_has_its_moments_and_its_bound() {
        let mut rng = Rng::seed_from_u64(1);
        let values: Vec<f64> = (0..100_000).map(|_| gaussian(&mut rng)).collect();
        let (mean, deviation) = mean_and_deviation(&values);
        assert!(mean.abs() < 0.02 && (deviation - 1.0).abs() < 0.02, "{mean} {deviation}");
        assert!(values.iter().all(|value| value.abs() <= 12.0_f64.sqrt()));
    }

    #[test]
    fn a_wander_spreads_alike_at_every_step() {
        for step_s in [1.0, 60.0, 3_600.0] {
            let mut rng = Rng::seed_from_u64(2);
            let mut wander = Wander::new(0.5, 60.0, &mut rng);
            let values: Vec<f64> = (0..200_000)
                .map(|_| {
                    wander.step(step_s, &mut rng);
                    wander.value()
                })
                .collect();
            let (mean, deviation) = mean_and_deviation(&values);
            assert!(mean.abs() < 0.05 && (deviation - 0.5).abs() < 0.05, "step {step_s}: {mean} {deviation}");
        }
    }

    #[test]
    fn waiting_times_have_their_mean() {
        let mut rng = Rng::seed_from_u64(3);
        let total: f64 = (0..100_000).map(|_| waiting_time(20.0, &mut rng)).sum();
        assert!((total / 100_000.0 - 20.0).abs() < 0.3, "{total}");
    }
}

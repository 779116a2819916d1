//! Vibration of a rotating machine, as an accelerometer on its bearing measures it.
//!
//! Takes the machine's speed and load and gives blocks of raw 16-bit counts at a fixed rate. Keeps the phase from block
//! to block, so that blocks join without a step.

use std::f64::consts::TAU;

use super::noise::{Rng, Wander, gaussian};

/// Time between two samples, microseconds: 1 kHz.
pub(super) const SAMPLE_US: i64 = 1_000;
/// Samples in a block.
pub(super) const BLOCK_LEN: usize = 100;
/// Acceleration of one count, m/s²; 16 bits reach to ±32.8 m/s².
pub(super) const SCALE: f64 = 0.001;

/// (order of the shaft's rotation, amplitude in m/s² at full load, phase in turns): imbalance, misalignment, looseness
/// and the outer race of a bearing with nine balls, whose order is not a whole number.
const TONES: [(f64, f64, f64); 4] = [(1.0, 1.6, 0.0), (2.0, 0.6, 0.21), (3.0, 0.25, 0.43), (3.58, 0.18, 0.0)];
/// Noise of the sensor and of the floor it stands on, m/s².
const FLOOR: f64 = 0.03;
/// Noise that grows with the load, m/s².
const ROUGHNESS: f64 = 0.15;

/// What turns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shaft {
    /// Turns a second.
    pub(super) speed_hz: f64,
    /// From 0 (stands still) to 1 (full load).
    pub(super) load: f64,
}

/// An accelerometer on a machine.
#[derive(Debug, Clone)]
pub(super) struct Vibration {
    rng: Rng,
    slip: Wander,
    turns: [f64; TONES.len()],
}

impl Vibration {
    /// With a generator of its own, so that other channels do not change it.
    pub(super) fn new(mut rng: Rng) -> Self {
        Self { slip: Wander::new(0.002, 20.0, &mut rng), turns: [0.0; TONES.len()], rng }
    }

    /// The next [`BLOCK_LEN`] counts.
    pub(super) fn block(&mut self, shaft: Shaft) -> Vec<i16> {
        const SAMPLE_S: f64 = SAMPLE_US as f64 / 1e6;
        self.slip.step(SAMPLE_S * BLOCK_LEN as f64, &mut self.rng);
        let turns_a_sample = shaft.speed_hz * (1.0 + self.slip.value()) * SAMPLE_S;
        (0..BLOCK_LEN)
            .map(|_| {
                let mut acceleration = (FLOOR + ROUGHNESS * shaft.load) * gaussian(&mut self.rng);
                for (turns, (order, amplitude, phase)) in self.turns.iter_mut().zip(TONES) {
                    *turns = (*turns + order * turns_a_sample).fract();
                    acceleration += shaft.load * amplitude * ((*turns + phase) * TAU).sin();
                }
                // Saturating, as the instrument does.
                (acceleration / SCALE).round() as i16
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    /// Amplitude at `hz` of one second of samples (a single bin of the Fourier transform), m/s².
    fn amplitude(counts: &[i16], hz: f64) -> f64 {
        let (mut re, mut im) = (0.0, 0.0);
        for (index, count) in counts.iter().enumerate() {
            let angle = TAU * hz * index as f64 * SAMPLE_US as f64 / 1e6;
            re += f64::from(*count) * SCALE * angle.cos();
            im += f64::from(*count) * SCALE * angle.sin();
        }
        2.0 * re.hypot(im) / counts.len() as f64
    }

    fn second(shaft: Shaft) -> Vec<i16> {
        let mut vibration = Vibration::new(Rng::seed_from_u64(7));
        (0..10).flat_map(|_| vibration.block(shaft)).collect()
    }

    #[test]
    fn the_spectrum_shows_the_machine_across_blocks() {
        let counts = second(Shaft { speed_hz: 24.8, load: 1.0 });
        assert!((1.3..1.9).contains(&amplitude(&counts, 24.8)), "{}", amplitude(&counts, 24.8));
        assert!((0.4..0.8).contains(&amplitude(&counts, 49.6)), "{}", amplitude(&counts, 49.6));
        assert!(amplitude(&counts, 37.0) < 0.25, "nothing turns at one and a half times the speed");
    }

    #[test]
    fn a_machine_that_stands_still_is_quiet() {
        let counts = second(Shaft { speed_hz: 0.0, load: 0.0 });
        let largest = counts.iter().map(|count| count.unsigned_abs()).max().unwrap();
        assert!((1..=104).contains(&largest), "{largest} counts of sensor noise");
    }
}

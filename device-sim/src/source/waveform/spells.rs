//! What works in spells, such as a burner or a press, and how long it has worked altogether.
//!
//! Takes the time and gives both from nothing else, so that a meter of it goes on where it was when the simulator is
//! started again. Time is cut into slots with one spell each. The total at the end of a slot is drawn, not the length
//! of the spell: the length follows, and the total needs no sum over the past.

use rand::RngExt as _;

use super::noise::{Rng, at};

/// How far a slot's end may lie from the expected total, in slots. Two neighbours change a spell by twice that.
const JITTER: f64 = 0.1;

/// Spells of one machine.
pub(super) struct Spells {
    seed: u64,
    slot_us: i64,
    /// When its slots begin: machines do not start all together.
    phase_us: i64,
    /// Time at work until then that is expected, seconds.
    expected_s: fn(i64) -> f64,
}

/// How things stand at one instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AtWork {
    pub(super) is_on: bool,
    /// Altogether, seconds.
    pub(super) total_s: f64,
}

impl Spells {
    /// One spell in each `slot_us` microseconds. `expected_s` must rise by 0.2 to 0.8 seconds a second.
    pub(super) fn new(slot_us: i64, expected_s: fn(i64) -> f64, rng: &mut Rng) -> Self {
        Self { seed: rng.random(), slot_us, phase_us: rng.random_range(0..slot_us), expected_s }
    }

    pub(super) fn at(&self, time_us: i64) -> AtWork {
        let slot = (time_us - self.phase_us).div_euclid(self.slot_us);
        let begins_s = self.total_before_s(slot);
        let spell_s = self.total_before_s(slot + 1) - begins_s;
        let into_s = (time_us - self.phase_us).rem_euclid(self.slot_us) as f64 / 1e6;
        AtWork { is_on: into_s < spell_s, total_s: begins_s + into_s.min(spell_s) }
    }

    fn total_before_s(&self, slot: i64) -> f64 {
        let slot_s = self.slot_us as f64 / 1e6;
        (self.expected_s)(slot * self.slot_us + self.phase_us) + JITTER * slot_s * at(self.seed, slot)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn the_total_rises_exactly_while_it_is_at_work() {
        for expected_s in [|time_us: i64| time_us as f64 * 0.2e-6, |time_us: i64| time_us as f64 * 0.8e-6] {
            let spells = Spells::new(600_000_000, expected_s, &mut Rng::seed_from_u64(6));
            let (mut before, mut changes) = (spells.at(0), 0);
            for second in 1..=86_400 {
                let now = spells.at(second * 1_000_000);
                let rose_s = now.total_s - before.total_s;
                match (before.is_on, now.is_on) {
                    (true, true) => assert!((rose_s - 1.0).abs() < 1e-6, "{rose_s} at {second} s"),
                    (false, false) => assert!(rose_s.abs() < 1e-6, "{rose_s} at {second} s"),
                    _ => changes += 1,
                }
                assert!((-1e-6..1.0 + 1e-6).contains(&rose_s), "{rose_s} at {second} s");
                before = now;
            }
            assert!((280..=289).contains(&changes), "a spell in each of 144 slots: {changes}");
        }
    }
}

//! A hydraulic press with its motor: works in spells, warms its oil, shakes its bearing.

use protocol::device::ChannelDecl;
use rand::RngExt as _;

use super::{
    climate::{activity_s, counted_s},
    noise::{Rng, Wander, gaussian},
    plant::{Plant, counter, gauge, state},
    spells::{AtWork, Spells},
    thermostat::relax,
    vibration::Shaft,
};

/// Speed of the motor under load, turns a second: four poles at 50 Hz less the slip.
const SPEED_HZ: f64 = 24.8;
/// Strokes a second while it works.
const STROKES_HZ: f64 = 0.4;
/// One spell of work in so much time, microseconds.
const SLOT_US: i64 = 1_500_000_000;

/// See the module.
pub(super) struct Press {
    spells: Spells,
    now: AtWork,
    load: f64,
    force: Wander,
    oil_celsius: f64,
}

impl Press {
    pub(super) fn new(time_us: i64, rng: &mut Rng) -> Self {
        // A night shift exists, its spells are only shorter.
        let spells = Spells::new(SLOT_US, |time_us| 0.25 * counted_s(time_us) + 0.5 * activity_s(time_us), rng);
        Self {
            now: spells.at(time_us),
            spells,
            load: 0.0,
            force: Wander::new(0.05, 30.0, rng),
            oil_celsius: rng.random_range(28.0..42.0),
        }
    }
}

impl Plant for Press {
    fn channels(&self) -> Vec<ChannelDecl> {
        vec![
            state("running", "Running", ["idle", "at work"]),
            gauge("current", "Motor current", "A", 1),
            gauge("oil-temp", "Oil temperature", "Cel", 1),
            counter("strokes", "Strokes", "count", 0),
        ]
    }

    fn step(&mut self, time_us: i64, elapsed_s: f64, rng: &mut Rng) {
        self.now = self.spells.at(time_us);
        self.force.step(elapsed_s, rng);
        let target = if self.now.is_on { (0.85 + self.force.value()).clamp(0.5, 1.0) } else { 0.0 };
        self.load = relax(self.load, target, elapsed_s, 4.0);
        self.oil_celsius = relax(self.oil_celsius, 24.0 + 30.0 * self.load, elapsed_s, 1_800.0);
    }

    fn read(&self, _time_us: i64, rng: &mut Rng, values: &mut Vec<f64>) {
        values.extend([
            f64::from(u8::from(self.now.is_on)),
            (2.1 + 26.0 * self.load + 0.2 * gaussian(rng)).max(0.0),
            self.oil_celsius + 0.05 * gaussian(rng),
            (STROKES_HZ * self.now.total_s).floor(),
        ]);
    }

    fn shaft(&self) -> Option<Shaft> {
        // The motor idles at some load, it does not stop between spells.
        Some(Shaft { speed_hz: SPEED_HZ + 0.15 * (1.0 - self.load), load: 0.12 + 0.88 * self.load })
    }
}

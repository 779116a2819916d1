//! A hydraulic press with its motor: works in spells, warms its oil, shakes its bearing.

use protocol::device::ChannelDecl;
use rand::RngExt as _;

use super::{
    climate::activity,
    contact::Contact,
    noise::{Rng, Wander, gaussian},
    plant::{Plant, counter, gauge, state},
    thermostat::relax,
    vibration::Shaft,
};

/// Speed of the motor under load, turns a second: four poles at 50 Hz less the slip.
const SPEED_HZ: f64 = 24.8;
/// Strokes a second while it works.
const STROKES_HZ: f64 = 0.4;

/// See the module.
pub(super) struct Press {
    /// Open means at work.
    spells: Contact,
    load: f64,
    force: Wander,
    oil_celsius: f64,
    strokes: f64,
}

impl Press {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            spells: Contact::new(120.0, 1_500.0, rng),
            load: 0.0,
            force: Wander::new(0.05, 30.0, rng),
            oil_celsius: rng.random_range(28.0..42.0),
            strokes: rng.random_range(100_000.0..2_000_000.0_f64).floor(),
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
        // A night shift exists, it only starts fewer spells.
        self.spells.step(elapsed_s, 0.3 + 0.7 * activity(time_us), rng);
        self.force.step(elapsed_s, rng);
        let target = if self.spells.is_open() { (0.85 + self.force.value()).clamp(0.5, 1.0) } else { 0.0 };
        self.load = relax(self.load, target, elapsed_s, 4.0);
        self.oil_celsius = relax(self.oil_celsius, 24.0 + 30.0 * self.load, elapsed_s, 1_800.0);
        if self.spells.is_open() {
            self.strokes += STROKES_HZ * elapsed_s;
        }
    }

    fn read(&self, _time_us: i64, rng: &mut Rng, values: &mut Vec<f64>) {
        values.extend([
            f64::from(u8::from(self.spells.is_open())),
            (2.1 + 26.0 * self.load + 0.2 * gaussian(rng)).max(0.0),
            self.oil_celsius + 0.05 * gaussian(rng),
            self.strokes.floor(),
        ]);
    }

    fn shaft(&self) -> Option<Shaft> {
        // The motor idles at some load, it does not stop between spells.
        Some(Shaft { speed_hz: SPEED_HZ + 0.15 * (1.0 - self.load), load: 0.12 + 0.88 * self.load })
    }
}

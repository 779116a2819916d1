//! An electricity meter: mains voltage and frequency, a building's load, and the energy it adds up to.

use protocol::device::ChannelDecl;
use rand::RngExt as _;

use super::{
    climate::activity,
    noise::{Rng, Wander, gaussian},
    plant::{Plant, counter, gauge},
};

/// Active power over apparent power of a building with some motors in it.
const POWER_FACTOR: f64 = 0.94;

/// See the module.
pub(super) struct Meter {
    base_watts: f64,
    busy_watts: f64,
    habit: Wander,
    voltage: Wander,
    frequency: Wander,
    watts: f64,
    energy_wh: f64,
}

impl Meter {
    pub(super) fn new(time_us: i64, rng: &mut Rng) -> Self {
        let mut meter = Self {
            base_watts: rng.random_range(250.0..600.0),
            busy_watts: rng.random_range(1_500.0..6_000.0),
            habit: Wander::new(0.2, 240.0, rng),
            voltage: Wander::new(1.8, 600.0, rng),
            frequency: Wander::new(0.02, 60.0, rng),
            watts: 0.0,
            energy_wh: rng.random_range(1e6..4e7_f64).floor(),
        };
        meter.watts = meter.load_watts(time_us);
        meter
    }

    fn load_watts(&self, time_us: i64) -> f64 {
        (self.base_watts + self.busy_watts * activity(time_us)) * (1.0 + self.habit.value()).max(0.1)
    }
}

impl Plant for Meter {
    fn channels(&self) -> Vec<ChannelDecl> {
        vec![
            gauge("voltage", "Mains voltage", "V", 1),
            gauge("current", "Current", "A", 2),
            gauge("power", "Active power", "W", 0),
            gauge("frequency", "Mains frequency", "Hz", 3),
            counter("energy", "Energy used", "Wh", 1),
        ]
    }

    fn step(&mut self, time_us: i64, elapsed_s: f64, rng: &mut Rng) {
        for wander in [&mut self.habit, &mut self.voltage, &mut self.frequency] {
            wander.step(elapsed_s, rng);
        }
        self.watts = self.load_watts(time_us);
        self.energy_wh += self.watts * elapsed_s / 3_600.0;
    }

    fn read(&self, _time_us: i64, rng: &mut Rng, values: &mut Vec<f64>) {
        // The line's own resistance: the voltage sags by some volts at full load.
        let volts = 231.0 + self.voltage.value() - 0.0006 * self.watts;
        values.extend([
            volts + 0.05 * gaussian(rng),
            self.watts / volts / POWER_FACTOR,
            self.watts,
            50.0 + self.frequency.value(),
            self.energy_wh,
        ]);
    }
}

//! An electricity meter: mains voltage and frequency, a building's load, and the energy it adds up to.
//!
//! Load and energy follow from the time alone, so that the meter goes on where it was when the simulator is started
//! again. Habits are drawn as energy, at the ends of slots, and the load is its slope: nothing has to be summed up.

use protocol::device::ChannelDecl;
use rand::RngExt as _;

use super::{
    climate::{activity, activity_s, counted_s},
    noise::{Rng, Wander, at, gaussian},
    plant::{Plant, counter, gauge},
};

/// Active power over apparent power of a building with some motors in it.
const POWER_FACTOR: f64 = 0.94;
/// What people switch on and off changes in so much time, microseconds.
const SLOT_US: i64 = 240_000_000;
/// How far that goes, as a part of the load. Between two draws the load rises or falls by up to three times as much.
const HABIT: f64 = 0.2;

/// See the module.
pub(super) struct Meter {
    seed: u64,
    base_watts: f64,
    busy_watts: f64,
    voltage: Wander,
    frequency: Wander,
    now: Use,
}

/// What is used, and what has been.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    watts: f64,
    joules: f64,
}

impl Meter {
    pub(super) fn new(time_us: i64, rng: &mut Rng) -> Self {
        let mut meter = Self {
            seed: rng.random(),
            base_watts: rng.random_range(250.0..600.0),
            busy_watts: rng.random_range(1_500.0..6_000.0),
            voltage: Wander::new(1.8, 600.0, rng),
            frequency: Wander::new(0.02, 60.0, rng),
            now: Use::default(),
        };
        meter.now = meter.used(time_us);
        meter
    }

    fn used(&self, time_us: i64) -> Use {
        let usual_watts = self.usual_watts(time_us);
        let usual_joules = self.base_watts * counted_s(time_us) + self.busy_watts * activity_s(time_us);
        let slot = time_us.div_euclid(SLOT_US);
        let (from_joules, to_joules) = (self.habit_joules(slot), self.habit_joules(slot + 1));
        // From one to the other without a kink: 3x² − 2x³, and its slope.
        let x = time_us.rem_euclid(SLOT_US) as f64 / SLOT_US as f64;
        let slope_hz = 6.0 * x * (1.0 - x) * 1e6 / SLOT_US as f64;
        Use {
            watts: usual_watts + (to_joules - from_joules) * slope_hz,
            joules: usual_joules + from_joules + (to_joules - from_joules) * x * x * (3.0 - 2.0 * x),
        }
    }

    fn usual_watts(&self, time_us: i64) -> f64 {
        self.base_watts + self.busy_watts * activity(time_us)
    }

    /// By how much habits are ahead of the usual at the beginning of a slot.
    fn habit_joules(&self, slot: i64) -> f64 {
        HABIT * self.usual_watts(slot * SLOT_US) * (SLOT_US as f64 / 1e6) * at(self.seed, slot)
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
        for wander in [&mut self.voltage, &mut self.frequency] {
            wander.step(elapsed_s, rng);
        }
        self.now = self.used(time_us);
    }

    fn read(&self, _time_us: i64, rng: &mut Rng, values: &mut Vec<f64>) {
        let watts = self.now.watts;
        // The line's own resistance: the voltage sags by some volts at full load.
        let volts = 231.0 + self.voltage.value() - 0.0006 * watts;
        values.extend([
            volts + 0.05 * gaussian(rng),
            watts / volts / POWER_FACTOR,
            watts,
            50.0 + self.frequency.value(),
            self.now.joules / 3_600.0,
        ]);
    }
}

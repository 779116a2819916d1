//! A heating boiler: a burner that works in spells, flow and return, pressure that follows the water's warmth.

use protocol::device::ChannelDecl;
use rand::RngExt as _;

use super::{
    climate::{counted_s, warmth, warmth_s},
    noise::{Rng, Wander, gaussian},
    plant::{Plant, counter, gauge, state},
    spells::{AtWork, Spells},
    thermostat::relax,
};

/// Gas that the burner takes, m³ an hour.
const GAS_M3_AN_HOUR: f64 = 2.4;
/// The burner starts once in so much time, microseconds.
const SLOT_US: i64 = 900_000_000;

/// See the module.
pub(super) struct Boiler {
    flow_celsius: f64,
    return_celsius: f64,
    spells: Spells,
    burner: AtWork,
    demand: Wander,
}

impl Boiler {
    pub(super) fn new(time_us: i64, rng: &mut Rng) -> Self {
        // It burns for half of the time, more of it while it is cold outside.
        let spells = Spells::new(SLOT_US, |time_us| 0.5 * counted_s(time_us) - 0.12 * warmth_s(time_us), rng);
        let flow_celsius = rng.random_range(61.0..71.0);
        Self {
            flow_celsius,
            return_celsius: flow_celsius - 12.0,
            burner: spells.at(time_us),
            spells,
            demand: Wander::new(0.08, 1_800.0, rng),
        }
    }
}

impl Plant for Boiler {
    fn channels(&self) -> Vec<ChannelDecl> {
        vec![
            gauge("flow", "Flow temperature", "Cel", 1),
            gauge("return", "Return temperature", "Cel", 1),
            gauge("pressure", "Water pressure", "bar", 2),
            state("burner", "Burner", ["off", "on"]),
            counter("gas", "Gas used", "m3", 3),
        ]
    }

    fn step(&mut self, time_us: i64, elapsed_s: f64, rng: &mut Rng) {
        self.demand.step(elapsed_s, rng);
        self.burner = self.spells.at(time_us);
        // More heat is wanted while it is cold outside.
        let demand = (0.6 - 0.2 * warmth(time_us) + self.demand.value()).clamp(0.2, 1.0);
        let target_celsius = if self.burner.is_on { 81.0 } else { 51.0 };
        self.flow_celsius = relax(self.flow_celsius, target_celsius, elapsed_s, 1_200.0);
        self.return_celsius = relax(self.return_celsius, self.flow_celsius - 20.0 * demand, elapsed_s, 180.0);
    }

    fn read(&self, _time_us: i64, rng: &mut Rng, values: &mut Vec<f64>) {
        let water_celsius = f64::midpoint(self.flow_celsius, self.return_celsius);
        values.extend([
            self.flow_celsius + 0.05 * gaussian(rng),
            self.return_celsius + 0.05 * gaussian(rng),
            1.5 + 0.008 * (water_celsius - 55.0) + 0.004 * gaussian(rng),
            f64::from(u8::from(self.burner.is_on)),
            GAS_M3_AN_HOUR * self.burner.total_s / 3_600.0,
        ]);
    }
}

//! A heating boiler: a burner between two thresholds, flow and return, pressure that follows the water's warmth.

use protocol::device::ChannelDecl;
use rand::RngExt as _;

use super::{
    climate::warmth,
    noise::{Rng, Wander, gaussian},
    plant::{Plant, counter, gauge, state},
    thermostat::{Thermostat, relax},
};

/// Gas that the burner takes, m³ an hour.
const GAS_M3_AN_HOUR: f64 = 2.4;

/// See the module.
pub(super) struct Boiler {
    flow_celsius: f64,
    return_celsius: f64,
    burner: Thermostat,
    demand: Wander,
    gas_m3: f64,
}

impl Boiler {
    pub(super) fn new(rng: &mut Rng) -> Self {
        let flow_celsius = rng.random_range(61.0..71.0);
        Self {
            flow_celsius,
            return_celsius: flow_celsius - 12.0,
            burner: Thermostat::new(60.0, 72.0, rng.random()),
            demand: Wander::new(0.08, 1_800.0, rng),
            gas_m3: rng.random_range(1_000.0..20_000.0),
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
        // More heat is wanted while it is cold outside.
        let demand = (0.6 - 0.2 * warmth(time_us) + self.demand.value()).clamp(0.2, 1.0);
        let target_celsius = if self.burner.decide(self.flow_celsius) { 95.0 - 10.0 * demand } else { 25.0 };
        let memory_s = if self.burner.is_on() { 420.0 } else { 2_400.0 / demand };
        self.flow_celsius = relax(self.flow_celsius, target_celsius, elapsed_s, memory_s);
        self.return_celsius = relax(self.return_celsius, self.flow_celsius - 20.0 * demand, elapsed_s, 180.0);
        if self.burner.is_on() {
            self.gas_m3 += GAS_M3_AN_HOUR * elapsed_s / 3_600.0;
        }
    }

    fn read(&self, _time_us: i64, rng: &mut Rng, values: &mut Vec<f64>) {
        let water_celsius = f64::midpoint(self.flow_celsius, self.return_celsius);
        values.extend([
            self.flow_celsius + 0.05 * gaussian(rng),
            self.return_celsius + 0.05 * gaussian(rng),
            1.5 + 0.008 * (water_celsius - 55.0) + 0.004 * gaussian(rng),
            f64::from(u8::from(self.burner.is_on())),
            self.gas_m3,
        ]);
    }
}

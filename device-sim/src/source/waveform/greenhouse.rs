//! A greenhouse: sun heats it, a vent cools it, the soil dries and is watered.

use protocol::device::ChannelDecl;

use super::{
    climate::{Air, relative_humidity, sun, warmth},
    noise::{Rng, Wander, gaussian},
    plant::{Plant, gauge, state},
    thermostat::{Thermostat, relax},
};

/// Sunlight at noon under glass, lx.
const NOON_LX: f64 = 52_000.0;
/// How fast the air inside follows, seconds.
const AIR_MEMORY_S: f64 = 1_200.0;

/// See the module.
pub(super) struct Greenhouse {
    outside: Air,
    clouds: Wander,
    inside_celsius: f64,
    soil_percent: f64,
    vent: Thermostat,
    valve: Thermostat,
}

impl Greenhouse {
    pub(super) fn new(time_us: i64, rng: &mut Rng) -> Self {
        let outside = Air::new(14.0, 5.0, 8.0, rng);
        Self {
            inside_celsius: outside.celsius(time_us) + 4.0 + 5.0 * warmth(time_us),
            outside,
            clouds: Wander::new(0.15, 900.0, rng),
            soil_percent: 36.0 + 2.0 * gaussian(rng),
            vent: Thermostat::new(27.0, 23.0, false),
            valve: Thermostat::new(30.0, 44.0, false),
        }
    }

    /// What the clouds let through of the sun, 0 to 1.
    fn light(&self, time_us: i64) -> f64 {
        sun(time_us) * (0.75 + self.clouds.value()).clamp(0.15, 1.0)
    }
}

impl Plant for Greenhouse {
    fn channels(&self) -> Vec<ChannelDecl> {
        vec![
            gauge("temp", "Air temperature", "Cel", 1),
            gauge("hum", "Air humidity", "%RH", 1),
            gauge("light", "Light", "lx", 0),
            gauge("soil", "Soil moisture", "%", 1),
            state("vent", "Roof vent", ["closed", "open"]),
        ]
    }

    fn step(&mut self, time_us: i64, elapsed_s: f64, rng: &mut Rng) {
        self.outside.step(elapsed_s, rng);
        self.clouds.step(elapsed_s, rng);
        let light = self.light(time_us);
        // An open vent lets most of the sun's heat out again.
        let gain_celsius = if self.vent.decide(self.inside_celsius) { 7.0 } else { 18.0 };
        let target = self.outside.celsius(time_us) + 3.0 + gain_celsius * light;
        self.inside_celsius = relax(self.inside_celsius, target, elapsed_s, AIR_MEMORY_S);
        let is_watered = self.valve.decide(self.soil_percent);
        let percent_an_hour = if is_watered { 40.0 } else { -0.25 - 1.5 * light };
        self.soil_percent = (self.soil_percent + percent_an_hour * elapsed_s / 3_600.0).clamp(5.0, 60.0);
    }

    fn read(&self, time_us: i64, rng: &mut Rng, values: &mut Vec<f64>) {
        // Plants add vapour while they have light.
        let vapour_pa = self.outside.vapour_pa() * (1.35 + 0.4 * self.light(time_us));
        values.extend([
            self.inside_celsius + 0.03 * gaussian(rng),
            relative_humidity(vapour_pa, self.inside_celsius),
            NOON_LX * self.light(time_us),
            self.soil_percent + 0.05 * gaussian(rng),
            f64::from(u8::from(self.vent.is_on())),
        ]);
    }
}

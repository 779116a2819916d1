//! A cold room: a compressor holds it at −18 °C, people open its door.

use protocol::device::ChannelDecl;
use rand::RngExt as _;

use super::{
    climate::activity,
    contact::Contact,
    noise::{Rng, gaussian},
    plant::{Plant, gauge, state},
    thermostat::{Thermostat, relax},
};

/// The hall that the door opens into, °C.
const HALL_CELSIUS: f64 = 18.0;

/// See the module.
pub(super) struct ColdRoom {
    celsius: f64,
    compressor: Thermostat,
    door: Contact,
}

impl ColdRoom {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            celsius: rng.random_range(-19.4..-17.1),
            compressor: Thermostat::new(-17.0, -19.5, rng.random()),
            door: Contact::new(900.0, 25.0, rng),
        }
    }
}

impl Plant for ColdRoom {
    fn channels(&self) -> Vec<ChannelDecl> {
        vec![
            gauge("temp", "Room temperature", "Cel", 2),
            state("door", "Door", ["closed", "open"]),
            state("compressor", "Compressor", ["off", "on"]),
            gauge("power", "Compressor power", "W", 0),
        ]
    }

    fn step(&mut self, time_us: i64, elapsed_s: f64, rng: &mut Rng) {
        self.door.step(elapsed_s, activity(time_us), rng);
        let cools = self.compressor.decide(self.celsius);
        // Walls, door and cold each pull the air towards a temperature (°C), with a strength (1 / time constant in s).
        let pulls = [
            (HALL_CELSIUS, 1.0 / 30_000.0),
            (HALL_CELSIUS, if self.door.is_open() { 1.0 / 3_000.0 } else { 0.0 }),
            (-32.0, if cools { 1.0 / 2_400.0 } else { 0.0 }),
        ];
        let strength: f64 = pulls.iter().map(|(_, pull)| pull).sum();
        let target = pulls.iter().map(|(celsius, pull)| celsius * pull).sum::<f64>() / strength;
        self.celsius = relax(self.celsius, target, elapsed_s, 1.0 / strength);
    }

    fn read(&self, _time_us: i64, rng: &mut Rng, values: &mut Vec<f64>) {
        let watts = if self.compressor.is_on() { 1_380.0 + 12.0 * gaussian(rng) } else { 14.0 + gaussian(rng) };
        values.extend([
            self.celsius + 0.015 * gaussian(rng),
            f64::from(u8::from(self.door.is_open())),
            f64::from(u8::from(self.compressor.is_on())),
            watts,
        ]);
    }
}

//! A hall that people use: their warmth and breath, the lamps, the gate.

use protocol::device::ChannelDecl;

use super::{
    climate::{Air, activity, relative_humidity},
    contact::Contact,
    noise::{Rng, gaussian},
    plant::{Plant, gauge, state},
    thermostat::relax,
};

/// Carbon dioxide outside, ppm.
const OUTSIDE_PPM: f64 = 425.0;

/// See the module.
pub(super) struct Hall {
    air: Air,
    ppm: f64,
    gate: Contact,
}

impl Hall {
    pub(super) fn new(time_us: i64, rng: &mut Rng) -> Self {
        let crowd = activity(time_us);
        Self {
            air: Air::new(20.5, 1.2, 9.5, rng),
            ppm: OUTSIDE_PPM + 600.0 * crowd,
            gate: Contact::new(400.0, 45.0, rng),
        }
    }
}

impl Plant for Hall {
    fn channels(&self) -> Vec<ChannelDecl> {
        vec![
            gauge("temp", "Temperature", "Cel", 2),
            gauge("hum", "Humidity", "%RH", 1),
            gauge("co2", "Carbon dioxide", "ppm", 0),
            gauge("light", "Light", "lx", 0),
            state("gate", "Gate", ["closed", "open"]),
        ]
    }

    fn step(&mut self, time_us: i64, elapsed_s: f64, rng: &mut Rng) {
        let crowd = activity(time_us);
        self.air.step(elapsed_s, rng);
        self.gate.step(elapsed_s, crowd, rng);
        // An open gate brings fresh air: a lower level, reached sooner.
        let (level_ppm, memory_s) = if self.gate.is_open() { (150.0, 400.0) } else { (850.0, 2_700.0) };
        self.ppm = relax(self.ppm, OUTSIDE_PPM + level_ppm * crowd, elapsed_s, memory_s);
    }

    fn read(&self, time_us: i64, rng: &mut Rng, values: &mut Vec<f64>) {
        let crowd = activity(time_us);
        let celsius = self.air.celsius(time_us) + 0.8 * crowd;
        let lamps_lx = if crowd > 0.0 { 480.0 } else { 4.0 };
        values.extend([
            celsius + 0.01 * gaussian(rng),
            relative_humidity(self.air.vapour_pa() * (1.0 + 0.1 * crowd), celsius),
            self.ppm + 3.0 * gaussian(rng),
            lamps_lx * (1.0 + 0.01 * gaussian(rng)),
            f64::from(u8::from(self.gate.is_open())),
        ]);
    }
}

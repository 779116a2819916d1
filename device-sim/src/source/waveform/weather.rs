//! A weather station: air, pressure and wind.

use protocol::device::ChannelDecl;

use super::{
    climate::{Air, Barometer, relative_humidity, sun},
    noise::{Rng, Wander},
    plant::{Plant, gauge},
};

/// See the module.
pub(super) struct Weather {
    air: Air,
    barometer: Barometer,
    breeze: Wander,
    gusts: Wander,
}

impl Weather {
    pub(super) fn new(rng: &mut Rng) -> Self {
        Self {
            air: Air::new(13.0, 4.5, 7.0, rng),
            barometer: Barometer::new(101_325.0, rng),
            breeze: Wander::new(1.2, 7_200.0, rng),
            gusts: Wander::new(0.8, 8.0, rng),
        }
    }
}

impl Plant for Weather {
    fn channels(&self) -> Vec<ChannelDecl> {
        vec![
            gauge("temp", "Temperature", "Cel", 1),
            gauge("hum", "Humidity", "%RH", 1),
            gauge("pressure", "Air pressure", "hPa", 2),
            gauge("wind", "Wind speed", "m/s", 1),
        ]
    }

    fn step(&mut self, _time_us: i64, elapsed_s: f64, rng: &mut Rng) {
        self.air.step(elapsed_s, rng);
        self.barometer.step(elapsed_s, rng);
        self.breeze.step(elapsed_s, rng);
        self.gusts.step(elapsed_s, rng);
    }

    fn read(&self, time_us: i64, _rng: &mut Rng, values: &mut Vec<f64>) {
        let celsius = self.air.celsius(time_us);
        // The sun stirs the air, and gusts grow with the wind that carries them.
        let breeze = (2.5 + 1.5 * sun(time_us) + self.breeze.value()).max(0.0);
        values.extend([
            celsius,
            relative_humidity(self.air.vapour_pa(), celsius),
            self.barometer.pascal(time_us) / 100.0,
            (breeze * (1.0 + 0.3 * self.gusts.value())).max(0.0),
        ]);
    }
}

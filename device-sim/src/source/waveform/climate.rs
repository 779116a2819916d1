//! The air: a daily curve, slow weather, and what follows from the two.
//!
//! Takes the time in microseconds since the Unix epoch and gives temperature, humidity and pressure. The day is that of
//! Greenwich. What meters count comes from here too: the daily curves summed up since a fixed day.

use std::f64::consts::{PI, TAU};

use super::noise::{Rng, Wander};

const HOUR_S: f64 = 3_600.0;
const DAY_S: f64 = 24.0 * HOUR_S;
const DAY_US: i64 = 86_400_000_000;
/// Meters counted from 0 here: 2020-01-01 00:00 UTC, microseconds since the Unix epoch.
const COUNTED_FROM_US: i64 = 1_577_836_800_000_000;
/// When people come, and how long they stay, hours.
const OPENS_HOUR: f64 = 6.0;
const OPEN_HOURS: f64 = 14.0;

/// Hour of the day, 0 to 24, in UTC.
pub(super) fn hour_of_day(time_us: i64) -> f64 {
    time_us.rem_euclid(DAY_US) as f64 / 1e6 / HOUR_S
}

/// How warm the hour is: 1 at 15:00, −1 at 03:00.
pub(super) fn warmth(time_us: i64) -> f64 {
    ((hour_of_day(time_us) - 15.0) / 24.0 * TAU).cos()
}

/// Sunlight as a part of what falls at noon, 0 to 1; dark from 18:00 to 06:00.
pub(super) fn sun(time_us: i64) -> f64 {
    ((hour_of_day(time_us) - 12.0) / 24.0 * TAU).cos().max(0.0)
}

/// How busy people are, 0 to 1: little at night, rising from 06:00, most at midday, over by 20:00.
pub(super) fn activity(time_us: i64) -> f64 {
    let open_hours = hour_of_day(time_us) - OPENS_HOUR;
    if (0.0..OPEN_HOURS).contains(&open_hours) { (open_hours / OPEN_HOURS * PI).sin() } else { 0.0 }
}

/// Seconds since meters began to count: the integral of 1.
pub(super) fn counted_s(time_us: i64) -> f64 {
    (time_us - COUNTED_FROM_US) as f64 / 1e6
}

/// The integral of [`warmth`] over the same time, seconds.
pub(super) fn warmth_s(time_us: i64) -> f64 {
    DAY_S / TAU * ((hour_of_day(time_us) - 15.0) / 24.0 * TAU).sin()
}

/// The integral of [`activity`] over the same time, seconds.
pub(super) fn activity_s(time_us: i64) -> f64 {
    let days = (time_us - COUNTED_FROM_US).div_euclid(DAY_US) as f64;
    let open_hours = (hour_of_day(time_us) - OPENS_HOUR).clamp(0.0, OPEN_HOURS);
    OPEN_HOURS * HOUR_S / PI * (2.0 * days + 1.0 - (open_hours / OPEN_HOURS * PI).cos())
}

/// Pressure of saturated water vapour over water, Pa, at `celsius` (Magnus formula, WMO-No. 8, annex 4.B).
pub(super) fn saturation_pa(celsius: f64) -> f64 {
    611.2 * (17.62 * celsius / (243.12 + celsius)).exp()
}

/// Relative humidity in % of air with this vapour pressure: it falls as the air warms.
pub(super) fn relative_humidity(vapour_pa: f64, celsius: f64) -> f64 {
    (100.0 * vapour_pa / saturation_pa(celsius)).clamp(1.0, 100.0)
}

/// The air at one place.
#[derive(Debug, Clone)]
pub(super) struct Air {
    mean_celsius: f64,
    swing_celsius: f64,
    vapour_pa: f64,
    weather: Wander,
    eddies: Wander,
    moisture: Wander,
}

impl Air {
    /// Air with this mean, which swings by `swing_celsius` to either side over a day, and this mean dew point.
    pub(super) fn new(mean_celsius: f64, swing_celsius: f64, dew_celsius: f64, rng: &mut Rng) -> Self {
        Self {
            mean_celsius,
            swing_celsius,
            vapour_pa: saturation_pa(dew_celsius),
            weather: Wander::new(0.6, 6.0 * HOUR_S, rng),
            eddies: Wander::new(0.05, 90.0, rng),
            moisture: Wander::new(0.04, 3.0 * HOUR_S, rng),
        }
    }

    /// Goes on by `elapsed_s` seconds.
    pub(super) fn step(&mut self, elapsed_s: f64, rng: &mut Rng) {
        for wander in [&mut self.weather, &mut self.eddies, &mut self.moisture] {
            wander.step(elapsed_s, rng);
        }
    }

    /// Temperature, °C.
    pub(super) fn celsius(&self, time_us: i64) -> f64 {
        self.mean_celsius + self.swing_celsius * warmth(time_us) + self.weather.value() + self.eddies.value()
    }

    /// Pressure of the water vapour in it, Pa.
    pub(super) fn vapour_pa(&self) -> f64 {
        self.vapour_pa * (1.0 + self.moisture.value())
    }
}

/// Barometric pressure: slow weather and the half-day tide of the atmosphere.
#[derive(Debug, Clone)]
pub(super) struct Barometer {
    mean_pa: f64,
    weather: Wander,
}

impl Barometer {
    /// At a place with this mean.
    pub(super) fn new(mean_pa: f64, rng: &mut Rng) -> Self {
        Self { mean_pa, weather: Wander::new(600.0, 36.0 * HOUR_S, rng) }
    }

    /// Goes on by `elapsed_s` seconds.
    pub(super) fn step(&mut self, elapsed_s: f64, rng: &mut Rng) {
        self.weather.step(elapsed_s, rng);
    }

    /// Pressure, Pa. The tide has its crests at about 10 and 22 o'clock and measures some 60 Pa in middle latitudes.
    pub(super) fn pascal(&self, time_us: i64) -> f64 {
        self.mean_pa + self.weather.value() + 60.0 * ((hour_of_day(time_us) - 10.0) / 12.0 * TAU).cos()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    const HOUR_US: i64 = 3_600_000_000;

    #[test]
    fn the_day_has_its_landmarks() {
        assert!((warmth(15 * HOUR_US) - 1.0).abs() < 1e-9 && (warmth(3 * HOUR_US) + 1.0).abs() < 1e-9);
        assert!((sun(12 * HOUR_US) - 1.0).abs() < 1e-9 && sun(2 * HOUR_US).abs() < 1e-9);
        assert!((activity(13 * HOUR_US) - 1.0).abs() < 1e-9 && activity(23 * HOUR_US).abs() < 1e-9);
        assert!((hour_of_day(-HOUR_US) - 23.0).abs() < 1e-9, "before the epoch as after it");
    }

    #[test]
    fn the_integrals_belong_to_their_curves() {
        // Whole minutes of two days, summed up by the midpoint rule.
        let (mut summed_warmth_s, mut summed_activity_s) = (0.0, 0.0);
        let from_us = COUNTED_FROM_US + 100 * DAY_US;
        for minute in 0..2_880 {
            let begins_us = from_us + minute * 60_000_000;
            for (summed_s, whole_s, curve) in [
                (&mut summed_warmth_s, warmth_s(begins_us) - warmth_s(from_us), warmth as fn(i64) -> f64),
                (&mut summed_activity_s, activity_s(begins_us) - activity_s(from_us), activity),
            ] {
                assert!((*summed_s - whole_s).abs() < 0.1, "{summed_s} and {whole_s} after {minute} min");
                *summed_s += 60.0 * curve(begins_us + 30_000_000);
            }
        }
        assert!((counted_s(from_us) - 100.0 * DAY_S).abs() < 1e-9);
    }

    #[test]
    fn saturation_matches_the_tables() {
        for (celsius, expected_pa) in [(0.0, 611.2), (20.0, 2_333.0), (30.0, 4_236.0)] {
            assert!((saturation_pa(celsius) - expected_pa).abs() < expected_pa * 0.01, "{celsius}");
        }
    }

    #[test]
    fn warmer_air_is_drier_and_a_cold_room_is_not_above_100_percent() {
        let vapour_pa = saturation_pa(10.0);
        assert!((relative_humidity(vapour_pa, 10.0) - 100.0).abs() < 1e-9);
        assert!(relative_humidity(vapour_pa, 25.0) < 50.0);
        assert!(relative_humidity(vapour_pa, -20.0) <= 100.0);
    }

    #[test]
    fn the_barometer_stays_in_the_range_of_weather() {
        let mut rng = Rng::seed_from_u64(4);
        let mut barometer = Barometer::new(101_325.0, &mut rng);
        for hour in 0..5_000 {
            barometer.step(HOUR_S, &mut rng);
            let pascal = barometer.pascal(hour * HOUR_US);
            assert!((97_000.0..106_000.0).contains(&pascal), "{pascal}");
        }
    }
}

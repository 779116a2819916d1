#![expect(clippy::float_cmp, reason = "these values are exact")]

use std::{collections::HashMap, env};

use super::*;

/// 2026-01-01 00:00:00 UTC.
const MIDNIGHT_US: i64 = 1_767_225_600_000_000;
const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;

fn seed() -> u64 {
    let seed = env::var("SEED").map_or(42, |text| text.parse().unwrap());
    eprintln!("SEED={seed}");
    seed
}

fn config(profile: Profile, rate_hz: f64) -> Config {
    Config { index: 0, seed: seed(), profile: Some(profile), rate_hz, vibration: false }
}

/// Polls every `step_us` until `hours` after midnight have passed.
fn run(config: &Config, hours: i64, step_us: i64) -> (Waveform, Vec<Sample>) {
    let mut waveform = Waveform::new(config, MIDNIGHT_US).unwrap();
    let mut out = Vec::new();
    let mut now_us = MIDNIGHT_US;
    while now_us <= MIDNIGHT_US + hours * HOUR_US {
        waveform.poll(now_us, &mut out).unwrap();
        now_us += step_us;
    }
    (waveform, out)
}

/// A day of this profile, a value every ten seconds: (time, value) by channel name.
fn day(profile: Profile) -> HashMap<String, Vec<(i64, f64)>> {
    let (waveform, samples) = run(&config(profile, 0.1), 24, 10 * SECOND_US);
    let mut series: HashMap<String, Vec<(i64, f64)>> = HashMap::new();
    for sample in samples {
        match sample {
            Sample::Point { channel, time_us, value } => {
                series.entry(waveform.channels()[channel].name.to_string()).or_default().push((time_us, value));
            }
            Sample::Run { .. } => panic!("no accelerometer was asked for"),
        }
    }
    series
}

fn values(series: &[(i64, f64)]) -> impl Iterator<Item = f64> {
    series.iter().map(|point| point.1)
}

fn correlation(one: &[(i64, f64)], other: &[(i64, f64)]) -> f64 {
    let mean = |series: &[(i64, f64)]| values(series).sum::<f64>() / series.len() as f64;
    let (mean_one, mean_other) = (mean(one), mean(other));
    let product = |a: &[(i64, f64)], mean_a: f64, b: &[(i64, f64)], mean_b: f64| -> f64 {
        values(a).zip(values(b)).map(|(a, b)| (a - mean_a) * (b - mean_b)).sum()
    };
    let spread = product(one, mean_one, one, mean_one) * product(other, mean_other, other, mean_other);
    product(one, mean_one, other, mean_other) / spread.sqrt()
}

#[test]
fn a_day_of_every_channel_stays_within_physics() {
    for (profile, bounds) in [
        (
            Profile::Greenhouse,
            &[("temp", 3.0, 38.0), ("hum", 20.0, 100.0), ("light", 0.0, 55_000.0), ("soil", 25.0, 50.0)][..],
        ),
        (Profile::Boiler, &[("flow", 55.0, 75.0), ("return", 35.0, 75.0), ("pressure", 1.2, 1.8)]),
        (Profile::Press, &[("current", 0.5, 30.0), ("oil-temp", 20.0, 60.0)]),
        (Profile::ColdRoom, &[("temp", -21.5, -8.0), ("power", 8.0, 1_500.0)]),
        (Profile::Meter, &[("voltage", 215.0, 242.0), ("current", 0.05, 70.0), ("frequency", 49.8, 50.2)]),
        (Profile::Hall, &[("temp", 15.0, 27.0), ("hum", 20.0, 90.0), ("co2", 400.0, 1_500.0), ("light", 0.0, 520.0)]),
        (
            Profile::Weather,
            &[("temp", 3.0, 23.0), ("hum", 25.0, 100.0), ("pressure", 970.0, 1_060.0), ("wind", 0.0, 25.0)],
        ),
    ] {
        let series = day(profile);
        for (name, low, high) in bounds {
            let series = &series[*name];
            assert!(series.len() >= 8_639, "{name}: {} values", series.len());
            for value in values(series) {
                assert!((*low..=*high).contains(&value), "{profile:?} {name}: {value}");
            }
            let first = series[0].1;
            assert!(values(series).any(|value| value != first), "{profile:?} {name} moves");
        }
    }
}

#[test]
fn the_afternoon_is_warmer_and_drier_than_the_night() {
    let series = day(Profile::Weather);
    assert!(correlation(&series["temp"], &series["hum"]) < -0.6, "{}", correlation(&series["temp"], &series["hum"]));
    let mean = |from: i64, to: i64| {
        let hours = MIDNIGHT_US + from * HOUR_US..MIDNIGHT_US + to * HOUR_US;
        let chosen: Vec<f64> =
            series["temp"].iter().filter(|point| hours.contains(&point.0)).map(|point| point.1).collect();
        chosen.iter().sum::<f64>() / chosen.len() as f64
    };
    assert!(mean(13, 17) - mean(2, 6) > 4.0, "{} and {}", mean(13, 17), mean(2, 6));
}

#[test]
fn counters_only_rise_and_agree_with_the_power() {
    let meter = day(Profile::Meter);
    let energy = &meter["energy"];
    assert!(energy.windows(2).all(|pair| pair[1].1 >= pair[0].1));
    let used_wh = energy.last().unwrap().1 - energy[0].1;
    let summed_wh: f64 = values(&meter["power"]).skip(1).sum::<f64>() * 10.0 / 3_600.0;
    assert!((used_wh - summed_wh).abs() < summed_wh * 0.02, "{used_wh} Wh counted, {summed_wh} Wh drawn");
    for (profile, name) in [(Profile::Boiler, "gas"), (Profile::Press, "strokes")] {
        let series = day(profile);
        assert!(series[name].windows(2).all(|pair| pair[1].1 >= pair[0].1), "{name}");
        assert!(series[name].last().unwrap().1 > series[name][0].1, "{name} rises");
    }
}

#[test]
fn a_meter_goes_on_where_it_was_when_the_simulator_starts_again() {
    for (profile, name) in [(Profile::Meter, "energy"), (Profile::Boiler, "gas"), (Profile::Press, "strokes")] {
        let counts = |config: &Config, start_us: i64| {
            let mut waveform = Waveform::new(config, start_us).unwrap();
            let mut out = Vec::new();
            for second in 0..=60 {
                waveform.poll(start_us + second * SECOND_US, &mut out).unwrap();
            }
            let place = waveform.channels().iter().position(|decl| decl.name.as_str() == name).unwrap();
            let points = out.into_iter().filter_map(|sample| match sample {
                Sample::Point { channel, time_us, value } if channel == place => Some((time_us, value)),
                _ => None,
            });
            points.collect::<HashMap<i64, f64>>()
        };
        let config = config(profile, 1.0);
        let mut last = 0.0;
        for hour in 0..48 {
            let begins_us = MIDNIGHT_US + hour * HOUR_US;
            let first = counts(&config, begins_us);
            let again = counts(&config, begins_us + 30 * SECOND_US);
            let common: Vec<i64> = first.keys().filter(|time_us| again.contains_key(time_us)).copied().collect();
            assert!(common.len() >= 29, "{name}: {} instants", common.len());
            assert!(common.iter().all(|time_us| first[time_us] == again[time_us]), "{name}, hour {hour}");
            let (low, high) = first.values().fold((f64::MAX, 0.0_f64), |(low, high), &v| (low.min(v), high.max(v)));
            assert!(low >= last && high > 0.0, "{name}: {low} after {last}");
            last = high;
            let faster = counts(&Config { rate_hz: 5.0, ..config.clone() }, begins_us + 61 * SECOND_US);
            assert!(faster.values().all(|&value| value >= last), "{name}: another rate, the same meter");
        }
    }
}

#[test]
fn states_are_said_when_they_change_and_once_a_minute() {
    for (profile, name) in [(Profile::Boiler, "burner"), (Profile::ColdRoom, "door"), (Profile::ColdRoom, "compressor")]
    {
        let states = &day(profile)[name];
        assert!(values(states).all(|state| state == 0.0 || state == 1.0));
        let changes = states.windows(2).filter(|pair| pair[1].1 != pair[0].1).count();
        assert!((4..400).contains(&changes), "{name} changes {changes} times a day");
        let is_due = |pair: &[(i64, f64)]| pair[1].1 != pair[0].1 || pair[1].0 - pair[0].0 == STATE_REPEAT_US;
        assert!(states.windows(2).all(is_due), "{name}");
    }
}

#[test]
fn values_have_the_sensor_s_resolution_and_lie_on_a_grid() {
    let (waveform, samples) = run(&config(Profile::Greenhouse, 1.0), 1, SECOND_US);
    for sample in &samples {
        let Sample::Point { channel, time_us, value } = sample else { panic!("points only") };
        let decimals = waveform.channels()[*channel].decimals.unwrap_or(0);
        assert!(
            format!("{value}").split('.').nth(1).is_none_or(|digits| digits.len() <= usize::from(decimals)),
            "{value}"
        );
        assert_eq!(time_us % 1_000, 0, "whole milliseconds");
    }
    let times: Vec<i64> = samples
        .iter()
        .filter_map(|sample| match sample {
            Sample::Point { channel: 0, time_us, .. } => Some(*time_us),
            _ => None,
        })
        .collect();
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == SECOND_US));
    assert_eq!(waveform.channels()[0].period_ms, Some(1_000.0));
}

#[test]
fn a_seed_gives_the_same_samples_however_polls_are_spread() {
    let press = Config { vibration: true, ..config(Profile::Press, 2.0) };
    let (_, often) = run(&press, 1, 50_000);
    let (_, seldom) = run(&press, 1, 45 * SECOND_US);
    assert_eq!(often, seldom);
    let (_, other_seed) = run(&Config { seed: press.seed + 1, ..press.clone() }, 1, 45 * SECOND_US);
    let (_, neighbour) = run(&Config { index: 1, ..press }, 1, 45 * SECOND_US);
    assert!(often != other_seed && often != neighbour);
}

#[test]
fn vibration_comes_in_blocks_that_join() {
    let press = Config { vibration: true, ..config(Profile::Press, 1.0) };
    let (waveform, samples) = run(&press, 1, SECOND_US);
    let decl = waveform.channels().last().unwrap();
    assert_eq!((decl.scale, decl.period_ms, decl.unit.as_deref()), (Some(0.001), Some(1.0), Some("m/s2")));
    let mut ends_us = None;
    let mut blocks = 0;
    for sample in &samples {
        let Sample::Run { channel, start_us, period_us, values: RunValues::I16(counts) } = sample else { continue };
        assert_eq!((*channel, *period_us, counts.len()), (waveform.channels().len() - 1, 1_000, 100));
        assert!(ends_us.is_none_or(|ends_us| ends_us == *start_us), "no hole and no overlap");
        ends_us = Some(start_us + 100_000);
        blocks += 1;
    }
    assert!((35_990..=36_001).contains(&blocks), "{blocks} in an hour");
    let quiet = Waveform::new(&Config { vibration: true, ..config(Profile::Hall, 1.0) }, MIDNIGHT_US).unwrap();
    assert!(quiet.channels().iter().all(|channel| channel.name.as_str() != "vibration"), "a hall has no shaft");
}

#[test]
fn a_suspended_machine_measured_nothing() {
    let mut waveform = Waveform::new(&config(Profile::Meter, 1.0), MIDNIGHT_US).unwrap();
    let mut out = Vec::new();
    waveform.poll(MIDNIGHT_US, &mut out).unwrap();
    out.clear();
    waveform.poll(MIDNIGHT_US + 8 * HOUR_US, &mut out).unwrap();
    assert!(out.len() <= waveform.channels().len(), "{} samples", out.len());
}

#[test]
fn rates_have_bounds() {
    for rate_hz in [0.0, -1.0, 1e-4, 1e4, f64::NAN, f64::INFINITY] {
        let refused = Waveform::new(&config(Profile::Hall, rate_hz), MIDNIGHT_US);
        assert!(matches!(refused, Err(SourceError::Rate { .. })), "{rate_hz}");
    }
}

#[test]
fn a_fleet_does_not_speak_at_once() {
    let mut out = Vec::new();
    let next: std::collections::HashSet<i64> = (0..1_000)
        .map(|index| {
            let config = Config { index, seed: 1, profile: None, rate_hz: 1.0, vibration: false };
            Waveform::new(&config, MIDNIGHT_US).unwrap().poll(MIDNIGHT_US, &mut out).unwrap().unwrap()
        })
        .collect();
    assert!(next.len() > 500, "{} different instants in a second", next.len());
}

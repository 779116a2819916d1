//! The recording in `fixtures/recordings` comes from a physical model, and this is the model: the heat balance of a pump's
//! bearing that wears out. The test computes it again and compares; `REGENERATE=1 cargo test --test recording` writes it.

use std::{env, f64::consts::TAU, fmt::Write as _, fs, path::PathBuf};

use device_sim::source::{
    Sample, Source as _,
    replay::{Pace, Replay},
};
use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _, rngs::Xoshiro256PlusPlus};

/// Monday 2025-03-03 00:00:00 UTC.
const START_S: i64 = 1_740_960_000;
const ROW_S: i64 = 300;
const ROWS: i64 = 7 * 86_400 / ROW_S;
/// Where the sensor's cable is loose: readings are missing.
const LOOSE: std::ops::Range<i64> = 700..709;

/// How fast the bearing gives its heat to the air, W for each °C.
const COOLING: f64 = 1.6;
/// Heat that one degree more takes, J for each °C.
const CAPACITY: f64 = 5_200.0;
/// Friction of a sound bearing at full load, W.
const FRICTION_W: f64 = 38.0;
/// When wear has doubled the friction, seconds after the start, and how fast it grows from there.
const WORN_S: f64 = 5.6 * 86_400.0;
const WEAR_MEMORY_S: f64 = 6.0 * 3_600.0;
/// The motor's thermal switch, °C.
const TRIP_CELSIUS: f64 = 95.0;

fn recording_path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/recordings/pump-bearing.csv")
}

/// Rows of (bearing temperature in °C, vibration in m/s² RMS, electrical power in W).
fn model() -> Vec<[f64; 3]> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(20_250_303);
    let mut noise = move |size: f64| size * (rng.random::<f64>() + rng.random::<f64>() - 1.0);
    let (mut celsius, mut has_tripped) = (31.0, false);
    (0..ROWS * ROW_S)
        .filter_map(|second| {
            let hour = second as f64 / 3_600.0;
            let air = 16.0 + 3.0 * ((hour - 15.0) / 24.0 * TAU).cos();
            // The network draws most water at 07:00 and 19:00.
            let load = if has_tripped { 0.0 } else { 0.7 + 0.2 * ((hour - 7.0) / 12.0 * TAU).cos() };
            let wear = ((second as f64 - WORN_S) / WEAR_MEMORY_S).exp();
            let friction_w = FRICTION_W * load * (1.0 + wear);
            celsius += (friction_w - COOLING * (celsius - air)) / CAPACITY;
            has_tripped |= celsius > TRIP_CELSIUS;
            let vibration = if has_tripped { 0.02 } else { 1.1 * load.sqrt() * (1.0 + 0.8 * wear) };
            let power = if has_tripped { 6.0 } else { 900.0 + 2_600.0 * load + friction_w };
            let row = [celsius + noise(0.15), vibration * (1.0 + noise(0.04)), power * (1.0 + noise(0.01))];
            (second % ROW_S == 0).then_some(row)
        })
        .collect()
}

fn csv() -> String {
    let start = Timestamp::from_second(START_S).expect("in range");
    let mut text = "timestamp,bearing-temp [Cel],vibration-rms [m/s2],power [W]\n".to_owned();
    for (row, [celsius, vibration, power]) in (0_i64..).zip(model()) {
        let time = (start + SignedDuration::from_secs(row * ROW_S)).strftime("%Y-%m-%d %H:%M:%S");
        let celsius = if LOOSE.contains(&row) { String::new() } else { format!("{celsius:.1}") };
        writeln!(text, "{time},{celsius},{vibration:.2},{power:.0}").expect("a string takes every text");
    }
    text
}

#[test]
fn the_recording_is_what_the_model_says() {
    if env::var_os("REGENERATE").is_some() {
        fs::write(recording_path(), csv()).unwrap();
    }
    let recorded = fs::read_to_string(recording_path()).unwrap();
    let computed = csv();
    assert_eq!(recorded.lines().count(), computed.lines().count());
    for (recorded, computed) in recorded.lines().zip(computed.lines()) {
        for (recorded, computed) in recorded.split(',').zip(computed.split(',')) {
            // Another machine's sine may tip the last digit.
            let is_near = |one: f64, other: f64| (one - other).abs() <= 0.11_f64.max(other.abs() * 1e-3);
            match (recorded.parse(), computed.parse()) {
                (Ok(recorded), Ok(computed)) => assert!(is_near(recorded, computed), "{recorded} {computed}"),
                _ => assert_eq!(recorded, computed),
            }
        }
    }
}

#[test]
fn the_recording_replays_and_shows_the_failure() {
    let mut replay = Replay::open(&recording_path(), Pace::AsRecorded).unwrap();
    let mut out = Vec::new();
    while replay.poll(0, &mut out).unwrap().is_some() {}
    let celsius: Vec<f64> = out
        .iter()
        .filter_map(|sample| match sample {
            Sample::Point { channel: 0, value, .. } => Some(*value),
            _ => None,
        })
        .collect();
    assert_eq!(celsius.len(), ROWS as usize);
    assert_eq!(celsius.iter().filter(|value| value.is_nan()).count(), LOOSE.count());
    let sound = &celsius[..ROWS as usize / 2];
    assert!(sound.iter().all(|value| value.is_nan() || (25.0..45.0).contains(value)), "sound for half a week");
    let hottest = celsius.iter().copied().fold(0.0, f64::max);
    assert!((93.0..97.0).contains(&hottest), "{hottest}: the switch trips");
    assert!(celsius.last().unwrap() < &30.0, "and the bearing cools down");
}

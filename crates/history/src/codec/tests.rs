use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::readings::Readings;
use crate::rollup::{Bucket, Row};

const MINUTE: i64 = 60_000_000;

/// Values as sensors send them, and as nobody should.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let decimal = |digits: i32| (-100_000_i64..100_000).prop_map(move |n| n as f64 / 10_f64.powi(digits));
    prop_oneof![
        prop::collection::vec(decimal(1), 1..600),
        prop::collection::vec(decimal(4).prop_map(|value| f64::from(value as f32)), 1..600),
        prop::collection::vec((-32_768_i64..32_768).prop_map(|n| n as f64 * 9.806_65 / 16_384.0), 1..600),
        prop::collection::vec(prop::sample::select(vec![0.0, 1.0, f64::NAN]), 1..600),
        prop::collection::vec(any::<f32>().prop_map(f64::from), 1..600),
        prop::collection::vec(any::<f64>(), 1..600),
        prop::collection::vec(
            prop_oneof![Just(-0.0), Just(f64::INFINITY), Just(f64::MAX), Just(f64::MIN_POSITIVE), decimal(2)],
            1..100
        ),
        (any::<f64>(), 1_usize..600).prop_map(|(value, count)| vec![value; count]),
    ]
}

fn times(count: usize) -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![
        (any::<i64>(), any::<i32>()).prop_map(move |(first, step)| {
            (0..count as i64).map(|i| first.wrapping_add(i64::from(step).wrapping_mul(i))).collect()
        }),
        prop::collection::vec(0_i64..4_000, count).prop_map(|jitter| {
            jitter
                .iter()
                .zip(0..)
                .map(|(jitter, i)| 1_760_000_000_000_000 + 100_000 * i + jitter / 1_000 * 1_000)
                .collect()
        }),
        prop::collection::vec(any::<i64>(), count),
    ]
}

fn readings() -> impl Strategy<Value = Readings> {
    values().prop_flat_map(|values| {
        let count = values.len();
        let flags =
            prop_oneof![any::<u8>().prop_map(move |flags| vec![flags; count]), prop::collection::vec(0_u8..8, count)];
        let arrivals_s = prop_oneof![
            any::<u32>().prop_map(move |tick| (0..count as u32).map(|i| tick.wrapping_add(i)).collect::<Vec<_>>()),
            any::<u32>().prop_map(move |tick| (0..count as u32).map(|i| (tick / 2).saturating_add(i / 50)).collect()),
            prop::collection::vec(any::<u32>(), count),
        ];
        (times(count), flags, arrivals_s).prop_map(move |(times_us, flags, arrivals_s)| Readings {
            times_us,
            values: values.clone(),
            flags,
            arrivals_s,
        })
    })
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let value = prop_oneof![any::<f64>(), (-1_000_i64..1_000).prop_map(|n| n as f64 / 10.0)]
        .prop_filter("a row's values are never NaN", |value| !value.is_nan());
    let row = (1_i64..50, 0_u64..1_000, prop::array::uniform3(value), prop::array::uniform3(0..MINUTE), any::<bool>());
    prop::collection::vec(row, 1..200).prop_map(|parts| {
        let mut start_us = 0;
        let mut row = |(step, count, [min, max, last], offsets, replaces): (i64, u64, [f64; 3], [i64; 3], bool)| {
            start_us += step * MINUTE;
            let [min_us, max_us, last_us] = offsets.map(|offset| start_us + offset);
            let sum = min * count as f64;
            let full = Bucket { start_us, count, sum, min, max, last, min_us, max_us, last_us };
            Row { bucket: if count == 0 { Bucket::empty(start_us) } else { full }, replaces }
        };
        parts.into_iter().map(&mut row).collect()
    })
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| if value.is_nan() { f64::NAN } else { *value }.to_bits()).collect()
}

/// Equal but for the noise in sums, which the codec may take out, and for NaN in rows without readings.
fn same_rows(got: &[Row], sent: &[Row]) -> bool {
    got.len() == sent.len()
        && got.iter().zip(sent).all(|(got, sent)| {
            let (a, b) = (&got.bucket, &sent.bucket);
            let sums = a.sum.to_bits() == b.sum.to_bits() || (a.sum - b.sum).abs() <= 1e-9 * b.sum.abs();
            let rest = |bucket: &Bucket| {
                let values = bits(&[bucket.min, bucket.max, bucket.last]);
                (bucket.start_us, bucket.count, values, bucket.min_us, bucket.max_us, bucket.last_us)
            };
            sums && rest(a) == rest(b) && got.replaces == sent.replaces
        })
}

proptest! {
    #[test]
    fn readings_come_back_to_the_bit(sent in readings()) {
        let got = readings::decode(&readings::encode(&sent)).unwrap();
        prop_assert_eq!(&got.times_us, &sent.times_us);
        prop_assert_eq!(&got.flags, &sent.flags);
        prop_assert_eq!(&got.arrivals_s, &sent.arrivals_s);
        prop_assert_eq!(bits(&got.values), bits(&sent.values));
    }

    #[test]
    fn rows_come_back(sent in rows()) {
        prop_assert!(same_rows(&rows::decode(&rows::encode(&sent)).unwrap(), &sent));
        prop_assert!(same_rows(&rows::decode_open(&rows::encode_open(&sent, MINUTE), MINUTE).unwrap(), &sent));
    }

    #[test]
    fn noise_never_panics_a_decoder(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = readings::decode(&noise);
        let _ = readings::decode_body(&noise);
        let _ = rows::decode_body(&noise);
        let _ = rows::decode_open_body(&noise, MINUTE);
    }
}

#[test]
fn every_flipped_bit_is_found() {
    let blob = readings::encode(&sample());
    for byte in 0..blob.len() {
        for bit in 0..8 {
            let mut damaged = blob.clone();
            damaged[byte] ^= 1 << bit;
            assert!(readings::decode(&damaged).is_err(), "bit {bit} of byte {byte}");
        }
    }
    for len in 0..blob.len() {
        assert!(readings::decode(&blob[..len]).is_err(), "cut to {len}");
    }
}

/// Damage that a checksum would have caught is fed behind it: whatever comes out, nothing panics, and what does come out
/// has columns of one length.
#[test]
fn mutated_bodies_never_panic_a_decoder() {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().expect("SEED is a number"));
    println!("SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let chunks: Vec<Vec<u8>> = samples().iter().map(readings::encode).collect();
    let rows = sample_rows();
    let (closed, open) = (rows::encode(&rows), rows::encode_open(&rows, MINUTE));
    for round in 0..30_000 {
        let chunk = &chunks[round % chunks.len()];
        if let Ok(readings) = readings::decode_body(&mutated(&mut rng, body(chunk).unwrap())) {
            let lens = [readings.values.len(), readings.flags.len(), readings.arrivals_s.len()];
            assert_eq!(lens, [readings.len(); 3]);
        }
        let _ = rows::decode_body(&mutated(&mut rng, body(&closed).unwrap()));
        let _ = rows::decode_open_body(&mutated(&mut rng, body(&open).unwrap()), MINUTE);
    }
}

fn mutated(rng: &mut StdRng, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..rng.random_range(1..4) {
        let at = rng.random_range(0..bytes.len());
        match rng.random_range(0..5) {
            0 => bytes[at] ^= 1 << rng.random_range(0..8),
            1 => bytes[at] = rng.random(),
            2 => bytes.truncate(at.max(1)),
            3 => bytes.insert(at, rng.random()),
            _ => bytes[at] = 0xff,
        }
    }
    bytes
}

fn column(value: impl Fn(i64) -> f64) -> Readings {
    let count = 300;
    Readings {
        times_us: (0..count).map(|i| 1_760_000_000_000_000 + i * 100_000 + i * i % 3 * 1_000).collect(),
        values: (0..count).map(value).collect(),
        flags: (0..count).map(|i| u8::from(i % 100 == 7) * 2).collect(),
        arrivals_s: (0..count).map(|i| 1_760_000_000 + (i / 100 * 10) as u32).collect(),
    }
}

fn sample() -> Readings {
    column(|i| if i == 17 { f64::NAN } else { ((i * i) % 13 + 200) as f64 / 10.0 })
}

/// One chunk for each way in which values are stored.
fn samples() -> Vec<Readings> {
    vec![
        sample(),
        column(|i| f64::from(((i * i) % 13) as f32 / 10.0)),
        column(|i| (i / 100) as f64),
        column(|i| f64::from((i * 7_919 % 1_000) as f32 / 997.0)),
        column(|i| (i * 7_919 % 1_000) as f64 / 997.0),
        column(|i| (i * i % 4_001 - 2_000) as f64 * 9.806_65 / 16_384.0),
        column(|_| f64::NAN),
    ]
}

fn sample_rows() -> Vec<Row> {
    let mut buckets = Vec::new();
    let readings = sample();
    let times_us: Vec<i64> =
        readings.times_us.iter().map(|time_us| time_us * 100 - 99 * 1_760_000_000_000_000).collect();
    crate::rollup::fold(MINUTE, &times_us, &readings.values, &mut buckets);
    buckets.into_iter().map(|bucket| Row { replaces: bucket.start_us % 7 == 0, bucket }).collect()
}

/// What version 1 writes is for ever: the next versions must read these bytes. The file was written by the first one.
#[test]
fn version_1_is_still_read_and_written() {
    let mut blobs: Vec<Vec<u8>> = samples().iter().map(readings::encode).collect();
    blobs.push(rows::encode(&sample_rows()));
    blobs.push(rows::encode_open(&sample_rows(), MINUTE));
    let written: String = blobs.iter().map(|blob| hex(blob) + "\n").collect();
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/codec-v1.hex"), &written).unwrap();
    }
    let golden = include_str!("../../tests/golden/codec-v1.hex");
    for ((line, blob), what) in golden.lines().zip(&blobs).zip(0..) {
        let stored: Vec<u8> =
            (0..line.len()).step_by(2).map(|at| u8::from_str_radix(&line[at..at + 2], 16).unwrap()).collect();
        match what {
            0..7 => assert_eq!(bits(&readings::decode(&stored).unwrap().values), bits(&samples()[what].values)),
            7 => assert!(same_rows(&rows::decode(&stored).unwrap(), &sample_rows())),
            _ => assert!(same_rows(&rows::decode_open(&stored, MINUTE).unwrap(), &sample_rows())),
        }
        assert_eq!(&stored, blob, "blob {what} is written differently: a new version of the codec?");
    }
    assert_eq!(golden.lines().count(), blobs.len());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

#[test]
fn chunks_are_as_small_as_they_should_be() {
    let mut rng = StdRng::seed_from_u64(1);
    let regular: Vec<i64> = (0..1_024).map(|i| 1_760_000_000_000_000 + i * 1_000_000).collect();
    let chunk = |values: Vec<f64>| {
        let arrivals_s = regular.iter().map(|time| (time / 1_000_000) as u32).collect();
        readings::encode(&Readings { times_us: regular.clone(), values, flags: vec![0; 1_024], arrivals_s }).len()
    };
    assert!(chunk(vec![21.5; 1_024]) < 40, "a constant");
    let temperature = |rng: &mut StdRng| f64::from(rng.random_range(205..220)) / 10.0;
    let size = chunk((0..1_024).map(|_| temperature(&mut rng)).collect());
    assert!(size < 620, "15 values take 4 bits each: {size}");
    let size = chunk((0..1_024).map(|_| f64::from(temperature(&mut rng) as f32)).collect());
    assert!(size < 620, "the same sent as f32: {size}");
    let size = chunk((0..1_024).map(|_| f64::from(rng.random_range(-2_048..2_048)) * 9.806_65 / 16_384.0).collect());
    assert!(size < 1_024 * 12 / 8 + 200, "12 bits of a scaled integer: {size}");
}

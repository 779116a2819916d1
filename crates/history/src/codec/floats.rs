//! A column of `f64` without NaN. Sensors send decimals, so the first try is "an integer over a power of ten"; what they
//! repeat is run-length; what is neither goes to pco as f32 when that loses nothing, else as f64. Every way is exact to
//! the bit (a negative zero stays one), which the encoder checks number by number.

use pco::ModeSpec;

use super::DecodeError;
use super::bytes::{Reader, put_varint};
use super::{integers, pcodec};

const RUNS: u8 = 0;
/// Followed by the exponent: value = integer / 10^exponent in f64.
const DECIMAL: u8 = 1;
/// The same, but the quotient was rounded to f32 by a device that computes in f32.
const DECIMAL_32: u8 = 2;
const SINGLE: u8 = 3;
const DOUBLE: u8 = 4;
const PLAIN: u8 = 5;

/// Powers of ten up to the largest exponent tried.
const POWERS: [f64; 10] = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
/// More decimals than this and an f32 is nearer to noise than to a decimal.
const EXPONENT_MAX_32: usize = 4;
/// Integers of this magnitude and less are exact in f64.
const EXACT_MAX: u64 = 1 << 53;
/// Below this many numbers a column that is not decimal is stored as it is.
const PCO_COUNT_MIN: usize = 16;
/// Runs must be at least this long on average to be stored as runs.
const RUN_LEN_MIN: usize = 8;

/// Appends `numbers`, none of them NaN; their count is the caller's to store. An empty column takes no byte.
pub(crate) fn put(out: &mut Vec<u8>, numbers: &[f64]) {
    let Some(&first) = numbers.first() else {
        return;
    };
    let runs = 1 + numbers.windows(2).filter(|pair| pair[0].to_bits() != pair[1].to_bits()).count();
    if numbers.len() > 1 && runs * RUN_LEN_MIN <= numbers.len().max(RUN_LEN_MIN) {
        let mut lens = Vec::with_capacity(runs);
        let mut values = Vec::with_capacity(runs);
        let (mut value, mut len) = (first, 0_i64);
        for &number in numbers {
            if number.to_bits() == value.to_bits() {
                len += 1;
            } else {
                lens.push(len);
                values.push(value);
                (value, len) = (number, 1);
            }
        }
        lens.push(len);
        values.push(value);
        out.push(RUNS);
        put_varint(out, runs as u64);
        integers::put(out, &lens);
        put_numbers(out, &values);
    } else {
        put_numbers(out, numbers);
    }
}

/// Reads a column of `count` numbers, which the caller has bounded.
pub(crate) fn get(reader: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, DecodeError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if reader.rest.first() != Some(&RUNS) {
        return get_numbers(reader, count);
    }
    reader.byte()?;
    let runs = reader.count(count)?;
    let lens = integers::get(reader, runs)?;
    let values = get_numbers(reader, runs)?;
    let mut numbers = Vec::with_capacity(count);
    for (len, value) in lens.into_iter().zip(values) {
        let room = count - numbers.len();
        match usize::try_from(len) {
            Ok(len) if len <= room => numbers.resize(numbers.len() + len, value),
            _ => return Err(DecodeError::Impossible("run length")),
        }
    }
    if numbers.len() == count { Ok(numbers) } else { Err(DecodeError::Impossible("run length")) }
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[f64]) {
    if let Some((exponent, integers)) = decimals(numbers, POWERS.len() - 1, |quotient| quotient) {
        out.extend_from_slice(&[DECIMAL, exponent]);
        integers::put(out, &integers);
    } else if let Some((exponent, integers)) = decimals(numbers, EXPONENT_MAX_32, through_f32) {
        out.extend_from_slice(&[DECIMAL_32, exponent]);
        integers::put(out, &integers);
    } else if numbers.len() < PCO_COUNT_MIN {
        out.push(PLAIN);
        out.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    } else if numbers.iter().all(|&number| through_f32(number).to_bits() == number.to_bits()) {
        let singles: Vec<f32> = numbers.iter().map(|&number| number as f32).collect();
        out.push(SINGLE);
        pcodec::put(out, &singles, usize::from(smooth(numbers)), ModeSpec::Auto);
    } else {
        out.push(DOUBLE);
        pcodec::put(out, numbers, usize::from(smooth(numbers)), ModeSpec::Auto);
    }
}

fn get_numbers(reader: &mut Reader<'_>, count: usize) -> Result<Vec<f64>, DecodeError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    Ok(match reader.byte()? {
        tag @ (DECIMAL | DECIMAL_32) => {
            let exponent = usize::from(reader.byte()?);
            let power = *POWERS.get(exponent).ok_or(DecodeError::Impossible("exponent"))?;
            let integers = integers::get(reader, count)?.into_iter();
            if tag == DECIMAL {
                integers.map(|integer| integer as f64 / power).collect()
            } else {
                integers.map(|integer| through_f32(integer as f64 / power)).collect()
            }
        }
        SINGLE => pcodec::get::<f32>(reader, count)?.into_iter().map(f64::from).collect(),
        DOUBLE => pcodec::get::<f64>(reader, count)?,
        PLAIN => (0..count).map(|_| reader.array().map(f64::from_le_bytes)).collect::<Result<_, _>>()?,
        _ => return Err(DecodeError::Impossible("float column")),
    })
}

/// The integers that, over a power of ten and `rounded`, are exactly `numbers`, and the least exponent that does it.
fn decimals(numbers: &[f64], exponent_max: usize, rounded: impl Fn(f64) -> f64) -> Option<(u8, Vec<i64>)> {
    let fits = |number: f64, exponent: usize| {
        let integer = nearest(number * POWERS[exponent]);
        integer.unsigned_abs() < EXACT_MAX && rounded(integer as f64 / POWERS[exponent]).to_bits() == number.to_bits()
    };
    let mut exponent = 0;
    for &number in numbers {
        while !fits(number, exponent) {
            exponent += 1;
            if exponent > exponent_max {
                return None;
            }
        }
    }
    // A number that fitted a smaller exponent fits this one too, unless it is now too large.
    let power = POWERS[exponent];
    numbers
        .iter()
        .map(|&number| fits(number, exponent).then(|| nearest(number * power)))
        .collect::<Option<Vec<i64>>>()
        .map(|integers| (exponent as u8, integers))
}

/// Whether neighbours are closer to each other than to the mean, so that pco should store differences.
fn smooth(numbers: &[f64]) -> bool {
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    let spread: f64 = numbers.iter().map(|number| (number - mean).abs()).sum();
    let steps: f64 = numbers.windows(2).map(|pair| (pair[1] - pair[0]).abs()).sum();
    steps * 2.0 < spread
}

/// The integer next to `number`. `f64::round` is a library call on plain x86-64 and four times slower; where the two differ
/// the caller's check to the bit decides.
pub(crate) fn nearest(number: f64) -> i64 {
    (number + 0.5_f64.copysign(number)) as i64
}

fn through_f32(number: f64) -> f64 {
    f64::from(number as f32)
}

//! A raw chunk: times, values, flags and arrivals of up to 65 536 readings of one series, in any order.
//!
//! ```text
//! version, count, times, flags, arrivals, gaps, values, CRC32C
//! ```
//! Times are residuals from a straight line whose slope is the median step: a regular clock leaves zeros, jitter leaves
//! its own size, a missed reading moves the line once. Flags, arrivals and NaNs ("gaps") are run-length.

use super::bytes::{Reader, put_signed, put_varint};
use super::{COUNT_MAX, DecodeError, begin, body, finish, floats, integers};
use crate::readings::Readings;

const US_PER_S: i64 = 1_000_000;

/// Arrival ticks as they are: one run a record when a record holds many readings.
const TICKS: u8 = 0;
/// Arrival minus the reading's own second: one run a chunk when a record holds one reading.
const LAGS: u8 = 1;

/// The sealed bytes of `readings`: at least one, at most [`COUNT_MAX`].
pub(crate) fn encode(readings: &Readings) -> Vec<u8> {
    let count = readings.len();
    debug_assert!((1..=COUNT_MAX).contains(&count));
    let mut out = begin();
    out.reserve(64 + 2 * count);
    put_varint(&mut out, count as u64);
    put_times(&mut out, &readings.times_us);
    put_runs(&mut out, &runs(readings.flags.iter().map(|&flags| i64::from(flags))));
    put_arrivals(&mut out, readings);
    let gaps = runs(readings.values.iter().map(|value| i64::from(value.is_nan())));
    put_runs(&mut out, &gaps);
    if gaps.len() == 1 && gaps[0].1 == 0 {
        floats::put(&mut out, &readings.values);
    } else {
        let present: Vec<f64> = readings.values.iter().copied().filter(|value| !value.is_nan()).collect();
        floats::put(&mut out, &present);
    }
    finish(out)
}

/// The readings of a sealed blob.
pub(crate) fn decode(blob: &[u8]) -> Result<Readings, DecodeError> {
    decode_body(body(blob)?)
}

/// [`decode`] behind the checksum, apart so that tests can feed it damage that the checksum would have caught.
pub(super) fn decode_body(bytes: &[u8]) -> Result<Readings, DecodeError> {
    let reader = &mut Reader::new(bytes);
    let count = reader.count(COUNT_MAX)?;
    let times_us = get_times(reader, count)?;
    let flags = get_runs(reader, count, |flags| flags as u8)?;
    let arrivals_s = get_arrivals(reader, &times_us)?;
    let gaps: Vec<bool> = get_runs(reader, count, |gap| gap != 0)?;
    let present = floats::get(reader, gaps.iter().filter(|&&gap| !gap).count())?;
    let values = if present.len() == count {
        present
    } else {
        let mut present = present.into_iter();
        gaps.iter().map(|&gap| if gap { f64::NAN } else { present.next().unwrap_or(f64::NAN) }).collect()
    };
    reader.end()?;
    Ok(Readings { times_us, values, flags, arrivals_s })
}

fn put_times(out: &mut Vec<u8>, times_us: &[i64]) {
    let mut steps: Vec<i64> = times_us.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    let middle = steps.len() / 2;
    let step = if steps.is_empty() { 0 } else { *steps.select_nth_unstable(middle).1 };
    put_signed(out, step);
    let residuals: Vec<i64> =
        times_us.iter().zip(0..).map(|(&time, i)| time.wrapping_sub(step.wrapping_mul(i))).collect();
    integers::put(out, &residuals);
}

fn get_times(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, DecodeError> {
    let step = reader.signed()?;
    let mut times_us = integers::get(reader, count)?;
    for (time, i) in times_us.iter_mut().zip(0_i64..) {
        *time = time.wrapping_add(step.wrapping_mul(i));
    }
    Ok(times_us)
}

fn put_arrivals(out: &mut Vec<u8>, readings: &Readings) {
    let ticks = runs(readings.arrivals_s.iter().map(|&tick| i64::from(tick)));
    let lags =
        runs(readings.arrivals_s.iter().zip(&readings.times_us).map(|(&tick, &time)| i64::from(tick) - second(time)));
    out.push(if lags.len() < ticks.len() { LAGS } else { TICKS });
    put_runs(out, if lags.len() < ticks.len() { &lags } else { &ticks });
}

fn get_arrivals(reader: &mut Reader<'_>, times_us: &[i64]) -> Result<Vec<u32>, DecodeError> {
    match reader.byte()? {
        TICKS => get_runs(reader, times_us.len(), |tick| tick as u32),
        LAGS => {
            let lags = get_runs(reader, times_us.len(), |lag| lag)?;
            Ok(lags.iter().zip(times_us).map(|(lag, &time)| second(time).wrapping_add(*lag) as u32).collect())
        }
        _ => Err(DecodeError::Impossible("arrival column")),
    }
}

fn second(time_us: i64) -> i64 {
    time_us.div_euclid(US_PER_S)
}

/// (length, value) of each run of equal values.
fn runs(values: impl Iterator<Item = i64>) -> Vec<(i64, i64)> {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for value in values {
        match runs.last_mut() {
            Some((len, last)) if *last == value => *len += 1,
            _ => runs.push((1, value)),
        }
    }
    runs
}

fn put_runs(out: &mut Vec<u8>, runs: &[(i64, i64)]) {
    put_varint(out, runs.len() as u64);
    // One run is as long as the chunk: its length need not be said.
    if runs.len() > 1 {
        integers::put(out, &runs.iter().map(|run| run.0).collect::<Vec<_>>());
    }
    integers::put(out, &runs.iter().map(|run| run.1).collect::<Vec<_>>());
}

fn get_runs<T: Clone>(reader: &mut Reader<'_>, count: usize, from: impl Fn(i64) -> T) -> Result<Vec<T>, DecodeError> {
    let runs = reader.count(count)?;
    let lens = if runs == 1 { vec![count as i64] } else { integers::get(reader, runs)? };
    let values = integers::get(reader, runs)?;
    let mut all = Vec::with_capacity(count);
    for (len, value) in lens.into_iter().zip(values) {
        match usize::try_from(len) {
            Ok(len) if len <= count - all.len() => all.resize(all.len() + len, from(value)),
            _ => return Err(DecodeError::Impossible("run length")),
        }
    }
    if all.len() == count { Ok(all) } else { Err(DecodeError::Impossible("run length")) }
}

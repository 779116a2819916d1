//! Rollup rows in two shapes: a chunk of closed rows as columns through pco, and a series' open rows as a list that is
//! written again at every seal, where pco's tables would cost more time and bytes than they save.

use super::bytes::{Reader, put_signed, put_varint, unzigzag, zigzag};
use super::{COUNT_MAX, DecodeError, begin, body, finish, floats, integers};
use crate::rollup::{Bucket, Row};

/// A sum of decimals is a decimal; what is left over is the noise of adding in binary, and this large at most.
const SUM_NOISE_MAX: f64 = 1e-9;

/// Values with at most three decimals are listed as integers.
const SCALE: f64 = 1_000.0;
const EXACT_MAX: u64 = 1 << 52;

/// The sealed bytes of closed rows of one level: 1 to [`COUNT_MAX`], sorted by bucket.
pub(crate) fn encode(rows: &[Row]) -> Vec<u8> {
    let mut out = begin();
    put_varint(&mut out, rows.len() as u64);
    let column = |number: fn(&Bucket) -> i64| -> Vec<i64> { rows.iter().map(|row| number(&row.bucket)).collect() };
    let values = |value: fn(&Bucket) -> f64| -> Vec<f64> { rows.iter().map(|row| value(&row.bucket)).collect() };
    let mut steps = vec![rows.first().map_or(0, |row| row.bucket.start_us)];
    steps.extend(rows.windows(2).map(|pair| pair[1].bucket.start_us.wrapping_sub(pair[0].bucket.start_us)));
    put_signed(&mut out, steps[0]);
    integers::put(&mut out, &steps[1..]);
    integers::put(&mut out, &rows.iter().map(|row| i64::from(row.replaces)).collect::<Vec<_>>());
    integers::put(&mut out, &column(|bucket| bucket.count as i64));
    integers::put(&mut out, &column(|bucket| bucket.min_us.wrapping_sub(bucket.start_us)));
    integers::put(&mut out, &column(|bucket| bucket.max_us.wrapping_sub(bucket.start_us)));
    integers::put(&mut out, &column(|bucket| bucket.last_us.wrapping_sub(bucket.start_us)));
    // A row without readings (they were all replaced by gaps) has infinities and NaN in it; zeros store better.
    let present = |bucket: &Bucket, value: f64| if bucket.count == 0 { 0.0 } else { value };
    for values in [values(|bucket| bucket.min), values(|bucket| bucket.max), values(|bucket| bucket.last)] {
        let cleaned: Vec<f64> = values.iter().zip(rows).map(|(&value, row)| present(&row.bucket, value)).collect();
        floats::put(&mut out, &cleaned);
    }
    let sums: Vec<f64> = rows.iter().map(|row| without_noise(&row.bucket)).collect();
    // A sum that is NaN (infinities of both signs) cannot go through the float column.
    let is_nan: Vec<i64> = sums.iter().map(|sum| i64::from(sum.is_nan())).collect();
    integers::put(&mut out, &is_nan);
    floats::put(&mut out, &sums.iter().map(|sum| if sum.is_nan() { 0.0 } else { *sum }).collect::<Vec<_>>());
    finish(out)
}

/// The closed rows of a sealed blob.
pub(crate) fn decode(blob: &[u8]) -> Result<Vec<Row>, DecodeError> {
    decode_body(body(blob)?)
}

/// [`decode`] behind the checksum, apart so that tests can feed it damage that the checksum would have caught.
pub(super) fn decode_body(bytes: &[u8]) -> Result<Vec<Row>, DecodeError> {
    let reader = &mut Reader::new(bytes);
    let count = reader.count(COUNT_MAX)?;
    if count == 0 {
        return Err(DecodeError::Impossible("count"));
    }
    let mut start_us = reader.signed()?;
    let steps = integers::get(reader, count - 1)?;
    let replaces = integers::get(reader, count)?;
    let counts = integers::get(reader, count)?;
    let offsets = [integers::get(reader, count)?, integers::get(reader, count)?, integers::get(reader, count)?];
    let [min, max, last] = [floats::get(reader, count)?, floats::get(reader, count)?, floats::get(reader, count)?];
    let sum_is_nan = integers::get(reader, count)?;
    let sum = floats::get(reader, count)?;
    reader.end()?;
    let mut rows = Vec::with_capacity(count);
    for i in 0..count {
        if i > 0 {
            start_us = start_us.wrapping_add(steps[i - 1]);
        }
        let mut bucket = Bucket::empty(start_us);
        if counts[i] > 0 {
            bucket = Bucket {
                start_us,
                count: counts[i] as u64,
                sum: if sum_is_nan[i] == 0 { sum[i] } else { f64::NAN },
                min: min[i],
                max: max[i],
                last: last[i],
                min_us: start_us.wrapping_add(offsets[0][i]),
                max_us: start_us.wrapping_add(offsets[1][i]),
                last_us: start_us.wrapping_add(offsets[2][i]),
            };
        }
        rows.push(Row { bucket, replaces: replaces[i] != 0 });
    }
    Ok(rows)
}

/// The sum as the decimal that it is when all that is known of the addends says they are decimals.
fn without_noise(bucket: &Bucket) -> f64 {
    for power in [1.0, 1e1, 1e2, 1e3, 1e4] {
        let decimal = |value: f64| floats::nearest(value * power) as f64 / power;
        if [bucket.min, bucket.max, bucket.last].iter().all(|value| decimal(*value).to_bits() == value.to_bits()) {
            let rounded = decimal(bucket.sum);
            let close = (rounded - bucket.sum).abs() <= SUM_NOISE_MAX * bucket.sum.abs();
            return if close { rounded } else { bucket.sum };
        }
    }
    bucket.sum
}

/// The sealed bytes of a series' open rows: sorted by bucket, any number up to [`COUNT_MAX`], none included.
pub(crate) fn encode_open(rows: &[Row], width_us: i64) -> Vec<u8> {
    let mut out = begin();
    put_varint(&mut out, rows.len() as u64);
    let mut previous_us = 0_i64;
    for Row { bucket, replaces } in rows {
        // The first start may be cut off by the beginning of time, so the remainder is kept with it.
        let step_us = bucket.start_us.wrapping_sub(previous_us);
        previous_us = bucket.start_us;
        put_signed(&mut out, step_us.wrapping_div(width_us));
        put_signed(&mut out, step_us.wrapping_rem(width_us));
        put_varint(&mut out, bucket.count << 1 | u64::from(*replaces));
        if bucket.count > 0 {
            for time_us in [bucket.min_us, bucket.max_us, bucket.last_us] {
                put_signed(&mut out, time_us.wrapping_sub(bucket.start_us));
            }
            for value in [bucket.min, bucket.max, bucket.last, without_noise(bucket)] {
                put_value(&mut out, value);
            }
        }
    }
    finish(out)
}

/// The open rows of a sealed blob.
pub(crate) fn decode_open(blob: &[u8], width_us: i64) -> Result<Vec<Row>, DecodeError> {
    decode_open_body(body(blob)?, width_us)
}

/// [`decode_open`] behind the checksum.
pub(super) fn decode_open_body(bytes: &[u8], width_us: i64) -> Result<Vec<Row>, DecodeError> {
    let reader = &mut Reader::new(bytes);
    let count = reader.count(COUNT_MAX)?;
    let mut rows = Vec::new();
    let mut start_us = 0_i64;
    for _ in 0..count {
        let steps = reader.signed()?;
        start_us = start_us.wrapping_add(steps.wrapping_mul(width_us)).wrapping_add(reader.signed()?);
        let counted = reader.varint()?;
        let mut bucket = Bucket::empty(start_us);
        bucket.count = counted >> 1;
        if bucket.count > 0 {
            for time_us in [&mut bucket.min_us, &mut bucket.max_us, &mut bucket.last_us] {
                *time_us = start_us.wrapping_add(reader.signed()?);
            }
            for value in [&mut bucket.min, &mut bucket.max, &mut bucket.last, &mut bucket.sum] {
                *value = get_value(reader)?;
            }
        }
        rows.push(Row { bucket, replaces: counted & 1 == 1 });
    }
    reader.end()?;
    Ok(rows)
}

/// Thousandths shifted left by one, or a 1 and the eight bytes.
fn put_value(out: &mut Vec<u8>, value: f64) {
    let thousandths = floats::nearest(value * SCALE);
    if thousandths.unsigned_abs() < EXACT_MAX && (thousandths as f64 / SCALE).to_bits() == value.to_bits() {
        put_varint(out, zigzag(thousandths) << 1);
    } else {
        out.push(1);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

fn get_value(reader: &mut Reader<'_>) -> Result<f64, DecodeError> {
    match reader.varint()? {
        1 => reader.array().map(f64::from_le_bytes),
        code if code & 1 == 0 => Ok(unzigzag(code >> 1) as f64 / SCALE),
        _ => Err(DecodeError::Impossible("value")),
    }
}

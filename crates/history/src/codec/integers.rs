//! A column of `i64`: what is common to all is taken out (the least value, the greatest common divisor), what is left
//! goes to pco in the narrowest width, because pco's bin table costs one full-width number a bin.

use pco::ModeSpec;

use super::DecodeError;
use super::bytes::{Reader, put_signed, put_varint};
use super::pcodec;

/// Below this many numbers pco's tables cost more than they save.
const PCO_COUNT_MIN: usize = 24;

const CONSTANT: u8 = 0;
const VARINTS: u8 = 1;
const PCO_16: u8 = 2;
const PCO_32: u8 = 3;
const PCO_64: u8 = 4;
const KIND_MASK: u8 = 0x07;
/// Set when pco took the differences of neighbours.
const DELTA: u8 = 0x08;

/// Appends `numbers`; their count is the caller's to store. An empty column takes no byte.
pub(crate) fn put(out: &mut Vec<u8>, numbers: &[i64]) {
    let (Some(&least), Some(&most)) = (numbers.iter().min(), numbers.iter().max()) else {
        return;
    };
    if least == most {
        out.push(CONSTANT);
        put_signed(out, least);
        return;
    }
    // The difference of two i64 is exact in u64, whatever their signs.
    let mut offsets: Vec<u64> = numbers.iter().map(|&number| number.wrapping_sub(least) as u64).collect();
    let unit = common_unit(&offsets);
    if unit > 1 {
        for offset in &mut offsets {
            *offset /= unit;
        }
    }
    let range = (most.wrapping_sub(least) as u64) / unit;
    let kind = match range {
        _ if numbers.len() < PCO_COUNT_MIN => VARINTS,
        0..=0xffff => PCO_16,
        0x1_0000..=0xffff_ffff => PCO_32,
        _ => PCO_64,
    };
    let delta = kind != VARINTS && neighbours_are_closer(&offsets);
    out.push(kind | if delta { DELTA } else { 0 });
    put_signed(out, least);
    put_varint(out, unit);
    let order = usize::from(delta);
    match kind {
        VARINTS => {
            for offset in offsets {
                put_varint(out, offset);
            }
        }
        PCO_16 => {
            let narrow: Vec<u16> = offsets.iter().map(|&offset| offset as u16).collect();
            pcodec::put(out, &narrow, order, ModeSpec::Classic);
        }
        PCO_32 => {
            let narrow: Vec<u32> = offsets.iter().map(|&offset| offset as u32).collect();
            pcodec::put(out, &narrow, order, ModeSpec::Classic);
        }
        _ => pcodec::put(out, &offsets, order, ModeSpec::Classic),
    }
}

/// Reads a column of `count` numbers, which the caller has bounded.
pub(crate) fn get(reader: &mut Reader<'_>, count: usize) -> Result<Vec<i64>, DecodeError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let kind = reader.byte()?;
    let least = reader.signed()?;
    if kind == CONSTANT {
        return Ok(vec![least; count]);
    }
    let unit = reader.varint()?;
    let whole = |offset: u64| least.wrapping_add(offset.wrapping_mul(unit) as i64);
    Ok(match kind & KIND_MASK {
        VARINTS => (0..count).map(|_| reader.varint().map(whole)).collect::<Result<_, _>>()?,
        PCO_16 => pcodec::get::<u16>(reader, count)?.into_iter().map(|offset| whole(offset.into())).collect(),
        PCO_32 => pcodec::get::<u32>(reader, count)?.into_iter().map(|offset| whole(offset.into())).collect(),
        PCO_64 => pcodec::get::<u64>(reader, count)?.into_iter().map(whole).collect(),
        _ => return Err(DecodeError::Impossible("integer column")),
    })
}

/// The greatest common divisor; millisecond clocks leave 1 000 in a column of microseconds.
fn common_unit(offsets: &[u64]) -> u64 {
    let mut unit = 0_u64;
    for &offset in offsets {
        if unit == 1 {
            break;
        }
        // One division a number while the divisor stands; Euclid only when it falls.
        if unit == 0 || !offset.is_multiple_of(unit) {
            let (mut a, mut b) = (offset, unit);
            while b != 0 {
                (a, b) = (b, a % b);
            }
            unit = a;
        }
    }
    unit.max(1)
}

/// Whether the differences of neighbours need fewer bits than the distances from the mean.
fn neighbours_are_closer(offsets: &[u64]) -> bool {
    let bits = |distance: u64| u64::from(u64::BITS - distance.leading_zeros());
    let mean = (offsets.iter().map(|&offset| u128::from(offset)).sum::<u128>() / offsets.len() as u128) as u64;
    let spread: u64 = offsets.iter().map(|&offset| bits(offset.abs_diff(mean))).sum();
    let steps: u64 = offsets.windows(2).map(|pair| bits(pair[1].abs_diff(pair[0]))).sum();
    steps < spread
}

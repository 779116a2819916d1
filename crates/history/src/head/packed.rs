//! Readings packed into a byte stream as they come, so that thousands of slow series fit in memory at once.
//!
//! Two plain columns take 16 bytes a reading and 8 more a record. Packed, a sensor with two decimals takes 4 to 5, and 3
//! more for the first reading of each second. Packing costs a few nanoseconds a reading, a small part of what sealing
//! costs later.
//!
//! ```text
//! stream  = { [mark] reading }
//! mark    = MARK, arrival − previous arrival, flags: for the readings that follow
//! reading = value, change of the time step
//! value   = code in the two low bits: thousandths − previous thousandths | f64 | f32 | NaN
//! ```

use crate::codec::bytes::{Reader, put_signed, put_varint, unzigzag, zigzag};
use crate::codec::floats::nearest;
use crate::readings::Readings;

/// Values with at most three decimals are packed as the difference of two integers.
const SCALE: f64 = 1_000.0;
/// Thousandths above this would not be exact in f64, or their difference not fit beside the code.
const THOUSANDTHS_MAX: u64 = 1 << 50;

const DECIMAL: u64 = 0;
const DOUBLE: u64 = 1;
const SINGLE: u64 = 2;
const MISSING: u64 = 3;
/// No value: its low bits are those of a missing one, which has no others.
const MARK: u64 = 7;

/// A growing stream of packed readings.
#[derive(Debug, Clone, Default)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    count: u32,
    last: Last,
}

/// What the next reading is packed against; packing and unpacking move it on alike.
#[derive(Debug, Clone, Copy, Default)]
struct Last {
    arrival_s: u32,
    flags: u8,
    time_us: i64,
    step_us: i64,
    thousandths: i64,
}

impl Packed {
    /// Appends readings that share a record and flags.
    pub(crate) fn push(&mut self, arrival_s: u32, flags: u8, times_us: &[i64], values: &[f64]) {
        // A quarter more at a time: doubling would leave half of the memory of all heads unused.
        let need = 8 + 6 * times_us.len();
        if self.bytes.capacity() - self.bytes.len() < need {
            self.bytes.reserve_exact(need.max(self.bytes.len() / 4));
        }
        if (arrival_s, flags) != (self.last.arrival_s, self.last.flags) {
            self.bytes.push(MARK as u8);
            put_signed(&mut self.bytes, i64::from(arrival_s) - i64::from(self.last.arrival_s));
            self.bytes.push(flags);
            (self.last.arrival_s, self.last.flags) = (arrival_s, flags);
        }
        for (&time_us, &value) in times_us.iter().zip(values) {
            self.push_reading(time_us, value);
        }
        self.count += times_us.len() as u32;
    }

    fn push_reading(&mut self, time_us: i64, value: f64) {
        let last = &mut self.last;
        let thousandths = nearest(value * SCALE);
        if thousandths.unsigned_abs() < THOUSANDTHS_MAX && (thousandths as f64 / SCALE).to_bits() == value.to_bits() {
            put_varint(&mut self.bytes, zigzag(thousandths - last.thousandths) << 2 | DECIMAL);
            last.thousandths = thousandths;
        } else if value.is_nan() {
            self.bytes.push(MISSING as u8);
        } else if f64::from(value as f32).to_bits() == value.to_bits() {
            self.bytes.push(SINGLE as u8);
            self.bytes.extend_from_slice(&(value as f32).to_le_bytes());
        } else {
            self.bytes.push(DOUBLE as u8);
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
        let step_us = time_us.wrapping_sub(last.time_us);
        put_signed(&mut self.bytes, step_us.wrapping_sub(last.step_us));
        (last.time_us, last.step_us) = (time_us, step_us);
    }

    /// How many readings are packed.
    pub(crate) fn len(&self) -> usize {
        self.count as usize
    }

    /// The memory allocated, in bytes.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Unpacks everything behind what `readings` holds.
    pub(crate) fn append_to(&self, readings: &mut Readings) {
        readings.times_us.reserve_exact(self.len());
        readings.values.reserve_exact(self.len());
        readings.flags.reserve_exact(self.len());
        readings.arrivals_s.reserve_exact(self.len());
        let mut reader = Reader::new(&self.bytes);
        let mut last = Last::default();
        while !reader.rest.is_empty() {
            unpack(&mut reader, &mut last, readings).expect("a stream in memory ends behind a reading");
        }
    }
}

/// Unpacks a mark or a reading.
fn unpack(reader: &mut Reader<'_>, last: &mut Last, readings: &mut Readings) -> Result<(), crate::codec::DecodeError> {
    let code = reader.varint()?;
    if code == MARK {
        last.arrival_s = (i64::from(last.arrival_s) + reader.signed()?) as u32;
        last.flags = reader.byte()?;
        return Ok(());
    }
    let value = match code & 3 {
        DECIMAL => {
            last.thousandths += unzigzag(code >> 2);
            last.thousandths as f64 / SCALE
        }
        DOUBLE => f64::from_le_bytes(reader.array()?),
        SINGLE => f64::from(f32::from_le_bytes(reader.array()?)),
        _ => f64::NAN,
    };
    last.step_us = last.step_us.wrapping_add(reader.signed()?);
    last.time_us = last.time_us.wrapping_add(last.step_us);
    readings.times_us.push(last.time_us);
    readings.values.push(value);
    readings.flags.push(last.flags);
    readings.arrivals_s.push(last.arrival_s);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_comes_back(
            runs in prop::collection::vec((
                any::<u32>(),
                any::<u8>(),
                prop::collection::vec((any::<i64>(), prop_oneof![
                    any::<f64>(),
                    any::<f32>().prop_map(f64::from),
                    (-1_000_000_i64..1_000_000).prop_map(|n| n as f64 / 1_000.0),
                    Just(-0.0),
                    Just(f64::NAN),
                ]), 0..20),
            ), 0..10),
        ) {
            let (mut packed, mut expected) = (Packed::default(), Readings::default());
            for (arrival_s, flags, readings) in runs {
                let (times_us, values): (Vec<i64>, Vec<f64>) = readings.into_iter().unzip();
                packed.push(arrival_s, flags, &times_us, &values);
                expected.flags.resize(expected.len() + times_us.len(), flags);
                expected.arrivals_s.resize(expected.len() + times_us.len(), arrival_s);
                expected.times_us.extend(times_us);
                expected.values.extend(values);
            }
            let mut unpacked = Readings::default();
            packed.append_to(&mut unpacked);
            prop_assert_eq!(packed.len(), expected.len());
            prop_assert_eq!(&unpacked.times_us, &expected.times_us);
            prop_assert_eq!(&unpacked.flags, &expected.flags);
            prop_assert_eq!(&unpacked.arrivals_s, &expected.arrivals_s);
            for (got, sent) in unpacked.values.iter().zip(&expected.values) {
                prop_assert!(got.to_bits() == sent.to_bits() || (got.is_nan() && sent.is_nan()));
            }
        }
    }
}

//! Numbers as real encoders send them: the type on the wire never changes the meaning.
//!
//! JavaScript's cbor-x sends `Date.now()` as a float64 and 21.0 as the integer 21; others send half floats.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use crate::limits::INTEGER_MAX;

/// A whole number from 0 to 2^53 − 1, taken from any integer or integral float.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Whole(pub u64);

/// A number, and whether a half or single float carried it (too coarse for an absolute time).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    /// The value.
    pub value: f64,
    /// True when it came as a half or single float.
    pub coarse: bool,
}

struct WholeVisitor;

impl Visitor<'_> for WholeVisitor {
    type Value = Whole;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from 0 to 2^53-1")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Whole, E> {
        if value > INTEGER_MAX {
            return Err(E::custom(format_args!("{value} is larger than 2^53-1")));
        }
        Ok(Whole(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Whole, E> {
        u64::try_from(value)
            .map_err(|_| E::custom(format_args!("{value} is negative")))
            .and_then(|value| self.visit_u64(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Whole, E> {
        if value < 0.0 || value.fract() != 0.0 || value > INTEGER_MAX as f64 {
            return Err(E::custom(format_args!("{value} is not a whole number from 0 to 2^53-1")));
        }
        Ok(Whole(value as u64))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WholeVisitor)
    }
}

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a number")
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Number, E> {
        Ok(Number { value: value as f64, coarse: false })
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Number, E> {
        Ok(Number { value: value as f64, coarse: false })
    }

    /// An integer below −2^63.
    fn visit_i128<E: de::Error>(self, value: i128) -> Result<Number, E> {
        Ok(Number { value: value as f64, coarse: false })
    }

    fn visit_f32<E: de::Error>(self, value: f32) -> Result<Number, E> {
        Ok(Number { value: f64::from(value), coarse: true })
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Number, E> {
        Ok(Number { value, coarse: false })
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

impl Serialize for Number {
    /// As an integer where it is one: shorter, and every decoder takes it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.value.fract() == 0.0 && self.value.abs() <= INTEGER_MAX as f64 {
            serializer.serialize_i64(self.value as i64)
        } else {
            serializer.serialize_f64(self.value)
        }
    }
}

impl Number {
    /// A number that is not coarse.
    pub fn exact(value: f64) -> Self {
        Self { value, coarse: false }
    }
}

/// Serde's `with` for an `f64` that is a [`Number`] on the wire.
pub(crate) mod plain {
    use super::{Deserialize, Deserializer, Number, Serialize, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's `with` passes the field by reference")]
    pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Number::exact(*value).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Number::deserialize(deserializer)?.value)
    }
}

/// Serde's `with` for an `f64` that is a [`Number`] on the wire, or absent.
pub(crate) mod optional {
    use super::{Deserialize, Deserializer, Number, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "serde's `with` passes the field by reference")]
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Number::exact).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Number>::deserialize(deserializer)?.map(|number| number.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::from_slice;

    #[test]
    fn whole_numbers_come_in_any_dress() {
        // 7 as u8, float16, float32, float64 (RFC 8949 appendix A shapes).
        for hex in [&[0x07][..], &[0xf9, 0x47, 0x00], &[0xfa, 0x40, 0xe0, 0, 0], &[0xfb, 0x40, 0x1c, 0, 0, 0, 0, 0, 0]]
        {
            assert_eq!(from_slice::<Whole>(hex).expect("seven"), Whole(7));
        }
        for hex in [&[0x20][..], &[0xf9, 0x3e, 0x00], &[0xf9, 0x7e, 0x00], &[0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0], &[0xf6]]
        {
            assert!(from_slice::<Whole>(hex).is_err(), "{hex:x?}");
        }
        assert_eq!(
            from_slice::<Whole>(&[0x1b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).expect("max").0,
            INTEGER_MAX
        );
    }

    #[test]
    fn half_and_single_floats_are_marked_coarse() {
        assert!(from_slice::<Number>(&[0xf9, 0x47, 0x00]).expect("half").coarse);
        assert!(from_slice::<Number>(&[0xfa, 0x40, 0xe0, 0, 0]).expect("single").coarse);
        assert!(!from_slice::<Number>(&[0xfb, 0x40, 0x1c, 0, 0, 0, 0, 0, 0]).expect("double").coarse);
        assert!(!from_slice::<Number>(&[0x07]).expect("integer").coarse);
    }
}

//! One element of an item: a scalar, or a column that goes straight into the batch.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};

use super::{Frame, Refusal};
use crate::codec::{self, writer::tag};

/// Which column an element that is an array fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Times,
    Values,
}

/// What an element turned out to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Element {
    /// A number as sent; true and false are 1 and 0.
    Number(f64),
    /// The place of a named state.
    State(u32),
    /// null.
    Missing,
    /// So many entries were pushed to the role's column.
    Column(usize),
}

pub(super) struct ElementSeed<'a, 'b> {
    pub frame: &'a mut Frame<'b>,
    pub channel: usize,
    pub role: Role,
}

impl ElementSeed<'_, '_> {
    /// Pushes one entry of a column.
    fn push<E: serde::de::Error>(&mut self, entry: Element) -> Result<(), E> {
        match (self.role, entry) {
            (Role::Times, Element::Number(dt_ms)) => {
                let time_us = self.frame.time_us(dt_ms)?;
                self.frame.batch.times_us.push(time_us);
                Ok(())
            }
            (Role::Times, _) => Err(self.frame.refuse(Refusal::BadTime, "a time must be a number")),
            (Role::Values, Element::Number(raw)) => self.frame.push_value(self.channel, raw),
            (Role::Values, Element::State(state)) => {
                self.frame.batch.values.push(f64::from(state));
                Ok(())
            }
            (Role::Values, Element::Missing) => {
                self.frame.batch.values.push(f64::NAN);
                Ok(())
            }
            (Role::Values, Element::Column(_)) => {
                Err(self.frame.refuse(Refusal::Malformed, "a column inside a column"))
            }
        }
    }

    /// The entries of a typed array (RFC 8746), `W` bytes each.
    fn typed<E: serde::de::Error, const W: usize>(
        &mut self,
        bytes: &[u8],
        read: impl Fn([u8; W]) -> f64,
    ) -> Result<Element, E> {
        let (entries, rest) = bytes.as_chunks::<W>();
        if !rest.is_empty() {
            let detail = format_args!("{} bytes do not divide into {W}-byte elements", bytes.len());
            return Err(self.frame.refuse(Refusal::Malformed, detail));
        }
        self.frame.check_room(entries.len())?;
        for &entry in entries {
            self.push(Element::Number(read(entry)))?;
        }
        Ok(Element::Column(entries.len()))
    }
}

impl<'de> DeserializeSeed<'de> for ElementSeed<'_, '_> {
    type Value = Element;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Element, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ElementSeed<'_, '_> {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true, false, null, a listed state, or a column of these")
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Element, E> {
        Ok(Element::Number(value as f64))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Element, E> {
        Ok(Element::Number(value as f64))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Element, E> {
        Ok(Element::Number(value))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Element, E> {
        Ok(Element::Number(f64::from(u8::from(value))))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Element, E> {
        Ok(Element::Missing)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Element, E> {
        let states = &self.frame.channels[self.channel].states;
        match states.iter().position(|state| state == value) {
            Some(place) if self.role == Role::Values => Ok(Element::State(place as u32)),
            _ => {
                let detail =
                    format_args!("channel {}: text {:?}", self.channel, crate::text::excerpt(value, 40)).to_string();
                Err(self.frame.refuse(Refusal::UnknownState, detail))
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Element, A::Error> {
        let mut len = 0;
        while let Some(entry) = seq.next_element_seed(EntrySeed(&mut self))? {
            self.frame.check_room(1)?;
            self.push(entry)?;
            len += 1;
        }
        Ok(Element::Column(len))
    }

    /// A tagged item: the only ones taken are typed arrays.
    fn visit_newtype_struct<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<Element, D::Error> {
        let tag = codec::current_tag();
        let bytes: &[u8] = serde::Deserialize::deserialize(deserializer)?;
        match tag {
            Some(tag::U8) => self.typed(bytes, |[byte]| f64::from(byte)),
            Some(tag::I8) => self.typed(bytes, |byte| f64::from(i8::from_le_bytes(byte))),
            Some(tag::U16) => self.typed(bytes, |entry| f64::from(u16::from_le_bytes(entry))),
            Some(tag::I16) => self.typed(bytes, |entry| f64::from(i16::from_le_bytes(entry))),
            Some(tag::U32) => self.typed(bytes, |entry| f64::from(u32::from_le_bytes(entry))),
            Some(tag::I32) => self.typed(bytes, |entry| f64::from(i32::from_le_bytes(entry))),
            Some(tag::F32) => self.typed(bytes, |entry| f64::from(f32::from_le_bytes(entry))),
            Some(tag::F64) => self.typed(bytes, f64::from_le_bytes),
            other => {
                let detail = format_args!("tag {other:?} is no little endian typed array of u8 to f64").to_string();
                Err(self.frame.refuse(Refusal::Malformed, detail))
            }
        }
    }
}

/// One entry of a plain array; nesting ends here.
struct EntrySeed<'s, 'a, 'b>(&'s mut ElementSeed<'a, 'b>);

impl<'de> DeserializeSeed<'de> for EntrySeed<'_, '_, '_> {
    type Value = Element;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Element, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EntrySeed<'_, '_, '_> {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true, false, null or a listed state")
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Element, E> {
        Ok(Element::Number(value as f64))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Element, E> {
        Ok(Element::Number(value as f64))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Element, E> {
        Ok(Element::Number(value))
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Element, E> {
        Ok(Element::Number(f64::from(u8::from(value))))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Element, E> {
        Ok(Element::Missing)
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Element, E> {
        let ElementSeed { frame, channel, role } = &mut *self.0;
        ElementSeed { frame, channel: *channel, role: *role }.visit_str(value)
    }
}

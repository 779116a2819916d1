//! One element of an item: a scalar, or a column that goes straight into the batch.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};

use super::{Frame, Refusal};
use crate::codec::{self, writer::tag};

/// Which column an element that is an array fills.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Times,
    Values,
}

/// What an element turned out to be. Handed on by reference: a copy would be loaded in one piece from where it was
/// just stored in two, and that stall costs more than reading the element.
#[derive(Debug, PartialEq)]
pub(super) enum Element {
    /// A number as sent.
    Number(f64),
    /// The place of a named state, or 0 and 1 for false and true: neither scale nor offset apply.
    State(usize),
    /// null.
    Missing,
    /// So many entries were pushed to the role's column.
    Column(usize),
}

/// Reads one element. What it turned out to be is left in `out` rather than returned: serde would wrap it in layers
/// as wide as its error, and moving those costs more than reading a number.
pub(super) struct ElementSeed<'a, 'b> {
    pub frame: &'a mut Frame<'b>,
    pub channel: usize,
    pub role: Role,
    /// An entry of a plain array: nesting ends here.
    pub nested: bool,
    pub out: &'a mut Element,
}

impl<'de> DeserializeSeed<'de> for ElementSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ElementSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, true, false, null, a listed state, or a column of these")
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        *self.out = Element::Number(value as f64);
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        *self.out = Element::Number(value as f64);
        Ok(())
    }

    /// An integer below −2^63.
    fn visit_i128<E>(self, value: i128) -> Result<(), E> {
        *self.out = Element::Number(value as f64);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        *self.out = Element::Number(value);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        *self.out = Element::State(usize::from(value));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        *self.out = Element::Missing;
        Ok(())
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<(), E> {
        let text = || format!("text {:?}", crate::text::excerpt(value, 40));
        if self.role == Role::Times {
            return Err(self.frame.refuse(Refusal::BadTime, text()));
        }
        let states = &self.frame.channels[self.channel].states;
        let Some(place) = states.iter().position(|state| state == value) else {
            return Err(self.frame.refuse(Refusal::UnknownState, format!("channel {}: {}", self.channel, text())));
        };
        *self.out = Element::State(place);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { frame, channel, role, nested, out } = self;
        if nested {
            return Err(A::Error::custom("a column inside a column"));
        }
        let mut len = 0;
        let mut entry = Element::Missing;
        while seq.next_element_seed(ElementSeed { frame, channel, role, nested: true, out: &mut entry })?.is_some() {
            frame.check_room(1)?;
            match role {
                Role::Times => frame.push_time(&entry)?,
                Role::Values => frame.push_value(channel, &entry)?,
            }
            len += 1;
        }
        *out = Element::Column(len);
        Ok(())
    }

    /// A tagged item: the only ones taken are typed arrays.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.nested {
            return Err(D::Error::custom("a tagged item inside a column"));
        }
        deserializer.deserialize_bytes(TypedArray { tag: codec::current_tag(), element: self })
    }
}

/// The byte string inside a tag.
struct TypedArray<'a, 'b> {
    tag: Option<u64>,
    element: ElementSeed<'a, 'b>,
}

impl Visitor<'_> for TypedArray<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the byte string of a typed array")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<(), E> {
        match self.tag {
            Some(tag::U8) => self.entries(bytes, |[byte]| f64::from(byte)),
            Some(tag::I8) => self.entries(bytes, |byte| f64::from(i8::from_le_bytes(byte))),
            Some(tag::U16) => self.entries(bytes, |entry| f64::from(u16::from_le_bytes(entry))),
            Some(tag::I16) => self.entries(bytes, |entry| f64::from(i16::from_le_bytes(entry))),
            Some(tag::U32) => self.entries(bytes, |entry| f64::from(u32::from_le_bytes(entry))),
            Some(tag::I32) => self.entries(bytes, |entry| f64::from(i32::from_le_bytes(entry))),
            Some(tag::F32) => self.entries(bytes, |entry| f64::from(f32::from_le_bytes(entry))),
            Some(tag::F64) => self.entries(bytes, f64::from_le_bytes),
            other => Err(E::custom(format_args!("tag {other:?} is no little endian typed array of u8 to f64"))),
        }
    }
}

impl TypedArray<'_, '_> {
    /// The elements of `W` bytes each, into the role's column.
    fn entries<E: serde::de::Error, const W: usize>(
        self,
        bytes: &[u8],
        read: impl Fn([u8; W]) -> f64,
    ) -> Result<(), E> {
        let ElementSeed { frame, channel, role, out, .. } = self.element;
        let (entries, rest) = bytes.as_chunks::<W>();
        if !rest.is_empty() {
            let len = bytes.len();
            return Err(E::custom(format_args!("{len} bytes do not divide into {W}-byte elements")));
        }
        frame.check_room(entries.len())?;
        match role {
            Role::Times => frame.extend_times(entries, read)?,
            Role::Values => frame.extend_values(channel, entries, read)?,
        }
        *out = Element::Column(entries.len());
        Ok(())
    }
}

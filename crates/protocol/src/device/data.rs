//! Decodes data frames `[seq, t0, [item …]]` straight into reused columns.
//!
//! Takes the bytes and the channels that hello declared, gives a [`Batch`]: no allocation a reading, no dynamic
//! value. What cannot be taken is either a [`Refusal`] (the sequence number was read, so the message has its place
//! in the run) or unreadable.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};

use crate::codec::{
    self,
    number::{Number, Whole},
};

mod element;
mod frame;

use element::{Element, ElementSeed, Role};
use frame::Frame;

/// What decoding needs to know of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// Values are multiplied by this.
    pub scale: f64,
    /// Then shifted by this.
    pub offset: f64,
    /// Texts that stand for 0, 1, 2 ….
    pub states: Vec<String>,
}

/// A stretch of the columns that belongs to one channel, in the order sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// Index into hello's channels.
    pub channel: u16,
    /// Where the stretch begins in [`Batch::times_us`] and [`Batch::values`].
    pub start: u32,
    /// How many readings it has.
    pub len: u32,
}

impl Run {
    /// The stretch as a range of the columns.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }
}

/// The readings of one message as columns; reuse it, its capacity stays.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// The message's number in its spool.
    pub seq: u64,
    /// Times on the device's clock, microseconds; the same length as `values`.
    pub times_us: Vec<i64>,
    /// Values after scale and offset; NaN is a missing measurement.
    pub values: Vec<f64>,
    /// Which stretch belongs to which channel.
    pub runs: Vec<Run>,
}

impl Batch {
    /// Empties the columns and keeps their memory.
    pub fn clear(&mut self) {
        self.seq = 0;
        self.times_us.clear();
        self.values.clear();
        self.runs.clear();
    }

    /// Number of readings.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// True without readings.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Why the content of a numbered message is refused. The names are on the wire, in the journal and in metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refusal {
    /// Not of the shape `[seq, t0, [[channel, dt, value] …]]`.
    Malformed,
    /// A channel that hello did not declare.
    UnknownChannel,
    /// An absolute time as a half or single float.
    CoarseTime,
    /// A time or period that is no finite number in range.
    BadTime,
    /// An infinite value, or something that is no value.
    BadValue,
    /// A text that is not among the channel's states.
    UnknownState,
    /// Columns of different length.
    LengthMismatch,
    /// More readings than a message may have.
    TooManyReadings,
}

impl Refusal {
    /// All of them, for metrics and documents.
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::UnknownChannel,
        Self::CoarseTime,
        Self::BadTime,
        Self::BadValue,
        Self::UnknownState,
        Self::LengthMismatch,
        Self::TooManyReadings,
    ];

    /// The stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownChannel => "unknown_channel",
            Self::CoarseTime => "coarse_time",
            Self::BadTime => "bad_time",
            Self::BadValue => "bad_value",
            Self::UnknownState => "unknown_state",
            Self::LengthMismatch => "length_mismatch",
            Self::TooManyReadings => "too_many_readings",
        }
    }

    /// The refusal with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| refusal.code() == code)
    }

    /// What to do about it, for the person who writes the device.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Malformed => {
                "send [seq, t0, [[channel, dt, value], ...]] with exactly these lengths and nothing behind"
            }
            Self::UnknownChannel => "channel is the zero-based place in hello's channels",
            Self::CoarseTime => {
                "send t0 as an integer or a double float: a single float near today's date has steps of 131 s"
            }
            Self::BadTime => "times are finite milliseconds; period is above 0",
            Self::BadValue => "send numbers, true, false, or null for a missing measurement; infinities are refused",
            Self::UnknownState => "text is only taken when it is listed in the channel's states",
            Self::LengthMismatch => "columns of one item must have the same length",
            Self::TooManyReadings => "split the message: at most 65536 readings in one",
        }
    }
}

/// Why a data frame is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// Not even the sequence number could be read: the connection is closed with 1007.
    #[error("the message cannot be read, not even its sequence number: {0}")]
    Unreadable(String),
    /// The message has its place in the run, its content is refused.
    #[error("message {seq} refused ({}): {detail}", .refusal.code())]
    Refused {
        /// Its number.
        seq: u64,
        /// The kind of trouble.
        refusal: Refusal,
        /// Where it was met.
        detail: String,
    },
}

/// Decodes one frame into `batch`, which is cleared first. On an error the columns hold nothing of use.
pub fn decode(bytes: &[u8], channels: &[Channel], batch: &mut Batch) -> Result<(), DataError> {
    batch.clear();
    let mut frame = Frame::new(batch, channels);
    let outcome = codec::from_slice_seed(codec::strip_self_described(bytes), FrameSeed(&mut frame));
    let (seq, refusal) = (frame.batch.seq, frame.refusal);
    match outcome {
        Ok(()) => Ok(()),
        Err(error) if seq == 0 => Err(DataError::Unreadable(error.to_string())),
        Err(error) => {
            Err(DataError::Refused { seq, refusal: refusal.unwrap_or(Refusal::Malformed), detail: error.to_string() })
        }
    }
}

/// Reads only the sequence number; 0 is never one.
pub fn peek_seq(bytes: &[u8]) -> Option<u64> {
    let mut batch = Batch::default();
    // With no channel declared every item is refused, which is enough to have read the number in front of it.
    match decode(bytes, &[], &mut batch) {
        Ok(()) => Some(batch.seq),
        Err(DataError::Refused { seq, .. }) => Some(seq),
        Err(DataError::Unreadable(_)) => None,
    }
}

struct FrameSeed<'a, 'b>(&'a mut Frame<'b>);

impl<'de> DeserializeSeed<'de> for FrameSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FrameSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[seq, t0, [item …]]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let frame = self.0;
        let number = seq.next_element::<Whole>()?.ok_or_else(|| A::Error::custom("the array is empty"))?.0;
        if number == 0 {
            return Err(A::Error::custom("seq counts from 1"));
        }
        frame.batch.seq = number;
        let t0 = seq.next_element::<Number>()?.ok_or_else(|| A::Error::custom("t0 is missing"))?;
        if t0.coarse {
            return Err(frame.refuse(Refusal::CoarseTime, "t0 is a half or single float"));
        }
        frame.t0_us = frame.time_us(t0.value)?;
        seq.next_element_seed(ItemsSeed(frame))?.ok_or_else(|| A::Error::custom("the items are missing"))?;
        if seq.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("a data frame has exactly three elements"));
        }
        Ok(())
    }
}

struct ItemsSeed<'a, 'b>(&'a mut Frame<'b>);

impl<'de> DeserializeSeed<'de> for ItemsSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of items")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(ItemSeed(self.0))?.is_some() {}
        Ok(())
    }
}

struct ItemSeed<'a, 'b>(&'a mut Frame<'b>);

impl<'de> DeserializeSeed<'de> for ItemSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ItemSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item: [channel, dt, value] or [channel, start, period, values]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let frame = self.0;
        let short = || A::Error::custom("an item has 3 or 4 elements");
        let channel = seq.next_element::<Whole>()?.ok_or_else(short)?.0;
        let channel = usize::try_from(channel).ok().filter(|&channel| channel < frame.channels.len());
        let Some(channel) = channel else {
            return Err(frame.refuse(Refusal::UnknownChannel, "the channel is not among those that hello declared"));
        };
        let start = frame.batch.values.len();
        let (mut second, mut third) = (Element::Missing, Element::Missing);
        let seed = ElementSeed { frame, channel, role: Role::Times, nested: false, out: &mut second };
        seq.next_element_seed(seed)?.ok_or_else(short)?;
        let seed = ElementSeed { frame, channel, role: Role::Values, nested: false, out: &mut third };
        seq.next_element_seed(seed)?.ok_or_else(short)?;
        // A definite length knows its end: rows need not ask the decoder for what is not there.
        let ended = seq.size_hint() == Some(0);
        match (&second, &third) {
            (Element::Column(times), Element::Column(values)) if times == values => {}
            (Element::Column(_), _) | (_, Element::Column(_)) => {
                return Err(
                    frame.refuse(Refusal::LengthMismatch, "dt and value are columns of one length, or neither is")
                );
            }
            (&Element::Number(start_ms), &Element::Number(period_ms)) if !ended => {
                let mut values = Element::Missing;
                let seed = ElementSeed { frame, channel, role: Role::Values, nested: false, out: &mut values };
                match seq.next_element_seed(seed)? {
                    Some(()) => frame.fixed_rate(start_ms, period_ms, &values)?,
                    None => frame.scalar(channel, &second, &third)?,
                }
            }
            (dt, value) => frame.scalar(channel, dt, value)?,
        }
        if !ended && seq.next_element::<IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("an item has 3 or 4 elements"));
        }
        let len = (frame.batch.values.len() - start) as u32;
        frame.batch.runs.push(Run { channel: channel as u16, start: start as u32, len });
        Ok(())
    }
}

#[cfg(test)]
mod tests;

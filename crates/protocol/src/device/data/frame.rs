//! The state of one decoding: where readings go, what is checked on the way, and why it stopped.

use std::fmt;

use super::{Batch, Channel, Refusal, element::Element};
use crate::limits::{PERIOD_MS_MAX, READINGS_PER_MESSAGE_MAX, TIME_MS_MAX};

pub(super) struct Frame<'a> {
    pub batch: &'a mut Batch,
    pub channels: &'a [Channel],
    pub t0_us: i64,
    /// The first reason that was noted; an error without one is malformed.
    pub refusal: Option<Refusal>,
}

/// False for NaN, too.
fn in_range(time_ms: f64) -> bool {
    time_ms.abs() <= TIME_MS_MAX
}

/// The nearest whole number, halves away from zero: `f64::round` without its library call (x86-64 has the
/// instruction only since SSE 4.1), which took most of the time that a column takes.
fn whole_us(us: f64) -> i64 {
    let whole = us as i64;
    let rest = us - whole as f64;
    whole + i64::from(rest >= 0.5) - i64::from(rest <= -0.5)
}

impl<'a> Frame<'a> {
    pub fn new(batch: &'a mut Batch, channels: &'a [Channel]) -> Self {
        Self { batch, channels, t0_us: 0, refusal: None }
    }

    /// Notes why and makes the error that ends the decoding.
    #[cold]
    pub fn refuse<E: serde::de::Error>(&mut self, refusal: Refusal, detail: impl fmt::Display) -> E {
        self.refusal.get_or_insert(refusal);
        E::custom(detail)
    }

    #[inline]
    pub fn check_room<E: serde::de::Error>(&mut self, more: usize) -> Result<(), E> {
        if self.batch.times_us.len().max(self.batch.values.len()) + more > READINGS_PER_MESSAGE_MAX {
            return Err(
                self.refuse(Refusal::TooManyReadings, format_args!("more than {READINGS_PER_MESSAGE_MAX} readings"))
            );
        }
        Ok(())
    }

    #[inline]
    /// `t0_us` plus an offset in milliseconds, to the microsecond.
    pub fn time_us<E: serde::de::Error>(&mut self, offset_ms: f64) -> Result<i64, E> {
        if !in_range(offset_ms) {
            return Err(self.refuse(Refusal::BadTime, format_args!("time {offset_ms} is out of range")));
        }
        Ok(self.t0_us + whole_us(offset_ms * 1000.0))
    }

    /// One reading.
    #[inline]
    pub fn scalar<E: serde::de::Error>(&mut self, channel: usize, dt: &Element, value: &Element) -> Result<(), E> {
        self.check_room(1)?;
        self.push_time(dt)?;
        self.push_value(channel, value)
    }

    #[inline]
    pub fn push_time<E: serde::de::Error>(&mut self, dt: &Element) -> Result<(), E> {
        let &Element::Number(dt_ms) = dt else {
            return Err(self.refuse(Refusal::BadTime, "dt must be a number or a column of numbers"));
        };
        let time_us = self.time_us(dt_ms)?;
        self.batch.times_us.push(time_us);
        Ok(())
    }

    #[inline]
    pub fn push_value<E: serde::de::Error>(&mut self, channel: usize, value: &Element) -> Result<(), E> {
        let value = match *value {
            Element::Number(raw) => {
                let Channel { scale, offset, .. } = self.channels[channel];
                raw * scale + offset
            }
            Element::State(state) => state as f64,
            Element::Missing => f64::NAN,
            Element::Column(_) => return Err(self.refuse(Refusal::LengthMismatch, "a column in place of a value")),
        };
        if value.is_infinite() {
            return Err(self.refuse(Refusal::BadValue, format_args!("channel {channel}: the value is infinite")));
        }
        self.batch.values.push(value);
        Ok(())
    }

    /// A whole typed array of times. The check stands before the loop, which stays short that way.
    pub fn extend_times<E: serde::de::Error, const W: usize>(
        &mut self,
        entries: &[[u8; W]],
        read: impl Fn([u8; W]) -> f64,
    ) -> Result<(), E> {
        if let Some(&bad) = entries.iter().find(|&&entry| !in_range(read(entry))) {
            return self.time_us(read(bad)).map(drop);
        }
        let t0_us = self.t0_us;
        self.batch.times_us.extend(entries.iter().map(|&entry| t0_us + whole_us(read(entry) * 1000.0)));
        Ok(())
    }

    /// A whole typed array of values. The check stands behind the loop, which is vectorised that way.
    pub fn extend_values<E: serde::de::Error, const W: usize>(
        &mut self,
        channel: usize,
        entries: &[[u8; W]],
        read: impl Fn([u8; W]) -> f64,
    ) -> Result<(), E> {
        let Channel { scale, offset, .. } = self.channels[channel];
        let start = self.batch.values.len();
        self.batch.values.extend(entries.iter().map(|&entry| read(entry) * scale + offset));
        if self.batch.values[start..].iter().any(|value| value.is_infinite()) {
            return Err(self.refuse(Refusal::BadValue, format_args!("channel {channel}: a value is infinite")));
        }
        Ok(())
    }

    /// The times of a fixed rate whose values are in the batch: exact for each reading, then rounded, so that no
    /// error adds up.
    pub fn fixed_rate<E: serde::de::Error>(
        &mut self,
        start_ms: f64,
        period_ms: f64,
        values: &Element,
    ) -> Result<(), E> {
        let &Element::Column(len) = values else {
            return Err(self.refuse(Refusal::BadValue, "the values of a fixed rate are a column"));
        };
        if !(period_ms > 0.0 && period_ms <= PERIOD_MS_MAX) {
            return Err(self.refuse(Refusal::BadTime, format_args!("period {period_ms} is out of range")));
        }
        let first = self.time_us::<E>(start_ms)?;
        let step = period_ms * 1000.0;
        self.batch.times_us.extend((0..len).map(|i| first + whole_us(i as f64 * step)));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_that_of_the_standard_library() {
        for us in [
            0.0,
            0.5,
            -0.5,
            0.499_999_999_999_999_94,
            1.5,
            2.5,
            -2.5,
            1e15 + 0.5,
            -1e15 - 0.5,
            2f64.powi(52) + 1.0,
            1e18,
        ] {
            assert_eq!(whole_us(us), us.round() as i64, "{us}");
        }
    }
}

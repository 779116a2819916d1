//! Faults as they are written in options: `KIND:CHANNEL,key=value,…`; the channel may be `*`.

use std::{collections::BTreeMap, str::FromStr};

use protocol::ids::{Id, IdError};

use super::{Fault, FaultKind, Missing};

/// Shortest time between events, seconds: keeps a spell list from growing without end between two values.
const EVERY_S_MIN: f64 = 0.01;

/// Why a fault cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultSyntaxError {
    /// No colon.
    #[error("write KIND:CHANNEL, such as spike:temp or dropout:*, not {0:?}")]
    Shape(String),
    /// No such kind.
    #[error("no fault is called {0:?}: there are drift, spike, stuck, dropout, reset")]
    Kind(String),
    /// The channel's name is none.
    #[error("channel {channel:?}: {source}")]
    Channel {
        /// As written.
        channel: String,
        /// What is wrong with it.
        #[source]
        source: IdError,
    },
    /// A part that is no `key=value`, or a key that this kind does not have.
    #[error("{kind} does not know {part:?}")]
    Key {
        /// The fault.
        kind: String,
        /// As written.
        part: String,
    },
    /// A value out of range.
    #[error("{key}={value}: {expected}")]
    Value {
        /// The key.
        key: &'static str,
        /// As written.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
}

impl FromStr for Fault {
    type Err = FaultSyntaxError;

    fn from_str(text: &str) -> Result<Self, FaultSyntaxError> {
        let (kind_name, rest) = text.split_once(':').ok_or_else(|| FaultSyntaxError::Shape(text.to_owned()))?;
        let mut parts = rest.split(',');
        let channel = match parts.next().unwrap_or_default() {
            "*" => None,
            name => {
                let id = Id::new(name);
                Some(id.map_err(|source| FaultSyntaxError::Channel { channel: name.to_owned(), source })?)
            }
        };
        let unknown = |part: &str| FaultSyntaxError::Key { kind: kind_name.to_owned(), part: part.to_owned() };
        let pairs = parts.map(|part| part.split_once('=').ok_or_else(|| unknown(part)));
        let mut keys = Keys(pairs.collect::<Result<_, _>>()?);
        let kind = match kind_name {
            "drift" => FaultKind::Drift { per_hour: keys.number("per-hour", 1.0)? },
            "spike" => FaultKind::Spike { size: keys.number("size", 10.0)?, every_s: keys.seconds("every", 60.0)? },
            "stuck" => FaultKind::Stuck { every_s: keys.seconds("every", 600.0)?, for_s: keys.seconds("for", 60.0)? },
            "dropout" => FaultKind::Dropout {
                every_s: keys.seconds("every", 600.0)?,
                for_s: keys.seconds("for", 60.0)?,
                missing: keys.missing()?,
            },
            "reset" => FaultKind::Reset { every_s: keys.seconds("every", 86_400.0)? },
            other => return Err(FaultSyntaxError::Kind(other.to_owned())),
        };
        match keys.0.pop_first() {
            Some((key, value)) => Err(unknown(&format!("{key}={value}"))),
            None => Ok(Self { channel, kind }),
        }
    }
}

/// What stands behind the channel; what was used is taken out.
struct Keys<'a>(BTreeMap<&'a str, &'a str>);

impl Keys<'_> {
    fn number(&mut self, key: &'static str, default: f64) -> Result<f64, FaultSyntaxError> {
        let Some(value) = self.0.remove(key) else { return Ok(default) };
        let number = value.parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| FaultSyntaxError::Value { key, value: value.to_owned(), expected: "must be a number" })
    }

    fn seconds(&mut self, key: &'static str, default: f64) -> Result<f64, FaultSyntaxError> {
        let seconds = self.number(key, default)?;
        let expected = "must be seconds from 0.01 to 1e8";
        let is_fit = (EVERY_S_MIN..=1e8).contains(&seconds);
        if is_fit { Ok(seconds) } else { Err(FaultSyntaxError::Value { key, value: seconds.to_string(), expected }) }
    }

    fn missing(&mut self) -> Result<Missing, FaultSyntaxError> {
        match self.0.remove("as") {
            None | Some("nan") => Ok(Missing::Nan),
            Some("silence") => Ok(Missing::Silence),
            Some(other) => {
                Err(FaultSyntaxError::Value { key: "as", value: other.to_owned(), expected: "must be nan or silence" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_with_their_defaults() {
        let temp = Some(Id::new("temp").unwrap());
        for (text, channel, kind) in [
            ("drift:temp,per-hour=-0.5", temp.clone(), FaultKind::Drift { per_hour: -0.5 }),
            ("spike:*", None, FaultKind::Spike { size: 10.0, every_s: 60.0 }),
            ("stuck:temp,for=5,every=30", temp.clone(), FaultKind::Stuck { every_s: 30.0, for_s: 5.0 }),
            (
                "dropout:temp,as=silence",
                temp,
                FaultKind::Dropout { every_s: 600.0, for_s: 60.0, missing: Missing::Silence },
            ),
            ("reset:*,every=3600", None, FaultKind::Reset { every_s: 3_600.0 }),
        ] {
            assert_eq!(text.parse(), Ok(Fault { channel, kind }), "{text}");
        }
    }

    #[test]
    fn mistakes_are_told() {
        for (text, words) in [
            ("spike", "write KIND:CHANNEL"),
            ("melt:temp", "there are drift"),
            ("spike:a b", "channel \"a b\""),
            ("spike:temp,lasting=4", "does not know \"lasting=4\""),
            ("spike:temp,size", "does not know \"size\""),
            ("spike:temp,size=inf", "must be a number"),
            ("stuck:temp,for=0", "must be seconds"),
            ("dropout:temp,as=zero", "nan or silence"),
        ] {
            let error = text.parse::<Fault>().unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}

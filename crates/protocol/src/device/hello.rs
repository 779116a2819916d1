//! hello: who a device is, what it measures, and what it still holds.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{control::Fields, data::Channel};
use crate::{
    codec::{
        CodecError,
        number::{Number, Whole, optional as optional_number},
    },
    ids::Id,
    limits::{CHANNELS_PER_DEVICE_MAX, FEATURES_MAX, LABELS_MAX, STATES_MAX, TIME_MS_MAX},
    text,
};

/// What a channel's numbers mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A quantity that goes up and down.
    #[default]
    Gauge,
    /// A total that only rises, and starts again at a reset.
    Counter,
    /// One of a few named states, by number.
    State,
}

/// Where a device's times count from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// The Unix epoch.
    Unix,
    /// The device's last start.
    Boot,
}

/// One channel as a device declares it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelDecl {
    /// Stable name within the device.
    pub name: Id,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// `SenML` unit name or any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Gauge when absent.
    #[serde(default, deserialize_with = "absent_when_null")]
    pub kind: Kind,
    /// Every value is multiplied by this; 1 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_number")]
    pub scale: Option<f64>,
    /// Added after scaling; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_number")]
    pub offset: Option<f64>,
    /// Digits behind the decimal point worth showing, at most 12.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "decimals")]
    pub decimals: Option<u8>,
    /// Expected time between two readings, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_number")]
    pub period_ms: Option<f64>,
    /// Names of the states 0, 1, 2 … of a state channel.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "absent_when_null")]
    pub states: Vec<String>,
}

impl ChannelDecl {
    /// A gauge of this name with nothing else said about it.
    pub fn gauge(name: Id) -> Self {
        Self {
            name,
            title: None,
            unit: None,
            kind: Kind::Gauge,
            scale: None,
            offset: None,
            decimals: None,
            period_ms: None,
            states: Vec::new(),
        }
    }

    /// What decoding needs to know of the channel.
    pub fn decoding(&self) -> Channel {
        Channel { scale: self.scale.unwrap_or(1.0), offset: self.offset.unwrap_or(0.0), states: self.states.clone() }
    }
}

/// null where there is nothing to say, as for the other optional keys.
fn absent_when_null<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Any whole number, as every number on the wire; an `f64` has no more than so many digits worth showing.
fn decimals<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    Ok(Option::<Whole>::deserialize(deserializer)?.map(|decimals| decimals.0.min(12) as u8))
}

/// A hello whose content has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Hello {
    /// Who speaks.
    pub device: Id,
    /// The queue the numbers belong to, drawn at random when the queue was made.
    pub spool: u64,
    /// The oldest message the device still holds (equal to `next` when it holds none).
    pub first: u64,
    /// The number its next new message will get.
    pub next: u64,
    /// Where its times count from.
    pub clock: Clock,
    /// The device's time at sending, microseconds on its clock.
    pub now_us: Option<i64>,
    /// Times are kept as they are, clock rules and alerts are skipped.
    pub import: bool,
    /// What the device understands beyond version 1.
    pub features: Vec<String>,
    /// Its channels; data items refer to them by place.
    pub channels: Vec<ChannelDecl>,
    /// What people call the device.
    pub title: Option<String>,
    /// Hardware model.
    pub model: Option<String>,
    /// Software version on the device.
    pub firmware: Option<String>,
    /// Free key and value pairs.
    pub labels: BTreeMap<String, String>,
}

/// Why a hello is refused; the text is sent to the device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HelloError {
    /// A value of the wrong type, or a name that is no id.
    #[error("unreadable hello: {0}")]
    Unreadable(CodecError),
    /// A key that must be there is not.
    #[error("hello lacks {0:?}")]
    Missing(&'static str),
    /// `spool` is 0.
    #[error("spool must be drawn at random from 1 to 2^53-1")]
    Spool,
    /// `first` and `next` do not make a range.
    #[error("first is {first} and next is {next}: both count from 1 and first must not be above next")]
    Range {
        /// As sent.
        first: u64,
        /// As sent.
        next: u64,
    },
    /// `now` came as a half or single float, or is out of range.
    #[error("now must be milliseconds as an integer or a double float (a single float is off by up to 131 s)")]
    Now,
    /// Too many channels.
    #[error("{0} channels declared, a device has at most {CHANNELS_PER_DEVICE_MAX}")]
    TooManyChannels(usize),
    /// The same channel name twice.
    #[error("channel {0:?} is declared twice")]
    DuplicateChannel(Id),
    /// `scale`, `offset` or `period_ms` is not usable.
    #[error("channel {channel:?}: {key} must be a finite number{}", match *key {
        "scale" => " other than 0",
        "period_ms" => " above 0",
        _ => "",
    })]
    ChannelNumber {
        /// The channel.
        channel: Id,
        /// The key.
        key: &'static str,
    },
    /// A text is too long.
    #[error("{what} has {chars} characters, at most 128 are kept")]
    TooLong {
        /// Which text.
        what: String,
        /// How long it is.
        chars: usize,
    },
    /// Too many labels, states or features.
    #[error("too many {what}: {count}, at most {max}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many came.
        count: usize,
        /// How many there may be.
        max: usize,
    },
}

fn short(text: &str, what: impl FnOnce() -> String) -> Result<String, HelloError> {
    text::clean_short(text).map_err(|chars| HelloError::TooLong { what: what(), chars })
}

/// Cleaned text; what is empty after cleaning counts as not said.
fn optional(text: Option<String>, what: &str) -> Result<Option<String>, HelloError> {
    match text {
        Some(text) => Ok(Some(short(&text, || what.to_owned())?).filter(|text| !text.is_empty())),
        None => Ok(None),
    }
}

fn at_most(what: &'static str, count: usize, max: usize) -> Result<(), HelloError> {
    if count > max { Err(HelloError::TooMany { what, count, max }) } else { Ok(()) }
}

fn check_channel(decl: ChannelDecl) -> Result<ChannelDecl, HelloError> {
    let bad = |key| HelloError::ChannelNumber { channel: decl.name.clone(), key };
    if decl.scale.is_some_and(|scale| !scale.is_finite() || scale == 0.0) {
        return Err(bad("scale"));
    }
    if decl.offset.is_some_and(|offset| !offset.is_finite()) {
        return Err(bad("offset"));
    }
    if decl.period_ms.is_some_and(|period| !period.is_finite() || period <= 0.0) {
        return Err(bad("period_ms"));
    }
    at_most("states", decl.states.len(), STATES_MAX)?;
    let named = |key: &str| format!("{key} of channel {}", decl.name);
    Ok(ChannelDecl {
        title: optional(decl.title, &named("title"))?,
        unit: optional(decl.unit, &named("unit"))?,
        states: decl.states.iter().map(|state| short(state, || named("a state"))).collect::<Result<_, _>>()?,
        name: decl.name,
        ..decl
    })
}

impl Hello {
    pub(super) fn from_fields(fields: Fields) -> Result<Self, HelloError> {
        let spool = fields.spool.ok_or(HelloError::Missing("spool"))?.0;
        let first = fields.first.ok_or(HelloError::Missing("first"))?.0;
        let next = fields.next.ok_or(HelloError::Missing("next"))?.0;
        if spool == 0 {
            return Err(HelloError::Spool);
        }
        if first == 0 || first > next {
            return Err(HelloError::Range { first, next });
        }
        let now_us = match fields.now {
            Some(now) if now.coarse || !now.value.is_finite() || now.value.abs() > TIME_MS_MAX => {
                return Err(HelloError::Now);
            }
            Some(now) => Some((now.value * 1000.0).round() as i64),
            None => None,
        };
        let declared = fields.channels.ok_or(HelloError::Missing("channels"))?;
        if declared.len() > CHANNELS_PER_DEVICE_MAX {
            return Err(HelloError::TooManyChannels(declared.len()));
        }
        let channels = declared.into_iter().map(check_channel).collect::<Result<Vec<_>, _>>()?;
        let mut names = HashSet::new();
        if let Some(twice) = channels.iter().find(|channel| !names.insert(channel.name.as_str())) {
            return Err(HelloError::DuplicateChannel(twice.name.clone()));
        }
        let labels = fields.labels.unwrap_or_default();
        at_most("labels", labels.len(), LABELS_MAX)?;
        let features = fields.features.unwrap_or_default();
        at_most("features", features.len(), FEATURES_MAX)?;
        Ok(Self {
            device: fields.device.ok_or(HelloError::Missing("device"))?,
            spool,
            first,
            next,
            clock: fields.clock.ok_or(HelloError::Missing("clock"))?,
            now_us,
            import: fields.import.unwrap_or(false),
            features: features.iter().map(|name| short(name, || "a feature".into())).collect::<Result<_, _>>()?,
            channels,
            title: optional(fields.title, "title")?,
            model: optional(fields.model, "model")?,
            firmware: optional(fields.firmware, "firmware")?,
            labels: labels
                .iter()
                .map(|(key, value)| {
                    Ok((
                        short(key, || "a label's name".into())?,
                        short(value, || format!("label {}", text::excerpt(key, 40)))?,
                    ))
                })
                .collect::<Result<_, HelloError>>()?,
        })
    }
}

/// hello as it is written: absent where there is nothing to say.
#[derive(Serialize)]
struct Outgoing<'a> {
    r#type: &'static str,
    device: &'a Id,
    spool: u64,
    first: u64,
    next: u64,
    clock: Clock,
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<Number>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    import: bool,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    features: &'a [String],
    channels: &'a [ChannelDecl],
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    firmware: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: &'a BTreeMap<String, String>,
}

impl Serialize for Hello {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Outgoing {
            r#type: "hello",
            device: &self.device,
            spool: self.spool,
            first: self.first,
            next: self.next,
            clock: self.clock,
            // Whole milliseconds: the codec would shrink a fraction such as 4096.5 to a half float, and an
            // absolute time in one of those is refused.
            now: self.now_us.map(|now_us| Number::exact((now_us as f64 / 1000.0).round())),
            import: self.import,
            features: &self.features,
            channels: &self.channels,
            title: self.title.as_deref(),
            model: self.model.as_deref(),
            firmware: self.firmware.as_deref(),
            labels: &self.labels,
        }
        .serialize(serializer)
    }
}

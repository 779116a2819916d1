//! Control maps of the device protocol, both ways.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, de::Visitor};

use super::hello::{ChannelDecl, Clock, Hello, HelloError};
use crate::{
    codec::{
        self, CodecError,
        number::{Number, Whole},
    },
    ids::Id,
    limits::TEXT_CHARS_MAX,
    text,
};

/// A control message from a device.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceControl {
    /// Introduces a device and one spool of it.
    Hello(Box<Hello>),
    /// The messages `from..=to` are lost at the device.
    Gap {
        /// First lost number.
        from: u64,
        /// Last lost number.
        to: u64,
        /// In the device's words, cleaned.
        reason: String,
    },
    /// Answer to a command.
    Result {
        /// The command's id.
        id: String,
        /// Whether it was carried out.
        ok: bool,
        /// What it gave, as text.
        value: Option<String>,
        /// What there is to say about it.
        message: Option<String>,
    },
    /// The device is about to close.
    Bye,
    /// A type this version does not know: answered with a non-fatal `error`.
    Unknown(String),
}

/// Why a control message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// Not a map of the expected shape.
    #[error("unreadable control message: {0}")]
    Unreadable(#[from] CodecError),
    /// A hello with wrong content.
    #[error(transparent)]
    Hello(#[from] HelloError),
    /// A key that must be there is not.
    #[error("{0} lacks {1:?}")]
    Missing(&'static str, &'static str),
    /// A gap whose ends are the wrong way round.
    #[error("gap from {from} to {to}: numbers count from 1 and from must not be above to")]
    GapRange {
        /// As sent.
        from: u64,
        /// As sent.
        to: u64,
    },
}

/// Every key that any control message from a device may have. One flat type, so that nothing is buffered as a
/// dynamic value on the way (an internally tagged enum would do that).
#[derive(Deserialize)]
pub(super) struct Fields {
    pub(super) device: Option<Id>,
    pub(super) spool: Option<Whole>,
    pub(super) first: Option<Whole>,
    pub(super) next: Option<Whole>,
    pub(super) clock: Option<Clock>,
    pub(super) now: Option<Number>,
    pub(super) import: Option<bool>,
    pub(super) features: Option<Vec<String>>,
    pub(super) channels: Option<Vec<ChannelDecl>>,
    pub(super) title: Option<String>,
    pub(super) model: Option<String>,
    pub(super) firmware: Option<String>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    from: Option<Whole>,
    to: Option<Whole>,
    reason: Option<String>,
    id: Option<String>,
    ok: Option<bool>,
    value: Option<Answer>,
    message: Option<String>,
}

/// The `value` of a result: a number, a boolean, a text or nothing, kept as text.
struct Answer(Option<String>);

struct AnswerVisitor;

impl<'de> Visitor<'de> for AnswerVisitor {
    type Value = Answer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, a boolean, a text or null")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Answer, E> {
        Ok(Answer(Some(value.to_string())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Answer, E> {
        Ok(Answer(Some(value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Answer, E> {
        Ok(Answer(Some(value.to_string())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Answer, E> {
        // Debug takes an exponent where Display would write out up to 300 digits.
        let text = format!("{value:?}");
        Ok(Answer(Some(text.strip_suffix(".0").unwrap_or(&text).to_owned())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Answer, E> {
        Ok(Answer(Some(text::excerpt(value, TEXT_CHARS_MAX))))
    }

    fn visit_unit<E>(self) -> Result<Answer, E> {
        Ok(Answer(None))
    }

    fn visit_none<E>(self) -> Result<Answer, E> {
        Ok(Answer(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Answer, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Deserialize<'de> for Answer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnswerVisitor)
    }
}

impl DeviceControl {
    /// Reads a map from a device and checks its content.
    pub fn decode(bytes: &[u8]) -> Result<Self, ControlError> {
        let bytes = codec::strip_self_described(bytes);
        let kind = codec::message_type(bytes)?.ok_or(ControlError::Missing("the message", "type"))?;
        let fields = || codec::from_slice::<Fields>(bytes);
        match kind.as_str() {
            "hello" => Ok(Self::Hello(Box::new(Hello::from_fields(fields().map_err(HelloError::Unreadable)?)?))),
            "gap" => {
                let fields = fields()?;
                let from = fields.from.ok_or(ControlError::Missing("gap", "from"))?.0;
                let to = fields.to.ok_or(ControlError::Missing("gap", "to"))?.0;
                if from == 0 || from > to {
                    return Err(ControlError::GapRange { from, to });
                }
                let reason = text::excerpt(fields.reason.as_deref().unwrap_or("unexplained"), TEXT_CHARS_MAX);
                Ok(Self::Gap { from, to, reason })
            }
            "result" => {
                let fields = fields()?;
                Ok(Self::Result {
                    id: text::excerpt(&fields.id.ok_or(ControlError::Missing("result", "id"))?, TEXT_CHARS_MAX),
                    ok: fields.ok.ok_or(ControlError::Missing("result", "ok"))?,
                    value: fields.value.and_then(|answer| answer.0),
                    message: fields.message.map(|message| text::excerpt(&message, TEXT_CHARS_MAX)),
                })
            }
            "bye" => Ok(Self::Bye),
            other => Ok(Self::Unknown(text::excerpt(other, 40))),
        }
    }

    /// Writes the map as a device sends it.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(hello) => codec::to_vec(hello),
            Self::Gap { from, to, reason } => {
                codec::to_vec(&OutgoingGap { r#type: "gap", from: *from, to: *to, reason })
            }
            Self::Result { id, ok, value, message } => codec::to_vec(&OutgoingResult {
                r#type: "result",
                id,
                ok: *ok,
                value: value.as_deref(),
                message: message.as_deref(),
            }),
            Self::Bye => codec::to_vec(&OutgoingType { r#type: "bye" }),
            Self::Unknown(kind) => codec::to_vec(&OutgoingType { r#type: kind }),
        }
    }
}

#[derive(Serialize)]
struct OutgoingGap<'a> {
    r#type: &'static str,
    from: u64,
    to: u64,
    reason: &'a str,
}

#[derive(Serialize)]
struct OutgoingResult<'a> {
    r#type: &'static str,
    id: &'a str,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

#[derive(Serialize)]
struct OutgoingType<'a> {
    r#type: &'a str,
}

/// A control message from the hub to a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum HubControl {
    /// The answer to hello.
    Welcome {
        /// The spool that hello named.
        spool: u64,
        /// Everything up to this number is on the hub's disk (0: nothing).
        acked: u64,
        /// Numbers up to `acked + credit` may be sent.
        credit: u64,
        /// The hub's clock, milliseconds since the Unix epoch.
        now: u64,
        /// What the hub understands beyond version 1.
        features: Vec<String>,
    },
    /// Everything up to `acked` is on disk.
    Ack {
        /// Cumulative.
        acked: u64,
        /// Numbers up to `acked + credit` may be sent.
        credit: u64,
    },
    /// Something to carry out.
    Command {
        /// Unique text; a device runs an id once.
        id: String,
        /// What to do.
        name: String,
        /// Arguments by name, as text.
        #[serde(default)]
        args: BTreeMap<String, String>,
        /// Milliseconds since the Unix epoch after which it must not be run.
        expires_ms: u64,
    },
    /// Something was refused; the connection goes on unless the hub closes it.
    Error {
        /// Stable code for programs.
        code: String,
        /// What happened and what to do, for people.
        message: String,
        /// The message it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
    },
    /// A type this version does not know: ignored.
    #[serde(other)]
    Unknown,
}

impl HubControl {
    /// Reads a map from the hub. The hub is trusted, so an internally tagged enum is fine here.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::from_slice(bytes)
    }

    /// Writes the map as the hub sends it.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_vec(self)
    }
}

//! Control maps of the live protocol, both ways. Times are milliseconds since the Unix epoch.

mod catalogue;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    codec::{
        self, CodecError,
        number::{self, Number, Whole, optional as optional_number},
    },
    device::Kind,
    limits::{POINTS_MAX, WINDOW_MS_MAX},
    text,
};

/// Whether a device reports as expected (by its cadence, not by its socket).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeviceState {
    /// It reported within its cadence.
    Fresh,
    /// It should have reported by now.
    Overdue,
    /// It has been silent for long.
    Offline,
}

/// One channel of a device, with the series number that data frames use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesRow {
    /// The hub's number of this series.
    pub id: u32,
    /// The device's id.
    pub device: String,
    /// The channel's name.
    pub channel: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// As shown, for example `°C`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Gauge, counter or state.
    pub kind: Kind,
    /// Digits behind the decimal point worth showing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimals: Option<u8>,
    /// Expected time between two readings, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_number")]
    pub period_ms: Option<f64>,
    /// Names of the states 0, 1, 2 ….
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<String>,
}

/// One device as viewers see it. On the wire its channels do not repeat the device's id, see [`catalogue`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "catalogue::Row")]
pub struct DeviceRow {
    /// Its id.
    pub id: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Hardware model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Software version on the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Free key and value pairs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Fresh, overdue or offline.
    pub state: DeviceState,
    /// When its last message arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<u64>,
    /// Whether it holds a connection right now.
    pub connected: bool,
    /// Its channels; the `device` of each is this row's `id`.
    #[serde(serialize_with = "catalogue::serialize_channels")]
    pub channels: Vec<SeriesRow>,
}

/// The part of a device's row that changes all the time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeviceChange {
    /// The device's id.
    pub id: String,
    /// Fresh, overdue or offline.
    pub state: DeviceState,
    /// When its last message arrived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<u64>,
    /// Whether it holds a connection right now.
    pub connected: bool,
}

/// A stretch of a series for which readings are known to be missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GapRow {
    /// The series.
    pub series: u32,
    /// Begin.
    pub from: u64,
    /// End.
    pub to: u64,
    /// Why.
    pub reason: String,
}

/// A control message from the hub to a viewer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum HubMessage {
    /// The first message on a connection.
    Welcome {
        /// The hub's name.
        hub: String,
        /// Its version.
        version: String,
        /// When it started.
        started: u64,
        /// Its clock.
        now: u64,
        /// A viewer that hears nothing for two and a half of these is looking at a dead socket, milliseconds.
        heartbeat_ms: u64,
        /// What the hub understands beyond version 1.
        features: Vec<String>,
    },
    /// Devices that are new or changed.
    Catalogue {
        /// True: this replaces everything known; messages that follow add.
        full: bool,
        /// Rows to put in place.
        devices: Vec<DeviceRow>,
        /// Ids to take out.
        removed: Vec<String>,
    },
    /// States that changed.
    Devices {
        /// Which, and to what.
        devices: Vec<DeviceChange>,
    },
    /// The answer to subscribe; history follows as data frames.
    Snapshot {
        /// The viewer's number of the subscription.
        id: u64,
        /// The hub's number of the stream that carries its data.
        stream: u64,
        /// Begin of the window.
        from: u64,
        /// End of the window.
        to: u64,
        /// Points a series that were asked for.
        points: u32,
        /// What the selector resolved to.
        series: Vec<SeriesRow>,
    },
    /// History is complete; live follows.
    SnapshotEnd {
        /// The viewer's number of the subscription.
        id: u64,
        /// The stream.
        stream: u64,
        /// What is known to be missing inside the window.
        gaps: Vec<GapRow>,
    },
    /// Nothing happened, the connection lives.
    Heartbeat {
        /// The hub's clock.
        now: u64,
    },
    /// The viewer's echo, answered at once.
    Echo {
        /// As sent.
        #[serde(with = "number::plain")]
        t: f64,
        /// The hub's clock.
        now: u64,
    },
    /// This viewer was too slow: so many points were merged since the last such message.
    Lag {
        /// Points left out.
        merged: u64,
    },
    /// A request could not be carried out.
    Error {
        /// The subscription it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
        /// Stable code for programs.
        code: String,
        /// What happened and what to do.
        message: String,
    },
    /// A type this version does not know: ignored.
    #[serde(other)]
    Unknown,
}

impl HubMessage {
    /// Reads a map from the hub. The hub is trusted, so an internally tagged enum is fine here.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        codec::from_slice(bytes)
    }

    /// Writes the map as the hub sends it.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_vec(self)
    }
}

/// What a viewer wants to see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Subscribe {
    /// The viewer's own number; subscribing again with it replaces the old one.
    pub id: u64,
    /// Which series, see [`crate::selector`].
    pub series: String,
    /// How far back, milliseconds; at most [`WINDOW_MS_MAX`].
    pub window_ms: u64,
    /// Points a series that the screen can draw.
    pub points: u32,
    /// Live frames a second; 0 is every change.
    pub max_hz: u32,
}

/// A control message from a viewer.
#[derive(Debug, Clone, PartialEq)]
pub enum ViewerMessage {
    /// Begin or replace a subscription.
    Subscribe(Subscribe),
    /// End one.
    Unsubscribe {
        /// The viewer's number of it.
        id: u64,
    },
    /// The page went to the background, or came back.
    Visibility {
        /// True: send no data.
        hidden: bool,
    },
    /// Asks for the same number back, to measure the way there and back.
    Echo {
        /// Any number.
        t: f64,
    },
    /// A type this version does not know: answered with a non-fatal `error`.
    Unknown(String),
}

/// Why a viewer's message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewerError {
    /// Not a map of the expected shape.
    #[error("unreadable message: {0}")]
    Unreadable(#[from] CodecError),
    /// A key that must be there is not.
    #[error("{0} lacks {1:?}")]
    Missing(&'static str, &'static str),
}

/// Every key a viewer's message may have; flat, so that nothing is buffered as a dynamic value.
#[derive(Deserialize)]
struct Fields {
    id: Option<Whole>,
    series: Option<String>,
    window_ms: Option<Number>,
    points: Option<Number>,
    max_hz: Option<Number>,
    hidden: Option<bool>,
    t: Option<Number>,
}

/// Live frames a second when a subscription does not say.
pub const MAX_HZ_DEFAULT: u32 = 10;

impl ViewerMessage {
    /// Reads a map from a viewer and checks its content.
    pub fn decode(bytes: &[u8]) -> Result<Self, ViewerError> {
        let bytes = codec::strip_self_described(bytes);
        let kind = codec::message_type(bytes)?.ok_or(ViewerError::Missing("the message", "type"))?;
        let fields = || codec::from_slice::<Fields>(bytes);
        let positive = |number: Number| number.value.clamp(0.0, f64::from(u32::MAX));
        match kind.as_str() {
            "subscribe" => {
                let fields = fields()?;
                Ok(Self::Subscribe(Subscribe {
                    id: fields.id.ok_or(ViewerError::Missing("subscribe", "id"))?.0,
                    series: fields.series.ok_or(ViewerError::Missing("subscribe", "series"))?,
                    window_ms: fields.window_ms.map_or(300_000, |number| positive(number) as u64).min(WINDOW_MS_MAX),
                    points: fields.points.map_or(600, |number| positive(number) as u32).clamp(1, POINTS_MAX),
                    max_hz: fields.max_hz.map_or(MAX_HZ_DEFAULT, |number| positive(number).ceil() as u32),
                }))
            }
            "unsubscribe" => {
                Ok(Self::Unsubscribe { id: fields()?.id.ok_or(ViewerError::Missing("unsubscribe", "id"))?.0 })
            }
            "visibility" => {
                Ok(Self::Visibility { hidden: fields()?.hidden.ok_or(ViewerError::Missing("visibility", "hidden"))? })
            }
            "echo" => Ok(Self::Echo { t: fields()?.t.ok_or(ViewerError::Missing("echo", "t"))?.value }),
            other => Ok(Self::Unknown(text::excerpt(other, 40))),
        }
    }

    /// Writes the map as a viewer sends it.
    pub fn encode(&self) -> Vec<u8> {
        codec::to_vec(&match self {
            Self::Subscribe(subscribe) => Outgoing::Subscribe {
                id: subscribe.id,
                series: &subscribe.series,
                window_ms: subscribe.window_ms,
                points: subscribe.points,
                max_hz: subscribe.max_hz,
            },
            Self::Unsubscribe { id } => Outgoing::Unsubscribe { id: *id },
            Self::Visibility { hidden } => Outgoing::Visibility { hidden: *hidden },
            Self::Echo { t } => Outgoing::Echo { t: *t },
            Self::Unknown(_) => Outgoing::Unknown,
        })
    }
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum Outgoing<'a> {
    Subscribe {
        id: u64,
        series: &'a str,
        window_ms: u64,
        points: u32,
        max_hz: u32,
    },
    Unsubscribe {
        id: u64,
    },
    Visibility {
        hidden: bool,
    },
    Echo {
        #[serde(with = "number::plain")]
        t: f64,
    },
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_viewer_says_comes_back_equal() {
        let subscribe = Subscribe { id: 3, series: "*/temp".into(), window_ms: 60_000, points: 600, max_hz: 0 };
        for message in [
            ViewerMessage::Subscribe(subscribe),
            ViewerMessage::Unsubscribe { id: 3 },
            ViewerMessage::Visibility { hidden: true },
            ViewerMessage::Echo { t: 1.5 },
        ] {
            assert_eq!(ViewerMessage::decode(&message.encode()).expect("readable"), message);
        }
    }

    #[test]
    fn absent_keys_have_their_defaults_and_missing_ones_are_named() {
        // {"type": "subscribe", "id": 1, "series": "*/*"}
        let bytes = b"\xa3\x64type\x69subscribe\x62id\x01\x66series\x63*/*";
        let ViewerMessage::Subscribe(subscribe) = ViewerMessage::decode(bytes).expect("readable") else {
            panic!("not a subscribe")
        };
        assert_eq!((subscribe.window_ms, subscribe.points, subscribe.max_hz), (300_000, 600, MAX_HZ_DEFAULT));
        let error = ViewerMessage::decode(b"\xa1\x64type\x69subscribe").expect_err("no id");
        assert_eq!(error, ViewerError::Missing("subscribe", "id"));
    }

    #[test]
    fn what_the_hub_says_comes_back_equal_and_new_types_are_ignored() {
        let message = HubMessage::SnapshotEnd {
            id: 1,
            stream: 9,
            gaps: vec![GapRow { series: 4, from: 1, to: 2, reason: "lost".into() }],
        };
        assert_eq!(HubMessage::decode(&message.encode()).expect("readable"), message);
        assert_eq!(HubMessage::decode(b"\xa1\x64type\x65alert").expect("readable"), HubMessage::Unknown);
    }
}

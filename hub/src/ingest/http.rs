//! The door for curl, shell scripts and deep-sleeping sensors: `POST /api/v1/readings`, JSON or CBOR.
//!
//! Turns the body into a [`Post`] and hands it to the pipeline; answered when it is durable.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{HeaderMap, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use protocol::{
    codec::{self, number::Whole},
    ids::{Id, IdError},
    limits::{CHANNELS_PER_DEVICE_MAX, READINGS_PER_MESSAGE_MAX},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use tokio::{sync::oneshot, time::timeout};

use crate::{api::error::Problem, pipeline::Input, web::Web};

/// Whoever posts is told to come back after this.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Readings that came without a connection.
#[derive(Debug)]
pub struct Post {
    /// Whose they are.
    pub device: Id,
    /// Spool and number, for who wants exactly-once.
    pub place: Option<(u64, u64)>,
    /// Channel names that `points` refer to.
    pub channels: Vec<Id>,
    /// The readings in the order sent.
    pub points: Vec<PostedPoint>,
}

/// One posted reading.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PostedPoint {
    /// Index into [`Post::channels`].
    pub channel: usize,
    /// Microseconds since the Unix epoch; none is the arrival.
    pub time_us: Option<i64>,
    /// NaN is a missing measurement.
    pub value: f64,
}

/// What became of a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    /// Everything up to this number of the spool is on disk.
    pub acked: u64,
    /// Readings stored by this request.
    pub stored: u64,
    /// Readings that were there already.
    pub duplicate: u64,
    /// Readings left out because the device or the hub has as many series as it may.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// The times could not be true and were anchored on arrival.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skewed: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Why a post is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The body is not what it should be.
    #[error(
        "{0}. Send {{\"device\": \"shed\", \"readings\": {{\"temp\": 21.5}}}} or \"readings\": [{{\"t\": 1767225600000, \"temp\": 21.5}}]"
    )]
    Body(String),
    /// A name is not an id.
    #[error("{what} {name:?}: {error}")]
    Id {
        /// Device or channel.
        what: &'static str,
        /// As sent, shortened.
        name: String,
        /// What is wrong with it.
        error: IdError,
    },
    /// Only one of spool and seq came.
    #[error("spool and seq go together: send both for exactly-once, or none")]
    Place,
    /// Nothing in it.
    #[error("there is no reading in it")]
    Empty,
    /// Too many readings.
    #[error("{0} readings, at most {READINGS_PER_MESSAGE_MAX} in one request: split it")]
    TooMany(usize),
    /// The device has too many channels.
    #[error("the device would have more than 256 channels")]
    TooManyChannels,
    /// The hub has as many devices as it may.
    #[error("the hub knows {0} devices already: raise ingest.devices_max")]
    TooManyDevices(u32),
    /// The pipeline does not keep up.
    #[error("the hub does not keep up: try again in a few seconds")]
    Busy,
    /// The decoder refused it.
    #[error("{0}")]
    Refused(String),
    /// The disk is full.
    #[error("the hub's disk is full: nothing is stored until there is room")]
    DiskFull,
    /// The hub is stopping.
    #[error("the hub is stopping")]
    Stopping,
}

impl PostError {
    fn status(&self) -> u16 {
        match self {
            Self::DiskFull => 507,
            Self::Stopping | Self::Busy => 503,
            _ => 400,
        }
    }
}

/// Handles `POST /api/v1/readings`.
pub async fn post_readings(State(web): State<Arc<Web>>, headers: HeaderMap, body: Bytes) -> Response {
    let is_cbor = headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/cbor"));
    match take(&web, is_cbor, &body).await {
        Ok(posted) => Json(posted).into_response(),
        Err(error) => {
            web.metrics.posts_refused.inc();
            Problem::new(error.status(), "readings refused", error.to_string()).into_response()
        }
    }
}

async fn take(web: &Web, is_cbor: bool, body: &[u8]) -> Result<Posted, PostError> {
    let body: Body = if is_cbor {
        codec::from_slice(body).map_err(|error| PostError::Body(error.to_string()))?
    } else {
        serde_json::from_slice(body).map_err(|error| PostError::Body(error.to_string()))?
    };
    let post = body.into_post()?;
    // The pipeline would say the same, but with a full disk it may not get to it.
    if web.metrics.disk_full.get() != 0 {
        return Err(PostError::DiskFull);
    }
    let (reply, answer) = oneshot::channel();
    let taken = async {
        web.pipeline.input(Input::Post(Box::new(post), reply)).await.map_err(|_| PostError::Stopping)?;
        answer.await.map_err(|_| PostError::Stopping)?
    };
    timeout(ANSWER_MAX, taken).await.map_err(|_| PostError::Busy)?
}

#[derive(Deserialize)]
struct Body {
    device: String,
    readings: Rows,
    #[serde(default)]
    spool: Option<Whole>,
    #[serde(default)]
    seq: Option<Whole>,
}

/// `{…}` or `[{…}, …]`.
#[derive(Default)]
struct Rows(Vec<Row>);

#[derive(Default)]
struct Row {
    time_us: Option<i64>,
    values: BTreeMap<String, f64>,
}

impl Body {
    fn into_post(self) -> Result<Post, PostError> {
        let id = |what, name: &str| {
            Id::new(name).map_err(|error| PostError::Id { what, name: protocol::text::excerpt(name, 40), error })
        };
        let place = match (self.spool, self.seq) {
            (Some(Whole(spool)), Some(Whole(seq))) if spool > 0 && seq > 0 => Some((spool, seq)),
            (None, None) => None,
            _ => return Err(PostError::Place),
        };
        let count: usize = self.readings.0.iter().map(|row| row.values.len()).sum();
        if count == 0 {
            return Err(PostError::Empty);
        }
        if count > READINGS_PER_MESSAGE_MAX {
            return Err(PostError::TooMany(count));
        }
        let mut post = Post { device: id("device", &self.device)?, place, channels: Vec::new(), points: Vec::new() };
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for row in self.readings.0 {
            for (name, value) in row.values {
                let channel = if let Some(&channel) = places.get(&name) {
                    channel
                } else {
                    if post.channels.len() == CHANNELS_PER_DEVICE_MAX {
                        return Err(PostError::TooManyChannels);
                    }
                    post.channels.push(id("channel", &name)?);
                    places.insert(name, post.channels.len() - 1);
                    post.channels.len() - 1
                };
                post.points.push(PostedPoint { channel, time_us: row.time_us, value });
            }
        }
        Ok(post)
    }
}

impl<'de> Deserialize<'de> for Rows {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RowsVisitor)
    }
}

struct RowsVisitor;

impl<'de> Visitor<'de> for RowsVisitor {
    type Value = Rows;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of channels and values, or an array of such objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rows, A::Error> {
        Row::read(map).map(|row| Rows(vec![row]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Rows, A::Error> {
        let mut rows = Vec::new();
        while let Some(row) = seq.next_element()? {
            rows.push(row);
        }
        Ok(Rows(rows))
    }
}

impl Row {
    fn read<'de, A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
        let mut row = Self::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == "t" {
                row.time_us = Some(map.next_value::<Time>()?.0);
            } else {
                row.values.insert(key, map.next_value::<Value>()?.0);
            }
        }
        Ok(row)
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RowVisitor;
        impl<'de> Visitor<'de> for RowVisitor {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of channels and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Row, A::Error> {
                Row::read(map)
            }
        }
        deserializer.deserialize_map(RowVisitor)
    }
}

/// A number, true, false or null.
struct Value(f64);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValueVisitor;
        impl Visitor<'_> for ValueVisitor {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, true, false or null")
            }

            fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
                Ok(Value(f64::from(u8::from(value))))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
                Ok(Value(value as f64))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
                Ok(Value(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
                Ok(Value(value))
            }

            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value(f64::NAN))
            }
        }
        deserializer.deserialize_any(ValueVisitor)
    }
}

/// Epoch milliseconds, or RFC 3339.
struct Time(i64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl Visitor<'_> for TimeVisitor {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("milliseconds since 1970 or a text like 2026-01-31T12:00:00Z")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Time, E> {
                self.visit_f64(value as f64)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Time, E> {
                self.visit_f64(value as f64)
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Time, E> {
                if value.is_finite() && value.abs() <= protocol::limits::TIME_MS_MAX {
                    Ok(Time((value * 1000.0).round() as i64))
                } else {
                    Err(E::custom("t is out of range"))
                }
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Time, E> {
                let time: jiff::Timestamp = value.parse().map_err(|_| {
                    E::custom(format_args!(
                        "{:?} is no time: use milliseconds or 2026-01-31T12:00:00Z",
                        protocol::text::excerpt(value, 40)
                    ))
                })?;
                Ok(Time(time.as_microsecond()))
            }
        }
        deserializer.deserialize_any(TimeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(json: &str) -> Result<Post, PostError> {
        serde_json::from_str::<Body>(json).map_err(|error| PostError::Body(error.to_string()))?.into_post()
    }

    #[test]
    fn both_shapes_are_read() {
        let one = post(r#"{"device": "shed", "readings": {"temp": 21.5, "door": true, "hum": null}}"#).expect("good");
        assert_eq!(one.channels.len(), 3);
        assert!(one.points.iter().all(|point| point.time_us.is_none()));
        let rows = r#"{"device": "shed", "spool": 7, "seq": 1,
            "readings": [{"t": 1000.5, "temp": 1}, {"t": "1970-01-01T00:00:02Z", "temp": 2}]}"#;
        let two = post(rows).expect("good");
        assert_eq!(two.place, Some((7, 1)));
        let points: Vec<_> = two.points.iter().map(|point| (point.channel, point.time_us, point.value)).collect();
        assert_eq!(points, [(0, Some(1_000_500), 1.0), (0, Some(2_000_000), 2.0)]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, part) in [
            (r#"{"device": "sh ed", "readings": {"temp": 1}}"#, "position 3"),
            (r#"{"device": "shed", "readings": {}}"#, "no reading"),
            (r#"{"device": "shed", "readings": {"temp": "warm"}}"#, "a number, true, false or null"),
            (r#"{"device": "shed", "readings": {"temp": 1}, "seq": 1}"#, "go together"),
            (r#"{"device": "shed", "readings": [{"t": "noon", "temp": 1}]}"#, "is no time"),
            (r#"{"readings": {"temp": 1}}"#, "device"),
        ] {
            let message = post(json).expect_err(json).to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}

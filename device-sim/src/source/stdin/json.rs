//! A line of JSON as readings: `{"temp": 21.5, "t": 1767268800000, "bme": {"hum": 40}}`.
//!
//! Takes one line and gives its time and its fields, nested ones with dotted names. Knows nothing of channels.

use protocol::text::excerpt;
use serde_json::{Map, Value};

use crate::source::{
    table::is_time_name,
    timestamp::{self, TimeError},
};

/// Why a line is not a set of readings.
#[derive(Debug, thiserror::Error)]
pub(super) enum JsonError {
    /// Not JSON, or not an object.
    #[error("not a JSON object such as {{\"temp\": 21.5}}: {}", without_place(.0))]
    Syntax(#[source] serde_json::Error),
    /// The time is none.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// The time is neither number nor text.
    #[error("{0} is no time: send epoch milliseconds or RFC 3339, or leave it out")]
    TimeKind(String),
}

/// The line is numbered by whoever reads it; here it would always be the first.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// The readings of one line.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Fields {
    /// Microseconds since the Unix epoch.
    pub(super) time_us: Option<i64>,
    /// Name and value, sorted by name; NaN for `null`, `None` for what is no number.
    pub(super) values: Vec<(String, Option<f64>)>,
}

/// Reads one line.
pub(super) fn parse(line: &[u8]) -> Result<Fields, JsonError> {
    let object: Map<String, Value> = serde_json::from_slice(line).map_err(JsonError::Syntax)?;
    let mut fields = Fields::default();
    for (name, value) in object {
        match value {
            value if is_time_name(&name) => fields.time_us = Some(time_us(&value)?),
            Value::Object(nested) => {
                fields.values.extend(nested.into_iter().map(|(key, value)| (format!("{name}.{key}"), number(&value))));
            }
            value => fields.values.push((name, number(&value))),
        }
    }
    // Channels get their places in this order, whatever map the JSON crate was built with.
    fields.values.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(fields)
}

fn time_us(value: &Value) -> Result<i64, JsonError> {
    match value {
        Value::String(text) => Ok(timestamp::parse(text)?),
        Value::Number(number) => Ok(timestamp::from_number(number.as_f64().unwrap_or(f64::NAN))?),
        other => Err(JsonError::TimeKind(excerpt(&other.to_string(), 40))),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Null => Some(f64::NAN),
        Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
        Value::Number(number) => number.as_f64(),
        Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

//! Device rows on the wire: a channel inside its device's row carries its series number and name, and leaves out
//! the device's id that the row already has. `{id, …, channels: [{series, channel, ?title, …}]}`.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize, Serializer};

use super::{DeviceRow, DeviceState, SeriesRow, optional_number};
use crate::device::Kind;

/// A channel inside its device's row.
#[derive(Serialize, Deserialize)]
struct ChannelRow<'a> {
    series: u32,
    channel: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    title: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<Cow<'a, str>>,
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decimals: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_number")]
    period_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "<[String]>::is_empty")]
    states: Cow<'a, [String]>,
}

/// Writes the channels of a [`DeviceRow`].
pub(super) fn serialize_channels<S: Serializer>(channels: &[SeriesRow], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(channels.iter().map(|row| ChannelRow {
        series: row.id,
        channel: Cow::Borrowed(&row.channel),
        title: row.title.as_deref().map(Cow::Borrowed),
        unit: row.unit.as_deref().map(Cow::Borrowed),
        kind: row.kind,
        decimals: row.decimals,
        period_ms: row.period_ms,
        states: Cow::Borrowed(&row.states),
    }))
}

/// A [`DeviceRow`] as it is read.
#[derive(Deserialize)]
pub(super) struct Row {
    id: String,
    title: Option<String>,
    model: Option<String>,
    firmware: Option<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    state: DeviceState,
    last_seen: Option<u64>,
    connected: bool,
    channels: Vec<ChannelRow<'static>>,
}

impl From<Row> for DeviceRow {
    fn from(row: Row) -> Self {
        let series = |channel: ChannelRow<'static>| SeriesRow {
            id: channel.series,
            device: row.id.clone(),
            channel: channel.channel.into_owned(),
            title: channel.title.map(Cow::into_owned),
            unit: channel.unit.map(Cow::into_owned),
            kind: channel.kind,
            decimals: channel.decimals,
            period_ms: channel.period_ms,
            states: channel.states.into_owned(),
        };
        Self {
            channels: row.channels.into_iter().map(series).collect(),
            id: row.id,
            title: row.title,
            model: row.model,
            firmware: row.firmware,
            labels: row.labels,
            state: row.state,
            last_seen: row.last_seen,
            connected: row.connected,
        }
    }
}

//! Rows as a hub sends them, for tests.

use std::collections::BTreeMap;

use protocol::{
    device::Kind,
    live::{DeviceRow, DeviceState, SeriesRow},
};

/// A channel in °C that reports every second.
pub fn series_row(device: &str, channel: &str, id: u32) -> SeriesRow {
    SeriesRow {
        id,
        device: device.into(),
        channel: channel.into(),
        title: None,
        unit: Some("°C".into()),
        kind: Kind::Gauge,
        decimals: Some(1),
        period_ms: Some(1_000.0),
        states: Vec::new(),
    }
}

/// A device whose series are numbered from 0.
pub fn device_row(id: &str, state: DeviceState, channels: &[&str]) -> DeviceRow {
    DeviceRow {
        id: id.into(),
        title: None,
        model: None,
        firmware: None,
        labels: BTreeMap::new(),
        state,
        last_seen: None,
        connected: state == DeviceState::Fresh,
        channels: channels.iter().zip(0..).map(|(channel, series)| series_row(id, channel, series)).collect(),
    }
}

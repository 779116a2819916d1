//! A few devices whose readings follow from the time alone, as a hub would send them.

use std::collections::BTreeMap;

use protocol::{
    device::Kind,
    live::{DeviceRow, DeviceState, HubMessage, LiveData, SeriesRow, control::GapRow, control::Subscribe},
    selector::Selector,
};

/// The hub's name.
pub const HUB: &str = "demo-hub";
/// The time of every picture: 2026-02-02 02:40:00 UTC.
pub const NOW_MS: i64 = 1_770_000_000_000;

/// Channel, title, unit, kind, decimals.
type ChannelSpec = (&'static str, Option<&'static str>, &'static str, Kind, u8);

const GREENHOUSE: &[ChannelSpec] = &[
    ("temp", Some("Air temperature"), "°C", Kind::Gauge, 1),
    ("hum", None, "% RH", Kind::Gauge, 0),
    ("soil", Some("Soil temperature"), "°C", Kind::Gauge, 1),
    ("vent", None, "", Kind::State, 0),
];
const BOILER: &[ChannelSpec] = &[("pressure", None, "bar", Kind::Gauge, 2), ("flow", None, "L/min", Kind::Gauge, 1)];
const METER: &[ChannelSpec] = &[("energy", None, "Wh", Kind::Counter, 0), ("power", None, "W", Kind::Gauge, 0)];

/// Id, title, state, seconds of silence, channels.
type DeviceSpec = (&'static str, Option<&'static str>, DeviceState, i64, &'static [ChannelSpec]);

const DEVICES: &[DeviceSpec] = &[
    ("greenhouse-1", Some("Greenhouse north"), DeviceState::Fresh, 0, GREENHOUSE),
    ("greenhouse-2", None, DeviceState::Overdue, 48, GREENHOUSE),
    ("boiler-1", None, DeviceState::Fresh, 0, BOILER),
    ("boiler-10", Some("Kesselraum Süd"), DeviceState::Fresh, 0, BOILER),
    ("boiler-2", None, DeviceState::Fresh, 0, BOILER),
    ("meter-1", None, DeviceState::Fresh, 0, METER),
    ("old-pi", None, DeviceState::Offline, 10_800, BOILER),
];

/// The catalogue's rows.
pub fn devices() -> Vec<DeviceRow> {
    let mut next_series = 1;
    let row = |&(id, title, state, silent_s, channels): &DeviceSpec| DeviceRow {
        id: id.into(),
        title: title.map(Into::into),
        model: Some("ESP32-S3".into()),
        firmware: Some("1.4.2".into()),
        labels: BTreeMap::from([("site".into(), "north".into())]),
        state,
        last_seen: Some((NOW_MS - silent_s * 1_000) as u64),
        connected: state == DeviceState::Fresh,
        channels: channels
            .iter()
            .map(|spec| {
                let row = series(id, next_series, spec);
                next_series += 1;
                row
            })
            .collect(),
    };
    DEVICES.iter().map(row).collect()
}

fn series(device: &str, id: u32, &(channel, title, unit, kind, decimals): &ChannelSpec) -> SeriesRow {
    SeriesRow {
        id,
        device: device.into(),
        channel: channel.into(),
        title: title.map(Into::into),
        unit: Some(unit.into()).filter(|unit: &String| !unit.is_empty()),
        kind,
        decimals: Some(decimals),
        period_ms: Some(1_000.0),
        states: if kind == Kind::State { vec!["closed".into(), "open".into()] } else { Vec::new() },
    }
}

fn silent_ms(row: &SeriesRow) -> i64 {
    DEVICES.iter().find(|device| device.0 == row.device).map_or(0, |device| device.3 * 1_000)
}

/// The reading of a series at a time; every series is silent for the second minute before [`NOW_MS`].
fn reading(row: &SeriesRow, time_ms: i64) -> Option<f64> {
    let ago_ms = NOW_MS - time_ms;
    if ago_ms < silent_ms(row) && ago_ms >= 0 || (60_000..120_000).contains(&ago_ms) {
        return None;
    }
    let wave = (time_ms as f64 / 40_000.0 + f64::from(row.id)).sin();
    Some(match row.unit.as_deref() {
        Some("°C") => 21.0 + 3.0 * wave + f64::from(row.id % 3),
        Some("% RH") => 48.0 + 12.0 * wave,
        Some("bar") => 2.1 + 0.4 * wave,
        Some("Wh") => 1_204_000.0 + (time_ms - NOW_MS) as f64 / 1_000.0,
        Some("W") => 430.0 + 80.0 * wave,
        Some("L/min") => 12.0 + wave,
        _ => f64::from(u8::from(wave > 0.3)),
    })
}

/// The first two messages on a connection.
pub fn greeting(devices: Vec<DeviceRow>, now_ms: i64) -> [HubMessage; 2] {
    let welcome = HubMessage::Welcome {
        hub: HUB.into(),
        version: "0.1.0".into(),
        started: (now_ms - 3_600_000) as u64,
        now: now_ms as u64,
        heartbeat_ms: 2_000,
        features: Vec::new(),
    };
    [welcome, HubMessage::Catalogue { full: true, devices, removed: Vec::new() }]
}

/// The answer to a subscription: snapshot, its history, snapshot-end. History has a reading for each point that was
/// asked for.
pub fn answer(
    devices: &[DeviceRow],
    subscribe: &Subscribe,
    stream: u64,
    now_ms: i64,
) -> (HubMessage, LiveData, HubMessage) {
    let selector = Selector::parse(&subscribe.series).expect("the dashboard asks for what a hub understands");
    let all = devices.iter().flat_map(|device| device.channels.iter());
    let series: Vec<SeriesRow> = all.filter(|row| selector.matches(&row.device, &row.channel)).cloned().collect();
    let window_ms = i64::try_from(subscribe.window_ms).expect("fits");
    let from_ms = now_ms - window_ms;
    let step_ms = window_ms / i64::from(subscribe.points);
    let mut data = LiveData { stream, t0_ms: from_ms as u64, ..LiveData::default() };
    for row in &series {
        let times = (1..=i64::from(subscribe.points)).map(|step| step * step_ms);
        // However coarse the steps, the newest reading is among the points.
        let newest_ms = NOW_MS - silent_ms(row) - from_ms;
        let rows: Vec<(i64, f64)> = times
            .filter(|dt_ms| *dt_ms != newest_ms)
            .chain((0..=window_ms).contains(&newest_ms).then_some(newest_ms))
            .filter_map(|dt_ms| Some((dt_ms, reading(row, from_ms + dt_ms)?)))
            .collect();
        data.ids.push(row.id);
        data.counts.push(rows.len() as u16);
        data.dt_ms.extend(rows.iter().map(|(dt_ms, _)| *dt_ms as u32));
        data.values.extend(rows.iter().map(|(_, value)| value));
    }
    let gaps = series
        .iter()
        .map(|row| GapRow {
            series: row.id,
            from: (NOW_MS - 118_000) as u64,
            to: (NOW_MS - 62_000) as u64,
            reason: "lost".into(),
        })
        .collect();
    let (id, points) = (subscribe.id, subscribe.points);
    let begin = HubMessage::Snapshot { id, stream, from: from_ms as u64, to: now_ms as u64, points, series };
    (begin, data, HubMessage::SnapshotEnd { id, stream, gaps })
}

//! What the golden frames say, as this crate's own types. `BLESS=1 cargo test -p protocol golden` writes the files.

use std::collections::BTreeMap;

use protocol::{
    device::{ChannelDecl, Clock, DeviceControl, Hello, HubControl, Kind, encode::FrameWriter},
    ids::Id,
    live::{
        DeviceRow, DeviceState, GapRow, HubMessage, LiveData, SeriesRow, ViewerMessage,
        control::{DeviceChange, Subscribe},
    },
};

/// Who says a frame to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    DeviceToHub,
    HubToDevice,
    HubToViewer,
    ViewerToHub,
}

/// 2026-02-02 at about half past two in the morning, UTC.
const T0_MS: u64 = 1_770_000_000_000;
const SPOOL: u64 = 4_935_284_104_723_411;

fn id(text: &str) -> Id {
    Id::new(text).expect("a valid id")
}

/// The channels that every golden data frame of a device refers to.
pub fn channels() -> Vec<ChannelDecl> {
    vec![
        ChannelDecl {
            title: Some("Air temperature".into()),
            unit: Some("Cel".into()),
            decimals: Some(1),
            period_ms: Some(1000.0),
            ..ChannelDecl::gauge(id("temp"))
        },
        ChannelDecl { unit: Some("%RH".into()), ..ChannelDecl::gauge(id("humidity")) },
        ChannelDecl {
            kind: Kind::State,
            states: vec!["closed".into(), "open".into()],
            ..ChannelDecl::gauge(id("door"))
        },
        ChannelDecl {
            unit: Some("m/s2".into()),
            scale: Some(0.01),
            period_ms: Some(2.5),
            ..ChannelDecl::gauge(id("vibration"))
        },
        ChannelDecl {
            kind: Kind::Counter,
            unit: Some("l".into()),
            scale: Some(0.5),
            offset: Some(-10.0),
            ..ChannelDecl::gauge(id("water"))
        },
    ]
}

fn hello() -> Hello {
    Hello {
        device: id("greenhouse-1"),
        spool: SPOOL,
        first: 40,
        next: 43,
        clock: Clock::Unix,
        now_us: Some(T0_MS as i64 * 1000),
        import: false,
        features: vec!["commands".into()],
        channels: channels(),
        title: Some("Greenhouse".into()),
        model: Some("GH-2".into()),
        firmware: Some("1.4.0".into()),
        labels: BTreeMap::from([("site".into(), "north".into()), ("bay".into(), "3".into())]),
    }
}

fn series() -> Vec<SeriesRow> {
    let row = |place: usize, decl: ChannelDecl| SeriesRow {
        id: 7 + place as u32,
        device: "greenhouse-1".into(),
        channel: decl.name.to_string(),
        title: decl.title,
        unit: decl.unit.map(|unit| protocol::units::display(&unit).to_owned()),
        kind: decl.kind,
        decimals: decl.decimals,
        period_ms: decl.period_ms,
        states: decl.states,
    };
    channels().into_iter().enumerate().map(|(place, decl)| row(place, decl)).collect()
}

fn device_row() -> DeviceRow {
    DeviceRow {
        id: "greenhouse-1".into(),
        title: Some("Greenhouse".into()),
        model: Some("GH-2".into()),
        firmware: Some("1.4.0".into()),
        labels: BTreeMap::from([("site".into(), "north".into())]),
        state: DeviceState::Fresh,
        last_seen: Some(T0_MS),
        connected: true,
        channels: series(),
    }
}

fn bare_device_row() -> DeviceRow {
    DeviceRow {
        id: "shed".into(),
        title: None,
        model: None,
        firmware: None,
        labels: BTreeMap::new(),
        state: DeviceState::Offline,
        last_seen: None,
        connected: false,
        channels: Vec::new(),
    }
}

fn device_frames() -> Vec<(&'static str, Vec<u8>)> {
    let data = |write: &dyn Fn(&mut FrameWriter), seq, t0_ms| {
        let mut writer = FrameWriter::default();
        write(&mut writer);
        writer.finish(seq, t0_ms)
    };
    let t0 = T0_MS as f64;
    let minimal = Hello {
        first: 1,
        next: 1,
        now_us: None,
        features: Vec::new(),
        channels: vec![ChannelDecl::gauge(id("temp"))],
        title: None,
        model: None,
        firmware: None,
        labels: BTreeMap::new(),
        ..hello()
    };
    let boot = Hello { clock: Clock::Boot, now_us: Some(81_250_000), ..minimal.clone() };
    let import = Hello { import: true, ..minimal.clone() };
    let control = |message: DeviceControl| message.encode();
    vec![
        ("device-hello", control(DeviceControl::Hello(Box::new(hello())))),
        ("device-hello-minimal", control(DeviceControl::Hello(Box::new(minimal)))),
        ("device-hello-boot-clock", control(DeviceControl::Hello(Box::new(boot)))),
        ("device-hello-import", control(DeviceControl::Hello(Box::new(import)))),
        ("device-gap", control(DeviceControl::Gap { from: 12, to: 39, reason: "spool overflow".into() })),
        (
            "device-result",
            control(DeviceControl::Result {
                id: "c-17".into(),
                ok: true,
                value: Some("21.5".into()),
                message: Some("set".into()),
            }),
        ),
        ("device-bye", control(DeviceControl::Bye)),
        ("device-data-one-reading", data(&|writer| writer.scalar(0, 0.0, 21.5), 1, t0)),
        (
            "device-data-scalars",
            data(
                &|writer| {
                    writer.scalar(0, -500.0, 21.0);
                    writer.scalar(1, 0.25, 48.3);
                    writer.scalar(2, 0.0, 1.0);
                    writer.scalar(4, 0.0, -3.0);
                },
                41,
                t0 + 0.5,
            ),
        ),
        ("device-data-missing", data(&|writer| writer.scalar(0, 0.0, f64::NAN), 42, t0)),
        (
            "device-data-columns",
            data(
                &|writer| {
                    writer.column(0, &[0, 1000, 2000], &[21.5, f64::NAN, 21.75]);
                    writer.column(1, &[0, 1000], &[48.0, 48.5]);
                },
                43,
                t0,
            ),
        ),
        (
            "device-data-fixed-rate",
            data(&|writer| writer.fixed_rate_i16(3, -10.0, 2.5, &[-981, 0, 981, 32_767]), 44, t0),
        ),
        ("device-data-fixed-rate-f64", data(&|writer| writer.fixed_rate_f64(0, 0.0, 0.1, &[0.1, 0.2, 0.3]), 45, t0)),
        ("device-data-no-items", data(&|_| (), 46, t0)),
    ]
}

fn hub_to_device() -> Vec<(&'static str, Vec<u8>)> {
    let error = |code: &str, message: &str, seq| HubControl::Error { code: code.into(), message: message.into(), seq };
    vec![
        ("hub-welcome", HubControl::Welcome { spool: SPOOL, acked: 40, credit: 256, now: T0_MS, features: Vec::new() }),
        ("hub-ack", HubControl::Ack { acked: 43, credit: 256 }),
        (
            "hub-command",
            HubControl::Command {
                id: "c-17".into(),
                name: "set-target".into(),
                args: BTreeMap::from([("celsius".into(), "21.5".into())]),
                expires_ms: T0_MS + 30_000,
            },
        ),
        ("hub-error", error("stale_spool", "the hub has newer messages of this spool: start a new one", None)),
        ("hub-error-refused", error("bad_value", "channel 0: inf is infinite", Some(44))),
    ]
    .into_iter()
    .map(|(name, message)| (name, message.encode()))
    .collect()
}

fn live_control() -> Vec<(&'static str, Vec<u8>)> {
    let catalogue = |full, devices: &[DeviceRow], removed: &[&str]| HubMessage::Catalogue {
        full,
        devices: devices.to_vec(),
        removed: removed.iter().map(ToString::to_string).collect(),
    };
    let change = |id: &str, state, last_seen, connected| DeviceChange { id: id.into(), state, last_seen, connected };
    vec![
        (
            "live-welcome",
            HubMessage::Welcome {
                hub: "highwater".into(),
                version: "0.1.0".into(),
                started: T0_MS - 3_600_000,
                now: T0_MS,
                heartbeat_ms: 2000,
                features: vec!["alerts".into()],
            },
        ),
        ("live-catalogue-full", catalogue(true, &[device_row(), bare_device_row()], &[])),
        ("live-catalogue-empty", catalogue(true, &[], &[])),
        ("live-catalogue-change", catalogue(false, &[bare_device_row()], &["attic"])),
        (
            "live-devices",
            HubMessage::Devices {
                devices: vec![
                    change("greenhouse-1", DeviceState::Overdue, Some(T0_MS), true),
                    change("shed", DeviceState::Offline, None, false),
                ],
            },
        ),
        (
            "live-snapshot",
            HubMessage::Snapshot { id: 1, stream: 3, from: T0_MS - 300_000, to: T0_MS, points: 600, series: series() },
        ),
        (
            "live-snapshot-empty",
            HubMessage::Snapshot { id: 2, stream: 4, from: T0_MS - 60_000, to: T0_MS, points: 1, series: Vec::new() },
        ),
        (
            "live-snapshot-end",
            HubMessage::SnapshotEnd {
                id: 1,
                stream: 3,
                gaps: vec![GapRow { series: 7, from: T0_MS - 9000, to: T0_MS - 4000, reason: "lost".into() }],
            },
        ),
        ("live-snapshot-end-no-gaps", HubMessage::SnapshotEnd { id: 2, stream: 4, gaps: Vec::new() }),
        ("live-heartbeat", HubMessage::Heartbeat { now: T0_MS }),
        ("live-echo", HubMessage::Echo { t: 12_345.0, now: T0_MS }),
        ("live-echo-half-float", HubMessage::Echo { t: 1.5, now: T0_MS }),
        ("live-echo-single-float", HubMessage::Echo { t: 123_456.5, now: T0_MS }),
        ("live-echo-double-float", HubMessage::Echo { t: 12_345.678, now: T0_MS }),
        ("live-lag", HubMessage::Lag { merged: 1200 }),
        (
            "live-error",
            HubMessage::Error { id: None, code: "bad_message".into(), message: "the message lacks \"type\"".into() },
        ),
        (
            "live-error-subscription",
            HubMessage::Error {
                id: Some(1),
                code: "too_many".into(),
                message: "the selector matches 2000 series, at most 1024 are sent: narrow it".into(),
            },
        ),
    ]
    .into_iter()
    .map(|(name, message)| (name, message.encode()))
    .chain([("live-unknown-type", b"\xa2\x64type\x65alert\x62id\x07".to_vec())])
    .collect()
}

fn live_data() -> Vec<(&'static str, Vec<u8>)> {
    let one = LiveData {
        stream: 3,
        t0_ms: T0_MS,
        ids: vec![7],
        counts: vec![1],
        dt_ms: vec![0],
        values: vec![21.5],
        merged: 0,
    };
    let several = LiveData {
        ids: vec![7, 8, 70_000],
        counts: vec![3, 1, 2],
        dt_ms: vec![0, 100, 200, 150, 0, 3_888_000_000],
        values: vec![21.5, 21.25, -1e-3, 48.0, 0.0, 1e300],
        ..one.clone()
    };
    let missing = LiveData {
        ids: vec![7, 9],
        counts: vec![2, 1],
        dt_ms: vec![0, 100, 50],
        values: vec![f64::NAN, 21.5, f64::NAN],
        ..one.clone()
    };
    let many = LiveData {
        ids: (0..40).collect(),
        counts: vec![2; 40],
        dt_ms: (0..80).map(|row| row % 2 * 100).collect(),
        values: (0..80).map(|row| f64::from(row) / 4.0).collect(),
        ..one.clone()
    };
    let merged = LiveData { merged: 100_000, ..several.clone() };
    let empty = LiveData { stream: 300, t0_ms: T0_MS, ..LiveData::default() };
    let silent_series = LiveData { ids: vec![7, 8], counts: vec![0, 1], ..one.clone() };
    [
        ("live-data-one-reading", one),
        ("live-data-several-series", several),
        ("live-data-missing", missing),
        ("live-data-forty-series", many),
        ("live-data-merged", merged),
        ("live-data-empty", empty),
        ("live-data-series-without-rows", silent_series),
    ]
    .into_iter()
    .map(|(name, frame)| {
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        (name, bytes)
    })
    .collect()
}

fn viewer_frames() -> Vec<(&'static str, Vec<u8>)> {
    let subscribe = Subscribe { id: 1, series: "greenhouse-*/*".into(), window_ms: 300_000, points: 600, max_hz: 10 };
    [
        ("live-subscribe", ViewerMessage::Subscribe(subscribe.clone())),
        ("live-subscribe-every-change", ViewerMessage::Subscribe(Subscribe { max_hz: 0, ..subscribe })),
        ("live-unsubscribe", ViewerMessage::Unsubscribe { id: 1 }),
        ("live-visibility", ViewerMessage::Visibility { hidden: true }),
        ("live-echo-request", ViewerMessage::Echo { t: 12_345.678 }),
    ]
    .into_iter()
    .map(|(name, message)| (name, message.encode()))
    .collect()
}

/// Every golden frame that this crate can write.
pub fn all() -> Vec<(&'static str, Direction, Vec<u8>)> {
    let say = |direction: Direction, frames: Vec<(&'static str, Vec<u8>)>| {
        frames.into_iter().map(move |(name, bytes)| (name, direction, bytes))
    };
    say(Direction::DeviceToHub, device_frames())
        .chain(say(Direction::HubToDevice, hub_to_device()))
        .chain(say(Direction::HubToViewer, live_control()))
        .chain(say(Direction::HubToViewer, live_data()))
        .chain(say(Direction::ViewerToHub, viewer_frames()))
        .collect()
}

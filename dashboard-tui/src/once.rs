//! `--once`: what the table would show, as plain text for scripts and logs.

use std::{io, io::Write, time::Duration};

use client::live::{LiveEvent, LiveHandle};
use jiff::Timestamp;
use protocol::{
    limits::WINDOW_MS_MAX,
    live::{HubMessage, control::Subscribe},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout, timeout_at},
};
use unicode_width::UnicodeWidthStr;

use crate::state::{
    catalogue::{Catalogue, ChannelState, Device, state_word},
    latest::Latest,
    subscriptions::{LOOK_BACK, devices_selector},
    trace::Point,
};

/// A script must not hang: longest time for everything.
pub const ANSWER_MAX: Duration = Duration::from_secs(10);
/// A person who waits longer is told what for.
const SILENT_MAX: Duration = Duration::from_secs(1);
/// Significant digits behind the point of a value.
const DECIMALS: usize = 4;
const HEADINGS: [&str; 6] = ["DEVICE", "STATE", "SEEN", "CHANNEL", "TIME", "VALUE"];

/// Why there is no table.
#[derive(Debug, thiserror::Error)]
pub enum OnceError {
    /// Not everything was there in time.
    #[error("no answer from the hub at {hub} within {} s: {reason}", patience.as_secs_f32())]
    Late {
        /// Its `host:port`.
        hub: String,
        /// How long it was waited for.
        patience: Duration,
        /// What was waited for last, or why it did not come.
        reason: String,
    },
    /// The hub refused.
    #[error("the hub refused: {0}")]
    Refused(String),
    /// There is no such device.
    #[error("the hub at {hub} knows no device {device:?}: leave out --device to see all")]
    Unknown {
        /// Its `host:port`.
        hub: String,
        /// What was asked for.
        device: String,
    },
    /// The table could not be printed.
    #[error("cannot print the table")]
    Print(#[source] io::Error),
}

/// What is to be printed.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The hub's `host:port`, for messages.
    pub hub: &'a str,
    /// The id of one device; `None`: all of them.
    pub device: Option<&'a str>,
    /// Longest time for everything.
    pub patience: Duration,
}

/// Waits for the catalogue and the newest value of every channel, and prints them to `output`: one line a channel,
/// columns set apart by two spaces or more, the value with its unit last, times in UTC. Says to `remarks` what it
/// waits for as soon as the hub does not answer.
pub async fn run(
    handle: &LiveHandle,
    events: &mut mpsc::Receiver<LiveEvent>,
    wanted: Wanted<'_>,
    output: &mut impl Write,
    remarks: &mut impl Write,
) -> Result<(), OnceError> {
    let mut collected = Collected::new(wanted.device);
    let Wanted { hub, device, patience } = wanted;
    let deadline = Instant::now() + patience;
    if !timeout(SILENT_MAX.min(patience), collected.answered(handle, events)).await.unwrap_or(Ok(false))? {
        let reason = &collected.waits_for;
        // A remark that nobody can read is no reason to fail.
        let seconds = patience.as_secs_f32();
        let _ = writeln!(remarks, "dashboard-tui: waiting for the hub at {hub}, at most {seconds} s: {reason}");
    }
    match timeout_at(deadline, collected.collect(handle, events)).await {
        Ok(collected) => collected?,
        Err(_) => return Err(OnceError::Late { hub: hub.to_owned(), patience, reason: collected.waits_for }),
    }
    let devices: Vec<&Device> = collected.devices().collect();
    if let (Some(device), []) = (device, devices.as_slice()) {
        return Err(OnceError::Unknown { hub: hub.to_owned(), device: device.to_owned() });
    }
    match print(&devices, output) {
        // Whoever reads has seen enough (`| head`).
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(OnceError::Print),
    }
}

/// What has been heard so far.
struct Collected<'a> {
    /// The id of the only device that matters.
    device: Option<&'a str>,
    catalogue: Catalogue,
    latest: Latest,
    /// The hub has told how all devices are now: the rows of its catalogue may be older.
    judged: bool,
    complete: bool,
    waits_for: String,
}

impl<'a> Collected<'a> {
    fn new(device: Option<&'a str>) -> Self {
        let waits_for = "it does not answer".to_owned();
        let (catalogue, latest) = (Catalogue::default(), Latest::default());
        Self { device, catalogue, latest, judged: false, complete: false, waits_for }
    }

    /// True once there is a connection, false when the first attempt failed.
    async fn answered(
        &mut self,
        handle: &LiveHandle,
        events: &mut mpsc::Receiver<LiveEvent>,
    ) -> Result<bool, OnceError> {
        while let Some(event) = events.recv().await {
            let answered = match event {
                LiveEvent::Connected => Some(true),
                LiveEvent::Disconnected { .. } => Some(false),
                _ => None,
            };
            self.hear(event, handle)?;
            if let Some(answered) = answered {
                return Ok(answered);
            }
        }
        Ok(false)
    }

    async fn collect(&mut self, handle: &LiveHandle, events: &mut mpsc::Receiver<LiveEvent>) -> Result<(), OnceError> {
        while !self.complete
            && let Some(event) = events.recv().await
        {
            self.hear(event, handle)?;
        }
        Ok(())
    }

    fn hear(&mut self, event: LiveEvent, handle: &LiveHandle) -> Result<(), OnceError> {
        match event {
            LiveEvent::Connecting { .. } | LiveEvent::RoundTrip(_) => {}
            LiveEvent::Connected => {
                *self = Self { waits_for: "it sent no catalogue".to_owned(), ..Self::new(self.device) };
            }
            LiveEvent::Disconnected { reason, .. } => self.waits_for = protocol::text::clean(&reason),
            LiveEvent::Data(data) => _ = self.latest.receive(&data, &mut self.catalogue, 0),
            LiveEvent::Message(message) => self.take(message, handle)?,
        }
        Ok(())
    }

    /// What is to be printed.
    fn devices(&self) -> impl Iterator<Item = &Device> {
        self.catalogue.devices().iter().filter(|device| self.device.is_none_or(|id| device.id == id))
    }

    fn take(&mut self, message: HubMessage, handle: &LiveHandle) -> Result<(), OnceError> {
        match message {
            HubMessage::Catalogue { full, devices, removed } => {
                self.catalogue.apply(full, &devices, &removed, 0);
                if full {
                    self.ask(handle);
                }
            }
            HubMessage::Devices { devices } => {
                self.catalogue.change(&devices);
                // Behind the catalogue and before any values; where none are to come, this is the end.
                if !std::mem::replace(&mut self.judged, true) {
                    self.complete |= self.unknown().is_none();
                }
            }
            HubMessage::Snapshot { id: LOOK_BACK, stream, series, .. } => self.latest.begin_look_back(stream, &series),
            HubMessage::SnapshotEnd { stream, .. } => {
                self.latest.complete(stream, &mut self.catalogue);
                self.ask(handle);
            }
            HubMessage::Error { message, .. } => return Err(OnceError::Refused(protocol::text::clean(&message))),
            _ => {}
        }
        Ok(())
    }

    /// Asks for the values that are not known yet. The rest of a large catalogue arrives before the answer.
    fn ask(&mut self, handle: &LiveHandle) {
        match self.unknown() {
            None => self.complete = self.judged || self.catalogue.devices().is_empty(),
            Some(series) => {
                "it sent no values".clone_into(&mut self.waits_for);
                let (window_ms, points, max_hz) = (WINDOW_MS_MAX, 1, 1);
                handle.subscribe(Subscribe { id: LOOK_BACK, series, window_ms, points, max_hz });
            }
        }
    }

    /// The values that are not known yet, as many as one subscription takes; `None`: all are known.
    fn unknown(&self) -> Option<String> {
        devices_selector(self.devices().filter(|device| self.latest.unknown(device).next().is_some()))
    }
}

fn print(devices: &[&Device], output: &mut impl Write) -> io::Result<()> {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    for device in devices {
        let seen = device.last_seen_ms.map_or_else(|| "-".to_owned(), utc);
        let row = |channel, time, value| {
            [device.id.clone(), state_word(device.state).into(), seen.clone(), channel, time, value]
        };
        if device.channels.is_empty() {
            rows.push(row("-".to_owned(), "-".to_owned(), "-".to_owned()));
        }
        for state in &device.channels {
            let time = state.latest.map_or_else(|| "-".to_owned(), |point| utc(point.time_ms));
            rows.push(row(state.channel.name.clone(), time, value(state)));
        }
    }
    let widths: Vec<usize> =
        (0..HEADINGS.len()).map(|column| rows.iter().map(|row| row[column].width()).max().unwrap_or(0)).collect();
    for row in &rows {
        let (last, cells) = row.split_last().expect("a row has six cells");
        for (cell, width) in cells.iter().zip(&widths) {
            write!(output, "{cell}{}", " ".repeat(width - cell.width() + 2))?;
        }
        writeln!(output, "{last}")?;
    }
    output.flush()
}

/// Without setting thousands apart: a script wants to read it.
fn value(state: &ChannelState) -> String {
    let Some(Point { value, .. }) = state.latest else { return "-".to_owned() };
    let channel = &state.channel;
    let named = channel.states.get(value.round() as usize).filter(|_| value >= 0.0);
    match named {
        _ if value.is_nan() => "missing".to_owned(),
        Some(name) => name.clone(),
        None if channel.unit.is_empty() => number(value, channel.decimals),
        None => format!("{} {}", number(value, channel.decimals), channel.unit),
    }
}

/// Not more than four significant digits behind the point, or as many as the channel declares: the rest is what
/// arithmetic leaves.
fn number(value: f64, declared: Option<u8>) -> String {
    let leading_zeros = (-value.abs().log10()).floor().clamp(0.0, 300.0) as usize;
    let digits = usize::from(declared.unwrap_or(0)).max(DECIMALS + leading_zeros);
    let rounded: f64 = format!("{value:.digits$}").parse().unwrap_or(value);
    rounded.to_string()
}

fn utc(time_ms: i64) -> String {
    Timestamp::from_millisecond(time_ms).map_or_else(|_| "-".to_owned(), |time| format!("{time:.3}"))
}

#[cfg(test)]
mod tests {
    use protocol::live::{DeviceState, control::DeviceChange};

    use super::*;
    use crate::state::sample;

    #[tokio::test]
    async fn without_a_hub_it_says_so_and_fails_in_the_end() {
        let (handle, _) = client::live::connect(client::live::LiveConfig { url: "127.0.0.1:1".into(), token: None });
        let (sender, mut events) = mpsc::channel(4);
        let reason = "connection refused".to_owned();
        let lost = LiveEvent::Disconnected { reason, retry_in: Duration::from_secs(1), attempt: 2 };
        sender.send(lost).await.expect("room");
        let (mut output, mut remarks) = (Vec::new(), Vec::new());
        let wanted = Wanted { hub: "hub:8080", device: None, patience: Duration::from_millis(20) };
        let failed = run(&handle, &mut events, wanted, &mut output, &mut remarks).await.expect_err("no hub");
        assert_eq!(failed.to_string(), "no answer from the hub at hub:8080 within 0.02 s: connection refused");
        let said = String::from_utf8(remarks).expect("text");
        assert_eq!(said, "dashboard-tui: waiting for the hub at hub:8080, at most 0.02 s: connection refused\n");
        assert!(output.is_empty());
    }

    #[tokio::test]
    async fn how_devices_are_is_what_the_hub_says_behind_its_catalogue() {
        let (handle, _) = client::live::connect(client::live::LiveConfig { url: "127.0.0.1:1".into(), token: None });
        let mut collected = Collected::new(None);
        let bare = sample::device_row("bare", DeviceState::Fresh, &[]);
        let catalogue = HubMessage::Catalogue { full: true, devices: vec![bare], removed: Vec::new() };
        collected.take(catalogue, &handle).expect("taken");
        assert!(!collected.complete, "the states follow");
        let change =
            DeviceChange { id: "bare".into(), state: DeviceState::Offline, last_seen: Some(7), connected: false };
        collected.take(HubMessage::Devices { devices: vec![change] }, &handle).expect("taken");
        let device = &collected.catalogue.devices()[0];
        assert_eq!((device.state, device.last_seen_ms, collected.complete), (DeviceState::Offline, Some(7), true));
    }

    #[test]
    fn numbers_have_no_more_digits_than_say_something() {
        let values = [99.502_487_562_189_06, 21.5, 0.1 + 0.2, 0.000_123_456, -1e6 / 3.0, 0.0, 2.5e12];
        let texts = values.map(|value| number(value, None));
        assert_eq!(texts, ["99.5025", "21.5", "0.3", "0.0001235", "-333333.3333", "0", "2500000000000"]);
        assert_eq!(number(0.123_456_78, Some(6)), "0.123457");
    }

    #[test]
    fn a_line_a_channel_in_columns() {
        let mut catalogue = Catalogue::default();
        let mut boiler = sample::device_row("boiler-1", DeviceState::Overdue, &["temp", "door"]);
        boiler.last_seen = Some(1_770_000_000_123);
        boiler.channels[1].states = vec!["closed".into(), "open".into()];
        boiler.channels[1].unit = None;
        let mut bare = sample::device_row("bare", DeviceState::Offline, &[]);
        bare.title = Some("not printed".into());
        catalogue.apply(true, &[boiler, bare], &[], 0);
        catalogue.look_back(0, Point { time_ms: 1_770_000_000_000, value: 12_345.25 });
        catalogue.look_back(1, Point { time_ms: 1_770_000_000_000, value: 1.0 });
        let mut output = Vec::new();
        print(&catalogue.devices().iter().collect::<Vec<_>>(), &mut output).expect("written");
        insta::assert_snapshot!(String::from_utf8(output).expect("text"), @r"
        DEVICE    STATE    SEEN                      CHANNEL  TIME                      VALUE
        bare      offline  -                         -        -                         -
        boiler-1  overdue  2026-02-02T02:40:00.123Z  temp     2026-02-02T02:40:00.000Z  12345.25 °C
        boiler-1  overdue  2026-02-02T02:40:00.123Z  door     2026-02-02T02:40:00.000Z  open
        ");
    }
}

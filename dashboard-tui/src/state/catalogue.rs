//! What the hub has told: devices, their channels and the newest reading of each.
//!
//! All text is cleaned on its way in ([`protocol::text::clean`]): nothing a device calls itself steers the terminal.

use std::collections::{BTreeMap, HashMap};

use protocol::{
    device::Kind,
    live::{DeviceRow, DeviceState, SeriesRow, control::DeviceChange},
    text::clean,
};

use super::{
    rate::RateMeter,
    sort::natural,
    trace::{Hold, Point, Trace},
};

/// How far back the small trend in the table looks.
pub const TREND_MS: i64 = 300_000;
/// Points of the trend that the hub is asked for. It keeps three of each stretch of time, wherever inside; so many that
/// a stretch is shorter than a character of the widest trend, or characters between them would look like holes.
pub const TREND_POINTS: u32 = 72;
/// Such a stretch, milliseconds.
pub const TREND_STRETCH_MS: i64 = TREND_MS * 3 / TREND_POINTS as i64;
/// Expected times that may pass before a line is broken, where a channel says its period.
const PERIODS_MAX: f64 = 2.5;
/// Usual intervals that may pass before a line is broken, where it does not.
const INTERVALS_MAX: i64 = 5;

/// What a series measures; does not change with readings.
#[derive(Debug, Clone, PartialEq)]
pub struct Channel {
    /// The hub's number.
    pub series: u32,
    /// Its name within the device.
    pub name: String,
    /// What people call it.
    pub title: Option<String>,
    /// As shown, for example `°C`; empty where there is none.
    pub unit: String,
    /// Gauge, counter or state.
    pub kind: Kind,
    /// Digits behind the decimal point.
    pub decimals: Option<u8>,
    /// Expected time between two readings, milliseconds.
    pub period_ms: Option<f64>,
    /// Names of the states 0, 1, 2 ….
    pub states: Vec<String>,
}

impl Channel {
    /// Takes over a row of the hub.
    pub fn new(row: &SeriesRow) -> Self {
        Self {
            series: row.id,
            name: clean(&row.channel),
            title: cleaned(row.title.as_deref()),
            unit: cleaned(row.unit.as_deref()).unwrap_or_default(),
            kind: row.kind,
            decimals: row.decimals,
            period_ms: row.period_ms.filter(|period| period.is_finite() && *period > 0.0),
            states: row.states.iter().map(|state| clean(state)).collect(),
        }
    }

    /// How long the last reading of `readings` stands for what comes after it, milliseconds; `None` is for ever: a
    /// state that is sent when it changes holds, and of one reading alone nobody knows when to expect the next.
    pub fn silence_max_ms(&self, readings: &Trace) -> Option<i64> {
        match self.period_ms {
            Some(period_ms) => Some((period_ms * PERIODS_MAX) as i64),
            None if self.kind == Kind::State => None,
            None => Some(readings.interval_ms()?.saturating_mul(INTERVALS_MAX)),
        }
    }
}

fn cleaned(text: Option<&str>) -> Option<String> {
    text.map(clean).filter(|text| !text.is_empty())
}

/// A channel and what it last said.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelState {
    /// What it measures.
    pub channel: Channel,
    /// The newest reading.
    pub latest: Option<Point>,
    /// The last [`TREND_MS`].
    pub trend: Trace,
}

/// One device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub title: Option<String>,
    /// Hardware model.
    pub model: Option<String>,
    /// Software version on the device.
    pub firmware: Option<String>,
    /// Free key and value pairs.
    pub labels: BTreeMap<String, String>,
    /// As the hub judges.
    pub state: DeviceState,
    /// When its last message arrived, hub's clock.
    pub last_seen_ms: Option<i64>,
    /// Whether it holds a connection.
    pub connected: bool,
    /// In the device's own order.
    pub channels: Vec<ChannelState>,
    /// Readings that arrive, all channels together.
    pub rate: RateMeter,
}

impl Device {
    /// Takes over a row of the hub at `now_ms` (hub's clock).
    pub fn new(row: &DeviceRow, now_ms: i64) -> Self {
        let channel = |row: &SeriesRow| ChannelState {
            channel: Channel::new(row),
            latest: None,
            trend: Trace::new(TREND_STRETCH_MS),
        };
        Self {
            id: clean(&row.id),
            title: cleaned(row.title.as_deref()),
            model: cleaned(row.model.as_deref()),
            firmware: cleaned(row.firmware.as_deref()),
            labels: row.labels.iter().map(|(key, value)| (clean(key), clean(value))).collect(),
            state: row.state,
            last_seen_ms: row.last_seen.map(|seen| seen as i64),
            connected: row.connected,
            channels: row.channels.iter().map(channel).collect(),
            rate: RateMeter::new(now_ms),
        }
    }

    /// The last [`TREND_MS`] before `shown_ms` of one of its channels in `width` parts: means, or what still stood;
    /// NaN where nothing is known.
    pub fn trend(&self, state: &ChannelState, shown_ms: i64, width: usize) -> Vec<f64> {
        // Of a device that is silent nothing is known after its last word.
        let known_to_ms =
            if self.state == DeviceState::Fresh { shown_ms } else { self.last_seen_ms.unwrap_or(i64::MIN) };
        let hold = Hold { silence_max_ms: state.channel.silence_max_ms(&state.trend), known_to_ms };
        state.trend.means(shown_ms - TREND_MS, shown_ms, width, hold)
    }

    /// Everything by which the filter finds it.
    pub fn searchable(&self) -> impl Iterator<Item = &str> {
        [self.id.as_str(), state_word(self.state)]
            .into_iter()
            .chain(self.title.as_deref())
            .chain(self.labels.values().map(String::as_str))
            .chain(self.channels.iter().map(|state| state.channel.name.as_str()))
    }

    /// Keeps what was measured where the series stayed the same.
    fn inherit(&mut self, old: Self) {
        for known in old.channels {
            let same = |new: &&mut ChannelState| new.channel.series == known.channel.series;
            if let Some(new) = self.channels.iter_mut().find(same) {
                new.latest = known.latest;
                new.trend = known.trend;
            }
        }
    }
}

/// The word for a state, the same on every screen.
pub fn state_word(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Fresh => "fresh",
        DeviceState::Overdue => "overdue",
        DeviceState::Offline => "offline",
    }
}

/// How many devices are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reported within their cadence.
    pub fresh: usize,
    /// Should have reported by now.
    pub overdue: usize,
    /// Silent for long.
    pub offline: usize,
}

/// All devices, by id in natural order.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    devices: Vec<Device>,
    /// Device and channel of each series.
    places: HashMap<u32, (usize, usize)>,
}

impl Catalogue {
    /// Takes a catalogue message: rows are put in place, `removed` ids go; `full` begins anew, but what was measured
    /// of a series that is still there stays.
    pub fn apply(&mut self, full: bool, rows: &[DeviceRow], removed: &[String], now_ms: i64) {
        let mut known: HashMap<String, Device> =
            self.devices.drain(..).map(|device| (device.id.clone(), device)).collect();
        let mut fresh: Vec<Device> = rows.iter().map(|row| Device::new(row, now_ms)).collect();
        for device in &mut fresh {
            if let Some(old) = known.remove(&device.id) {
                // A full catalogue begins a connection: the time without one is not the device's silence.
                if !full {
                    device.rate = old.rate.clone();
                }
                device.inherit(old);
            }
        }
        if !full {
            fresh.extend(known.into_values().filter(|device| !removed.contains(&device.id)));
        }
        fresh.sort_by(|a, b| natural(&a.id, &b.id));
        self.devices = fresh;
        self.places.clear();
        for (device_index, device) in self.devices.iter().enumerate() {
            for (channel_index, state) in device.channels.iter().enumerate() {
                self.places.insert(state.channel.series, (device_index, channel_index));
            }
        }
    }

    /// Takes changed states.
    pub fn change(&mut self, changes: &[DeviceChange]) {
        for change in changes {
            if let Some(index) = self.position(&change.id) {
                let device = &mut self.devices[index];
                device.state = change.state;
                device.connected = change.connected;
                device.last_seen_ms = change.last_seen.map(|seen| seen as i64).max(device.last_seen_ms);
            }
        }
    }

    /// Every device.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The device with this id.
    pub fn device(&self, id: &str) -> Option<&Device> {
        self.position(id).map(|index| &self.devices[index])
    }

    fn position(&self, id: &str) -> Option<usize> {
        self.devices.binary_search_by(|device| natural(&device.id, id)).ok()
    }

    /// The channel of a series.
    pub fn channel(&self, series: u32) -> Option<&ChannelState> {
        let &(device, channel) = self.places.get(&series)?;
        self.devices.get(device)?.channels.get(channel)
    }

    /// How many series there are.
    pub fn series_count(&self) -> usize {
        self.places.len()
    }

    /// Devices by state.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for device in &self.devices {
            match device.state {
                DeviceState::Fresh => counts.fresh += 1,
                DeviceState::Overdue => counts.overdue += 1,
                DeviceState::Offline => counts.offline += 1,
            }
        }
        counts
    }

    /// A reading that has just arrived at `now_ms`. It also proves that the device was heard.
    pub fn receive(&mut self, series: u32, point: Point, now_ms: i64) {
        if let Some((device, channel)) = self.place_mut(series) {
            device.last_seen_ms = device.last_seen_ms.max(Some(now_ms));
            let state = &mut device.channels[channel];
            if state.latest.is_none_or(|latest| latest.time_ms <= point.time_ms) {
                state.latest = Some(point);
            }
            state.trend.push(point);
            state.trend.trim_before(now_ms - TREND_MS);
        }
    }

    /// Counts readings of a series that arrived at `now_ms`; `merged` of them were left out by the hub.
    pub fn count(&mut self, series: u32, now_ms: i64, readings: u32, merged: u32) {
        if let Some((device, _)) = self.place_mut(series) {
            device.rate.add(now_ms, readings, merged);
        }
    }

    /// Puts the history of a series in place of what was there: also what a crash of the hub took back goes.
    pub fn replace(&mut self, series: u32, trend: Trace) {
        if let Some((device, channel)) = self.place_mut(series) {
            let state = &mut device.channels[channel];
            state.latest = trend.last().or(state.latest);
            state.trend = trend;
        }
    }

    /// The newest reading of a series that history looked up further back.
    pub fn look_back(&mut self, series: u32, point: Point) {
        if let Some((device, channel)) = self.place_mut(series) {
            let latest = &mut device.channels[channel].latest;
            *latest = latest.or(Some(point));
        }
    }

    fn place_mut(&mut self, series: u32) -> Option<(&mut Device, usize)> {
        let &(device, channel) = self.places.get(&series)?;
        Some((self.devices.get_mut(device)?, channel))
    }
}

#[cfg(test)]
mod tests;

//! What is known and what is looked at. Pure: events and times come as arguments, nothing here knows a terminal.
//!
//! Owns the catalogue with its newest readings, the chart's lines, the connection's phase, and everything the user
//! chose: selection, filter, order, range, freeze. Takes [`LiveEvent`]s. Gives read access to the view and, through
//! [`subscriptions`], wishes to the connection. It never asks what time it is.

pub mod catalogue;
pub mod chart;
pub mod filter;
pub mod latest;
pub mod link;
pub mod panels;
pub mod rate;
pub mod sort;
pub mod subscriptions;
pub mod table;
pub mod trace;
pub mod window;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

use client::live::LiveEvent;
use protocol::live::{HubMessage, LiveData};

use catalogue::{Catalogue, Channel, Device};
use chart::Chart;
use latest::Latest;
use link::{Link, Phase};
use panels::Panels;
use subscriptions::{CHART, LOOK_BACK, TABLE};
use table::Table;
use window::{RANGE_DEFAULT, RANGES, Range, Window};

/// How long a notice stays, milliseconds.
const NOTICE_MS: i64 = 8_000;

/// The pane that keys go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pane {
    /// The device table.
    #[default]
    Devices,
    /// The chart.
    Chart,
}

/// What the layout has room for: the state needs it to scroll and to ask for no more than is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shape {
    /// Devices that the table shows at once.
    pub table_rows: usize,
    /// Braille dots from left to right; 0 when there is no chart.
    pub chart_dots: u32,
    /// Axes one above the other.
    pub chart_panels: usize,
    /// One line an axis, because there are no colours.
    pub split: bool,
}

/// A view that stands still while data keeps flowing.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// What the screen shows the time of, hub's clock.
    pub at_ms: i64,
    /// The table as it was.
    pub catalogue: Catalogue,
    /// Readings that have arrived since.
    pub waiting: u64,
}

/// Something that the user should read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// A sentence.
    pub text: String,
    /// When it goes, this machine's clock.
    pub until_ms: i64,
}

/// Everything behind the screen.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// The connection.
    pub link: Link,
    /// Devices and their newest readings, as of now.
    pub catalogue: Catalogue,
    /// What stands on the screen instead while the view is frozen.
    pub frozen: Option<Frozen>,
    /// The chart's lines.
    pub chart: Chart,
    /// Raised when the chart's window must be filled anew.
    pub chart_generation: u32,
    /// Filter, order and selection.
    pub table: Table,
    /// Where the table's values come from.
    pub latest: Latest,
    /// The channel that the chart shows alone, by name, on every device that has it.
    pub pick: Option<String>,
    /// Where keys go.
    pub focus: Pane,
    /// The focused pane fills the screen: the device in detail, or the chart.
    pub expanded: bool,
    /// The key overlay is open.
    pub help: bool,
    /// What is being typed into the filter, while it is open.
    pub filter_input: Option<String>,
    /// What there is room for.
    pub shape: Shape,
    /// Something to read.
    pub notice: Option<Notice>,
    range: Option<usize>,
}

impl State {
    /// How far back the chart looks.
    pub fn range(&self) -> Range {
        RANGES[self.range.unwrap_or(RANGE_DEFAULT)]
    }

    /// A shorter (negative) or longer range.
    pub fn step_range(&mut self, steps: isize) {
        let index = self.range.unwrap_or(RANGE_DEFAULT).saturating_add_signed(steps);
        self.range = Some(index.min(RANGES.len() - 1));
    }

    /// The time that the screen shows, hub's clock: that of the freeze, that of the loss, or now.
    pub fn shown_ms(&self, now_ms: i64) -> i64 {
        let held = self.frozen.as_ref().map(|frozen| frozen.at_ms).or(self.link.lost_at_ms);
        held.unwrap_or_else(|| self.link.hub_time_ms(now_ms))
    }

    /// The time that ages are counted to, hub's clock: that of the freeze, or now. A hub that is away stops the
    /// picture, not the clock.
    pub fn clock_ms(&self, now_ms: i64) -> i64 {
        self.frozen.as_ref().map_or_else(|| self.link.hub_time_ms(now_ms), |frozen| frozen.at_ms)
    }

    /// True while the screen shows what was, because the hub is away: nothing on it may look fresh.
    pub fn is_stale(&self) -> bool {
        self.link.lost_at_ms.is_some() && self.frozen.is_none()
    }

    /// The window of the chart.
    pub fn window(&self, now_ms: i64) -> Window {
        let to_ms = self.shown_ms(now_ms);
        Window { from_ms: to_ms - self.range().ms, to_ms }
    }

    /// The devices that the screen shows: frozen or as of now.
    pub fn shown(&self) -> &Catalogue {
        self.frozen.as_ref().map_or(&self.catalogue, |frozen| &frozen.catalogue)
    }

    /// The table's rows.
    pub fn rows(&self, now_ms: i64) -> Vec<&Device> {
        self.table.rows(self.shown(), self.shown_ms(now_ms))
    }

    /// The selected device; `None` when no device is listed.
    pub fn selected(&self, now_ms: i64) -> Option<&Device> {
        let chosen = self.table.selected.as_deref().and_then(|id| self.shown().device(id));
        if let Some(device) = chosen.filter(|device| self.table.filter.passes(device)) {
            return Some(device);
        }
        self.rows(now_ms).first().copied()
    }

    /// The channel of `device` that is looked at alone.
    pub fn picked<'a>(&self, device: &'a Device) -> Option<&'a Channel> {
        let name = self.pick.as_deref()?;
        device.channels.iter().map(|state| &state.channel).find(|channel| channel.name == name)
    }

    /// The axes of the chart for `device`.
    pub fn panels(&self, device: &Device) -> Panels {
        let picked = self.picked(device).map(|channel| channel.series);
        let channels = device.channels.iter().map(|state| &state.channel);
        let drawn = channels.filter(|channel| picked.is_none_or(|series| channel.series == series));
        Panels::group(drawn, self.shape.chart_panels, self.shape.split)
    }

    /// Looks at the channel `steps` further down alone (negative: up). Above the first are all of them together.
    pub fn step_channel(&mut self, steps: isize, now_ms: i64) {
        let Some(device) = self.selected(now_ms) else { return };
        let place = self.channel_place(device).map_or(-1, |place| place as isize);
        let last = device.channels.len() as isize - 1;
        let next = usize::try_from(place.saturating_add(steps).min(last)).ok();
        self.pick = next.map(|index| device.channels[index].channel.name.clone());
    }

    fn channel_place(&self, device: &Device) -> Option<usize> {
        let picked = self.picked(device)?.series;
        device.channels.iter().position(|state| state.channel.series == picked)
    }

    /// The first channel of `device` in a list of `visible` rows, so that the one that is looked at is among them.
    pub fn channel_offset(&self, device: &Device, visible: usize) -> usize {
        self.channel_place(device).map_or(0, |place| (place + 1).saturating_sub(visible))
    }

    /// Stands still, or returns to live.
    pub fn toggle_freeze(&mut self, now_ms: i64) {
        if self.frozen.take().is_some() {
            self.chart_generation = self.chart_generation.wrapping_add(1);
        } else {
            let at_ms = self.shown_ms(now_ms);
            self.frozen = Some(Frozen { at_ms, catalogue: self.catalogue.clone(), waiting: 0 });
            self.chart.hold();
        }
    }

    /// Shows a notice for a while.
    pub fn notify(&mut self, text: impl Into<String>, now_ms: i64) {
        self.notice = Some(Notice { text: text.into(), until_ms: now_ms + NOTICE_MS });
    }

    /// Takes what the connection says, at `now_ms` of this machine's clock.
    pub fn apply(&mut self, event: LiveEvent, now_ms: i64) {
        match event {
            LiveEvent::Connecting { attempt } => self.link.phase = Phase::Connecting { attempt },
            // The hub has not said anything yet: welcome decides.
            LiveEvent::Connected => {
                self.latest.reset();
                self.chart.cut();
            }
            LiveEvent::Message(message) => self.apply_message(message, now_ms),
            LiveEvent::Data(data) => self.apply_data(&data, now_ms),
            LiveEvent::RoundTrip(duration) => self.link.round_trip = Some(duration),
            LiveEvent::Disconnected { reason, retry_in, attempt } => {
                self.link.lose(&reason, retry_in, attempt, now_ms);
            }
        }
    }

    fn apply_message(&mut self, message: HubMessage, now_ms: i64) {
        match message {
            HubMessage::Welcome { hub, version, now, .. } => self.link.welcome(&hub, &version, now, now_ms),
            HubMessage::Catalogue { full, devices, removed } => {
                self.catalogue.apply(full, &devices, &removed, self.link.hub_time_ms(now_ms));
            }
            HubMessage::Devices { devices } => self.catalogue.change(&devices),
            HubMessage::Snapshot { id, stream, from, to, points, series } => match id {
                TABLE => self.latest.begin(stream, &series),
                CHART => self.chart.begin(stream, to.saturating_sub(from) as i64, points, &series),
                LOOK_BACK => self.latest.begin_look_back(stream, &series),
                _ => {}
            },
            HubMessage::SnapshotEnd { id, stream, gaps } => {
                if id == CHART {
                    self.chart.complete(stream, &gaps);
                    if self.frozen.is_some() {
                        self.chart.hold();
                    }
                } else {
                    self.latest.complete(stream, &mut self.catalogue);
                }
            }
            HubMessage::Heartbeat { now } => self.link.set_clock(now, now_ms),
            HubMessage::Lag { merged } => {
                self.notify(format!("this screen was too slow: {merged} readings were merged"), now_ms);
            }
            HubMessage::Error { id, message, .. } => self.refused(id, &message, now_ms),
            HubMessage::Echo { .. } | HubMessage::Unknown => {}
        }
    }

    fn apply_data(&mut self, data: &LiveData, now_ms: i64) {
        let hub_ms = self.link.hub_time_ms(now_ms);
        let waiting = self.latest.receive(data, &mut self.catalogue, hub_ms);
        if let Some(frozen) = &mut self.frozen {
            frozen.waiting += waiting;
        }
        let end_ms = self.frozen.as_ref().map_or(i64::MAX, |frozen| frozen.at_ms);
        for (series, points) in latest::points(data) {
            for point in points.filter(|point| point.time_ms <= end_ms) {
                if !self.chart.receive(data.stream, series, point) {
                    break;
                }
            }
        }
        self.chart.trim_before(self.window(now_ms).from_ms);
    }

    fn refused(&mut self, id: Option<u64>, message: &str, now_ms: i64) {
        match id {
            Some(CHART) => self.chart.refuse(message),
            Some(LOOK_BACK) => {
                let devices = self.catalogue.devices().iter();
                let series: Vec<u32> = devices.flat_map(|device| self.latest.unknown(device)).collect();
                self.latest.give_up(series);
            }
            _ => self.notify(protocol::text::clean(message), now_ms),
        }
    }
}

//! Viewers: the catalogue, states of devices, and joining subscriptions to streams.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc, time::Instant};

use bytes::Bytes;
use protocol::{
    limits::{LIVE_CONTROL_BYTES_MAX, SERIES_PER_SUBSCRIPTION_MAX, WINDOW_MS_MAX},
    live::{
        DeviceRow, GapRow, SeriesRow,
        control::{DeviceChange, Subscribe},
    },
    selector::{Selector, SelectorError},
    units,
};
use tokio::sync::OwnedSemaphorePermit;

use super::{Pipeline, presence};
use crate::{
    clock::wire_ms,
    live::{
        catalogue,
        fanout::{JoinError, Joined, StreamKey, Window},
        snapshot::{self, Plan},
        viewer::ViewerLink,
    },
    state::{State, fold::GapNote},
};

/// Bytes that the gaps of one snapshot may have; further ones are left out, the oldest first.
const GAPS_BYTES_MAX: usize = LIVE_CONTROL_BYTES_MAX / 2;
/// What a gap has besides its reason, encoded.
const GAP_BYTES: usize = 64;

/// All viewers, and what they have not been told yet.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    links: Vec<Arc<ViewerLink>>,
    changed_catalogue: BTreeSet<u32>,
    last_refresh: Option<Instant>,
    /// The whole catalogue, encoded; none after a change until somebody needs it.
    catalogue: Option<Arc<[Bytes]>>,
    /// All states, encoded: those in the catalogue may be old. None after each tick until somebody needs it.
    states: Option<Arc<[Bytes]>>,
}

impl Viewers {
    pub(super) fn catalogue_changed(&mut self, device: u32) {
        self.changed_catalogue.insert(device);
        self.catalogue = None;
        self.states = None;
    }

    pub(super) fn close_all(&mut self, code: u16) {
        for link in &self.links {
            link.close(code);
        }
    }

    fn tell_all(&self, messages: impl IntoIterator<Item = Bytes>) {
        for message in messages {
            for link in &self.links {
                link.control(message.clone());
            }
        }
    }
}

/// A subscription that was accepted.
#[derive(Debug)]
pub struct Subscribed {
    /// Where its frames are, and what was before.
    pub joined: Joined,
    /// What the selector resolved to.
    pub series: Vec<SeriesRow>,
    /// Points a series in the snapshot.
    pub points: u32,
}

/// Why a subscription is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// Not a selector.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// It matches too much.
    #[error(
        "the selector matches {0} series, a subscription has at most {SERIES_PER_SUBSCRIPTION_MAX}: name a device (boiler-1/*) or a channel (*/temp)"
    )]
    TooMany(usize),
    /// There is no room for it.
    #[error(transparent)]
    Join(#[from] JoinError),
}

impl SubscribeError {
    /// The code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Selector(_) => "bad_selector",
            Self::TooMany(_) | Self::Join(_) => "too_many",
        }
    }
}

impl Pipeline {
    /// A viewer has gone: it gives up its places in all streams, also one that it was just being given.
    pub(super) fn on_exit(&mut self, viewer: &Arc<ViewerLink>) {
        self.viewers.links.retain(|link| !Arc::ptr_eq(link, viewer));
        self.fanout.leave_all(viewer);
    }

    pub(super) fn on_enter(&mut self, viewer: Arc<ViewerLink>) {
        self.send_catalogue(&viewer);
        self.viewers.links.push(viewer);
    }

    /// The whole catalogue and all states; encoded once for as many viewers as come between two changes.
    pub(super) fn send_catalogue(&mut self, viewer: &Arc<ViewerLink>) {
        let catalogue = self.viewers.catalogue.take().unwrap_or_else(|| {
            let devices = 0..self.state.devices.len() as u32;
            catalogue::rows(devices.map(|device| self.device_row(device)), true).into()
        });
        let states = self.viewers.states.take().unwrap_or_else(|| {
            let changes: Vec<_> = (0..self.presence.len() as u32).map(|device| self.device_change(device)).collect();
            catalogue::states(&changes).collect()
        });
        self.viewers.catalogue = Some(Arc::clone(&catalogue));
        self.viewers.states = Some(Arc::clone(&states));
        viewer.catalogue(vec![catalogue, states]);
    }

    fn device_row(&self, number: u32) -> DeviceRow {
        let device = &self.state.devices[number as usize];
        let vital = self.presence.vital(number);
        DeviceRow {
            id: device.id.to_string(),
            title: device.title.clone(),
            model: device.model.clone(),
            firmware: device.firmware.clone(),
            labels: device.labels.clone(),
            state: vital.state,
            last_seen: (vital.last_seen_us > 0).then(|| wire_ms(vital.last_seen_us)),
            connected: vital.is_connected,
            channels: device.series.iter().map(|&series| series_row(&self.state, series)).collect(),
        }
    }

    fn device_change(&self, number: u32) -> DeviceChange {
        let vital = self.presence.vital(number);
        DeviceChange {
            id: self.state.devices[number as usize].id.to_string(),
            state: vital.state,
            last_seen: (vital.last_seen_us > 0).then(|| wire_ms(vital.last_seen_us)),
            connected: vital.is_connected,
        }
    }

    /// Once a tick: states, last arrivals, and what is new in the catalogue.
    pub(super) fn look_after_viewers(&mut self) {
        let connections = &self.connections;
        let changed = self.presence.judge(self.arrival_us, |device| connections.is_connected(device));
        self.viewers.states = None;
        self.fanout.tick(self.now, self.is_clock_trusted().then_some(self.arrival_us));
        let devices = std::mem::take(&mut self.viewers.changed_catalogue);
        if !devices.is_empty() {
            self.viewers.tell_all(catalogue::rows(devices.iter().map(|&device| self.device_row(device)), false));
            let state = &self.state;
            self.fanout.catalogue_changed(|selector, series| lacks(state, &devices, selector, series));
        }
        let is_refresh_due = self
            .viewers
            .last_refresh
            .is_none_or(|last| self.now.duration_since(last) >= presence::refresh_interval(self.state.devices.len()));
        if is_refresh_due {
            self.viewers.last_refresh = Some(self.now);
        }
        if self.viewers.links.is_empty() {
            return;
        }
        let told: Vec<u32> = if is_refresh_due { (0..self.presence.len() as u32).collect() } else { changed };
        let states: Vec<_> = told.into_iter().map(|device| self.device_change(device)).collect();
        self.viewers.tell_all(catalogue::states(&states));
    }

    /// Joins a viewer: live begins with the next record, what was before it comes from history at exactly this place.
    pub(super) fn on_subscribe(
        &mut self,
        viewer: Arc<ViewerLink>,
        subscribe: &Subscribe,
        place: OwnedSemaphorePermit,
    ) -> Result<Subscribed, SubscribeError> {
        let selector = Selector::parse(&subscribe.series)?;
        let series = resolve(&self.state, &selector);
        if series.len() > SERIES_PER_SUBSCRIPTION_MAX {
            return Err(SubscribeError::TooMany(series.len()));
        }
        let rows = series.iter().map(|&series| series_row(&self.state, series)).collect();
        let points = snapshot::points_of(subscribe.points, series.len());
        // While the disk is full what was appended does not become durable, and history would wait for it.
        let marker = if self.disk_full { self.durable_seq } else { self.appender.next_seq() - 1 };
        let window_ms = subscribe.window_ms.min(WINDOW_MS_MAX);
        let (from_us, to_us) = snapshot::window(self.arrival_us, window_ms);
        let (state, historian, wanted) = (&self.state, &self.historian, series.clone());
        // Taken before anything further is appended, so the historian cannot have passed the marker.
        let take_snapshot = |stream| {
            let gaps = gaps_of(state, &wanted, from_us);
            snapshot::take(historian, marker, Plan { stream, series: wanted, from_us, to_us, points, gaps }, place)
        };
        let key = StreamKey { selector, max_hz: subscribe.max_hz };
        let window = Window { window_ms, points };
        let joined = self.fanout.join(self.now, key, series, window, viewer, take_snapshot)?;
        Ok(Subscribed { joined, series: rows, points })
    }
}

/// Whether a selector stands for a series of these devices that is not among `series` (ascending). Series are never
/// taken away, so there is nothing else to look for.
fn lacks(state: &State, devices: &BTreeSet<u32>, selector: &Selector, series: &[u32]) -> bool {
    devices.iter().map(|&device| &state.devices[device as usize]).any(|device| {
        selector.of_device(&device.id).is_some_and(|terms| {
            let mut missing = device.series.iter().filter(|number| series.binary_search(number).is_err());
            missing.any(|&number| terms.matches(state.series[number as usize].decl.name.as_str()))
        })
    })
}

/// The series a selector stands for, ascending.
pub fn resolve(state: &State, selector: &Selector) -> Vec<u32> {
    let mut series = Vec::new();
    for device in &state.devices {
        let Some(terms) = selector.of_device(&device.id) else { continue };
        let fits = |series: &u32| terms.matches(state.series[*series as usize].decl.name.as_str());
        series.extend(device.series.iter().copied().filter(fits));
    }
    series.sort_unstable();
    series
}

/// One series as viewers see it.
pub fn series_row(state: &State, number: u32) -> SeriesRow {
    let series = &state.series[number as usize];
    let decl = &series.decl;
    SeriesRow {
        id: number,
        device: state.devices[series.device as usize].id.to_string(),
        channel: decl.name.to_string(),
        title: decl.title.clone(),
        unit: decl.unit.as_deref().map(units::display).filter(|unit| !unit.is_empty()).map(str::to_owned),
        kind: decl.kind,
        decimals: decl.decimals,
        period_ms: decl.period_ms,
        states: decl.states.clone(),
    }
}

/// Known gaps that reach into the window, the oldest first; when a message may not have all of them, the newest.
fn gaps_of(state: &State, series: &[u32], from_us: i64) -> Vec<GapRow> {
    let mut gaps: Vec<(Reverse<i64>, u32, &GapNote)> = Vec::new();
    for &number in series {
        let device = &state.devices[state.series[number as usize].device as usize];
        let ends = device.gaps.iter().map(|gap| (extent(gap).1, gap));
        gaps.extend(ends.filter(|&(end_us, _)| end_us >= from_us).map(|(end_us, gap)| (Reverse(end_us), number, gap)));
    }
    gaps.sort_unstable_by_key(|&(end_us, number, _)| (end_us, number));
    let mut room = GAPS_BYTES_MAX;
    let rows = gaps.into_iter().map(|(_, series, gap)| gap_row(series, gap));
    let fits = |row: &GapRow| {
        let bytes = GAP_BYTES + row.reason.len();
        let fits = bytes <= room;
        room = room.saturating_sub(bytes);
        fits
    };
    let mut rows: Vec<GapRow> = rows.take_while(fits).collect();
    rows.reverse();
    rows
}

/// A gap of one series as viewers see it.
pub fn gap_row(series: u32, gap: &GapNote) -> GapRow {
    let (begin_us, end_us) = extent(gap);
    let reason = format!("{} messages lost: {}", gap.to - gap.from + 1, gap.reason);
    GapRow { series, from: wire_ms(begin_us), to: wire_ms(end_us), reason }
}

/// From the last reading before a gap to the first one behind it, as far as they are known, else the instant at which
/// the hub learned of the loss; microseconds.
fn extent(gap: &GapNote) -> (i64, i64) {
    let begin_us = gap.before_us.unwrap_or(gap.arrival_us);
    (begin_us, gap.behind_us.unwrap_or(gap.arrival_us).max(begin_us))
}

#[cfg(test)]
mod tests;

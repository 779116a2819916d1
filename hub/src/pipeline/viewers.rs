//! Viewers: the catalogue, states of devices, and joining subscriptions to streams.

use std::{collections::BTreeSet, sync::Arc, time::Instant};

use bytes::Bytes;
use protocol::{
    limits::{LIVE_FRAME_BYTES_MAX, SERIES_PER_SUBSCRIPTION_MAX, WINDOW_MS_MAX},
    live::{
        DeviceRow, GapRow, HubMessage, SeriesRow,
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
        fanout::{Joined, StreamKey, Window},
        snapshot::{self, Plan, SharedSnapshot, Snapshot, SnapshotError},
        viewer::ViewerLink,
    },
    state::State,
};

/// All viewers, and what they have not been told yet.
#[derive(Debug, Default)]
pub(super) struct Viewers {
    links: Vec<Arc<ViewerLink>>,
    changed_catalogue: BTreeSet<u32>,
    last_refresh: Option<Instant>,
}

impl Viewers {
    pub(super) fn remove(&mut self, viewer: &Arc<ViewerLink>) {
        self.links.retain(|link| !Arc::ptr_eq(link, viewer));
    }

    pub(super) fn catalogue_changed(&mut self, device: u32) {
        self.changed_catalogue.insert(device);
    }

    pub(super) fn close_all(&mut self, code: u16) {
        for link in &self.links {
            link.close(code);
        }
    }

    fn tell_all(&self, messages: &[Bytes]) {
        for link in &self.links {
            for message in messages {
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
}

impl SubscribeError {
    /// The code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Selector(_) => "bad_selector",
            Self::TooMany(_) => "too_many",
        }
    }
}

impl Pipeline {
    pub(super) fn on_enter(&mut self, viewer: Arc<ViewerLink>) {
        self.send_catalogue(&viewer);
        self.viewers.links.push(viewer);
    }

    /// The whole catalogue, in messages of bounded size.
    pub(super) fn send_catalogue(&self, viewer: &Arc<ViewerLink>) {
        let devices: Vec<u32> = (0..self.state.devices.len() as u32).collect();
        for message in self.catalogue_messages(&devices, true) {
            viewer.control(message);
        }
    }

    fn catalogue_messages(&self, devices: &[u32], full: bool) -> Vec<Bytes> {
        // An encoded row is at most about four times its texts; a quarter of a frame leaves room for the last one.
        let (mut messages, mut rows, mut bytes, mut full) = (Vec::new(), Vec::new(), 0, full);
        let mut give = |rows: &mut Vec<DeviceRow>, full: &mut bool| {
            let message = HubMessage::Catalogue { full: *full, devices: std::mem::take(rows), removed: Vec::new() };
            *full = false;
            messages.push(Bytes::from(message.encode()));
        };
        for &device in devices {
            let row = self.device_row(device);
            bytes += 200 + 160 * row.channels.len();
            rows.push(row);
            if bytes > LIVE_FRAME_BYTES_MAX / 2 {
                give(&mut rows, &mut full);
                bytes = 0;
            }
        }
        if full || !rows.is_empty() {
            give(&mut rows, &mut full);
        }
        messages
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
        let catalogue: Vec<u32> = std::mem::take(&mut self.viewers.changed_catalogue).into_iter().collect();
        if !catalogue.is_empty() {
            self.viewers.tell_all(&self.catalogue_messages(&catalogue, false));
            let state = &self.state;
            self.fanout.catalogue_changed(|selector| resolve(state, selector));
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
        // About 60 bytes a row.
        for devices in told.chunks(LIVE_FRAME_BYTES_MAX / 128) {
            let devices = devices.iter().map(|&device| self.device_change(device)).collect();
            self.viewers.tell_all(&[Bytes::from(HubMessage::Devices { devices }.encode())]);
        }
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
        // While the disk is full what was appended does not become durable, and history would wait for it.
        let marker = if self.disk_full { self.durable_seq } else { self.appender.next_seq() - 1 };
        let window_ms = subscribe.window_ms.min(WINDOW_MS_MAX);
        let (from_us, to_us) = snapshot::window(self.arrival_us, window_ms);
        let historian = self.historian.clone();
        let plan = Plan {
            stream: 0,
            gaps: gaps_of(&self.state, &series, from_us),
            series: series.clone(),
            from_us,
            to_us,
            points: subscribe.points,
        };
        let take_snapshot = move |stream| {
            let plan = Plan { stream, ..plan };
            let wanted = plan.series.clone();
            // Asked before anything further is appended, so the historian cannot have passed the marker.
            let view = historian.ask(marker, move |present| present.view(&wanted, from_us, to_us));
            SharedSnapshot::new(async move {
                let mut view = view
                    .await
                    .map_err(|_| SnapshotError::Busy)?
                    .map_err(|error| SnapshotError::History(error.to_string()))?;
                let carry_out = move || {
                    let snapshot = plan.carry_out(&mut view);
                    drop((view, place));
                    snapshot
                };
                let snapshot: Result<Snapshot, SnapshotError> = tokio::task::spawn_blocking(carry_out)
                    .await
                    .map_err(|error| SnapshotError::History(error.to_string()))?;
                snapshot
            })
        };
        let key = StreamKey { selector, max_hz: subscribe.max_hz };
        let joined = self.fanout.join(
            self.now,
            key,
            series,
            Window { window_ms, points: subscribe.points },
            viewer,
            take_snapshot,
        );
        Ok(Subscribed { joined, series: rows })
    }
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

/// Known gaps that reach into the window: from the last reading before to the first one behind, as far as they are
/// known, else the instant at which the hub learned of the loss.
fn gaps_of(state: &State, series: &[u32], from_us: i64) -> Vec<GapRow> {
    let mut gaps = Vec::new();
    for &number in series {
        let device = &state.devices[state.series[number as usize].device as usize];
        for gap in &device.gaps {
            let begin_us = gap.before_us.unwrap_or(gap.arrival_us);
            let end_us = gap.behind_us.unwrap_or(gap.arrival_us).max(begin_us);
            if end_us >= from_us {
                let lost = gap.to - gap.from + 1;
                gaps.push(GapRow {
                    series: number,
                    from: wire_ms(begin_us),
                    to: wire_ms(end_us),
                    reason: format!("{lost} messages lost: {}", gap.reason),
                });
            }
        }
    }
    gaps
}

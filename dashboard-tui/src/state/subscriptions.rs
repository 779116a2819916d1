//! What to ask the hub for: never more than is shown.

use protocol::{
    limits::{SELECTOR_BYTES_MAX, SELECTOR_TERMS_MAX, SERIES_PER_SUBSCRIPTION_MAX, WINDOW_MS_MAX},
    live::control::Subscribe,
};

use super::{
    State,
    catalogue::{ChannelState, Device, TREND_MS, TREND_POINTS},
    chart::Target,
};

/// Number of the subscription behind the table.
pub const TABLE: u64 = 1;
/// Number of the subscription behind the chart.
pub const CHART: u64 = 2;
/// Number of the short-lived subscription that finds values older than the table's history.
pub const LOOK_BACK: u64 = 3;

/// Frames a second for the table: numbers that change faster cannot be read.
pub const TABLE_HZ: u32 = 1;
/// Most and least frames a second for the chart.
const CHART_HZ: std::ops::RangeInclusive<u32> = 2..=10;
/// A wish waits so long after the one before, so that a held arrow key does not ask for every row it passes.
const PAUSE_MS: i64 = 150;

/// What the connection has to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Begin or replace a subscription.
    Subscribe(Subscribe),
    /// End one.
    Unsubscribe(u64),
    /// Connect at once.
    ReconnectNow,
}

/// What was asked for last.
#[derive(Debug, Clone, Default)]
pub struct Subscriptions {
    table: Option<String>,
    chart: Option<Target>,
    look_back: Option<String>,
    /// When the last request left, this machine's clock.
    asked_at_ms: Option<i64>,
    /// True when the last update came too soon to ask for anything.
    waiting: bool,
}

impl Subscriptions {
    /// Compares what is shown with what was asked for; gives what to say now. The chart is aimed on the way.
    pub fn update(&mut self, state: &mut State, now_ms: i64) -> Vec<Request> {
        let mut requests = Vec::new();
        self.waiting = self.asked_at_ms.is_some_and(|asked_at_ms| now_ms < asked_at_ms + PAUSE_MS);
        if self.waiting {
            return requests;
        }
        let table = table_selector(state, now_ms);
        if table != self.table {
            let subscribe = |series| subscribe(TABLE, series, TREND_MS as u64, TREND_POINTS, TABLE_HZ);
            requests.push(
                table.clone().map_or(Request::Unsubscribe(TABLE), |series| Request::Subscribe(subscribe(series))),
            );
            self.table = table;
        }
        let chart = chart_target(state, now_ms);
        if chart != self.chart {
            state.chart.aim(chart.clone());
            let request = |target: &Target| Request::Subscribe(chart_subscribe(target, state, now_ms));
            requests.push(chart.as_ref().map_or(Request::Unsubscribe(CHART), request));
            self.chart = chart;
        }
        let look_back = look_back_selector(state, now_ms);
        if look_back != self.look_back && !state.latest.is_looking_back() {
            // One point from as far back as a hub looks: its last is the newest value there is.
            let subscribe = |series| subscribe(LOOK_BACK, series, WINDOW_MS_MAX, 1, TABLE_HZ);
            requests.push(
                look_back
                    .clone()
                    .map_or(Request::Unsubscribe(LOOK_BACK), |series| Request::Subscribe(subscribe(series))),
            );
            self.look_back = look_back;
        }
        if !requests.is_empty() {
            self.asked_at_ms = Some(now_ms);
        }
        requests
    }

    /// When to update again, this machine's clock; `None`: when something has changed.
    pub fn due_ms(&self) -> Option<i64> {
        self.asked_at_ms.filter(|_| self.waiting).map(|asked_at_ms| asked_at_ms + PAUSE_MS)
    }
}

fn subscribe(id: u64, series: String, window_ms: u64, points: u32, max_hz: u32) -> Subscribe {
    Subscribe { id, series, window_ms, points, max_hz }
}

/// Everything, while it fits into one subscription; else what is on the screen.
fn table_selector(state: &State, now_ms: i64) -> Option<String> {
    match state.catalogue.series_count() {
        0 => None,
        1..=SERIES_PER_SUBSCRIPTION_MAX => Some("*/*".to_owned()),
        _ => devices_selector(visible_devices(state, now_ms).into_iter()),
    }
}

fn visible_devices(state: &State, now_ms: i64) -> Vec<&Device> {
    let rows = state.rows(now_ms);
    rows.into_iter().skip(state.table.offset).take(state.shape.table_rows.max(1)).collect()
}

/// `a/*,b/*` for as many devices as one subscription takes.
pub fn devices_selector<'a>(devices: impl Iterator<Item = &'a Device>) -> Option<String> {
    let mut selector = String::new();
    let mut series_count = 0;
    for device in devices.take(SELECTOR_TERMS_MAX) {
        series_count += device.channels.len();
        if series_count > SERIES_PER_SUBSCRIPTION_MAX || selector.len() + device.id.len() + 3 > SELECTOR_BYTES_MAX {
            break;
        }
        if !selector.is_empty() {
            selector.push(',');
        }
        selector.push_str(&device.id);
        selector.push_str("/*");
    }
    (!selector.is_empty()).then_some(selector)
}

fn look_back_selector(state: &State, now_ms: i64) -> Option<String> {
    if !state.latest.is_complete() {
        return None;
    }
    let is_unknown = |device: &&Device| state.latest.unknown(device).next().is_some();
    if state.catalogue.series_count() <= SERIES_PER_SUBSCRIPTION_MAX {
        return devices_selector(state.catalogue.devices().iter().filter(is_unknown));
    }
    devices_selector(visible_devices(state, now_ms).into_iter().filter(is_unknown))
}

fn chart_target(state: &State, now_ms: i64) -> Option<Target> {
    if state.shape.chart_dots == 0 {
        return None;
    }
    let device = state.selected(now_ms)?;
    let selector = chart_selector(state, device)?;
    Some(Target {
        device: device.id.clone(),
        selector,
        range_ms: state.range().ms,
        // In steps, so that a window that is dragged wider does not ask for each column.
        points: state.shape.chart_dots.next_multiple_of(64),
        generation: state.chart_generation,
    })
}

/// The series that are drawn: all of the device where there is room, else by name.
fn chart_selector(state: &State, device: &Device) -> Option<String> {
    let panels = state.panels(device);
    if panels.left_out == 0 && state.picked(device).is_none() && !device.channels.is_empty() {
        return Some(format!("{}/*", device.id));
    }
    let mut selector = String::new();
    let drawn = |state: &&ChannelState| panels.series().any(|series| series == state.channel.series);
    for state in device.channels.iter().filter(drawn).take(SELECTOR_TERMS_MAX) {
        let term_len = device.id.len() + state.channel.name.len() + 2;
        if selector.len() + term_len <= SELECTOR_BYTES_MAX {
            if !selector.is_empty() {
                selector.push(',');
            }
            selector.extend([device.id.as_str(), "/", state.channel.name.as_str()]);
        }
    }
    (!selector.is_empty()).then_some(selector)
}

fn chart_subscribe(target: &Target, state: &State, now_ms: i64) -> Subscribe {
    // A frozen window began further back; it is asked for with the same time in each dot.
    let behind_ms = state.frozen.as_ref().map_or(0, |frozen| state.link.hub_time_ms(now_ms) - frozen.at_ms).max(0);
    let window_ms = (target.range_ms + behind_ms).min(WINDOW_MS_MAX as i64);
    let points = i64::from(target.points) * window_ms / target.range_ms;
    let dot_ms = (target.range_ms / i64::from(target.points)).max(1);
    // Four frames a dot look smooth; more would only cost.
    let max_hz = (4_000 / dot_ms).clamp(i64::from(*CHART_HZ.start()), i64::from(*CHART_HZ.end())) as u32;
    let points = points.clamp(1, i64::from(protocol::limits::POINTS_MAX)) as u32;
    subscribe(CHART, target.selector.clone(), window_ms as u64, points, max_hz)
}

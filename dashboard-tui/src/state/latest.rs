//! The latest values of every series in the table: the live stream with its short history, and a look further back
//! for series that said nothing in that time.

use std::collections::{HashMap, HashSet};

use protocol::live::{LiveData, SeriesRow};

use super::{
    catalogue::{Catalogue, Device, TREND_STRETCH_MS},
    subscriptions::TABLE_HZ,
    trace::{Point, Trace},
};

/// Time between two frames of the table's stream, as it is asked for.
const FRAME_MS: f64 = 1_000.0 / TABLE_HZ as f64;

/// Points of a frame, series by series.
pub(super) fn points(data: &LiveData) -> impl Iterator<Item = (u32, impl ExactSizeIterator<Item = Point>)> {
    let t0_ms = data.t0_ms as i64;
    data.series().map(move |(series, dt_ms, values)| {
        let point = move |(&dt_ms, &value): (&u32, &f64)| Point { time_ms: t0_ms + i64::from(dt_ms), value };
        (series, dt_ms.iter().zip(values).map(point))
    })
}

/// A snapshot that is arriving.
#[derive(Debug, Clone, Default)]
struct Arriving {
    number: u64,
    trends: HashMap<u32, Trace>,
}

/// The table's two subscriptions.
#[derive(Debug, Clone, Default)]
pub struct Latest {
    arriving: Option<Arriving>,
    live: Option<u64>,
    looking_back: Option<u64>,
    /// Series that were looked up on this connection: not again.
    looked_up: HashSet<u32>,
    complete: bool,
}

impl Latest {
    /// The connection is new: streams have other numbers, and what was not found may be there now.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// The table's snapshot begins.
    pub fn begin(&mut self, number: u64, rows: &[SeriesRow]) {
        let trend = || Trace::new(TREND_STRETCH_MS);
        self.arriving = Some(Arriving { number, trends: rows.iter().map(|row| (row.id, trend())).collect() });
    }

    /// The look further back begins.
    pub fn begin_look_back(&mut self, number: u64, rows: &[SeriesRow]) {
        self.looking_back = Some(number);
        self.looked_up.extend(rows.iter().map(|row| row.id));
    }

    /// A snapshot is complete.
    pub fn complete(&mut self, number: u64, catalogue: &mut Catalogue) {
        if let Some(arriving) = self.arriving.take_if(|arriving| arriving.number == number) {
            for (series, trend) in arriving.trends {
                catalogue.replace(series, trend);
            }
            self.live = Some(number);
            self.complete = true;
        }
        self.looking_back.take_if(|looking_back| *looking_back == number);
    }

    /// True while a look further back is being answered.
    pub fn is_looking_back(&self) -> bool {
        self.looking_back.is_some()
    }

    /// Takes a frame that arrived at `now_ms` (hub's clock); gives how many new readings it stands for.
    pub fn receive(&mut self, data: &LiveData, catalogue: &mut Catalogue, now_ms: i64) -> u64 {
        if let Some(arriving) = self.arriving.as_mut().filter(|arriving| arriving.number == data.stream) {
            for (series, points) in points(data) {
                if let Some(trend) = arriving.trends.get_mut(&series) {
                    points.for_each(|point| trend.push(point));
                }
            }
        } else if self.looking_back == Some(data.stream) {
            for (series, points) in points(data) {
                if let Some(point) = points.max_by_key(|point| point.time_ms) {
                    catalogue.look_back(series, point);
                }
            }
        } else if self.live == Some(data.stream) {
            return receive_live(data, catalogue, now_ms);
        }
        0
    }

    /// True once the table's short history is here, so that what is still unknown is worth looking up.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Series of `device` without a value that were not looked up yet.
    pub fn unknown<'a>(&'a self, device: &'a Device) -> impl Iterator<Item = u32> {
        let unknown = device.channels.iter().filter(|state| state.latest.is_none()).map(|state| state.channel.series);
        unknown.filter(|series| !self.looked_up.contains(series))
    }

    /// These will not be found (the hub refused to look): do not ask again.
    pub fn give_up(&mut self, series: impl IntoIterator<Item = u32>) {
        self.looked_up.extend(series);
    }
}

fn receive_live(data: &LiveData, catalogue: &mut Catalogue, now_ms: i64) -> u64 {
    let weights: Vec<f64> = points(data).map(|(series, rows)| merged_weight(catalogue, series, rows.len())).collect();
    let total: f64 = weights.iter().sum();
    for ((series, points), weight) in points(data).zip(weights) {
        let rows = points.len();
        let merged = if total > 0.0 { (data.merged as f64 * weight / total).round() } else { 0.0 };
        points.for_each(|point| catalogue.receive(series, point, now_ms));
        catalogue.count(series, now_ms, rows as u32, merged as u32);
    }
    data.values.len() as u64 + data.merged
}

/// How likely the points that a frame leaves out were of this series: it says only how many there were in total. By
/// the declared period where there is one; else any series can be meant of which there is more than the last point.
fn merged_weight(catalogue: &Catalogue, series: u32, rows: usize) -> f64 {
    match catalogue.channel(series).and_then(|state| state.channel.period_ms) {
        Some(period_ms) => (FRAME_MS / period_ms - rows as f64).max(0.0),
        None if rows > 1 => 1.0,
        None => 0.0,
    }
}

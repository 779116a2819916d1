use std::time::Duration;

use protocol::{
    limits::WINDOW_MS_MAX,
    live::{DeviceRow, DeviceState, LiveData, SeriesRow},
};

use super::*;
use crate::state::subscriptions::{Request, Subscriptions};

/// What the hub's clock is ahead of this machine's.
const AHEAD_MS: i64 = 1_000_000;

struct Desk {
    state: State,
    subscriptions: Subscriptions,
    now_ms: i64,
}

impl Desk {
    /// A screen with a live connection and these devices, asked for at `now_ms` 10 000.
    fn with(rows: &[DeviceRow]) -> Self {
        let mut desk = Self { state: State::default(), subscriptions: Subscriptions::default(), now_ms: 10_000 };
        desk.state.shape = Shape { table_rows: 10, chart_dots: 200, chart_panels: 4, split: false };
        desk.state.apply(LiveEvent::Connected, desk.now_ms);
        let now = (desk.now_ms + AHEAD_MS) as u64;
        desk.hub(HubMessage::Welcome {
            hub: "demo".into(),
            version: "0.1.0".into(),
            started: 0,
            now,
            heartbeat_ms: 2_000,
            features: Vec::new(),
        });
        desk.hub(HubMessage::Catalogue { full: true, devices: rows.to_vec(), removed: Vec::new() });
        desk
    }

    fn hub(&mut self, message: HubMessage) {
        self.state.apply(LiveEvent::Message(message), self.now_ms);
    }

    /// Subscriptions that are asked for now, each as `id selector window points`; an end as `id`.
    fn asks(&mut self) -> Vec<String> {
        self.now_ms += 1_000;
        let requests = self.subscriptions.update(&mut self.state, self.now_ms);
        requests
            .into_iter()
            .map(|request| match request {
                Request::Subscribe(s) => format!("{} {} {} {}", s.id, s.series, s.window_ms, s.points),
                Request::Unsubscribe(id) => id.to_string(),
                Request::ReconnectNow => "reconnect".to_owned(),
            })
            .collect()
    }

    /// A whole snapshot: history of `points` for each series.
    fn snapshot(&mut self, id: u64, stream: u64, series: &[SeriesRow], points: &[(i64, f64)]) {
        let to = (self.now_ms + AHEAD_MS) as u64;
        let begin = HubMessage::Snapshot { id, stream, from: to - 300_000, to, points: 256, series: series.to_vec() };
        self.hub(begin);
        for row in series {
            self.data(stream, row.id, points, 0);
        }
        self.hub(HubMessage::SnapshotEnd { id, stream, gaps: Vec::new() });
    }

    /// A frame with `points` (hub's clock relative to now, value) of one series.
    fn data(&mut self, stream: u64, series: u32, points: &[(i64, f64)], merged: u64) {
        let t0_ms = self.now_ms + AHEAD_MS - 1_000_000;
        let data = LiveData {
            stream,
            t0_ms: t0_ms as u64,
            ids: vec![series],
            counts: vec![points.len() as u16],
            dt_ms: points.iter().map(|(ago_ms, _)| (1_000_000 + ago_ms) as u32).collect(),
            values: points.iter().map(|(_, value)| *value).collect(),
            merged,
        };
        self.state.apply(LiveEvent::Data(data), self.now_ms);
    }

    fn latest(&self, series: u32) -> Option<f64> {
        self.state.shown().channel(series)?.latest.map(|point| point.value)
    }

    fn chart_values(&self) -> Vec<f64> {
        self.state.chart.lines().iter().flat_map(|line| line.trace.points()).map(|point| point.value).collect()
    }
}

fn rows(count: u32) -> Vec<DeviceRow> {
    (0..count)
        .map(|n| {
            let mut row = sample::device_row(&format!("node-{n}"), DeviceState::Fresh, &["temp", "hum"]);
            row.channels[0].id = n * 2;
            row.channels[1].id = n * 2 + 1;
            row.channels[1].unit = Some("%".into());
            row
        })
        .collect()
}

#[test]
fn only_what_is_shown_is_asked_for() {
    let rows = rows(3);
    let mut desk = Desk::with(&rows);
    assert_eq!(desk.asks(), ["1 */* 300000 72", "2 node-0/* 300000 256"]);
    assert!(desk.asks().is_empty(), "nothing twice");
    desk.state.table.selected = Some("node-2".into());
    desk.state.pick = Some("hum".into());
    assert_eq!(desk.asks(), ["2 node-2/hum 300000 256"]);
    desk.state.step_range(-1);
    assert_eq!(desk.asks(), ["2 node-2/hum 60000 256"]);
    desk.state.shape.chart_dots = 0;
    assert_eq!(desk.asks(), ["2"]);
    desk.hub(HubMessage::Catalogue { full: true, devices: Vec::new(), removed: Vec::new() });
    assert_eq!(desk.asks(), ["1"]);
}

#[test]
fn a_chart_with_too_little_room_asks_for_what_it_draws() {
    let mut desk = Desk::with(&rows(1));
    desk.state.shape.chart_panels = 1;
    assert_eq!(desk.asks()[1], "2 node-0/temp 300000 256");
}

#[test]
fn a_fleet_beyond_one_subscription_is_asked_for_as_it_scrolls_by() {
    let mut desk = Desk::with(&rows(600));
    let asked = desk.asks();
    assert!(asked[0].starts_with("1 node-0/*,node-1/*,") && asked[0].contains("node-9/* "), "{}", asked[0]);
    desk.state.table.offset = 100;
    let asked = desk.asks();
    assert!(asked[0].starts_with("1 node-100/*,") && asked[0].contains(",node-109/* "), "{}", asked[0]);
}

#[test]
fn wishes_leave_with_a_pause_and_the_last_one_counts() {
    let mut desk = Desk::with(&rows(9));
    desk.asks();
    let mut asked = 0;
    for step in 0..100 {
        desk.state.table.selected = Some(format!("node-{}", step % 7));
        asked += desk.subscriptions.update(&mut desk.state, desk.now_ms + 10 * step).len();
    }
    assert!((6..=8).contains(&asked), "{asked} requests in a second");
    let due_ms = desk.subscriptions.due_ms().expect("the last wish waits");
    assert_eq!(desk.subscriptions.update(&mut desk.state, due_ms).len(), 1);
    assert_eq!(desk.subscriptions.due_ms(), None);
}

#[test]
fn history_then_live_fill_table_and_chart() {
    let rows = rows(1);
    let mut desk = Desk::with(&rows);
    desk.asks();
    desk.snapshot(TABLE, 7, &rows[0].channels, &[(-5_000, 1.0), (-1_000, 2.0)]);
    desk.snapshot(CHART, 8, &rows[0].channels[..1], &[(-5_000, 1.0), (-3_000, 1.5)]);
    assert_eq!(desk.latest(0), Some(2.0));
    desk.data(7, 0, &[(0, 3.0)], 0);
    desk.data(8, 0, &[(0, 3.5)], 0);
    desk.data(99, 0, &[(0, -1.0)], 0);
    assert_eq!((desk.latest(0), desk.chart_values()), (Some(3.0), vec![1.0, 1.5, 3.5]));
    assert_eq!(desk.state.catalogue.devices()[0].last_seen_ms, Some(desk.now_ms + AHEAD_MS));
}

#[test]
fn values_older_than_the_short_history_are_looked_up_once() {
    let rows = rows(2);
    let mut desk = Desk::with(&rows);
    desk.asks();
    desk.snapshot(TABLE, 7, &[rows[0].channels[0].clone(), rows[0].channels[1].clone()], &[(-1_000, 1.0)]);
    desk.snapshot(TABLE, 7, &rows[1].channels, &[]);
    assert_eq!(desk.asks(), [format!("3 node-1/* {WINDOW_MS_MAX} 1")]);
    let begin =
        HubMessage::Snapshot { id: LOOK_BACK, stream: 9, from: 0, to: 1, points: 1, series: rows[1].channels.clone() };
    desk.hub(begin);
    assert!(desk.asks().is_empty(), "it is not taken back while it is answered");
    desk.data(9, 2, &[(-900_000, 5.0), (-800_000, 6.0)], 0);
    desk.hub(HubMessage::SnapshotEnd { id: LOOK_BACK, stream: 9, gaps: Vec::new() });
    assert_eq!((desk.latest(2), desk.latest(3)), (Some(6.0), None));
    assert_eq!(desk.asks(), ["3"], "answered, for node-1/hum too: there is nothing");
    assert!(desk.asks().is_empty());
}

#[test]
fn a_frozen_view_stands_still_while_readings_are_counted() {
    let rows = rows(2);
    let mut desk = Desk::with(&rows);
    desk.asks();
    desk.snapshot(TABLE, 7, &rows[0].channels, &[(-1_000, 2.0)]);
    desk.snapshot(TABLE, 7, &rows[0].channels[..1], &[(-1_000, 2.0)]);
    desk.snapshot(CHART, 8, &rows[0].channels[..1], &[(-1_000, 2.0)]);
    desk.asks();
    desk.state.toggle_freeze(desk.now_ms);
    let window = desk.state.window(desk.now_ms);
    desk.now_ms += 60_000;
    desk.data(7, 0, &[(-1, 9.0), (0, 9.5)], 4);
    desk.data(8, 0, &[(0, 9.0)], 0);
    desk.hub(HubMessage::Catalogue { full: true, devices: Vec::new(), removed: Vec::new() });
    assert_eq!(desk.latest(0), Some(2.0));
    assert_eq!(desk.chart_values(), [2.0]);
    assert_eq!(desk.state.window(desk.now_ms), window);
    assert_eq!(desk.state.frozen.as_ref().map(|frozen| frozen.waiting), Some(6));
    assert_eq!(desk.state.rows(desk.now_ms).len(), 2);
    desk.hub(HubMessage::Catalogue { full: true, devices: rows, removed: Vec::new() });
    desk.state.toggle_freeze(desk.now_ms);
    assert!(desk.asks().contains(&"2 node-0/* 300000 256".to_owned()), "live again fills the window anew");
}

#[test]
fn a_frozen_view_of_another_device_reaches_back_to_the_frozen_window() {
    let rows = rows(2);
    let mut desk = Desk::with(&rows);
    desk.asks();
    desk.state.toggle_freeze(desk.now_ms);
    desk.now_ms += 299_000;
    desk.state.table.selected = Some("node-1".into());
    assert_eq!(desk.asks(), ["2 node-1/* 600000 512"]);
    desk.snapshot(CHART, 9, &rows[1].channels[..1], &[(-400_000, 1.0), (-1_000, 2.0)]);
    assert_eq!(desk.chart_values(), [1.0], "what came after the freeze is not drawn");
    desk.snapshot(CHART, 10, &rows[1].channels[..1], &[(-300_001, 3.0)]);
    assert_eq!(desk.chart_values(), [1.0], "a reconnect does not move a frozen view");
}

#[test]
fn while_the_hub_is_away_the_picture_stays_and_its_age_counts() {
    let rows = rows(1);
    let mut desk = Desk::with(&rows);
    desk.asks();
    desk.snapshot(TABLE, 7, &rows[0].channels, &[(-1_000, 2.0)]);
    let lost_ms = desk.now_ms;
    let gone = LiveEvent::Disconnected { reason: "gone".into(), retry_in: Duration::from_secs(4), attempt: 2 };
    desk.state.apply(gone, lost_ms);
    assert_eq!(desk.state.shown_ms(lost_ms + 60_000), lost_ms + AHEAD_MS);
    assert_eq!(desk.latest(0), Some(2.0));
    desk.state.apply(LiveEvent::Connected, lost_ms + 61_000);
    desk.data(7, 0, &[(0, 9.0)], 0);
    assert_eq!(desk.latest(0), Some(2.0), "the old stream's number means nothing on a new connection");
}

#[test]
fn a_refusal_is_shown_where_it_belongs() {
    let mut desk = Desk::with(&rows(1));
    desk.asks();
    let error = |id| HubMessage::Error { id, code: "bad".into(), message: "no\u{1b} way".into() };
    desk.hub(error(Some(CHART)));
    assert_eq!((desk.state.chart.problem(), desk.state.notice.clone()), (Some("no way"), None));
    desk.hub(error(None));
    assert_eq!(desk.state.notice.as_ref().map(|notice| notice.text.as_str()), Some("no way"));
}

#[test]
fn channels_are_stepped_through_and_above_the_first_are_all() {
    let mut desk = Desk::with(&rows(2));
    let mut pick = |steps| {
        desk.state.step_channel(steps, desk.now_ms);
        desk.state.pick.clone()
    };
    let picks = [pick(1), pick(1), pick(1), pick(-1), pick(-1), pick(-1), pick(isize::MAX), pick(-isize::MAX)];
    let names = picks.map(|pick| pick.unwrap_or_else(|| "all".into()));
    assert_eq!(names, ["temp", "hum", "hum", "temp", "all", "all", "hum", "all"]);
}

#[test]
fn what_the_hub_left_out_is_attributed_by_the_periods() {
    let mut rows = rows(3);
    let periods = [Some(100.0), Some(1_000.0), None];
    for (row, period_ms) in rows.iter_mut().zip(periods) {
        row.channels[0].period_ms = period_ms;
        row.channels.truncate(1);
    }
    let mut desk = Desk::with(&rows);
    let all: Vec<SeriesRow> = rows.iter().flat_map(|row| row.channels.clone()).collect();
    desk.snapshot(TABLE, 7, &all, &[]);
    for _ in 0..20 {
        desk.now_ms += 1_000;
        let data = LiveData {
            stream: 7,
            t0_ms: (desk.now_ms + AHEAD_MS) as u64,
            ids: vec![0, 2, 4],
            counts: vec![2, 1, 1],
            dt_ms: vec![0, 900, 0, 0],
            values: vec![1.0, 2.0, 1.0, 1.0],
            merged: 8,
        };
        desk.state.apply(LiveEvent::Data(data), desk.now_ms);
    }
    let rate = |index: usize| desk.state.catalogue.devices()[index].rate.rate(desk.now_ms + AHEAD_MS);
    let rates = [0, 1, 2].map(|index| rate(index).map(|rate| (rate.per_second, rate.estimated)));
    assert_eq!(rates, [Some((10.0, true)), Some((1.0, false)), Some((1.0, false))]);
}

use super::*;
use crate::state::sample;

fn point(time_ms: i64, value: f64) -> Point {
    Point { time_ms, value }
}

fn catalogue(ids: &[&str]) -> (Catalogue, Vec<DeviceRow>) {
    let mut next_series = 0;
    let rows: Vec<DeviceRow> = ids
        .iter()
        .map(|id| {
            let mut row = sample::device_row(id, DeviceState::Fresh, &["temp", "hum"]);
            for channel in &mut row.channels {
                channel.id = next_series;
                next_series += 1;
            }
            row
        })
        .collect();
    let mut catalogue = Catalogue::default();
    catalogue.apply(true, &rows, &[], 0);
    (catalogue, rows)
}

fn ids(catalogue: &Catalogue) -> Vec<&str> {
    catalogue.devices().iter().map(|device| device.id.as_str()).collect()
}

#[test]
fn several_messages_make_one_catalogue_and_a_full_one_begins_anew() {
    let (mut catalogue, rows) = catalogue(&["b-10", "b-9", "a"]);
    assert_eq!(ids(&catalogue), ["a", "b-9", "b-10"]);
    catalogue.apply(false, &[sample::device_row("c", DeviceState::Offline, &[])], &["a".into()], 0);
    assert_eq!(ids(&catalogue), ["b-9", "b-10", "c"]);
    assert_eq!(catalogue.counts(), Counts { fresh: 2, overdue: 0, offline: 1 });
    catalogue.apply(true, &rows[2..], &[], 0);
    assert_eq!(ids(&catalogue), ["a"]);
    assert_eq!(catalogue.series_count(), 2);
}

#[test]
fn what_was_measured_survives_a_new_catalogue_of_the_same_series() {
    let (mut catalogue, rows) = catalogue(&["a"]);
    catalogue.receive(1, point(10, 5.0), 10);
    catalogue.apply(true, &rows, &[], 20);
    assert_eq!(catalogue.channel(1).and_then(|state| state.latest), Some(point(10, 5.0)));
    assert_eq!(catalogue.channel(0).and_then(|state| state.latest), None);
}

#[test]
fn a_late_reading_does_not_become_the_newest_but_a_snapshot_may_take_one_back() {
    let (mut catalogue, _) = catalogue(&["a"]);
    catalogue.receive(0, point(10, 5.0), 10);
    catalogue.receive(0, point(5, 1.0), 11);
    assert_eq!(catalogue.channel(0).and_then(|state| state.latest), Some(point(10, 5.0)));
    let mut history = Trace::new(1);
    history.push(point(8, 4.0));
    catalogue.replace(0, history);
    assert_eq!(catalogue.channel(0).and_then(|state| state.latest), Some(point(8, 4.0)));
    catalogue.replace(0, Trace::new(1));
    assert_eq!(catalogue.channel(0).and_then(|state| state.latest), Some(point(8, 4.0)), "old, but still the newest");
}

#[test]
fn a_trend_has_no_hole_where_the_hub_kept_three_points_of_each_stretch() {
    let (mut catalogue, _) = catalogue(&["a"]);
    let mut history = Trace::new(TREND_STRETCH_MS);
    for stretch in 0..=TREND_MS / TREND_STRETCH_MS {
        // The extremes at once, then nothing new until the last: as far apart as they can be.
        for within_ms in [0, 500, TREND_STRETCH_MS - 500] {
            history.push(point(stretch * TREND_STRETCH_MS + within_ms, 1.0));
        }
    }
    catalogue.replace(0, history);
    let device = &catalogue.devices()[0];
    for (width, offset_ms) in [(16, 0), (16, 7_000), (16, 12_000), (10, 3_000)] {
        let trend = device.trend(&device.channels[0], TREND_MS + offset_ms, width);
        assert!(trend.iter().all(|value| value.is_finite()), "{width} {offset_ms}: {trend:?}");
    }
}

#[test]
fn text_that_steers_a_terminal_is_taken_out() {
    let mut row = sample::device_row("a", DeviceState::Fresh, &["temp"]);
    row.title = Some("\u{1b}[2Jboiler\u{202e}".into());
    row.channels[0].unit = Some("°C\u{7}".into());
    row.labels.insert("si\u{1b}te".into(), "\n".into());
    let device = Device::new(&row, 0);
    assert_eq!(device.title.as_deref(), Some("[2Jboiler"));
    assert_eq!(device.channels[0].channel.unit, "°C");
    assert_eq!(device.labels.get("site").map(String::as_str), Some(""));
}

#[test]
fn readings_and_states_of_unknown_series_and_devices_are_ignored() {
    let (mut catalogue, _) = catalogue(&["a"]);
    catalogue.receive(99, point(1, 1.0), 1);
    catalogue.count(99, 1, 1, 0);
    let change =
        |id: &str| DeviceChange { id: id.into(), state: DeviceState::Offline, last_seen: None, connected: false };
    catalogue.change(&[change("nobody"), change("a")]);
    assert_eq!(catalogue.counts(), Counts { fresh: 0, overdue: 0, offline: 1 });
}

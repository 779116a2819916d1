use protocol::device::Kind;

use super::*;
use crate::state::sample;

fn point(time_ms: i64) -> Point {
    Point { time_ms, value: 1.0 }
}

fn target(device: &str, range_ms: i64) -> Target {
    Target { device: device.into(), selector: format!("{device}/*"), range_ms, points: 100, generation: 0 }
}

fn times(chart: &Chart) -> Vec<i64> {
    chart.lines().iter().flat_map(|line| line.trace.points()).map(|point| point.time_ms).collect()
}

fn loaded() -> Chart {
    let mut chart = Chart::default();
    chart.aim(Some(target("a", 1_000)));
    chart.begin(7, 1_000, 1_000, &[sample::series_row("a", "temp", 3)]);
    assert!(chart.receive(7, 3, point(10)));
    chart.complete(7, &[]);
    chart
}

#[test]
fn a_snapshot_replaces_the_lines_only_when_it_is_complete() {
    let mut chart = loaded();
    assert!(!chart.is_loading());
    chart.begin(8, 1_000, 1_000, &[sample::series_row("a", "temp", 3)]);
    chart.receive(8, 3, point(20));
    assert_eq!(times(&chart), [10]);
    assert!(chart.receive(7, 3, point(11)), "the old stream goes on until then");
    chart.complete(8, &[]);
    assert_eq!(times(&chart), [20]);
    assert!(!chart.receive(7, 3, point(12)));
}

#[test]
fn another_device_is_loading_and_another_range_is_not() {
    let mut chart = loaded();
    chart.aim(Some(target("a", 2_000)));
    assert_eq!(times(&chart), [10]);
    chart.aim(Some(target("b", 2_000)));
    assert!(chart.is_loading() && chart.lines().is_empty());
    chart.refuse("too many series");
    assert_eq!((chart.is_loading(), chart.problem()), (false, Some("too many series")));
}

#[test]
fn what_is_held_is_not_replaced_until_it_is_aimed_again() {
    let mut chart = loaded();
    chart.hold();
    chart.begin(9, 1_000, 1_000, &[sample::series_row("a", "temp", 3)]);
    chart.receive(9, 3, point(50));
    chart.complete(9, &[]);
    assert_eq!(times(&chart), [10]);
    chart.aim(Some(target("a", 1_000)));
    chart.begin(10, 1_000, 1_000, &[sample::series_row("a", "temp", 3)]);
    chart.complete(10, &[]);
    assert_eq!(times(&chart), Vec::<i64>::new());
}

#[test]
fn lines_break_at_silence_at_known_gaps_and_at_missing_measurements() {
    let mut row = sample::series_row("a", "temp", 3);
    row.period_ms = Some(100.0);
    let mut line = Line { channel: Channel::new(&row), trace: Trace::new(10), gaps: Vec::new() };
    let silence = line.silence_max_ms();
    assert_eq!(silence, Some(250));
    assert!(line.connects(point(0), point(250), silence));
    assert!(!line.connects(point(0), point(251), silence));
    assert!(!line.connects(point(0), Point { time_ms: 10, value: f64::NAN }, silence));
    line.gaps.push(Gap { from_ms: 100, to_ms: 120, reason: "lost".into() });
    assert!(!line.connects(point(90), point(200), silence));
    assert!(line.connects(point(120), point(200), silence));
}

#[test]
fn without_a_period_the_usual_interval_decides_and_a_state_holds_for_ever() {
    let mut row = sample::series_row("a", "door", 3);
    row.period_ms = None;
    let mut line = Line { channel: Channel::new(&row), trace: Trace::new(1), gaps: Vec::new() };
    assert_eq!(line.silence_max_ms(), None, "one point says nothing");
    for time_ms in [0, 100, 200, 5_000] {
        line.trace.push(point(time_ms));
    }
    assert_eq!(line.silence_max_ms(), Some(500));
    line.channel.kind = Kind::State;
    assert_eq!(line.silence_max_ms(), None);
}

#[test]
fn after_a_new_connection_an_old_stream_number_means_nothing() {
    let mut chart = loaded();
    chart.cut();
    assert!(!chart.receive(7, 3, point(11)));
    assert_eq!(times(&chart), [10]);
}

use super::*;

fn trace(bucket_ms: i64, points: &[(i64, f64)]) -> Trace {
    let mut trace = Trace::new(bucket_ms);
    for &(time_ms, value) in points {
        trace.push(Point { time_ms, value });
    }
    trace
}

fn times(trace: &Trace) -> Vec<i64> {
    trace.points().map(|point| point.time_ms).collect()
}

#[test]
fn a_bucket_keeps_the_least_the_greatest_and_the_last_in_time_order() {
    let trace = trace(100, &[(0, 5.0), (10, 9.0), (20, 1.0), (30, 4.0), (40, 3.0), (100, 7.0)]);
    assert_eq!(times(&trace), [10, 20, 40, 100]);
}

#[test]
fn memory_depends_on_the_window_and_not_on_the_rate() {
    let mut trace = Trace::new(1_000);
    for time_ms in 0..100_000 {
        trace.push(Point { time_ms, value: (time_ms as f64).sin() });
    }
    assert!((200..=300).contains(&trace.points().count()));
    for time_ms in 0..1_000_000 {
        trace.push(Point { time_ms: time_ms * 1_000, value: 0.0 });
    }
    assert!(trace.points().count() <= POINTS_MAX);
}

#[test]
fn late_readings_find_their_place_and_a_repeated_time_replaces() {
    let trace = trace(1, &[(10, 1.0), (30, 3.0), (20, 2.0), (30, 4.0), (5, 0.0)]);
    assert_eq!(times(&trace), [5, 10, 20, 30]);
    assert_eq!(trace.last(), Some(Point { time_ms: 30, value: 4.0 }));
}

#[test]
fn a_missing_measurement_stays_where_nothing_else_was_measured() {
    let sparse = trace(10, &[(0, 1.0), (10, f64::NAN), (20, 2.0)]);
    assert_eq!(times(&sparse), [0, 10, 20]);
    let dense = trace(100, &[(0, 1.0), (10, f64::NAN), (20, 2.0), (30, f64::NAN), (40, 3.0)]);
    assert!(dense.points().all(|point| !point.value.is_nan()));
    let empty = trace(100, &[(0, f64::NAN), (1, f64::NAN), (2, f64::NAN), (3, f64::NAN)]);
    assert_eq!(times(&empty), [3]);
}

#[test]
fn trimming_keeps_the_point_from_which_the_line_enters() {
    let mut trace = trace(1, &[(0, 0.0), (10, 1.0), (20, 2.0), (30, 3.0)]);
    trace.trim_before(15);
    assert_eq!(times(&trace), [10, 20, 30]);
    trace.trim_before(1_000);
    assert_eq!(times(&trace), [30]);
}

#[test]
fn the_newest_at_a_time_and_the_usual_interval() {
    let trace = trace(1, &[(0, 0.0), (10, 1.0), (20, 2.0), (500, 3.0), (510, 4.0)]);
    assert_eq!(trace.last_at(499).map(|point| point.time_ms), Some(20));
    assert_eq!(trace.last_at(-1), None);
    assert_eq!(trace.interval_ms(), Some(10));
}

#[test]
fn means_hold_gaps_as_nan() {
    let trace = trace(1, &[(1, 1.0), (2, 3.0), (31, 7.0), (40, f64::NAN)]);
    let means = trace.means(0, 40, 4);
    assert_eq!(format!("{means:?}"), "[2.0, NaN, NaN, 7.0]");
}

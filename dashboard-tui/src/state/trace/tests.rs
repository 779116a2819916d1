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
fn means_are_of_what_was_measured_or_still_stood_and_gaps_are_nan() {
    let readings = trace(1, &[(1, 1.0), (2, 3.0), (31, 7.0), (40, f64::NAN)]);
    let means =
        |silence_max_ms, known_to_ms| format!("{:?}", readings.means(0, 60, 6, Hold { silence_max_ms, known_to_ms }));
    assert_eq!(means(Some(5), 60), "[2.0, NaN, NaN, 7.0, NaN, NaN]", "long silence is a hole");
    assert_eq!(means(Some(15), 60), "[2.0, 3.0, NaN, 7.0, NaN, NaN]", "a slow channel has none");
    assert_eq!(means(None, 60), "[2.0, 3.0, 3.0, 7.0, NaN, NaN]", "a state holds, until it could not be measured");
    assert_eq!(means(None, 15), "[2.0, 3.0, NaN, 7.0, NaN, NaN]", "of a silent device nothing is known");
    let old = trace(1, &[(-500, 4.0)]);
    assert_eq!(old.means(0, 20, 2, Hold { silence_max_ms: None, known_to_ms: 20 }), [4.0, 4.0]);
}

use super::*;
use crate::live::{log::Read, snapshot::Snapshot};

fn fanout() -> Fanout {
    Fanout::new(Duration::from_millis(5))
}

fn snapshot() -> SharedSnapshot {
    SharedSnapshot::new(async { Ok(Snapshot::default()) })
}

fn join(fanout: &mut Fanout, now: Instant, max_hz: u32, series: &[u32]) -> (Joined, Arc<ViewerLink>) {
    let viewer = Arc::new(ViewerLink::default());
    let key = StreamKey { selector: Selector::parse("*/*").expect("valid"), max_hz };
    let joined =
        fanout.join(now, key, series.to_vec(), Window { window_ms: 1000, points: 100 }, Arc::clone(&viewer), |_| {
            snapshot()
        });
    (joined, viewer)
}

/// Every point behind the cursor, as (series, milliseconds, value).
fn points(log: &StreamLog, cursor: &mut u64) -> Vec<(u32, u64, f64)> {
    let (mut points, mut data) = (Vec::new(), LiveData::default());
    let outcome = log.read(*cursor, |frame| {
        data.decode(frame).expect("readable");
        for (id, dt_ms, values) in data.series() {
            points.extend(dt_ms.iter().zip(values).map(|(&dt, &value)| (id, data.t0_ms + u64::from(dt), value)));
        }
        true
    });
    let Read::UpTo(next) = outcome else { panic!("the cursor is held") };
    *cursor = next;
    points
}

#[test]
fn the_first_change_is_sent_at_once_and_the_next_after_the_interval() {
    let (mut fanout, start) = (fanout(), Instant::now());
    let (joined, _viewer) = join(&mut fanout, start, 10, &[3, 5]);
    let mut cursor = joined.cursor;
    fanout.push(start, 5, &[1_000_000], 0, &[1.0]);
    fanout.push(start, 4, &[1_000_000], 0, &[9.0]);
    fanout.flush_due(start);
    assert_eq!(points(&joined.log, &mut cursor), [(5, 1000, 1.0)]);
    fanout.push(start, 3, &[2_000_000], 500_000, &[2.0]);
    fanout.flush_due(start + Duration::from_millis(99));
    assert_eq!(points(&joined.log, &mut cursor), []);
    assert_eq!(fanout.next_due(), Some(start + Duration::from_millis(100)));
    fanout.flush_due(start + Duration::from_millis(100));
    assert_eq!(points(&joined.log, &mut cursor), [(3, 2500, 2.0)]);
    assert_eq!(fanout.next_due(), None);
}

#[test]
fn identical_subscriptions_share_one_stream_and_its_last_viewer_ends_it() {
    let (mut fanout, now) = (fanout(), Instant::now());
    let (first, one) = join(&mut fanout, now, 10, &[1]);
    let (second, two) = join(&mut fanout, now, 10, &[1]);
    let (third, _three) = join(&mut fanout, now, 0, &[1]);
    assert_eq!(first.log.number, second.log.number);
    assert_ne!(first.log.number, third.log.number);
    fanout.leave(first.log.number, &one);
    assert_eq!(fanout.stream_count(), 2);
    fanout.leave(first.log.number, &two);
    assert_eq!(fanout.stream_count(), 1);
    fanout.push(now, 1, &[0], 0, &[1.0]);
    fanout.flush_due(now + Duration::from_secs(1));
    assert_eq!(first.log.end(), 0);
}

#[test]
fn a_burst_loses_nothing_where_every_change_was_asked_for() {
    let (mut fanout, now) = (fanout(), Instant::now());
    let (joined, _viewer) = join(&mut fanout, now, 0, &[1, 2]);
    let (times_us, values): (Vec<i64>, Vec<f64>) = (0..5_000).map(|i| (i * 1_000, i as f64)).unzip();
    fanout.push(now, 2, &[0], 0, &[0.5]);
    fanout.push(now, 1, &times_us[..1_000], 0, &values[..1_000]);
    fanout.push(now, 1, &times_us[1_000..], 0, &values[1_000..]);
    fanout.flush_due(now + Duration::from_millis(5));
    assert_eq!(fanout.next_due(), None);
    let seen = points(&joined.log, &mut joined.cursor.clone());
    let of_burst: Vec<f64> = seen.iter().filter(|point| point.0 == 1).map(|point| point.2).collect();
    assert_eq!((of_burst, seen.len(), fanout.totals.merged), (values, 5_001, 0));
}

#[test]
fn who_joins_gets_nothing_from_before_its_snapshot() {
    let (mut fanout, now) = (fanout(), Instant::now());
    let (first, _one) = join(&mut fanout, now, 1, &[1]);
    fanout.push(now, 1, &[1_000], 0, &[1.0]);
    fanout.flush_due(now);
    fanout.push(now, 1, &[2_000], 0, &[2.0]);
    // A second later, so that the first one's snapshot is not shared.
    let later = now + Duration::from_millis(1_500);
    let (second, _two) = join(&mut fanout, later, 1, &[1]);
    fanout.push(later, 1, &[3_000], 0, &[3.0]);
    fanout.flush_due(later + Duration::from_secs(2));
    let (mut of_first, mut of_second) = (first.cursor, second.cursor);
    assert_eq!(points(&first.log, &mut of_first).len(), 3);
    assert_eq!(points(&second.log, &mut of_second), [(1, 3, 3.0)]);
}

#[test]
fn a_snapshot_is_shared_for_a_second_together_with_its_place() {
    let (mut fanout, now) = (fanout(), Instant::now());
    let (first, _one) = join(&mut fanout, now, 10, &[1]);
    fanout.push(now, 1, &[1_000], 0, &[1.0]);
    let (second, _two) = join(&mut fanout, now + Duration::from_millis(900), 10, &[1]);
    assert_eq!(first.cursor, second.cursor, "the shared snapshot is from before the reading");
    let (third, _three) = join(&mut fanout, now + Duration::from_millis(1_100), 10, &[1]);
    assert!(third.cursor > first.cursor);
}

#[test]
fn viewers_of_a_grown_set_are_told() {
    let (mut fanout, now) = (fanout(), Instant::now());
    let (joined, viewer) = join(&mut fanout, now, 10, &[1]);
    fanout.catalogue_changed(|_| vec![1]);
    assert_eq!(viewer.take().changed_streams, [0_u64; 0]);
    fanout.catalogue_changed(|_| vec![1, 2]);
    assert_eq!(viewer.take().changed_streams, [joined.log.number]);
}

#[test]
fn frames_stay_below_their_limit_and_lose_nothing() {
    let rows: Vec<_> =
        (0..20_000).map(|i| (i / 100, Point { time_us: i64::from(i) * 1_000, value: f64::from(i) })).collect();
    let (mut frames, mut data) = (Vec::new(), LiveData::default());
    encode_rows(1, &rows, 7, &mut data, |frame| frames.push(frame));
    assert!(frames.iter().all(|frame| frame.len() <= LIVE_FRAME_BYTES_MAX));
    let (mut seen, mut merged) = (0, 0);
    for frame in &frames {
        data.decode(frame).expect("readable");
        merged += data.merged;
        for (id, dt_ms, values) in data.series() {
            for (&dt, &value) in dt_ms.iter().zip(values) {
                assert_eq!((id, data.t0_ms + u64::from(dt)), (seen / 100, u64::from(seen)));
                assert!((value - f64::from(seen)).abs() < f64::EPSILON);
                seen += 1;
            }
        }
    }
    assert_eq!((seen, merged), (20_000, 7));
}

use futures_util::FutureExt;

use super::*;
use crate::live::{
    log::Read,
    snapshot::{Snapshot, SnapshotError},
};

const WINDOW: Window = Window { window_ms: 1000, points: 100 };

fn fanout() -> Fanout {
    Fanout::new(Duration::from_millis(5))
}

fn snapshot() -> SharedSnapshot {
    SharedSnapshot::new(async { Ok(Snapshot::default()) })
}

fn key(max_hz: u32) -> StreamKey {
    StreamKey { selector: Selector::parse("*/*").expect("valid"), max_hz }
}

fn join_as(
    fanout: &mut Fanout,
    viewer: &Arc<ViewerLink>,
    now: Instant,
    max_hz: u32,
    series: &[u32],
) -> Result<Joined, JoinError> {
    fanout.join(now, key(max_hz), series.to_vec(), WINDOW, Arc::clone(viewer), |_| snapshot())
}

fn join(fanout: &mut Fanout, now: Instant, max_hz: u32, series: &[u32]) -> (Joined, Arc<ViewerLink>) {
    let viewer = Arc::new(ViewerLink::default());
    (join_as(fanout, &viewer, now, max_hz, series).expect("there is room"), viewer)
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
    fanout.catalogue_changed(|_, series| !series.contains(&1));
    assert_eq!(viewer.take(true).changed_streams, [0_u64; 0]);
    fanout.catalogue_changed(|_, series| !series.contains(&2));
    assert_eq!(viewer.take(true).changed_streams, [joined.log.number]);
}

#[test]
fn when_everything_has_changed_everybody_is_told_and_no_snapshot_from_before_is_shared() {
    let (mut fanout, now) = (fanout(), Instant::now());
    let (first, one) = join(&mut fanout, now, 10, &[1]);
    let (second, two) = join(&mut fanout, now, 0, &[1]);
    fanout.all_changed();
    assert_eq!(one.take(true).changed_streams, [first.log.number]);
    assert_eq!(two.take(true).changed_streams, [second.log.number]);
    let mut was_taken = false;
    let again = fanout.join(now, key(10), vec![1], WINDOW, Arc::default(), |_| {
        was_taken = true;
        snapshot()
    });
    assert!(was_taken && again.is_ok());
}

#[test]
fn a_snapshot_that_failed_is_not_shared() {
    let (mut fanout, now) = (fanout(), Instant::now());
    let failed = SharedSnapshot::new(async { Err(SnapshotError::Busy) });
    let joined = fanout.join(now, key(10), vec![1], WINDOW, Arc::default(), |_| failed).expect("there is room");
    assert_eq!(joined.snapshot.get().now_or_never(), Some(Err(SnapshotError::Busy)));
    let (again, _viewer) = join(&mut fanout, now, 10, &[1]);
    assert_eq!(again.snapshot.get().now_or_never(), Some(Ok(Arc::default())));
}

#[test]
fn snapshots_are_kept_no_longer_than_they_are_shared() {
    let (mut fanout, now) = (fanout(), Instant::now());
    let (_joined, _viewer) = join(&mut fanout, now, 10, &[1]);
    let kept = |fanout: &Fanout| fanout.streams.values().map(|stream| stream.snapshots.len()).sum::<usize>();
    fanout.tick(now + SNAPSHOT_SHARED_FOR / 2, None);
    assert_eq!(kept(&fanout), 1);
    fanout.tick(now + SNAPSHOT_SHARED_FOR, None);
    assert_eq!(kept(&fanout), 0, "what is kept costs memory");
}

#[test]
fn an_import_from_another_century_blanks_nobody_and_is_counted() {
    const NOW_US: i64 = 1_770_000_000_000_000;
    let (mut fanout, now) = (fanout(), Instant::now());
    let (joined, _viewer) = join(&mut fanout, now, 0, &[1, 2]);
    fanout.tick(now, Some(NOW_US));
    fanout.push(now, 1, &[NOW_US], 0, &[1.0]);
    fanout.push(now, 2, &[4_102_444_800_000_000], 0, &[2.0]);
    fanout.flush_due(now);
    let mut cursor = joined.cursor;
    assert_eq!(points(&joined.log, &mut cursor), [(1, NOW_US as u64 / 1000, 1.0)]);
    // When nothing is left there is no frame to tell it; the next one does.
    fanout.push(now, 2, &[4_102_444_800_000_000, 0], 0, &[2.0, 3.0]);
    fanout.flush_due(now + Duration::from_secs(1));
    assert_eq!(points(&joined.log, &mut cursor), []);
    fanout.push(now + Duration::from_secs(2), 1, &[NOW_US], 0, &[1.0]);
    fanout.flush_due(now + Duration::from_secs(2));
    let mut merged = 0;
    joined.log.read(cursor, |frame| {
        let mut data = LiveData::default();
        data.decode(frame).expect("readable");
        merged += data.merged;
        true
    });
    assert_eq!((merged, fanout.totals.merged, fanout.totals.points), (2, 3, 2));
}

#[test]
fn a_subscription_cannot_be_faster_than_the_hub_can_afford() {
    let shortest = Duration::from_millis(5);
    assert_eq!(interval(shortest, &key(u32::MAX), 1), shortest);
    assert_eq!(interval(shortest, &key(10), 1), Duration::from_millis(100));
    assert_eq!(interval(shortest, &key(100), 2_000), Duration::from_millis(30));
    assert_eq!(interval(shortest, &key(0), 1), shortest);
}

#[test]
fn a_viewer_has_a_bounded_number_of_series_and_gets_them_back() {
    let (mut fanout, now, viewer) = (fanout(), Instant::now(), Arc::new(ViewerLink::default()));
    let series: Vec<u32> = (0..1_024).collect();
    let mut joined = Vec::new();
    let refused = loop {
        match join_as(&mut fanout, &viewer, now, 10, &series) {
            Ok(one) => joined.push(one.log.number),
            Err(error) => break error,
        }
    };
    assert_eq!((refused, joined.len()), (JoinError::ViewerFull, SERIES_PER_VIEWER_MAX / 1_024));
    // Leaving twice, or what it never had, gives back nothing more.
    fanout.leave(joined[0], &viewer);
    fanout.leave(joined[0], &viewer);
    fanout.leave(joined[1], &Arc::default());
    assert!(join_as(&mut fanout, &viewer, now, 10, &series).is_ok());
    assert_eq!(join_as(&mut fanout, &viewer, now, 10, &series).unwrap_err(), JoinError::ViewerFull);
    // Another one is not concerned, and shares what is there.
    assert!(join_as(&mut fanout, &Arc::default(), now, 10, &series).is_ok());
}

#[test]
fn all_viewers_together_have_a_bounded_number_of_streams() {
    let (mut fanout, now) = (fanout(), Instant::now());
    let mut viewers = Vec::new();
    let refused = (1..).find_map(|max_hz| {
        let viewer = Arc::new(ViewerLink::default());
        let outcome = join_as(&mut fanout, &viewer, now, max_hz, &[1]);
        viewers.push(viewer);
        outcome.err()
    });
    assert_eq!((refused, fanout.stream_count()), (Some(JoinError::HubFull), STREAMS_MAX));
    assert!(join_as(&mut fanout, &Arc::default(), now, 1, &[1]).is_ok(), "what others have can be shared");
    fanout.leave(1, &viewers[0]);
    let everything: Vec<u32> = (0..WATCHED_MAX as u32).collect();
    assert_eq!(fanout.watched, STREAMS_MAX);
    let too_many = &everything[..SERIES_PER_VIEWER_MAX];
    let refused = (0..100).find_map(|_| join_as(&mut fanout, &Arc::default(), now, 0, too_many).err());
    assert_eq!(refused, Some(JoinError::HubFull), "nor an unbounded number of series");
}

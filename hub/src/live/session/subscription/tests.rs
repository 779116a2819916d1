use bytes::Bytes;
use protocol::live::LiveData;

use super::*;

fn wish() -> Subscribe {
    Subscribe { id: 1, series: "*/*".into(), window_ms: 1_000, points: 10, max_hz: 0 }
}

fn frame(number: u32) -> Bytes {
    let data = LiveData {
        stream: 1,
        t0_ms: u64::from(number),
        ids: vec![7],
        counts: vec![1],
        dt_ms: vec![0],
        values: vec![f64::from(number)],
        merged: 0,
    };
    let mut bytes = Vec::new();
    data.encode(&mut bytes);
    bytes.into()
}

fn waiting(log: &Arc<StreamLog>, request: u64, tries: u32) -> Subscription {
    let mut subscription = Subscription::new(wish(), false);
    let feed = Feed::new(Arc::clone(log), 0);
    let waiting = Waiting { request, feed, series: Vec::new(), points: 10, tries, is_stale: false };
    subscription.stage = Stage::Waiting(waiting);
    subscription
}

fn values(subscription: &mut Subscription) -> (Vec<f64>, u64) {
    let Stage::Live { feed, .. } = &mut subscription.stage else { panic!("not live") };
    let mut frames = Vec::new();
    let merged = feed.lag.take(1, |frame| frames.push(frame));
    assert!(feed.read(usize::MAX, |frame| frames.push(frame)), "nothing is lost");
    let decode = |frame: &Bytes| {
        let mut data = LiveData::default();
        data.decode(frame).expect("readable");
        data.values
    };
    (frames.iter().flat_map(decode).collect(), merged)
}

#[test]
fn what_comes_while_a_snapshot_is_made_follows_it_however_long_that_takes() {
    let log = Arc::new(StreamLog::new(1));
    let mut subscription = waiting(&log, 5, 0);
    // Several times what the log holds.
    for number in 0..2_000 {
        log.push(frame(number));
        subscription.absorb(false);
    }
    assert_eq!(subscription.due_at(Instant::now()), None);
    assert!(subscription.awaits(5) && !subscription.awaits(4), "an older snapshot is not taken for a newer one");
    assert_eq!(subscription.go_live(), Some(Begun { stream: 1, series: Vec::new(), points: 10 }));
    assert_eq!(values(&mut subscription), ((0..2_000).map(f64::from).collect(), 0));
}

#[test]
fn a_viewer_that_takes_nothing_is_merged_and_one_that_does_is_not() {
    let log = Arc::new(StreamLog::new(1));
    let mut subscription = waiting(&log, 1, 0);
    subscription.go_live();
    for number in 0..2_000 {
        log.push(frame(number));
        subscription.absorb(true);
    }
    let (seen, merged) = values(&mut subscription);
    assert!(seen.len() < 200 && seen[0] == 0.0 && seen.last() == Some(&1_999.0), "{seen:?}");
    assert_eq!(seen.len() as u64 + merged, 2_000, "every point is sent or counted");
    for number in 0..100 {
        log.push(frame(number));
        subscription.absorb(false);
    }
    assert_eq!(values(&mut subscription).1, 0);
}

#[test]
fn a_session_that_did_not_run_for_long_begins_afresh() {
    let log = Arc::new(StreamLog::new(1));
    let mut subscription = waiting(&log, 1, 0);
    for number in 0..2_000 {
        log.push(frame(number));
    }
    subscription.absorb(false);
    subscription.go_live();
    assert!(subscription.due_at(Instant::now()).is_some_and(|at| at <= Instant::now()));
    assert!(subscription.stage.feed().is_some(), "live goes on meanwhile");
}

#[test]
fn a_snapshot_that_cannot_be_had_is_asked_for_again_for_half_a_minute() {
    let (mut tries, mut waited) = (0, Duration::ZERO);
    while let Some(stage) = waiting(&Arc::new(StreamLog::new(1)), 1, tries).retry() {
        let Stage::Due { at, tries: next } = stage else { panic!("to be asked for again") };
        waited += at.duration_since(Instant::now());
        assert_eq!(next, tries + 1);
        tries = next;
    }
    assert_eq!(tries + 1, TRIES_MAX);
    assert!((10..60).contains(&waited.as_secs()), "{waited:?}");
}

#[test]
fn a_hidden_page_asks_for_nothing() {
    let mut subscription = Subscription::new(wish(), true);
    subscription.on_changed();
    assert_eq!(subscription.due_at(Instant::now()), None);
    assert!(subscription.stage.feed().is_none());
    assert!(Subscription::new(wish(), false).due_at(Instant::now()).is_some());
}

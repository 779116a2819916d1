//! What one series of calls does; the model beside it covers what any series does.

mod model;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::{Buckets, QueryError, Readings, Retention};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
const START: i64 = 1_760_000_000 * SECOND;

fn commit(history: &mut History, seq: u64) -> Committed {
    history.commit(seq, |_| Ok::<_, Infallible>(())).unwrap()
}

fn small() -> Config {
    Config { chunk_readings: 64, ..Config::default() }
}

fn feed(history: &mut History, seq: u64, series: SeriesId, times_us: &[i64], values: &[f64]) {
    history.append(seq, START, series, 0, times_us, values);
    history.end_record(seq);
}

fn open(path: &Path) -> History {
    History::open(path, small()).unwrap()
}

#[test]
fn a_commit_inside_a_record_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(&dir.path().join("h.db"));
    history.append(1, START, 7, 0, &[START], &[1.0]);
    assert!(matches!(history.commit(1, |_| Ok::<_, Infallible>(())), Err(CommitError::RecordOpen)));
    history.end_record(1);
    commit(&mut history, 1);
}

#[test]
fn a_failed_commit_stores_nothing_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(&dir.path().join("h.db"));
    let times_us: Vec<i64> = (0..100).map(|i| START + i * SECOND).collect();
    feed(&mut history, 1, 7, &times_us, &[1.5; 100]);
    let refused = history.commit(1, |_| Err(std::io::Error::other("no")));
    assert!(matches!(refused, Err(CommitError::Extra(_))));
    assert_eq!((history.applied_seq(), history.replay_from()), (0, 1));
    assert!(history.wants_commit());
    assert_eq!(commit(&mut history, 1).sealed, 1);
    assert_eq!((history.applied_seq(), history.replay_from()), (1, 2));
    let mut view = history.view(&[7], START, START + HOUR).unwrap();
    let mut count = 0;
    view.raw(7, START, START + HOUR, |some| {
        count += some.len();
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(count, 100);
}

#[test]
fn heads_stay_under_their_memory_limit() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { head_bytes_max: 64 << 10, ..Config::default() };
    let mut history = History::open(&dir.path().join("h.db"), config).unwrap();
    let mut most = 0;
    for seq in 1..=200_u64 {
        for series in 0..100 {
            history.append(seq, START, series, 0, &[START + seq as i64 * SECOND], &[seq as f64 / 10.0]);
        }
        history.end_record(seq);
        if history.wants_commit() {
            commit(&mut history, seq);
        }
        most = most.max(history.head_bytes());
    }
    assert!(most <= 64 << 10, "{most} bytes");
    history.release_below(201);
    commit(&mut history, 200);
    assert_eq!(history.head_bytes(), 0);
}

#[test]
fn a_view_does_not_see_what_comes_after_it_and_runs_on_another_thread() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(&dir.path().join("h.db"));
    feed(&mut history, 1, 7, &[START, START + 1], &[1.0, 2.0]);
    let mut before = history.view(&[7], START, START + HOUR).unwrap();
    let times_us: Vec<i64> = (2..200).map(|i| START + i).collect();
    feed(&mut history, 2, 7, &times_us, &vec![3.0; times_us.len()]);
    commit(&mut history, 2);
    let mut after = history.view(&[7], START, START + HOUR).unwrap();
    let count = |view: &mut View| match view.buckets(7, START, START + HOUR, 1_000).unwrap() {
        Buckets::Raw(readings) => readings.len(),
        Buckets::Buckets { .. } => unreachable!("fewer readings than points"),
    };
    let counts = std::thread::spawn(move || (count(&mut before), count(&mut after))).join().unwrap();
    assert_eq!(counts, (2, 200));
}

#[test]
fn a_series_must_be_in_the_view_and_one_without_readings_answers_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(&dir.path().join("h.db"));
    let mut view = history.view(&[7], i64::MIN, i64::MAX).unwrap();
    assert!(matches!(view.buckets(8, 0, 1, 10), Err(QueryError::NotInView(8))));
    assert_eq!(view.buckets(7, i64::MIN, i64::MAX, 10).unwrap(), Buckets::Raw(Readings::default()));
    assert_eq!(view.latest(7).unwrap(), None);
}

#[test]
fn what_a_series_was_at_is_found_however_long_ago_it_changed() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(&dir.path().join("h.db"));
    let day = 24 * HOUR;
    feed(&mut history, 1, 7, &[START], &[1.0]);
    // An import between the two readings of its life, in chunks of the late lane.
    feed(&mut history, 2, 7, &[START + 300 * day], &[2.0]);
    for seq in 3..=40_u64 {
        let times_us: Vec<i64> = (0..64).map(|i| START + (seq as i64 * 64 + i) * HOUR).collect();
        feed(&mut history, seq, 7, &times_us, &[seq as f64; 64]);
        commit(&mut history, seq);
    }
    // The view is of a range behind all of it: what it stood at belongs to the answer.
    let now_us = START + 400 * day;
    let mut view = history.view(&[7, 8], now_us - HOUR, now_us).unwrap();
    for (before_us, wanted) in [
        (now_us - HOUR, Some((START + 300 * day, 2.0))),
        (START + 300 * day, Some((START + (40 * 64 + 63) * HOUR, 40.0))),
        (START + 10 * 64 * HOUR + 1, Some((START + 10 * 64 * HOUR, 10.0))),
        (START + 10 * 64 * HOUR, Some((START + (10 * 64 - 1) * HOUR, 9.0))),
        (START + 1, Some((START, 1.0))),
        (START, None),
    ] {
        assert_eq!(view.last_before(7, before_us).unwrap(), wanted);
    }
    assert_eq!(view.last_before(8, now_us).unwrap(), None);
    drop(view);
    // A head that is not stored yet and lies before the range as well.
    feed(&mut history, 41, 8, &[START + 350 * day], &[f64::NAN]);
    let mut view = history.view(&[8], now_us - HOUR, now_us).unwrap();
    let (time_us, value) = view.last_before(8, now_us - HOUR).unwrap().unwrap();
    assert!(time_us == START + 350 * day && value.is_nan(), "a missing measurement is the last, too");
}

#[test]
fn a_damaged_chunk_in_the_way_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(&dir.path().join("h.db"));
    for seq in 1..=4_u64 {
        let times_us: Vec<i64> = (0..64).map(|i| START + (seq as i64 * 64 + i) * SECOND).collect();
        feed(&mut history, seq, 7, &times_us, &[seq as f64; 64]);
        commit(&mut history, seq);
    }
    let broken = "UPDATE blob SET bytes = x'00' WHERE id IN (SELECT blob FROM chunk WHERE lane = 0 AND t1_us > ?)";
    assert_eq!(history.connection().execute(broken, [START + 3 * 64 * SECOND]).unwrap(), 2);
    let mut view = history.view(&[7], START + HOUR, START + 2 * HOUR).unwrap();
    assert_eq!(view.last_before(7, START + HOUR).unwrap(), Some((START + (3 * 64 - 1) * SECOND, 2.0)));
    assert!(view.damaged_chunks() >= 2);
}

#[test]
fn retention_deletes_in_bounded_steps_and_hides_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.db");
    let keep = Retention { max_age: Some(Duration::from_secs(3_600)) };
    let config = Config { chunk_readings: 16, retention: [keep; 3], ..Config::default() };
    let mut history = History::open(&path, config).unwrap();
    // One chunk a record and series: more than one step's worth.
    for seq in 1..=60_u64 {
        for series in 0..40 {
            let times_us: Vec<i64> = (0..16).map(|i| START + (seq as i64 * 16 + i) * SECOND).collect();
            history.append(seq, START, series, 0, &times_us, &[1.0; 16]);
        }
        history.end_record(seq);
        commit(&mut history, seq);
    }
    let now_us = START + 30 * HOUR;
    let first = history.retain(now_us).unwrap();
    assert!(first.more && first.chunks > 0 && first.chunks < 60 * 40, "{first:?}");
    let mut view = history.view(&[39], i64::MIN, i64::MAX).unwrap();
    view.raw(39, i64::MIN, i64::MAX, |_| unreachable!("hidden, if not deleted yet")).unwrap();
    assert_eq!(view.latest(39).unwrap(), None);
    drop(view);
    let mut chunks = first.chunks;
    while let step = history.retain(now_us).unwrap()
        && (step.chunks > 0 || step.more)
    {
        chunks += step.chunks;
    }
    assert_eq!(chunks, 60 * 40);
    let left: i64 = history.connection().query_row("SELECT count(*) FROM blob", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

#[test]
fn views_are_bounded_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = History::open(&dir.path().join("h.db"), Config { readers_max: 2, ..small() }).unwrap();
    for _ in 0..3 {
        let views = (history.view(&[], 0, 1).unwrap(), history.view(&[], 0, 1).unwrap());
        assert!(matches!(history.view(&[], 0, 1), Err(ViewError::ReadersBusy(2))));
        drop(views);
    }
}

#[test]
fn events_come_back_once_and_go_with_the_raw_readings() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.db");
    let keep = Retention { max_age: Some(Duration::from_secs(3_600)) };
    let config = Config { retention: [keep; 3], ..small() };
    let mut history = History::open(&path, config.clone()).unwrap();
    history.append_event(3, START, 1, b"hub start");
    history.append_event(4, START + HOUR, 2, b"");
    commit(&mut history, 4);
    drop(history);
    let mut history = History::open(&path, config).unwrap();
    history.append_event(4, START + HOUR, 2, b"");
    history.append_event(5, START + 2 * HOUR, 3, b"\0");
    commit(&mut history, 5);
    let seqs = |history: &mut History| -> Vec<u64> {
        let mut view = history.view(&[], 0, 1).unwrap();
        view.events(i64::MIN, i64::MAX, 10).unwrap().iter().map(|event| event.seq).collect()
    };
    assert_eq!(seqs(&mut history), [3, 4, 5]);
    assert!(!history.retain(START + 3 * HOUR).unwrap().more);
    assert_eq!(seqs(&mut history), [5]);
}

#[test]
fn newer_and_foreign_files_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("h.db");
    drop(open(&path));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", store::FORMAT + 1).unwrap();
    let newer = History::open(&path, small()).err().unwrap();
    assert!(matches!(newer, OpenError::NewerFormat { found: 2, supported: 1 }), "{newer}");

    let path = dir.path().join("other.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x); PRAGMA user_version = 9").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(History::open(&path, small()), Err(OpenError::Foreign(0))));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

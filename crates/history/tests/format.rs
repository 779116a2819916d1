//! The database as it lies on disk: what version 1 wrote is read for ever, damage costs only what it hits, and a backlog
//! does not cut the live readings into crumbs.

use std::convert::Infallible;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use history::{Buckets, Config, History, LATE, Readings, View};
use rusqlite::Connection;

type Outcome = Result<(), Box<dyn Error>>;

const START_US: i64 = 1_760_000_000_000_000;
const MINUTE_US: i64 = 60_000_000;
const END_US: i64 = START_US + 1_000 * MINUTE_US;

fn open(path: &Path) -> Result<History, Box<dyn Error>> {
    Ok(History::open(path, Config { chunk_readings: 16, ..Config::default() })?)
}

fn commit(history: &mut History, seq: u64) -> Outcome {
    history.commit(seq, |_| Ok::<_, Infallible>(()))?;
    Ok(())
}

/// Series 1: 70 minutes of a reading a minute, chunked, then three late readings, two of them on taken times, spilled.
/// Series 2: one reading, spilled. One event. What is asserted below is what this wrote with version 1.
fn write(path: &Path) -> Outcome {
    let mut history = open(path)?;
    for i in 0..70_i64 {
        let seq = i as u64 + 1;
        let value = if i == 5 { f64::NAN } else { i as f64 / 2.0 };
        history.append(seq, START_US + i * MINUTE_US + 1_500_000, 1, 2, &[START_US + i * MINUTE_US], &[value]);
        history.end_record(seq);
        commit(&mut history, seq)?;
    }
    let late_us = [START_US + 3 * MINUTE_US, START_US + 3 * MINUTE_US, START_US + 5 * MINUTE_US + 1];
    history.append(71, START_US + 71 * MINUTE_US, 1, 0, &late_us, &[100.0, 200.0, 0.1]);
    history.append(71, START_US + 71 * MINUTE_US, 2, 4, &[START_US], &[1.25]);
    history.append_event(71, START_US, 9, b"started");
    history.end_record(71);
    history.release_below(72);
    commit(&mut history, 71)
}

fn all(view: &mut View, series: u32) -> Result<Readings, Box<dyn Error>> {
    let mut all = Readings::default();
    view.raw(series, START_US, END_US, |some| {
        all.times_us.extend(&some.times_us);
        all.values.extend(&some.values);
        all.flags.extend(&some.flags);
        all.arrivals_s.extend(&some.arrivals_s);
        ControlFlow::Continue(())
    })?;
    Ok(all)
}

#[test]
fn what_version_1_wrote_is_still_read() -> Outcome {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/history-v1.db");
    if std::env::var_os("WRITE_GOLDEN").is_some() {
        write(&golden)?;
    }
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("history.db");
    std::fs::copy(golden, &path)?;
    let mut history = open(&path)?;
    assert_eq!((history.applied_seq(), history.replay_from()), (71, 72));
    let mut view = history.view(&[1, 2], START_US, END_US)?;
    let readings = all(&mut view, 1)?;
    assert_eq!(readings.len(), 71);
    assert_eq!((readings.values[3], readings.flags[3]), (200.0, LATE));
    assert_eq!((readings.values[4], readings.flags[4]), (2.0, 2));
    assert_eq!(readings.arrivals_s[4], 1_760_000_241);
    assert!(readings.values[5].is_nan());
    assert_eq!((readings.times_us[6], readings.values[6]), (START_US + 5 * MINUTE_US + 1, 0.1));
    let Buckets::Buckets { width_us, rows } = view.buckets(1, START_US, END_US, 50)? else {
        return Err("71 readings are more than 50 points".into());
    };
    assert_eq!(width_us, 30 * MINUTE_US);
    assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), 70);
    assert_eq!(rows.iter().filter(|row| row.max.to_bits() == 200_f64.to_bits()).count(), 1);
    assert_eq!(all(&mut view, 2)?.values, [1.25]);
    assert_eq!(view.events(START_US, END_US, 10)?[0].payload, b"started");
    assert_eq!(view.damaged_chunks(), 0);
    Ok(())
}

#[test]
fn the_tables_are_those_of_version_1() -> Outcome {
    let schema = |path: PathBuf| -> Result<Vec<String>, rusqlite::Error> {
        let conn = Connection::open(path)?;
        let mut statement = conn.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let dir = tempfile::tempdir()?;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/history-v1.db");
    std::fs::copy(golden, dir.path().join("golden.db"))?;
    drop(open(&dir.path().join("new.db"))?);
    assert_eq!(
        schema(dir.path().join("golden.db"))?,
        schema(dir.path().join("new.db"))?,
        "a change of the tables needs a new format number and an upgrade"
    );
    Ok(())
}

#[test]
fn a_damaged_chunk_costs_only_its_own_readings() -> Outcome {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("history.db");
    write(&path)?;
    let conn = Connection::open(&path)?;
    let (bytes, lost): (Vec<u8>, usize) = conn.query_row(
        "SELECT bytes, n FROM chunk JOIN blob ON blob.id = chunk.blob WHERE lane = 0 ORDER BY t1_us LIMIT 1 OFFSET 1",
        [],
        |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as usize)),
    )?;
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    conn.execute("UPDATE blob SET bytes = ?1 WHERE bytes = ?2", (&damaged, &bytes))?;
    drop(conn);
    let mut history = open(&path)?;
    let mut view = history.view(&[1], START_US, END_US)?;
    assert_eq!(all(&mut view, 1)?.len(), 71 - lost);
    assert_eq!(view.damaged_chunks(), 1);
    Ok(())
}

#[test]
fn a_backlog_does_not_cut_live_readings_into_crumbs() -> Outcome {
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("history.db");
    let mut history = History::open(&path, Config { chunk_readings: 100, ..Config::default() })?;
    for i in 0..400_i64 {
        let seq = i as u64 + 1;
        history.append(seq, START_US, 1, 0, &[START_US + i], &[1.0]);
        let backlog_us: Vec<i64> = (0..50).map(|k| START_US - MINUTE_US * 1_000 + 50 * i + k).collect();
        history.append(seq, START_US, 1, 0, &backlog_us, &[2.0; 50]);
        history.end_record(seq);
        if history.wants_commit() {
            commit(&mut history, seq)?;
        }
    }
    let mut view = history.view(&[1], i64::MIN, i64::MAX)?;
    let mut count = 0;
    view.raw(1, i64::MIN, i64::MAX, |some| {
        count += some.len();
        ControlFlow::Continue(())
    })?;
    assert_eq!(count, 400 * 51);
    let least: i64 =
        Connection::open(&path)?.query_row("SELECT min(n) FROM chunk WHERE lane = 0", [], |row| row.get(0))?;
    assert!(least >= 50, "a chunk in order has {least} readings");
    Ok(())
}

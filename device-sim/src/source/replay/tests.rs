use std::{env, fs, path::PathBuf};

use tempfile::TempDir;

use super::*;

const START_US: i64 = 1_800_000_000_000_000;

fn recording(text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("recording.csv");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// Polls when asked to, until the end; gives each row's (time sent, time it carries, value) for channel 0.
fn play(replay: &mut Replay) -> Vec<(i64, i64, f64)> {
    let (mut now_us, mut sent, mut out) = (START_US, Vec::new(), Vec::new());
    loop {
        let next_us = replay.poll(now_us, &mut out).unwrap();
        for sample in out.drain(..) {
            match sample {
                Sample::Point { channel: 0, time_us, value } => sent.push((now_us, time_us, value)),
                Sample::Point { .. } => {}
                Sample::Run { .. } => panic!("a table has points only"),
            }
        }
        match next_us {
            Some(next_us) => now_us = now_us.max(next_us),
            None => return sent,
        }
    }
}

const THREE_ROWS: &str = "timestamp,value\n2013-07-04 00:00:00,1\n2013-07-04 01:00:00,2\n2013-07-04 03:00:00,3\n";
const HOUR_US: i64 = 3_600_000_000;

#[test]
fn at_its_own_pace_every_row_happens_when_it_is_sent() {
    let (_folder, path) = recording(THREE_ROWS);
    let sent = play(&mut Replay::open(&path, Pace::Live { speed: 1.0 }).unwrap());
    let expected = [0, 1, 3].map(|hours| START_US + hours * HOUR_US);
    assert_eq!(sent.iter().map(|row| row.0).collect::<Vec<_>>(), expected);
    assert_eq!(sent.iter().map(|row| row.1).collect::<Vec<_>>(), expected);
}

#[test]
fn faster_it_keeps_the_spacing_and_ends_now() {
    let (_folder, path) = recording(THREE_ROWS);
    let sent = play(&mut Replay::open(&path, Pace::Live { speed: 60.0 }).unwrap());
    let sent_us: Vec<i64> = sent.iter().map(|row| row.0 - START_US).collect();
    assert_eq!(sent_us, [0, HOUR_US / 60, HOUR_US / 20], "an hour passes in a minute");
    let ends_us = START_US + HOUR_US / 20;
    let carried: Vec<i64> = sent.iter().map(|row| row.1 - ends_us).collect();
    assert_eq!(carried, [-3 * HOUR_US, -2 * HOUR_US, 0], "the last row is now");
    assert!(sent.iter().all(|row| row.1 <= row.0), "nothing lies ahead");
}

#[test]
fn as_recorded_it_keeps_its_times_and_does_not_wait() {
    let (_folder, path) = recording(THREE_ROWS);
    let sent = play(&mut Replay::open(&path, Pace::AsRecorded).unwrap());
    assert_eq!(sent.iter().map(|row| row.0).collect::<Vec<_>>(), [START_US; 3]);
    assert_eq!(sent[0], (START_US, 1_372_896_000_000_000, 1.0));
}

#[test]
fn a_row_out_of_order_keeps_its_time() {
    let (_folder, path) = recording("t,v\n1800000000,1\n1800000020,2\n1800000010,3\n1800000030,4\n");
    let sent = play(&mut Replay::open(&path, Pace::Live { speed: 1.0 }).unwrap());
    let relative: Vec<(i64, i64)> =
        sent.iter().map(|row| ((row.0 - START_US) / 1_000_000, (row.1 - START_US) / 1_000_000)).collect();
    assert_eq!(relative, [(0, 0), (20, 20), (20, 10), (30, 30)]);
}

#[test]
fn one_poll_gives_a_bounded_number_of_rows() {
    let rows: Vec<String> = (0..3_000).map(|row| format!("{},{row}", 1_800_000_000 + row)).collect();
    let (_folder, path) = recording(&format!("t,v\n{}", rows.join("\n")));
    let mut replay = Replay::open(&path, Pace::AsRecorded).unwrap();
    let mut out = Vec::new();
    assert_eq!(replay.poll(START_US, &mut out).unwrap(), Some(START_US), "more is ready at once");
    assert_eq!(out.len(), ROWS_PER_POLL_MAX);
    assert_eq!(play(&mut replay).len(), 3_000 - ROWS_PER_POLL_MAX);
}

#[test]
fn missing_values_and_several_columns_are_sent() {
    let (_folder, path) = recording("temp [Cel],time,hum\n21.5,1800000000,\n,1800000001,40\n");
    let mut replay = Replay::open(&path, Pace::AsRecorded).unwrap();
    let mut out = Vec::new();
    replay.poll(START_US, &mut out).unwrap();
    let values: Vec<(usize, f64)> = out
        .iter()
        .map(|sample| match sample {
            Sample::Point { channel, value, .. } => (*channel, *value),
            Sample::Run { .. } => panic!("a table has points only"),
        })
        .collect();
    assert_eq!((values[0], values[3]), ((0, 21.5), (1, 40.0)));
    assert!(values[1].1.is_nan() && values[2].1.is_nan());
    assert_eq!(replay.channels()[0].unit.as_deref(), Some("Cel"));
}

#[test]
fn words_become_states_and_other_text_stays_behind() {
    let (_folder, path) = recording("time,pump,note,temp\n1800000000,off,,21\n1800000001,on,oiled,22\n");
    let mut replay = Replay::open(&path, Pace::AsRecorded).unwrap();
    let sent: Vec<f64> = play(&mut replay).iter().map(|row| row.2).collect();
    assert_eq!(sent, [0.0, 1.0]);
    let names: Vec<&str> = replay.channels().iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!(
        (names, &replay.channels()[0].states[..]),
        (vec!["pump", "temp"], &["off".to_owned(), "on".to_owned()][..])
    );
}

#[test]
fn mistakes_are_told_before_anything_is_sent_with_file_and_line() {
    for (text, line, words) in [
        ("a,b\n1,2\n", 1, "timestamp, time or t; there are: a, b"),
        ("time;temp\n1800000000;21,5\n", 1, "separated by commas"),
        ("time,note\n1800000000,cleaned\n", 1, "no column of values"),
        ("2013-07-04 00:00:00,1\n", 1, "must name the columns"),
        ("time,v\n", 1, "no row"),
        ("time,v\n1800000000,1\nyesterday,2\n", 3, "is no time"),
        ("time,v\n1800000000,1\n1800000001,high\n", 3, "column v"),
        ("time,v\n1800000000,1,9\n", 2, "3 fields"),
    ] {
        let (_folder, path) = recording(text);
        let error = Replay::open(&path, Pace::AsRecorded).err().unwrap().to_string();
        assert!(error.contains(&format!("recording.csv:{line}: ")) && error.contains(words), "{error}");
    }
    let missing = Replay::open(Path::new("/nowhere/recording.csv"), Pace::AsRecorded).err().unwrap();
    assert_eq!(missing.to_string(), "cannot open /nowhere/recording.csv");
    let (_folder, path) = recording(THREE_ROWS);
    for speed in [0.5, 0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Replay::open(&path, Pace::Live { speed }), Err(SourceError::Speed { .. })), "{speed}");
    }
}

/// Set RECORDINGS to a folder with the recordings of the Numenta Anomaly Benchmark to run it.
#[test]
fn real_recordings_play_to_their_end() {
    let Some(folder) = env::var_os("RECORDINGS") else {
        eprintln!("RECORDINGS is not set: nothing to replay");
        return;
    };
    let path = PathBuf::from(folder).join("machine_temperature_system_failure.csv");
    let sent = play(&mut Replay::open(&path, Pace::Live { speed: 100_000.0 }).unwrap());
    assert_eq!(sent.len(), 22_695);
    assert!(sent.iter().all(|row| row.1 <= row.0), "nothing lies ahead");
    let last = sent.last().unwrap();
    assert_eq!(last.0, last.1, "the last row is now");
}

//! Real recordings through the real `device-sim`: what the file holds is what the hub answers.
//!
//! The project's own recording always; with `RECORDINGS=DIR` every CSV in that folder as well.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use hub::clock::now_us;
use jiff::{civil::DateTime, tz::TimeZone};
use serde_json::json;

use crate::support::{TestHub, device_sim, in_time};

const DECADES: Duration = Duration::from_secs(3_600 * 24 * 365 * 30);

/// Readings of one column by time, microseconds since the Unix epoch. Of several with one time the last stands.
type Column = BTreeMap<i64, Option<f64>>;

fn recordings() -> Vec<PathBuf> {
    let mut paths =
        vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../device-sim/fixtures/recordings/pump-bearing.csv")];
    match env::var_os("RECORDINGS") {
        Some(folder) => {
            let entries =
                fs::read_dir(&folder).unwrap_or_else(|error| panic!("RECORDINGS={}: {error}", folder.display()));
            let more = entries.map(|entry| entry.expect("readable").path());
            paths.extend(more.filter(|path| path.extension().is_some_and(|extension| extension == "csv")));
        }
        None => println!("skipped: further recordings, RECORDINGS names no folder of them"),
    }
    paths
}

/// Reads a recording as plainly as can be: `timestamp` first, no quotes, times in UTC. Columns by name without the unit.
fn read(path: &Path) -> BTreeMap<String, Column> {
    let text = fs::read_to_string(path).expect("a recording");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    assert_eq!(header[0], "timestamp");
    let names: Vec<&str> = header[1..].iter().map(|name| name.split(" [").next().expect("a first part")).collect();
    let mut columns: BTreeMap<String, Column> = names.iter().map(|&name| (name.into(), Column::new())).collect();
    for line in lines {
        let (time, values) = line.split_once(',').expect("a time and values");
        let time: DateTime = time.parse().expect("a time");
        let time_us = time.to_zoned(TimeZone::UTC).expect("in range").timestamp().as_microsecond();
        for (&name, value) in names.iter().zip(values.split(',')) {
            let value = (!value.is_empty()).then(|| value.parse().expect("a number"));
            columns.get_mut(name).expect("made above").insert(time_us, value);
        }
    }
    columns
}

/// What the hub answers.
async fn answered(hub: &TestHub, channel: &str) -> Column {
    let points = hub.points(&format!("recorder/{channel}")).await;
    points.into_iter().map(|(t_ms, value)| ((t_ms * 1_000.0).round() as i64, value)).collect()
}

/// Plays a recording to a fresh hub until all of it is acknowledged.
async fn play(program: &Path, path: &Path, flags: &[&str]) -> TestHub {
    // Recordings are old; this is not about what is kept how long.
    let hub = TestHub::with(|config| {
        let history = &mut config.history;
        (history.keep_raw, history.keep_minutes, history.keep_hours) = (DECADES, DECADES, DECADES);
    })
    .await;
    let mut command = Command::new(program);
    command.args(["--device", "recorder", "--hub", &hub.address.to_string(), "--replay"]).arg(path).args(flags);
    let played = tokio::task::spawn_blocking(move || command.stdin(Stdio::null()).output().expect("it runs"));
    let output = in_time("the recording to be over", played).await.expect("no panic");
    assert!(output.status.success(), "{} {flags:?}: {}", path.display(), String::from_utf8_lossy(&output.stderr));
    let delivery = hub.delivery("recorder").await;
    let counts = json!([delivery["duplicate"], delivery["refused"], delivery["lost"], delivery["readings_dropped"]]);
    assert_eq!(counts, json!([0, {}, 0, 0]), "{} {flags:?}: {delivery}", path.display());
    hub
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_imported_as_recorded_comes_back_equal() {
    let Some(program) = device_sim() else { return };
    for path in recordings() {
        let hub = play(&program, &path, &["--as-recorded"]).await;
        for (channel, recorded) in read(&path) {
            assert!(recorded.len() > 1_000, "{} is a recording", path.display());
            // Not assert_eq: thousands of readings say nothing.
            let answered = answered(&hub, &channel).await;
            let differs = recorded.iter().zip(&answered).find(|(recorded, answered)| recorded != answered);
            assert_eq!(differs, None, "{} {channel}", path.display());
            assert_eq!(answered.len(), recorded.len(), "{} {channel}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_played_now_comes_back_shifted_to_now() {
    let Some(program) = device_sim() else { return };
    for path in recordings() {
        let began_us = now_us();
        let hub = play(&program, &path, &["--speed", "20000000"]).await;
        let ended_us = now_us();
        let mut shift_of_all = None;
        for (channel, recorded) in read(&path) {
            let answered = answered(&hub, &channel).await;
            let last = |column: &Column| *column.last_key_value().expect("a reading").0;
            let shift_us = last(&answered) - last(&recorded);
            assert_eq!(*shift_of_all.get_or_insert(shift_us), shift_us, "one shift for all columns");
            let shifted = recorded.iter().map(|(time_us, value)| (time_us + shift_us, *value));
            let answered_len = answered.len();
            let differs = shifted.zip(answered).find(|(shifted, answered)| shifted != answered);
            assert_eq!(differs, None, "{} {channel}", path.display());
            assert_eq!(answered_len, recorded.len(), "{} {channel}", path.display());
            assert!((began_us..=ended_us).contains(&(last(&recorded) + shift_us)), "it ends when it was played");
        }
    }
}

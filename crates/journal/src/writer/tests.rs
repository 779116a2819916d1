//! The real thread, on real files and on the test disk.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::*;

use crate::{Config, FileDisk, FolderError, Kind, Opened, Records, Recovery};

/// No condition in these tests takes this long, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn small() -> Config {
    Config {
        segment_bytes: 64 << 10,
        commit_interval: Duration::ZERO,
        retain_bytes: 256 << 10,
        reserve_bytes: 0,
        ..Config::default()
    }
}

/// Opens with commits reported to a channel that is never full in these tests.
fn open<D: Disk>(disk: D, config: Config) -> (Opened, Receiver<Commit>) {
    let (commits, received) = sync_channel(1 << 16);
    let opened = crate::open(disk, config, 0, move |commit| drop(commits.try_send(commit))).unwrap();
    (opened, received)
}

fn read_all(opened: &Opened) -> Vec<(u64, i64, Kind, Vec<u8>)> {
    let mut reader = opened.journal.reader(opened.journal.oldest_seq()).unwrap();
    let mut records = Records::new();
    let mut all = Vec::new();
    loop {
        reader.read(&mut records, 4096).unwrap();
        if records.is_empty() {
            return all;
        }
        all.extend(records.iter().map(|record| (record.seq, record.arrival_us, record.kind, record.payload.to_vec())));
    }
}

#[test]
fn what_is_written_to_real_files_is_read_live_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (mut opened, _) = open(FileDisk::open(folder.path()).unwrap(), small());
    for n in 0..5_000_i64 {
        let seq = opened.appender.append(Kind::Data, n, &[b"reading ", &n.to_le_bytes()]);
        assert_eq!(seq, n as u64 + 1);
        if n % 100 == 0 {
            opened.appender.flush();
        }
    }
    opened.appender.flush();
    assert_eq!(opened.journal.wait_durable(4_999, PATIENCE), 5_000);
    let live = read_all(&opened);
    assert_eq!(live.len(), 5_000);
    assert!(live.iter().all(|(seq, arrival_us, kind, payload)| {
        *arrival_us == *seq as i64 - 1 && *kind == Kind::Data && payload[8..] == arrival_us.to_le_bytes()
    }));
    assert!(matches!(FileDisk::open(folder.path()), Err(FolderError::InUse { .. })));
    let run = opened.recovery.run;
    let Opened { appender, journal, .. } = opened;
    journal.close().unwrap();
    drop(appender);

    let (opened, _) = open(FileDisk::open(folder.path()).unwrap(), small());
    assert_eq!(read_all(&opened), live);
    let expected = Recovery {
        first_seq: 1,
        last_seq: 5_000,
        torn_bytes: 0,
        lost: Vec::new(),
        set_aside: Vec::new(),
        last_arrival_us: 4_999,
        run: opened.recovery.run,
        duration: opened.recovery.duration,
    };
    assert_eq!(opened.recovery, expected);
    assert_ne!(opened.recovery.run, run);
    assert_eq!(opened.appender.next_seq(), 5_001);
}

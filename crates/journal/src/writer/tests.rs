//! The real thread, on real files and on the test disk.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use super::*;

use crate::test_disk::TestDisk;
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

#[test]
fn an_acknowledgement_survives_a_power_cut_at_once() {
    for seed in 0..30 {
        let disk = TestDisk::new(seed);
        let (mut opened, commits) = open(disk.clone(), small());
        let mut acked_seq = 0;
        for n in 0..200 {
            opened.appender.append(Kind::Data, n, &[&[7; 100]]);
            opened.appender.flush();
            while let Ok(Commit::Durable { seq }) = commits.try_recv() {
                assert!(seq > acked_seq, "acknowledgements ascend");
                acked_seq = seq;
            }
        }
        let durable_seq = opened.journal.wait_durable(acked_seq, PATIENCE).max(acked_seq);
        let after = disk.crash();
        let (reopened, _) = open(after, small());
        assert!(reopened.recovery.last_seq >= durable_seq, "seed {seed}");
        assert_eq!(read_all(&reopened).len() as u64, reopened.recovery.last_seq);
    }
}

#[test]
fn closing_commits_everything_and_leaves_nothing_to_doubt() {
    let disk = TestDisk::new(1);
    let (Opened { mut appender, journal, .. }, commits) =
        open(disk.clone(), Config { commit_interval: PATIENCE, ..small() });
    for n in 0..10 {
        appender.append(Kind::Data, n, &[]);
        appender.flush();
    }
    // The second sync is not due for a minute; closing does not wait for it.
    journal.clone().close().unwrap();
    journal.close().unwrap();
    assert_eq!(appender.append(Kind::Data, 0, &[]), 11, "it still counts");
    appender.flush();
    drop(appender);
    let last = commits.iter().last();
    assert!(matches!(last, Some(Commit::Durable { seq: 10 })), "{last:?}");
    assert_eq!(open(disk.crash(), small()).0.recovery.last_seq, 10);
}

#[test]
fn waiting_bytes_start_a_sync_before_the_interval_is_over() {
    let config = Config { commit_interval: PATIENCE * 60, commit_bytes: 10_000, ..small() };
    let (mut opened, _) = open(TestDisk::new(1), config);
    opened.appender.append(Kind::Data, 0, &[]);
    opened.appender.flush();
    assert_eq!(opened.journal.wait_durable(0, PATIENCE), 1, "the first is not kept waiting");
    for n in 0..20 {
        assert!(opened.journal.durable_seq() == 1 || n > 9, "{n} times 1 017 bytes are not enough");
        opened.appender.append(Kind::Data, n, &[&[0; 1_000]]);
        opened.appender.flush();
    }
    assert!(opened.journal.wait_durable(1, PATIENCE) >= 11);
}

#[test]
fn the_backlog_is_what_is_appended_and_not_durable() {
    let (mut opened, commits) = open(TestDisk::new(1), small());
    assert_eq!(opened.appender.backlog_bytes(), 0);
    opened.appender.append(Kind::Data, 0, &[&[0; 100], &[0; 83]]);
    assert_eq!(opened.appender.backlog_bytes(), 200);
    opened.appender.flush();
    let commit = commits.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(commit, Commit::Durable { seq: 1 }));
    assert_eq!(opened.appender.backlog_bytes(), 0);
}

#[test]
fn a_failed_sync_ends_the_journal_and_wakes_who_waits() {
    let disk = TestDisk::new(1);
    let (mut opened, commits) = open(disk.clone(), small());
    disk.fail_sync(1);
    opened.appender.append(Kind::Data, 0, &[b"lost"]);
    opened.appender.flush();
    assert_eq!(opened.journal.wait_durable(0, PATIENCE), 0);
    let Commit::Failed { error, disk_full } = commits.recv_timeout(PATIENCE).unwrap() else { panic!("a failure") };
    assert!(matches!(*error, CommitError::Sync { .. }) && !disk_full, "{error}");
    opened.appender.append(Kind::Data, 0, &[b"refused"]);
    opened.appender.flush();
    assert!(matches!(opened.journal.close(), Err(crate::CloseError::Commit(_))));
    assert!(commits.recv_timeout(PATIENCE).is_err(), "nothing more is said");
}

#[test]
fn a_full_disk_is_reported_once_and_commits_go_on_with_space() {
    let disk = TestDisk::new(1);
    disk.set_capacity_bytes(80 << 10);
    let (mut opened, commits) = open(disk.clone(), small());
    for n in 0..100 {
        opened.appender.append(Kind::Data, n, &[&[0; 2_000]]);
    }
    opened.appender.flush();
    let mut said = Vec::new();
    loop {
        match commits.recv_timeout(PATIENCE).unwrap() {
            Commit::Durable { seq } => {
                said.push("durable");
                if seq == 100 {
                    break;
                }
            }
            Commit::Failed { disk_full, .. } => {
                assert!(disk_full && opened.journal.durable_seq() < 100);
                said.push("full");
                disk.set_capacity_bytes(1 << 20);
            }
            Commit::SpaceBack => said.push("space"),
        }
    }
    assert_eq!(said, ["durable", "full", "space", "durable"]);
    opened.journal.close().unwrap();
    assert_eq!(open(disk.crash(), small()).0.recovery.last_seq, 100);
}

#[test]
fn closing_on_a_full_disk_says_so() {
    let disk = TestDisk::new(1);
    disk.set_capacity_bytes(1_000);
    let (mut opened, commits) = open(disk.clone(), small());
    opened.appender.append(Kind::Data, 0, &[&[0; 2_000]]);
    opened.appender.flush();
    assert!(matches!(commits.recv_timeout(PATIENCE).unwrap(), Commit::Failed { disk_full: true, .. }));
    assert!(matches!(opened.journal.close(), Err(crate::CloseError::Commit(error)) if error.is_disk_full()));
}

#[test]
fn readers_race_with_recycling_and_never_read_what_was_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config { segment_bytes: 16 << 10, retain_bytes: 48 << 10, ..small() };
    let (mut opened, _) = open(FileDisk::open(folder.path()).unwrap(), config);
    opened.journal.release(u64::MAX);
    let reading = opened.journal.clone();
    let reader = thread::spawn(move || {
        let mut records = Records::new();
        let mut reader = reading.reader(1).unwrap();
        let (mut read, mut laps) = (0_u64, 0_u64);
        loop {
            match reader.read(&mut records, 700) {
                Ok(()) if records.is_empty() => {
                    let next_seq = reader.next_seq();
                    if reading.wait_durable(next_seq - 1, PATIENCE) < next_seq {
                        return (read, laps, next_seq);
                    }
                }
                Ok(()) => {
                    for record in records.iter() {
                        let n = record.seq.to_le_bytes();
                        assert!(record.payload.chunks(8).all(|chunk| chunk == n), "{record:?}");
                        read += 1;
                    }
                }
                Err(crate::ReadError::Lapped { first_available }) => {
                    laps += 1;
                    // It may be lapped again before this returns.
                    reader = (first_available..).find_map(|seq| reading.reader(seq).ok()).unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
    });
    for _ in 0..400 {
        for _ in 0..40 {
            let n = opened.appender.next_seq().to_le_bytes();
            opened.appender.append(Kind::Data, 0, &[&n, &n, &n, &n, &n]);
        }
        opened.appender.flush();
        while opened.appender.backlog_bytes() > 16 << 10 {
            thread::yield_now();
        }
    }
    opened.journal.close().unwrap();
    let (read, laps, next_seq) = reader.join().unwrap();
    assert_eq!(next_seq, 16_001);
    assert!(read > 0, "{read} read, lapped {laps} times");
}

//! Failed syncs, full disks, stale bytes and readers in recycled segments, one case at a time.

use super::*;
use crate::format::FileName;

#[test]
fn nothing_is_written_after_a_failed_sync_and_the_records_count_only_once_they_are_written_again() {
    let disk = TestDisk::new(1);
    let (mut log, _) = Log::open(disk.clone(), small(8192, 1 << 20), 0, 1).unwrap();
    commit_made(&mut log, 1..=3, 50);
    disk.fail_sync(0);
    let mut block = Block::new();
    Made::new(4, 50).push_to(&mut block, 4);
    let error = log.commit(&mut block).unwrap_err();
    assert!(matches!(error, CommitError::Sync { .. }) && !error.is_disk_full(), "{error}");
    assert_eq!(log.index().durable_seq(), 3);
    Made::new(4, 50).push_to(&mut block, 4);
    assert!(matches!(log.commit(&mut block), Err(CommitError::Stopped)));

    // The process ends; the page cache still has record 4, and the kernel believes it to be on disk.
    let disk = disk.kill();
    let (log, recovery) = Log::open(disk.clone(), small(8192, 1 << 20), 0, 2).unwrap();
    assert_eq!(recovery.last_seq, 4);
    drop(log);
    for seed in 0..20 {
        let (log, recovery) = Log::open(disk.crash().kill(), small(8192, 1 << 20), 0, seed).unwrap();
        assert_eq!(recovery.last_seq, 4);
        assert_eq!(read_everything(&log).0.len(), 4);
    }
}

#[test]
fn a_full_disk_keeps_what_is_pending_and_goes_on_when_there_is_room() {
    let disk = TestDisk::new(1);
    disk.set_capacity_bytes(3 * 8192);
    let (mut log, _) = Log::open(disk.clone(), small(8192, 1 << 20), 0, 1).unwrap();
    let mut block = Block::new();
    for seq in 1..=400 {
        Made::new(seq, 100).push_to(&mut block, seq);
    }
    let error = log.commit(&mut block).unwrap_err();
    assert!(error.is_disk_full(), "{error}");
    let durable_seq = log.durable_seq();
    assert!((150..250).contains(&durable_seq), "three segments are full: {durable_seq}");
    assert!(log.commit(&mut block).unwrap_err().is_disk_full());
    assert!(!log.has_room());
    disk.set_capacity_bytes(1 << 20);
    assert!(log.has_room());
    log.commit(&mut block).unwrap();
    assert!(block.is_empty());
    let (all, lost) = read_everything(&log);
    assert!(all.iter().map(|(seq, _)| *seq).eq(1..=400) && lost.is_empty());
    assert!(all.iter().all(|(seq, made)| *made == Made::new(*seq, 100)));
}

#[test]
fn the_reserve_stops_commits_and_gives_spare_files_back() {
    let disk = TestDisk::new(1);
    disk.set_capacity_bytes(1 << 20);
    let config = Config { reserve_bytes: 900 << 10, ..small(8192, 4 * 8192) };
    let (mut log, _) = Log::open(disk.clone(), config, 0, 1).unwrap();
    commit_made(&mut log, 1..=500, 100);
    assert!(log.index().used_bytes() > 6 * 8192, "what history needs stays, whatever the cap");
    assert_eq!(log.index().oldest_seq(), 1);
    log.index().release(500);
    commit_made(&mut log, 501..=501, 100);
    let kept_bytes = disk.used_bytes();
    assert!(kept_bytes <= (4 + SPARES_MAX as u64) * 8192, "the cap and the spares: {kept_bytes}");
    log.index().release(1_500);
    commit_made(&mut log, 502..=1_499, 100);
    assert!(disk.used_bytes() <= kept_bytes + 8192, "used files come back into use: {}", disk.used_bytes());
    disk.write_file("somebody else's", &vec![0; 100 << 10]);
    let mut block = Block::new();
    Made::new(1_500, 10).push_to(&mut block, 1_500);
    let error = log.commit(&mut block).unwrap_err();
    assert!(matches!(error, CommitError::BelowReserve { reserve_bytes: 0xE_1000, .. }), "{error}");
    assert!(!disk.list().unwrap().iter().any(|name| FileName::parse(name) == Some(FileName::Spare)));
    disk.remove("somebody else's").unwrap();
    log.commit(&mut block).unwrap();
    assert_eq!(log.durable_seq(), 1_500);
}

/// A batch as if it had been written while only `durable_seq` was durable.
fn batch(seq: u64, segment_id: u64, durable_seq: u64) -> Vec<u8> {
    let mut block = Block::new();
    Made::new(seq, 40).push_to(&mut block, seq);
    block.seal(Part { records_len: block.records_len(), count: 1 }, segment_id, durable_seq).to_vec()
}

#[test]
fn a_batch_behind_a_torn_one_never_follows_the_batch_that_takes_its_place() {
    let disk = TestDisk::new(1);
    let (mut log, _) = Log::open(disk.clone(), small(8192, 1 << 20), 0, 1).unwrap();
    commit_made(&mut log, 1..=1, 40);
    let active = log.active.take().unwrap();
    drop(log);
    // 2 did not reach the disk, 3 and 4 did; all are of one length.
    let mut bytes = disk.read_file(&active.name).unwrap();
    let (third, fourth) = (batch(3, active.header.id, 1), batch(4, active.header.id, 1));
    let at = active.tail as usize + third.len();
    bytes[at..at + third.len()].copy_from_slice(&third);
    bytes[at + third.len()..at + 2 * third.len()].copy_from_slice(&fourth);
    disk.write_file(&active.name, &bytes);

    let (mut log, recovery) = Log::open(disk.clone(), small(8192, 1 << 20), 0, 2).unwrap();
    assert_eq!((recovery.last_seq, recovery.torn_bytes), (1, 2 * third.len() as u64));
    assert!(recovery.lost.is_empty() && recovery.set_aside.is_empty());
    commit_made(&mut log, 2..=2, 40);
    drop(log);
    let (mut log, recovery) = Log::open(disk.kill(), small(8192, 1 << 20), 0, 3).unwrap();
    assert_eq!((recovery.last_seq, recovery.torn_bytes), (2, 0));
    commit_made(&mut log, 3..=3, 30);
    let (all, lost) = read_everything(&log);
    assert_eq!(all, [(1, Made::new(1, 40)), (2, Made::new(2, 40)), (3, Made::new(3, 30))]);
    assert!(lost.is_empty());
}

#[test]
fn a_reader_whose_segment_is_recycled_is_lapped_and_never_reads_the_new_contents() {
    let (mut log, _) = Log::open(TestDisk::new(1), small(8192, 3 * 8192), 0, 1).unwrap();
    commit_made(&mut log, 1..=20, 100);
    let mut reader = Reader::new(Arc::clone(log.index()), 1).unwrap();
    let mut records = Records::new();
    reader.read(&mut records, 1_000).unwrap();
    assert!(records.len() > 1 && reader.next_seq() < 20);
    log.index().release(10_000);
    for seq in 21..=1_000 {
        commit_made(&mut log, seq..=seq, 100);
    }
    let oldest_seq = log.index().oldest_seq();
    assert!(oldest_seq > 800 && log.index().used_bytes() <= 3 * 8192);
    let next_seq = reader.next_seq();
    for _ in 0..2 {
        let lapped = reader.read(&mut records, 1_000);
        assert!(matches!(lapped, Err(ReadError::Lapped { first_available }) if first_available == oldest_seq));
        assert!(records.is_empty() && reader.next_seq() == next_seq);
    }
    assert!(matches!(Reader::new(Arc::clone(log.index()), oldest_seq - 1), Err(ReadError::Lapped { .. })));
    assert!(read_everything(&log).0.iter().map(|(seq, _)| *seq).eq(oldest_seq..=1_000));
}

#[test]
fn a_reader_may_begin_anywhere_and_take_any_bite() {
    let (mut log, _) = Log::open(TestDisk::new(1), small(8192, 1 << 20), 0, 1).unwrap();
    let mut block = Block::new();
    for seq in 1..=300 {
        // Every 50th is longer than a segment.
        Made::new(seq, if seq % 50 == 0 { 9_000 } else { seq as usize % 70 }).push_to(&mut block, seq);
        if seq % 7 == 0 {
            log.commit(&mut block).unwrap();
        }
    }
    log.commit(&mut block).unwrap();
    let mut records = Records::new();
    for from_seq in (1..=301).step_by(13) {
        for bytes_max in [0, 1, 41, 100, 1_000, 100_000] {
            let mut reader = Reader::new(Arc::clone(log.index()), from_seq).unwrap();
            let mut expected = from_seq;
            loop {
                reader.read(&mut records, bytes_max).unwrap();
                if records.is_empty() {
                    break;
                }
                for record in records.iter() {
                    let len = if expected % 50 == 0 { 9_000 } else { expected as usize % 70 };
                    assert_eq!((record.seq, record.payload), (expected, &*Made::new(expected, len).payload));
                    expected += 1;
                }
            }
            assert_eq!((expected, reader.next_seq()), (301, 301));
        }
    }
}

#[test]
fn numbers_go_on_above_what_others_know() {
    let disk = TestDisk::new(1);
    let (mut log, recovery) = Log::open(disk.clone(), small(8192, 1 << 20), 41, 1).unwrap();
    assert_eq!((recovery.first_seq, recovery.last_seq), (42, 41));
    assert_eq!((recovery.lost[0].from_seq, recovery.lost[0].to_seq), (1, 41));
    commit_made(&mut log, 42..=50, 10);
    drop(log);
    let (mut log, recovery) = Log::open(disk.clone(), small(8192, 1 << 20), 99, 2).unwrap();
    assert_eq!((recovery.first_seq, recovery.last_seq), (42, 99));
    let missing = |lost: &LostRange| (lost.from_seq, lost.to_seq, lost.reason) == (51, 99, LossReason::Missing);
    assert!(recovery.lost.len() == 1 && missing(&recovery.lost[0]), "{:?}", recovery.lost);
    commit_made(&mut log, 100..=101, 10);
    let (all, lost) = read_everything(&log);
    assert!(all.iter().map(|(seq, _)| *seq).eq((42..=50).chain(100..=101)));
    assert_eq!(lost, [(51, 99)]);
    drop(log);
    let (_, recovery) = Log::open(disk, small(8192, 1 << 20), 101, 3).unwrap();
    assert_eq!(recovery.last_seq, 101);
}

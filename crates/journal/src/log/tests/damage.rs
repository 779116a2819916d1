//! Bits that flip, files that are cut short or gone. A journal that was closed knows all of it to be durable, so every loss must be
//! reported, by the opening or by the reader, and what is not lost must be read.

use std::collections::BTreeSet;

use super::*;

const LAST_SEQ: u64 = 90;

/// Three segments of several batches, closed.
fn closed_journal() -> TestDisk {
    let disk = TestDisk::new(1);
    let (mut log, _) = Log::open(disk.clone(), config(), 0, 1).unwrap();
    for seq in (1..=LAST_SEQ).step_by(5) {
        commit_made(&mut log, seq..=seq + 4, 90);
    }
    log.close().unwrap();
    disk
}

fn config() -> Config {
    small(4096, 1 << 20)
}

fn segments(disk: &TestDisk) -> Vec<String> {
    let mut names = disk.list().unwrap();
    names.retain(|name| name.ends_with(".journal"));
    names.sort();
    names
}

/// Opens a copy and reads everything: each record is as it was made, or reported lost. Gives the lost ones.
fn check(disk: &TestDisk, floor_seq: u64) -> BTreeSet<u64> {
    let (mut log, recovery) = Log::open(disk.kill(), config(), floor_seq, 7).unwrap();
    let mut lost: BTreeSet<u64> = recovery.lost.iter().flat_map(|lost| lost.from_seq..=lost.to_seq).collect();
    let (all, lost_by_reader) = read_everything(&log);
    lost.extend(lost_by_reader.iter().flat_map(|&(from_seq, to_seq)| from_seq..=to_seq));
    let read: BTreeSet<u64> = all.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(read.len(), all.len(), "nothing twice");
    assert!(read.is_disjoint(&lost), "nothing both read and lost");
    assert!(read.union(&lost).copied().eq(recovery.first_seq..=LAST_SEQ), "nothing forgotten: {recovery:?}");
    assert!(all.iter().all(|(seq, made)| *made == Made::new(*seq, 90)), "nothing altered");

    // It goes on: what comes now is stored, with new numbers, and read after the damage.
    assert_eq!(recovery.last_seq, LAST_SEQ);
    commit_made(&mut log, LAST_SEQ + 1..=LAST_SEQ + 2, 90);
    let (more, _) = read_everything(&log);
    assert!(more[all.len()..].iter().map(|(seq, _)| *seq).eq(LAST_SEQ + 1..=LAST_SEQ + 2));
    lost
}

#[test]
fn whichever_byte_flips_the_loss_is_small_and_reported() {
    let disk = closed_journal();
    let names = segments(&disk);
    assert!(check(&disk, 0).is_empty());
    for name in names {
        let intact = disk.read_file(&name).unwrap();
        for at in 0..intact.len() {
            let mut bytes = intact.clone();
            bytes[at] ^= 1 << (at % 8);
            disk.write_file(&name, &bytes);
            let lost = check(&disk, 0);
            // At most the batch that the byte is in.
            assert!(lost.len() <= 5, "{name} at {at}: {lost:?}");
        }
        disk.write_file(&name, &intact);
    }
}

#[test]
fn damage_below_the_mark_is_reported_at_once_and_its_evidence_kept() {
    let disk = closed_journal();
    let newest = segments(&disk).pop().unwrap();
    let mut bytes = disk.read_file(&newest).unwrap();
    // Inside the payload of the first batch's first record.
    bytes[SEGMENT_HEADER_LEN + BATCH_HEADER_LEN + 30] ^= 1;
    disk.write_file(&newest, &bytes);
    let disk = disk.kill();
    let (_, recovery) = Log::open(disk.clone(), config(), 0, 2).unwrap();
    assert_eq!(recovery.lost.len(), 1);
    let lost = &recovery.lost[0];
    assert_eq!((lost.to_seq - lost.from_seq, lost.reason, &lost.segment), (4, LossReason::Damaged, &newest));
    let aside = format!("{newest}.damaged");
    assert_eq!(recovery.set_aside, std::slice::from_ref(&aside));
    assert_eq!(disk.read_file(&aside).unwrap(), bytes);
    assert_eq!(recovery.torn_bytes, 0);
}

#[test]
fn a_damaged_segment_that_a_reader_met_is_not_used_again() {
    let disk = closed_journal();
    let oldest = segments(&disk).remove(0);
    let mut bytes = disk.read_file(&oldest).unwrap();
    bytes[1_000] ^= 1;
    disk.write_file(&oldest, &bytes);
    let disk = disk.kill();
    let config = small(4096, 4 * 4096);
    let (mut log, recovery) = Log::open(disk.clone(), config, 0, 2).unwrap();
    assert!(recovery.lost.is_empty(), "older segments are verified when they are read");
    assert_eq!(read_everything(&log).1.len(), 1);
    log.index().release(LAST_SEQ);
    commit_made(&mut log, LAST_SEQ + 1..=LAST_SEQ + 90, 90);
    assert!(log.index().oldest_seq() > 1);
    assert_eq!(disk.read_file(&format!("{oldest}.damaged")).unwrap(), bytes);
}

#[test]
fn a_file_cut_short_at_any_length_is_reported() {
    let disk = closed_journal();
    for name in segments(&disk) {
        let intact = disk.read_file(&name).unwrap();
        for len in (0..intact.len()).step_by(7) {
            disk.write_file(&name, &intact[..len]);
            // A watermark elsewhere tells that the end is missing, as nothing in the journal can.
            check(&disk, LAST_SEQ);
        }
        disk.write_file(&name, &intact);
    }
}

#[test]
fn a_missing_file_is_reported() {
    let disk = closed_journal();
    for (at, name) in segments(&disk).iter().enumerate() {
        let other = disk.kill();
        other.remove(name).unwrap();
        let lost = check(&other, LAST_SEQ);
        // What is older than the oldest file may as well have been recycled.
        assert_eq!(lost.is_empty(), at == 0, "{name}");
    }
    let empty = TestDisk::new(1);
    let (_, recovery) = Log::open(empty, config(), LAST_SEQ, 2).unwrap();
    assert_eq!((recovery.lost[0].from_seq, recovery.lost[0].to_seq, recovery.last_seq), (1, LAST_SEQ, LAST_SEQ));
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let disk = closed_journal();
    for name in segments(&disk) {
        let intact = disk.read_file(&name).unwrap();
        let mut bytes = intact.clone();
        let header = SegmentHeader::decode(&bytes).unwrap();
        bytes[..SEGMENT_HEADER_LEN].copy_from_slice(&SegmentHeader { version: 2, ..header }.encode());
        disk.write_file(&name, &bytes);
        let Err(error) = Log::open(disk.kill(), config(), 0, 2) else { panic!("opened") };
        let said = error.to_string();
        assert_eq!(said, format!("the journal's segment {name} has format version 2; this release reads up to 1"));
        disk.write_file(&name, &intact);
    }
}

#[test]
fn foreign_files_are_left_alone() {
    let disk = closed_journal();
    for name in ["lock", "hub.db", "note.journal", "00000000000000000000-0000000000000000.journal", "x-y.journal"] {
        disk.write_file(name, b"not the journal's");
    }
    check(&disk, 0);
    assert_eq!(disk.kill().read_file("note.journal").unwrap(), b"not the journal's");
}

//! Opening a journal whose only segment holds any bytes.

use std::time::Duration;

use journal::{Config, Opened, ReadError, Records, test_disk::TestDisk};

const READ_BYTES: usize = 1 << 20;

/// Opens, reads everything, closes; gives what was read.
fn records(disk: &TestDisk) -> Option<Vec<(u64, i64, Vec<u8>)>> {
    let config = Config { segment_bytes: 4096, commit_interval: Duration::ZERO, reserve_bytes: 0, ..Config::default() };
    // A folder of a newer format is refused; nothing else stops a hub from starting.
    let Opened { appender, journal, .. } = journal::open(disk.clone(), config, 0, |_| ()).ok()?;
    let mut read = Vec::new();
    let mut reader = journal.reader(journal.oldest_seq()).expect("the oldest record can be read");
    let mut records = Records::new();
    loop {
        let before = reader.next_seq();
        match reader.read(&mut records, READ_BYTES) {
            Ok(()) if records.is_empty() => break,
            Ok(()) => {}
            // Damage below the highest durable sequence: named, and the reader is past it.
            Err(ReadError::Lost { to_seq, .. }) => {
                assert!(to_seq >= before && reader.next_seq() > to_seq, "a loss moves the reader on");
                continue;
            }
            Err(error) => panic!("{error}"),
        }
        read.extend(records.iter().map(|record| (record.seq, record.arrival_us, record.payload.to_vec())));
    }
    drop(appender);
    journal.close().expect("an idle journal closes");
    Some(read)
}

/// The first 8 bytes are the segment's id (it seeds every checksum), the rest is its content.
pub fn journal_recovery(bytes: &[u8]) {
    let Some((id, content)) = bytes.split_first_chunk() else { return };
    let disk = TestDisk::new(1);
    disk.write_file(&format!("{:020}-{:016x}.journal", 1, u64::from_be_bytes(*id)), content);
    let Some(first) = records(&disk) else { return };
    assert!(first.windows(2).all(|pair| pair[0].0 < pair[1].0), "numbers rise");
    // Recovery rewrites what it keeps, so a second one finds the same.
    assert_eq!(records(&disk).as_ref(), Some(&first), "a second recovery finds something else");
}

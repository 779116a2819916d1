//! Sectors that cannot be read.

use std::ops::Range;

use super::*;

/// A file of ones on a disk with a bad stretch.
struct BadSectors {
    len: u64,
    bad: Range<u64>,
}

impl DiskFile for BadSectors {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let end = self.len.min(offset + buf.len() as u64);
        if offset < self.bad.end && end > self.bad.start {
            return Err(io::Error::other("bad sector"));
        }
        let count = end.saturating_sub(offset) as usize;
        buf[..count].fill(1);
        Ok(count)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        unreachable!("reading writes nothing")
    }

    fn sync_data(&self) -> io::Result<()> {
        unreachable!("reading syncs nothing")
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }
}

#[test]
fn a_bad_sector_costs_what_is_around_it_and_nothing_else() {
    let file = BadSectors { len: 20_000, bad: 5_000..5_512 };
    let bytes = read_file(&file, u64::MAX).unwrap();
    assert_eq!(bytes.len(), 20_000);
    assert!(bytes.iter().enumerate().all(|(at, &byte)| (byte == 0) == (4_096..8_192).contains(&at)));
    assert_eq!(read_file(&file, 3_000).unwrap(), [1; 3_000]);
}

#[test]
fn a_disk_that_reads_nothing_is_gone_and_not_damaged() {
    assert!(read_file(&BadSectors { len: 20_000, bad: 0..20_000 }, u64::MAX).is_err());
}

//! What reaches the device: the kernel's own count, which has the file system's journal in it.
//!
//! What a process is charged for (`/proc/PID/io`) will not do: since Linux has large folios, overwriting 4 KiB of a file
//! is charged as the whole folio, up to 1 MiB, although only the changed blocks are written.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use anyhow::Context;
use rustix::fs::{major, minor};

/// Bytes of a sector in the kernel's statistics, whatever the device's own are.
const SECTOR_BYTES: u64 = 512;
/// Where the sectors written stand in a line of statistics (Documentation/block/stat.rst).
const SECTORS_WRITTEN: usize = 6;

/// Bytes written so far to the device on which `folder` lies, by everybody: measure on a quiet machine.
pub fn written_bytes(folder: &Path) -> anyhow::Result<u64> {
    let device = fs::metadata(folder)?.dev();
    let path = format!("/sys/dev/block/{}:{}/stat", major(device), minor(device));
    let line = fs::read_to_string(&path).with_context(|| {
        format!("{} is not on a device that the kernel counts writes of ({path})", folder.display())
    })?;
    let sectors = line.split_whitespace().nth(SECTORS_WRITTEN).and_then(|field| field.parse::<u64>().ok());
    Ok(sectors.with_context(|| format!("{path} has no sectors written"))? * SECTOR_BYTES)
}

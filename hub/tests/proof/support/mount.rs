//! A small file system of its own, for tests that fill it.

use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::fs::statvfs;

/// A mounted tmpfs; unmounted when dropped.
pub struct Mount(PathBuf);

impl Mount {
    /// Mounts it with these options; none, and says so, where that is not allowed.
    pub fn tmpfs(path: &Path, options: &str) -> Option<Self> {
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(path).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(path.to_owned())),
            Ok(output) => {
                println!("skipped: cannot mount a tmpfs: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                println!("skipped: there is no mount command: {error}");
                None
            }
        }
    }

    /// Bytes that are free.
    pub fn free_bytes(&self) -> u64 {
        let disk = statvfs(&self.0).expect("mounted");
        disk.f_bavail * disk.f_frsize
    }

    /// Fills it up to this many free bytes.
    pub fn fill(&self, leave_bytes: u64) {
        let mut ballast = File::create(self.0.join("ballast")).expect("made");
        while let free = self.free_bytes()
            && free > leave_bytes
        {
            let zeros = vec![0; (free - leave_bytes).min(1 << 20) as usize];
            if ballast.write_all(&zeros).is_err() {
                return;
            }
        }
    }

    /// Takes away what [`fill`](Self::fill) has put there.
    pub fn free(&self) {
        fs::remove_file(self.0.join("ballast")).expect("filled before");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a hub that is being dropped may still have files open in it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

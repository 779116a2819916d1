//! What the journal needs of a disk. Owns no state; [`FileDisk`] is the real one, `TestDisk` the one that loses power.

use std::io;

mod file;

pub use file::{FileDisk, FolderError};

/// One folder of files. Names are flat file names.
///
/// A created, renamed or removed name may be as before after a power loss until [`sync_dir`](Disk::sync_dir) has returned.
pub trait Disk: Send + Sync + 'static {
    /// An open file.
    type File: DiskFile;

    /// The names in the folder, in any order.
    fn list(&self) -> io::Result<Vec<String>>;
    /// Opens a file that exists, to read and write.
    fn open(&self, name: &str) -> io::Result<Self::File>;
    /// Creates an empty file; an error if it exists.
    fn create(&self, name: &str) -> io::Result<Self::File>;
    /// Renames a file, replacing what was called `to`.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a name; open files stay readable.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the folder's names durable.
    fn sync_dir(&self) -> io::Result<()>;
    /// Bytes that an unprivileged process may still write.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file. Positions are explicit, so that a file can be shared.
///
/// A write may be wholly, partly or not at all on the disk after a power loss until [`sync_data`](DiskFile::sync_data) has returned.
pub trait DiskFile: Send + Sync + 'static {
    /// Fills `buf` from `offset` on; fewer bytes only at the end of the file.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`, extending the file where needed.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes contents and length durable (fdatasync).
    fn sync_data(&self) -> io::Result<()>;
    /// Length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether the length is 0.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
}

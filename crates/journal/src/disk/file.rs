//! The real disk: a folder of the file system, locked against a second process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Disk, DiskFile};

/// The file that is locked while the folder is in use.
const LOCK_NAME: &str = "lock";

/// A folder of real files. Holds an exclusive lock on it until dropped.
#[derive(Debug)]
pub struct FileDisk {
    folder: PathBuf,
    /// Kept open: syncing and asking for space need a handle.
    folder_file: File,
    _lock: File,
}

/// Why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder is not there and cannot be created.
    #[error("cannot create the folder {}", .folder.display())]
    Create {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The folder cannot be opened.
    #[error("cannot open the folder {}", .folder.display())]
    Open {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The lock file cannot be created or locked.
    #[error("cannot lock the folder {}", .folder.display())]
    Lock {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process works on the folder.
    #[error("the folder {} is in use by another process", .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
}

impl FileDisk {
    /// Creates the folder if it is missing, and locks it.
    pub fn open(folder: &Path) -> Result<Self, FolderError> {
        let folder = folder.to_path_buf();
        fs::create_dir_all(&folder).map_err(|source| FolderError::Create { folder: folder.clone(), source })?;
        let folder_file = File::open(&folder).map_err(|source| FolderError::Open { folder: folder.clone(), source })?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(LOCK_NAME))
            .map_err(|source| FolderError::Lock { folder: folder.clone(), source })?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder, folder_file, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(FolderError::InUse { folder }),
            Err(TryLockError::Error(source)) => Err(FolderError::Lock { folder, source }),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

impl Disk for FileDisk {
    type File = File;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            // A name that is not UTF-8 is not one of the journal's.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path(name))
    }

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.path(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.folder_file.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::fstatvfs(&self.folder_file)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

impl DiskFile for File {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match FileExt::read_at(self, &mut buf[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

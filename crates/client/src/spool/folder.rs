//! The folder that holds a device's spools: one client at a time, files named so that they sort by age.
//!
//! A file is `SPOOL-FIRST.spool`: the ordinal of the spool in this folder, then the number of its first message.

use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

const EXTENSION: &str = "spool";

/// Why a folder cannot be used for spools.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Creating it failed.
    #[error("cannot create the spool folder {folder}")]
    Create {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The lock file could not be made or locked.
    #[error("cannot lock the spool folder {folder}")]
    Lock {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Another process has it.
    #[error("the spool folder {0} is in use by another process: give each device (and each process) its own")]
    InUse(PathBuf),
    /// Listing it failed.
    #[error("cannot list the spool folder {folder}")]
    List {
        /// The folder.
        folder: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// What it holds belongs to another device.
    #[error("the spool folder {folder} holds messages of {found}, not of {device}: give each device its own folder")]
    OtherDevice {
        /// The folder.
        folder: PathBuf,
        /// Whose messages are there.
        found: String,
        /// Who wants to use it.
        device: String,
    },
}

/// An open, locked folder. The lock lasts as long as a clone of it.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: Arc<Path>,
    /// Held for its lock.
    _lock: Arc<File>,
    /// For making new and removed names durable; absent where folders cannot be opened (Windows).
    directory: Option<Arc<File>>,
}

impl Folder {
    /// Creates the folder where needed and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, FolderError> {
        let folder = || path.to_owned();
        fs::create_dir_all(path).map_err(|source| FolderError::Create { folder: folder(), source })?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(|source| FolderError::Lock { folder: folder(), source })?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => FolderError::InUse(folder()),
            TryLockError::Error(source) => FolderError::Lock { folder: folder(), source },
        })?;
        let directory = File::open(path).ok().map(Arc::new);
        Ok(Self { path: path.into(), _lock: Arc::new(lock), directory })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The folder itself, to be synced after a name was added.
    pub(crate) fn directory(&self) -> Option<Arc<File>> {
        self.directory.clone()
    }

    /// The file of spool `ordinal` that begins with message `first`.
    pub(crate) fn file(&self, ordinal: u32, first: u64) -> PathBuf {
        self.path.join(format!("{ordinal:08}-{first:016}.{EXTENSION}"))
    }

    /// Where a message is put that no hub can read.
    pub(crate) fn quarantine_file(&self, spool: u64, seq: u64) -> PathBuf {
        self.path.join("quarantine").join(format!("{spool}-{seq}.cbor"))
    }

    /// The files of each spool by ordinal, each with the number it begins with, oldest first.
    pub(crate) fn list(&self) -> Result<BTreeMap<u32, BTreeMap<u64, PathBuf>>, FolderError> {
        let failed = |source| FolderError::List { folder: self.path.to_path_buf(), source };
        let mut spools: BTreeMap<u32, BTreeMap<u64, PathBuf>> = BTreeMap::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if let Some((ordinal, first)) = parse_name(&path) {
                spools.entry(ordinal).or_default().insert(first, path);
            }
        }
        Ok(spools)
    }
}

fn parse_name(path: &Path) -> Option<(u32, u64)> {
    if path.extension()? != EXTENSION {
        return None;
    }
    let (ordinal, first) = path.file_stem()?.to_str()?.split_once('-')?;
    Some((ordinal.parse().ok()?, first.parse().ok()?))
}

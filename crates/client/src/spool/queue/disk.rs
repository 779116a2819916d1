//! The files that a queue writes: the newest one is appended to, and all go to the disk when the queue asks for it.
//!
//! A file that is done with is deleted only when what was written after it is on the disk. The name of the oldest file
//! is what tells, after a power cut, which messages went before it; a spool without any file could not tell that it
//! had lost some.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use protocol::device::Hello;

use crate::spool::{folder::Folder, segment};

/// Files whose newest records are not on the disk yet, and files that may go once they are. Both blocks: it belongs on
/// a thread that may.
#[derive(Debug)]
pub(crate) struct SyncWork {
    files: Vec<Arc<File>>,
    directory: Option<Arc<File>>,
    done: Vec<PathBuf>,
    /// Every message up to this number is on disk afterwards.
    through: u64,
}

impl SyncWork {
    pub(crate) fn run(&self) -> io::Result<()> {
        for file in &self.files {
            file.sync_data()?;
        }
        if let Some(directory) = &self.directory {
            directory.sync_all()?;
        }
        self.done.iter().for_each(|path| delete(path));
        Ok(())
    }

    pub(crate) fn through(&self) -> u64 {
        self.through
    }
}

/// Where new files go.
#[derive(Debug)]
pub(super) struct Disk {
    folder: Folder,
    ordinal: u32,
    pub(super) hello: Hello,
    /// The newest file, open to be appended to; none yet in a queue that was found.
    pub(super) tail: Option<Arc<File>>,
    unsynced: Vec<Arc<File>>,
    names_unsynced: bool,
    /// Files that are done with; they go with the next sync.
    pub(super) done: Vec<PathBuf>,
    pub(super) synced: u64,
    scratch: Vec<u8>,
}

impl Disk {
    pub(super) fn new(folder: Folder, ordinal: u32, hello: Hello) -> Self {
        Self {
            folder,
            ordinal,
            hello,
            tail: None,
            unsynced: Vec::new(),
            names_unsynced: false,
            done: Vec::new(),
            synced: 0,
            scratch: Vec::new(),
        }
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Begins a file that message `first` will be the first of; gives its path and the length of its head.
    pub(super) fn begin_file(&mut self, first: u64) -> io::Result<(PathBuf, u64)> {
        let path = self.folder.file(self.ordinal, first);
        let head = segment::head(&self.hello, first);
        // Not create_new: a change of hello without a message between leaves a file of this name that holds nothing.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        file.write_all(&head)?;
        let file = Arc::new(file);
        self.unsynced.push(file.clone());
        self.names_unsynced = true;
        self.tail = Some(file);
        Ok((path, head.len() as u64))
    }

    /// Appends a message to the newest file.
    pub(super) fn append(&mut self, seq: u64, frame: &[u8]) -> io::Result<()> {
        self.scratch.clear();
        segment::message(&mut self.scratch, seq, frame);
        let tail = self.tail.as_ref().expect("begin_file leaves one");
        (&**tail).write_all(&self.scratch)?;
        if self.unsynced.last().is_none_or(|last| !Arc::ptr_eq(last, tail)) {
            self.unsynced.push(tail.clone());
        }
        Ok(())
    }

    /// What has to be synced for every message up to `through` to be on the disk.
    pub(super) fn sync_work(&mut self, through: u64) -> Option<SyncWork> {
        if self.unsynced.is_empty() && self.done.is_empty() {
            return None;
        }
        let directory = std::mem::take(&mut self.names_unsynced).then(|| self.folder.directory()).flatten();
        let (files, done) = (std::mem::take(&mut self.unsynced), std::mem::take(&mut self.done));
        Some(SyncWork { files, directory, done, through })
    }
}

pub(super) fn delete(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        tracing::warn!(path = %path.display(), %error, "cannot delete a spool file that is done with");
    }
}

//! A disk in memory that loses power on demand (feature `test-disk`). Deterministic: the same seed and calls give the same losses.
//!
//! What was written and not synced survives a [crash](TestDisk::crash) sector by sector (512 bytes), each in any of its states since
//! the last sync, whatever the order of the writes. Names that were not made durable with `sync_dir` may be as they were before. A
//! failed sync behaves as on Linux: the page cache keeps the bytes, marked clean, and no later sync writes them.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::disk::{Disk, DiskFile};
use crate::mix;

const SECTOR_LEN: usize = 512;

type Inode = usize;

/// The disk. Clones share it.
#[derive(Clone)]
pub struct TestDisk {
    state: Arc<Mutex<State>>,
}

/// An open file of a [`TestDisk`].
pub struct TestFile {
    inode: Inode,
    state: Arc<Mutex<State>>,
}

#[derive(Clone, Default)]
struct State {
    files: Vec<File>,
    /// As processes see the folder.
    names: BTreeMap<String, Inode>,
    /// As the disk has it.
    durable_names: BTreeMap<String, Inode>,
    /// Changes that are not durable, oldest first.
    name_changes: Vec<NameChange>,
    random: u64,
    capacity_bytes: u64,
    /// Counts down to the sync that fails.
    syncs_until_error: Option<u32>,
    /// Counts down to the operation that finds the power cut.
    operations_until_off: Option<u32>,
    ignores_sync: bool,
    is_off: bool,
}

#[derive(Clone, Default)]
struct File {
    /// As the page cache has it.
    cache: Vec<u8>,
    /// As the disk has it.
    durable: Vec<u8>,
    /// States of sectors since the last sync, oldest first.
    dirty: Vec<(usize, [u8; SECTOR_LEN])>,
}

#[derive(Clone)]
enum NameChange {
    Create(String, Inode),
    Rename(String, String),
    Remove(String),
}

impl NameChange {
    /// Changes nothing where what it builds on was lost.
    fn apply(&self, names: &mut BTreeMap<String, Inode>) {
        match self {
            Self::Create(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl TestDisk {
    /// An empty disk. `seed` decides what its crashes spare.
    pub fn new(seed: u64) -> Self {
        let state = State { random: seed, capacity_bytes: u64::MAX, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Cuts the power: whoever has this disk open gets errors from now on. Returns the disk as it is found at the next start.
    #[must_use]
    pub fn crash(&self) -> Self {
        let mut state = self.lock();
        state.is_off = true;
        let mut after = state.clone();
        // The next crash of the old disk would otherwise spare the same.
        state.random = mix(state.random);
        drop(state);
        after.lose();
        Self { state: Arc::new(Mutex::new(after)) }
    }

    /// The process is killed, the machine lives: old handles get errors, and nothing that was written is lost.
    #[must_use]
    pub fn kill(&self) -> Self {
        let mut state = self.lock();
        state.is_off = true;
        let mut after = state.clone();
        after.restart();
        Self { state: Arc::new(Mutex::new(after)) }
    }

    /// The next sync but `after`, of a file or the folder, fails once with EIO and loses what it should have written.
    pub fn fail_sync(&self, after: u32) {
        self.lock().syncs_until_error = Some(after);
    }

    /// The power is cut after this many more operations; every later one gives an error. [`crash`](Self::crash) tells what is left.
    pub fn cut_power_after(&self, operations: u32) {
        self.lock().operations_until_off = Some(operations);
    }

    /// Bytes that all files together may have; beyond it a write gives ENOSPC.
    pub fn set_capacity_bytes(&self, capacity_bytes: u64) {
        self.lock().capacity_bytes = capacity_bytes;
    }

    /// Bytes that all files together have.
    pub fn used_bytes(&self) -> u64 {
        self.lock().used_bytes()
    }

    /// From now on every sync says yes and does nothing, as some hardware does. A sound test must notice.
    pub fn ignore_sync(&self) {
        self.lock().ignores_sync = true;
    }

    /// A file's bytes as a process sees them; `None` if there is no such file.
    pub fn read_file(&self, name: &str) -> Option<Vec<u8>> {
        let state = self.lock();
        state.names.get(name).map(|&inode| state.files[inode].cache.clone())
    }

    /// Replaces a file, or creates it; durable at once. For damage on purpose.
    pub fn write_file(&self, name: &str, bytes: &[u8]) {
        let mut state = self.lock();
        let inode = state.names.get(name).copied().unwrap_or(state.files.len());
        let file = File { cache: bytes.to_vec(), durable: bytes.to_vec(), dirty: Vec::new() };
        if inode < state.files.len() {
            state.files[inode] = file;
        } else {
            state.files.push(file);
        }
        state.names.insert(name.to_owned(), inode);
        state.durable_names.insert(name.to_owned(), inode);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Forgets what the disk does not spare.
    fn lose(&mut self) {
        self.restart();
        // All of it, none of it, or a share: each finds other mistakes.
        let spared_in_8 = match self.draw(4) {
            0 => 0,
            1 => 8,
            _ => 1 + self.draw(7),
        };
        let changes = std::mem::take(&mut self.name_changes);
        for change in changes {
            if self.draw(8) < spared_in_8 {
                change.apply(&mut self.durable_names);
            }
        }
        self.names = self.durable_names.clone();
        let mut files = std::mem::take(&mut self.files);
        for file in &mut files {
            for (sector, bytes) in std::mem::take(&mut file.dirty) {
                if self.draw(8) < spared_in_8 {
                    file.put_durable(sector, &bytes);
                }
            }
            file.cache = file.durable.clone();
        }
        self.files = files;
    }

    fn restart(&mut self) {
        self.is_off = false;
        self.operations_until_off = None;
        self.syncs_until_error = None;
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random = mix(self.random);
        self.random % below
    }

    fn used_bytes(&self) -> u64 {
        self.names.values().map(|&inode| self.files[inode].cache.len() as u64).sum()
    }

    fn check_power(&mut self) -> io::Result<()> {
        if let Some(left) = &mut self.operations_until_off {
            self.is_off |= *left == 0;
            *left = left.saturating_sub(1);
        }
        if self.is_off { Err(io::Error::other("the disk is off")) } else { Ok(()) }
    }

    /// Whether this sync is the one that fails.
    fn sync_fails(&mut self) -> bool {
        match self.syncs_until_error {
            Some(0) => {
                self.syncs_until_error = None;
                true
            }
            Some(left) => {
                self.syncs_until_error = Some(left - 1);
                false
            }
            None => false,
        }
    }
}

impl File {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.cache.len() < end {
            self.cache.resize(end, 0);
        }
        self.cache[offset..end].copy_from_slice(bytes);
        for sector in offset / SECTOR_LEN..end.div_ceil(SECTOR_LEN) {
            let mut state = [0; SECTOR_LEN];
            let from = sector * SECTOR_LEN;
            let to = self.cache.len().min(from + SECTOR_LEN);
            state[..to - from].copy_from_slice(&self.cache[from..to]);
            self.dirty.push((sector, state));
        }
    }

    fn put_durable(&mut self, sector: usize, bytes: &[u8; SECTOR_LEN]) {
        let from = sector * SECTOR_LEN;
        let to = self.cache.len().min(from + SECTOR_LEN);
        if self.durable.len() < to {
            self.durable.resize(to, 0);
        }
        self.durable[from..to].copy_from_slice(&bytes[..to - from]);
    }

    fn sync(&mut self) {
        for (sector, bytes) in std::mem::take(&mut self.dirty) {
            self.put_durable(sector, &bytes);
        }
    }
}

impl Disk for TestDisk {
    type File = TestFile;

    fn list(&self) -> io::Result<Vec<String>> {
        let mut state = self.lock();
        state.check_power()?;
        Ok(state.names.keys().cloned().collect())
    }

    fn open(&self, name: &str) -> io::Result<TestFile> {
        let mut state = self.lock();
        state.check_power()?;
        let inode = *state.names.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(TestFile { inode, state: Arc::clone(&self.state) })
    }

    fn create(&self, name: &str) -> io::Result<TestFile> {
        let mut state = self.lock();
        state.check_power()?;
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.files.len();
        state.files.push(File::default());
        state.change_name(NameChange::Create(name.to_owned(), inode));
        Ok(TestFile { inode, state: Arc::clone(&self.state) })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.check_power()?;
        if !state.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.check_power()?;
        if !state.names.contains_key(name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.change_name(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.check_power()?;
        if state.sync_fails() {
            state.name_changes.clear();
            return Err(eio());
        }
        if !state.ignores_sync {
            state.name_changes.clear();
            state.durable_names = state.names.clone();
        }
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let mut state = self.lock();
        state.check_power()?;
        Ok(state.capacity_bytes.saturating_sub(state.used_bytes()))
    }
}

impl State {
    fn change_name(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.name_changes.push(change);
    }
}

impl DiskFile for TestFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = lock(&self.state);
        state.check_power()?;
        let Some(bytes) = state.files[self.inode].cache.get(offset as usize..) else { return Ok(0) };
        let count = buf.len().min(bytes.len());
        buf[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.check_power()?;
        let end = offset + bytes.len() as u64;
        let growth = end.saturating_sub(state.files[self.inode].cache.len() as u64);
        if growth > 0 && state.used_bytes() + growth > state.capacity_bytes {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.files[self.inode].write(bytes, offset as usize);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = lock(&self.state);
        state.check_power()?;
        let fails = state.sync_fails();
        let ignores_sync = state.ignores_sync;
        let file = &mut state.files[self.inode];
        if fails {
            file.dirty.clear();
            return Err(eio());
        }
        if !ignores_sync {
            file.sync();
        }
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        let mut state = lock(&self.state);
        state.check_power()?;
        Ok(state.files[self.inode].cache.len() as u64)
    }
}

fn eio() -> io::Error {
    // EIO has no `ErrorKind` of its own.
    io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("nothing panics while the test disk is locked")
}

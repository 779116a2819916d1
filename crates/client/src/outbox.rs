//! Everything a device has not got off its hands: the spool it writes to, and older ones that are drained first.
//!
//! Owns the spools, their common bound in bytes and, when on disk, their folder. Takes frames from the device and
//! acknowledgements from the connection. Knows no socket; the clock is an argument.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use protocol::{
    device::{ChannelDecl, Hello, encode::FrameWriter},
    limits::{INTEGER_MAX, MESSAGE_BYTES_MAX},
};

use crate::{
    socket::explained,
    spool::{
        Outgoing, Spool, Stale,
        folder::{Folder, FolderError},
        queue::{Queue, SyncWork},
        segment::{self, SegmentError},
    },
};

#[cfg(test)]
pub(crate) mod tests;

/// The least bound that makes sense: a few files, or a few of the largest messages.
pub(crate) const BYTES_MAX_MIN: u64 = 4 * MESSAGE_BYTES_MAX as u64;
/// Most messages that are kept in quarantine; beyond that something else is wrong, and the disk is not to fill.
const QUARANTINE_FILES_MAX: usize = 64;

/// A message that no hub could read, taken out of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quarantined {
    pub(crate) seq: u64,
    /// Absent without a folder, or when it could not be written.
    pub(crate) path: Option<PathBuf>,
}

/// Which spool a sync was for, and how far.
#[derive(Debug)]
pub(crate) struct OutboxSync {
    spool: u64,
    pub(crate) work: SyncWork,
}

#[derive(Debug)]
pub(crate) struct Outbox {
    folder: Option<Folder>,
    bytes_max: u64,
    /// Oldest first; the last one is written to. Never empty.
    spools: VecDeque<Spool>,
    ordinal_next: u32,
    /// Messages lost to the bound, or discarded because the hub has them.
    dropped: u64,
}

fn random_spool() -> u64 {
    rand::random_range(1..=INTEGER_MAX)
}

impl Outbox {
    /// An outbox that lives and dies with the process.
    pub(crate) fn in_memory(hello: Hello, bytes_max: u64) -> Self {
        let hello = Hello { spool: random_spool(), ..hello };
        let spools = VecDeque::from([Spool::new(hello, Queue::in_memory(), false)]);
        Self { folder: None, bytes_max: bytes_max.max(BYTES_MAX_MIN), spools, ordinal_next: 0, dropped: 0 }
    }

    /// An outbox in `folder`, with what earlier runs left there in front.
    pub(crate) fn on_disk(folder: Folder, hello: Hello, bytes_max: u64) -> Result<Self, FolderError> {
        let mut spools = VecDeque::new();
        let mut ordinal_next = 1;
        for (ordinal, files) in folder.list()? {
            ordinal_next = ordinal.saturating_add(1);
            let Some(spool) = found(&folder, ordinal, files) else { continue };
            if *spool.device() != hello.device {
                return Err(FolderError::OtherDevice {
                    folder: folder.path().to_owned(),
                    found: spool.device().to_string(),
                    device: hello.device.to_string(),
                });
            }
            spools.push_back(spool);
        }
        let bytes_max = bytes_max.max(BYTES_MAX_MIN);
        let mut outbox = Self { folder: Some(folder), bytes_max, spools, ordinal_next, dropped: 0 };
        outbox.begin_spool(hello);
        Ok(outbox)
    }

    fn begin_spool(&mut self, hello: Hello) {
        let hello = Hello { spool: random_spool(), ..hello };
        let queue = match &self.folder {
            Some(folder) => Queue::on_disk(folder.clone(), self.ordinal_next, hello.clone()),
            None => Queue::in_memory(),
        };
        self.ordinal_next = self.ordinal_next.saturating_add(1);
        self.spools.push_back(Spool::new(hello, queue, false));
    }

    fn current(&mut self) -> &mut Spool {
        self.spools.back_mut().expect("an outbox always has a spool to write to")
    }

    /// The spool to be sent: the oldest.
    pub(crate) fn front(&mut self) -> &mut Spool {
        self.spools.front_mut().expect("an outbox always has a spool to write to")
    }

    /// Numbers the frame and keeps it until it is acknowledged; the oldest messages go where there is no room.
    pub(crate) fn push(&mut self, frame: &mut FrameWriter, t0_ms: f64) -> u64 {
        let spool = self.current();
        let seq = spool.next();
        spool.push(Bytes::from(frame.finish(seq, t0_ms)));
        self.make_room();
        seq
    }

    fn make_room(&mut self) {
        while self.byte_len() > self.bytes_max {
            let newest = self.spools.len() - 1;
            let shed = self.spools.iter_mut().enumerate().find_map(|(index, spool)| spool.shed(index != newest));
            match shed {
                Some(lost) => self.dropped += lost,
                // Many restarts without a hub: what is left of the oldest is only the note of what it lost.
                None if newest > 0 => {
                    tracing::warn!("the spool's bound leaves no room for the note of what was lost long ago");
                    self.remove_front();
                }
                None => return,
            }
        }
    }

    /// Declares the channels of the frames to come. A longer list that begins with the present one stays in the
    /// spool, any other begins a new spool.
    pub(crate) fn declare(&mut self, channels: Vec<ChannelDecl>) {
        let current = self.current();
        if current.channels() == channels {
            return;
        }
        if channels.starts_with(current.channels()) {
            current.extend_channels(channels);
        } else {
            let hello = Hello { channels, ..current.hello(None) };
            self.begin_spool(hello);
        }
    }

    /// The hello of the spool that is written to.
    pub(crate) fn hello_to_write(&mut self) -> Hello {
        self.current().hello(None)
    }

    /// The hello of the spool to be sent. `now_us` is the device's time; a found spool of a device whose clock
    /// counts from its start has none, for that start is long past.
    pub(crate) fn hello(&mut self, now_us: i64) -> Hello {
        let front = self.front();
        front.hello((!front.is_of_an_old_boot()).then_some(now_us))
    }

    /// What to send next after `sent`: items through number `limit` at most, about `bytes_max` bytes of them.
    pub(crate) fn following(&mut self, mut sent: u64, limit: u64, bytes_max: usize) -> Vec<Outgoing> {
        let front = self.front();
        let mut items = Vec::new();
        let mut bytes = 0;
        while bytes < bytes_max
            && let Some(item) = front.following(sent)
        {
            match &item {
                Outgoing::Message { seq, .. } if *seq > limit => break,
                Outgoing::Message { frame, .. } => bytes += frame.len(),
                Outgoing::Gap { .. } => {}
            }
            sent = item.through();
            items.push(item);
        }
        items
    }

    /// Everything of the front spool up to `acked` is on the hub's disk.
    pub(crate) fn acknowledge(&mut self, acked: u64) -> Result<u64, Stale> {
        self.front().acknowledge(acked)
    }

    /// Goes on to the next spool when the front one is drained; false when there is nothing to go on to.
    pub(crate) fn advance(&mut self) -> bool {
        let advanced = self.spools.len() > 1 && self.front().is_drained();
        if advanced {
            self.remove_front();
        }
        advanced
    }

    /// Discards the front spool, which the hub calls stale: it has all of it. Returns how many messages that were.
    pub(crate) fn discard_front(&mut self) -> u64 {
        let discarded = self.front().waiting();
        if self.spools.len() == 1 {
            let hello = self.front().hello(None);
            self.begin_spool(hello);
        }
        self.remove_front();
        self.dropped += discarded;
        discarded
    }

    fn remove_front(&mut self) {
        if let Some(mut spool) = self.spools.pop_front() {
            spool.queue_mut().remove();
        }
    }

    /// Takes the oldest message out and puts it into a file where there is a folder.
    pub(crate) fn quarantine_oldest(&mut self) -> Option<Quarantined> {
        let spool = self.front().id();
        let (seq, frame) = self.front().quarantine_oldest()?;
        let path = self.folder.as_ref().and_then(|folder| {
            let path = folder.quarantine_file(spool, seq);
            match write_quarantine(&path, &frame) {
                Ok(()) => Some(path),
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "cannot keep a message that the hub cannot read");
                    None
                }
            }
        });
        Some(Quarantined { seq, path })
    }

    /// What has to be synced, one spool at a time.
    pub(crate) fn sync_work(&mut self) -> Option<OutboxSync> {
        self.spools.iter_mut().find_map(|spool| {
            let work = spool.queue_mut().sync_work()?;
            Some(OutboxSync { spool: spool.id(), work })
        })
    }

    /// Takes note of how a sync went.
    pub(crate) fn synced(&mut self, sync: &OutboxSync, result: &io::Result<()>) {
        if let Some(spool) = self.spools.iter_mut().find(|spool| spool.id() == sync.spool) {
            spool.queue_mut().synced(sync.work.through(), result);
        }
    }

    /// Whether new messages go to a disk.
    pub(crate) fn is_on_disk(&mut self) -> bool {
        self.current().queue_mut().is_on_disk()
    }

    /// Messages held and not acknowledged, all spools together.
    pub(crate) fn waiting(&self) -> u64 {
        self.spools.iter().map(Spool::waiting).sum()
    }

    /// Whether the hub has everything, notes of losses included.
    pub(crate) fn is_drained(&self) -> bool {
        self.spools.iter().all(Spool::is_drained)
    }

    /// Bytes held, all spools together.
    pub(crate) fn byte_len(&self) -> u64 {
        self.spools.iter().map(Spool::byte_len).sum()
    }

    /// The bound on [`byte_len`](Self::byte_len).
    pub(crate) fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Messages lost to the bound, or discarded.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Deletes the files of spools that are drained; to be called at the end.
    pub(crate) fn tidy(&mut self) {
        for spool in self.spools.iter_mut().filter(|spool| spool.is_drained()) {
            spool.queue_mut().remove();
        }
    }
}

/// The spool that an earlier run left, or `None` where there is nothing to be had. Only the newest file is read: it
/// says where the spool ends; the others are read when their turn comes.
fn found(folder: &Folder, ordinal: u32, mut files: BTreeMap<u64, PathBuf>) -> Option<Spool> {
    let (hello, next) = loop {
        let (first, path) = files.pop_last()?;
        match segment::read(&path) {
            Ok(newest) if newest.first == first => {
                files.insert(first, path);
                break (newest.hello, first + newest.frames.len() as u64);
            }
            Ok(_) => set_aside(&path, "it holds other messages than its name says"),
            // It was being created when the power went; nothing was ever sent from it.
            Err(SegmentError::NoHead(_)) => drop(fs::remove_file(&path)),
            Err(error @ SegmentError::Newer { .. }) => {
                tracing::warn!(%error, "a spool is left alone");
                return None;
            }
            Err(error) => set_aside(&path, &explained(&error)),
        }
    };
    let files = files.into_iter().map(|(first, path)| {
        let byte_len = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        (first, path, byte_len)
    });
    let queue = Queue::found(folder.clone(), ordinal, hello.clone(), files.collect(), next);
    Some(Spool::new(hello, queue, true))
}

fn set_aside(path: &Path, problem: &str) {
    tracing::error!(path = %path.display(), problem, "a spool file cannot be read and is set aside");
    drop(fs::rename(path, path.with_extension("damaged")));
}

fn write_quarantine(path: &Path, frame: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(folder)?;
    if fs::read_dir(folder)?.count() >= QUARANTINE_FILES_MAX {
        return Err(io::Error::other("the quarantine is full"));
    }
    fs::write(path, frame)
}

//! The frames of one spool, in memory or in files, with numbers that have no hole.
//!
//! Owns the segments. A segment in memory gives up frame by frame; one with a file is deleted as a whole, and its
//! frames are in memory only while they are new or being sent. When the disk fails the queue goes on in memory and
//! says so in the log: losing durability is better than losing readings.

use std::{collections::VecDeque, io, ops::Range, path::PathBuf};

use bytes::Bytes;
use protocol::device::Hello;

use super::{folder::Folder, segment};

mod disk;

pub(crate) use disk::SyncWork;

use disk::{Disk, delete};

/// A file that has reached this length is followed by a new one: what one loss, one read and one deletion handle.
pub(crate) const SEGMENT_BYTES: u64 = 256 * 1024;
/// What a frame costs in memory beside its bytes.
const FRAME_OVERHEAD_BYTES: u64 = 48;

/// What stands at a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    Held(Bytes),
    /// Was held, but its file is damaged from here up to and including `to`.
    Lost {
        to: u64,
    },
    /// Not pushed yet, or settled already.
    End,
}

/// Frames in memory, from the number `first` on.
#[derive(Debug, Default)]
struct Frames {
    first: u64,
    list: VecDeque<Bytes>,
}

impl Frames {
    fn get(&self, seq: u64) -> Option<&Bytes> {
        self.list.get(usize::try_from(seq.checked_sub(self.first)?).ok()?)
    }

    /// Takes out what is below `first` and gives the bytes it took.
    fn advance(&mut self, first: u64) -> u64 {
        let mut bytes = 0;
        while self.first < first
            && let Some(frame) = self.list.pop_front()
        {
            bytes += frame.len() as u64 + FRAME_OVERHEAD_BYTES;
            self.first += 1;
        }
        self.first = self.first.max(first);
        bytes
    }
}

/// The messages `first..end`.
#[derive(Debug)]
struct Segment {
    first: u64,
    end: u64,
    /// Of the file, or of the frames in memory with their overhead.
    byte_len: u64,
    path: Option<PathBuf>,
    /// Always there for a segment without file.
    frames: Option<Frames>,
}

#[derive(Debug)]
pub(crate) struct Queue {
    segments: VecDeque<Segment>,
    /// The oldest message held; `next` when there is none.
    first: u64,
    next: u64,
    /// Of all segments.
    byte_len: u64,
    disk: Option<Disk>,
}

impl Queue {
    /// An empty queue in memory.
    pub(crate) fn in_memory() -> Self {
        Self { segments: VecDeque::new(), first: 1, next: 1, byte_len: 0, disk: None }
    }

    /// An empty queue that makes its first file when something is pushed.
    pub(crate) fn on_disk(folder: Folder, ordinal: u32, hello: Hello) -> Self {
        Self { disk: Some(Disk::new(folder, ordinal, hello)), ..Self::in_memory() }
    }

    /// A queue of files that an earlier run left: the number each begins with, its path and its length, in order;
    /// `next` stands behind the last intact message.
    pub(crate) fn found(
        folder: Folder,
        ordinal: u32,
        hello: Hello,
        files: Vec<(u64, PathBuf, u64)>,
        next: u64,
    ) -> Self {
        let ends: Vec<u64> = files.iter().skip(1).map(|(first, ..)| *first).chain([next]).collect();
        let segments = files.into_iter().zip(ends).map(|((first, path, byte_len), end)| {
            // A name that claims more than there is: the file is empty then.
            Segment { first: first.min(end), end, byte_len, path: Some(path), frames: None }
        });
        let segments: VecDeque<Segment> = segments.collect();
        let first = segments.front().map_or(next, |segment| segment.first);
        let mut disk = Disk::new(folder, ordinal, hello);
        disk.synced = next - 1;
        let byte_len = segments.iter().map(|segment| segment.byte_len).sum();
        Self { segments, first, next, byte_len, disk: Some(disk) }
    }

    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Bytes held: files as long as they are, frames in memory with their overhead.
    pub(crate) fn byte_len(&self) -> u64 {
        self.byte_len
    }

    /// Messages up to this number may be sent: they are on disk, or meant for memory only.
    pub(crate) fn safe_through(&self) -> u64 {
        self.disk.as_ref().map_or(self.next - 1, |disk| disk.synced)
    }

    /// A new hello for the files to come; a file holds only messages that its own hello describes.
    pub(crate) fn introduce(&mut self, hello: &Hello) {
        if let Some(disk) = &mut self.disk {
            disk.hello = hello.clone();
            disk.tail = None;
        }
    }

    /// Appends the frame that carries the number [`next`](Self::next).
    pub(crate) fn push(&mut self, frame: Bytes) {
        if self.disk.is_some()
            && let Err(error) = self.append_to_file(&frame)
        {
            self.leave_disk(&error);
        }
        let in_memory = self.disk.is_none();
        if in_memory && self.segments.back().is_none_or(|segment| segment.path.is_some()) {
            self.begin_segment(None, 0);
        }
        let added =
            if in_memory { frame.len() as u64 + FRAME_OVERHEAD_BYTES } else { segment::message_len(frame.len()) };
        let segment = self.segments.back_mut().expect("a push begins a segment where there is none");
        segment.end += 1;
        segment.byte_len += added;
        self.byte_len += added;
        segment.frames.as_mut().expect("the newest segment is in memory").list.push_back(frame);
        self.next += 1;
    }

    /// The frame with this number; reads its file where it is not in memory.
    pub(crate) fn get(&mut self, seq: u64) -> Place {
        if seq < self.first || seq >= self.next {
            return Place::End;
        }
        let index = self.segments.partition_point(|segment| segment.end <= seq);
        let newest = self.segments.len() - 1;
        if self.segments[index].frames.is_none() {
            for segment in self.segments.range_mut(..newest).filter(|segment| segment.path.is_some()) {
                segment.frames = None;
            }
            let first = self.first;
            self.segments[index].load(first);
        }
        let segment = &self.segments[index];
        match segment.frames.as_ref().and_then(|frames| frames.get(seq)) {
            Some(frame) => Place::Held(frame.clone()),
            None => Place::Lost { to: segment.end - 1 },
        }
    }

    /// Forgets messages up to `through`; files that hold nothing else go with the next sync.
    pub(crate) fn trim(&mut self, through: u64) {
        self.first = self.first.max((through + 1).min(self.next));
        while self.segments.len() > 1 && self.segments[0].end <= self.first {
            let front = self.segments.pop_front().expect("there are two");
            self.byte_len -= front.byte_len;
            match (front.path, &mut self.disk) {
                (Some(path), Some(disk)) => disk.done.push(path),
                (Some(path), None) => delete(&path),
                (None, _) => {}
            }
        }
        for segment in self.segments.iter_mut().take_while(|segment| segment.first < self.first) {
            self.byte_len -= segment.advance(self.first);
        }
    }

    /// Drops the oldest: one frame in memory, or one file. Gives the numbers that go; some may be settled already.
    /// The newest message goes only with `whole`, and then an empty file stays: what was lost is still known after
    /// a restart. `None` when nothing may go.
    pub(crate) fn shed(&mut self, whole: bool) -> Option<Range<u64>> {
        let front = self.segments.front().filter(|_| self.first < self.next)?;
        let end = if front.path.is_some() { front.end } else { self.first + 1 };
        if end == self.next {
            if !whole {
                return None;
            }
            if self.disk.is_some()
                && let Err(error) = self.begin_file()
            {
                self.leave_disk(&error);
            }
        }
        let dropped = self.first..end;
        self.trim(end - 1);
        Some(dropped)
    }

    /// Deletes every file at once: nothing is owed to the hub any more.
    pub(crate) fn remove(&mut self) {
        let done = self.disk.as_mut().map(|disk| std::mem::take(&mut disk.done)).unwrap_or_default();
        let held = self.segments.drain(..).filter_map(|segment| segment.path);
        done.into_iter().chain(held).for_each(|path| delete(&path));
        self.byte_len = 0;
    }

    /// What has to be synced before more may be sent.
    pub(crate) fn sync_work(&mut self) -> Option<SyncWork> {
        let through = self.next - 1;
        self.disk.as_mut()?.sync_work(through)
    }

    /// Takes note of how [`SyncWork::run`] went. A sync is never tried again: after a failed one the system may
    /// have thrown the data away and report success.
    pub(crate) fn synced(&mut self, through: u64, result: &io::Result<()>) {
        match (result, &mut self.disk) {
            (Ok(()), Some(disk)) => disk.synced = disk.synced.max(through),
            (Err(error), Some(_)) => self.leave_disk(error),
            (_, None) => {}
        }
    }

    /// Whether new messages go to a disk.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.disk.is_some()
    }

    fn append_to_file(&mut self, frame: &[u8]) -> io::Result<()> {
        let disk = self.disk.as_ref().expect("only called with a disk");
        let full = self.segments.back().is_some_and(|segment| segment.byte_len >= SEGMENT_BYTES);
        if disk.tail.is_none() || full {
            self.begin_file()?;
        }
        let seq = self.next;
        self.disk.as_mut().expect("only called with a disk").append(seq, frame)
    }

    fn begin_file(&mut self) -> io::Result<()> {
        let disk = self.disk.as_mut().expect("only called with a disk");
        let (path, head_len) = disk.begin_file(self.next)?;
        if let Some(before) = self.segments.back_mut() {
            before.frames = None;
        }
        if let Some(before) = self.segments.back().filter(|before| before.path.as_ref() == Some(&path)) {
            self.byte_len -= before.byte_len;
            self.segments.pop_back();
        }
        self.begin_segment(Some(path), head_len);
        Ok(())
    }

    fn begin_segment(&mut self, path: Option<PathBuf>, byte_len: u64) {
        let frames = Some(Frames { first: self.next, list: VecDeque::new() });
        self.byte_len += byte_len;
        self.segments.push_back(Segment { first: self.next, end: self.next, byte_len, path, frames });
    }

    fn leave_disk(&mut self, error: &io::Error) {
        if let Some(disk) = self.disk.take() {
            let folder = disk.folder().display();
            tracing::error!(%folder, %error, "the spool cannot be written to disk: it goes on in memory");
        }
    }
}

impl Segment {
    fn load(&mut self, first: u64) {
        let Some(path) = &self.path else { return };
        let mut frames = match segment::read(path) {
            Ok(read) if read.first == self.first => Frames { first: self.first, list: read.frames.into() },
            Ok(_) => {
                tracing::error!(path = %path.display(), "a spool file holds other messages than its name says");
                Frames::default()
            }
            Err(error) => {
                tracing::error!(error = %crate::socket::explained(&error), "messages of the spool are lost");
                Frames::default()
            }
        };
        frames.advance(first);
        self.frames = Some(frames);
    }

    /// Frames below `first` leave the memory; gives the bytes by which the segment is shorter now.
    fn advance(&mut self, first: u64) -> u64 {
        let freed = self.frames.as_mut().map_or(0, |frames| frames.advance(first));
        if self.path.is_some() {
            return 0;
        }
        self.first = self.first.max(first.min(self.end));
        self.byte_len -= freed;
        freed
    }
}

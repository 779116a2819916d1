//! The frames of one stream, encoded once; every viewer reads them with its own cursor.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

/// Frames a log holds at most: more than a second of them at the shortest flush interval, so that a snapshot of a
/// second ago can be shared.
const FRAMES_MAX: usize = 256;
/// Bytes a log holds at most.
const BYTES_MAX: usize = 1024 * 1024;

/// The latest frames of a stream.
#[derive(Debug)]
pub struct StreamLog {
    /// The hub's number of the stream, as data frames carry it.
    pub number: u64,
    frames: Mutex<Frames>,
}

#[derive(Debug, Default)]
struct Frames {
    /// Number of the first frame held.
    base: u64,
    held: VecDeque<Bytes>,
    bytes: usize,
}

/// What a cursor found.
#[derive(Debug, PartialEq, Eq)]
pub enum Read {
    /// The cursor moved this far.
    UpTo(u64),
    /// The frames at the cursor are gone: only a fresh snapshot helps.
    Lost,
}

impl StreamLog {
    /// An empty log.
    pub fn new(number: u64) -> Self {
        Self { number, frames: Mutex::default() }
    }

    /// The cursor behind the last frame.
    pub fn end(&self) -> u64 {
        let frames = self.lock();
        frames.base + frames.held.len() as u64
    }

    /// Whether half of what the log may hold waits behind `cursor`: soon the frame there will be gone.
    pub fn is_long_behind(&self, cursor: u64) -> bool {
        let frames = self.lock();
        let skip = cursor.saturating_sub(frames.base) as usize;
        let waiting = frames.held.len().saturating_sub(skip);
        waiting > FRAMES_MAX / 2
            || (frames.bytes > BYTES_MAX / 2
                && frames.held.iter().skip(skip).map(Bytes::len).sum::<usize>() > BYTES_MAX / 2)
    }

    /// Adds a frame; the oldest go when there are too many.
    pub fn push(&self, frame: Bytes) {
        let mut frames = self.lock();
        frames.bytes += frame.len();
        frames.held.push_back(frame);
        while frames.held.len() > FRAMES_MAX || (frames.bytes > BYTES_MAX && frames.held.len() > 1) {
            let Some(oldest) = frames.held.pop_front() else { return };
            frames.bytes -= oldest.len();
            frames.base += 1;
        }
    }

    /// Gives the frames from `cursor` on to `take` until it says stop (false); that frame counts as taken.
    pub fn read(&self, cursor: u64, mut take: impl FnMut(&Bytes) -> bool) -> Read {
        let frames = self.lock();
        let Some(skip) = cursor.checked_sub(frames.base) else { return Read::Lost };
        let mut next = cursor;
        for frame in frames.held.iter().skip(skip as usize) {
            next += 1;
            if !take(frame) {
                break;
            }
        }
        Read::UpTo(next)
    }

    fn lock(&self) -> MutexGuard<'_, Frames> {
        // A panic while this lock is held can only come from running out of memory; what is inside stays whole.
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &StreamLog, cursor: u64, most: usize) -> (Read, usize) {
        let mut taken = 0;
        let outcome = log.read(cursor, |_| {
            taken += 1;
            taken < most
        });
        (outcome, taken)
    }

    #[test]
    fn every_cursor_reads_for_itself() {
        let log = StreamLog::new(1);
        for _ in 0..5 {
            log.push(Bytes::from_static(b"frame"));
        }
        assert_eq!(read(&log, 0, 2), (Read::UpTo(2), 2));
        assert_eq!(read(&log, 2, 9), (Read::UpTo(5), 3));
        assert_eq!(read(&log, 5, 9), (Read::UpTo(5), 0));
    }

    #[test]
    fn who_falls_behind_the_log_is_told() {
        let log = StreamLog::new(1);
        for _ in 0..=FRAMES_MAX {
            log.push(Bytes::from_static(b"frame"));
        }
        assert_eq!(read(&log, 0, 1).0, Read::Lost);
        assert_eq!(read(&log, 1, 1).0, Read::UpTo(2));
        assert!(log.is_long_behind(1) && !log.is_long_behind(FRAMES_MAX as u64 / 2 + 1));
        log.push(Bytes::from(vec![0; BYTES_MAX / 2 + 1]));
        assert!(log.is_long_behind(log.end() - 1) && !log.is_long_behind(log.end()));
        log.push(Bytes::from(vec![0; BYTES_MAX + 1]));
        assert_eq!(log.end(), FRAMES_MAX as u64 + 3);
        assert_eq!(read(&log, FRAMES_MAX as u64 + 1, 1).0, Read::Lost);
    }
}

//! One subscription of a viewer, from the wish to live frames.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use protocol::live::{SeriesRow, control::Subscribe};
use rand::RngExt;

use crate::live::{
    lag::Lag,
    log::{Read, StreamLog},
};

/// A snapshot that could not be had is asked for again after about this, and later each time.
const RETRY_AFTER: Duration = Duration::from_millis(250);
/// Tries, half a minute in all, after which live goes on without history.
const TRIES_MAX: u32 = 40;
/// Live frames that are kept as they are while a snapshot is being made, bytes; beyond that they are merged.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// What a viewer wants to see, and how far it has come.
pub(super) struct Subscription {
    pub(super) wish: Subscribe,
    pub(super) stage: Stage,
    /// The request that is under way to bring it on; answers to others come too late.
    pub(super) asked: Option<u64>,
    /// The viewer knows that it cannot be begun afresh: it has come to match too much.
    pub(super) is_refusal_told: bool,
}

/// How far a subscription has come.
pub(super) enum Stage {
    /// The page is hidden: nobody looks.
    Hidden,
    /// To be asked for, not before this instant.
    Due { at: Instant, tries: u32 },
    /// It has a place in a stream; live frames wait until its snapshot is there.
    Waiting(Waiting),
    /// The snapshot is sent, or waits to be; live frames follow. When stale, it is to be begun afresh meanwhile.
    Live { feed: Feed, is_stale: bool },
}

/// A subscription whose snapshot is being made.
pub(super) struct Waiting {
    /// The request that brought it, to tell its snapshot from older ones.
    pub(super) request: u64,
    pub(super) feed: Feed,
    /// What the selector resolved to.
    pub(super) series: Vec<SeriesRow>,
    /// Points a series.
    pub(super) points: u32,
    pub(super) tries: u32,
    /// Live frames were lost meanwhile: another snapshot has to follow.
    pub(super) is_stale: bool,
}

/// What stands in front of a snapshot.
#[derive(Debug, PartialEq)]
pub(super) struct Begun {
    /// The hub's number of the stream.
    pub(super) stream: u64,
    /// What the selector resolved to.
    pub(super) series: Vec<SeriesRow>,
    /// Points a series.
    pub(super) points: u32,
}

/// Where a subscription's live frames come from.
pub(super) struct Feed {
    pub(super) log: Arc<StreamLog>,
    pub(super) cursor: u64,
    pub(super) lag: Lag,
}

impl Subscription {
    /// A new one, to be asked for at once unless the page is hidden.
    pub(super) fn new(wish: Subscribe, is_hidden: bool) -> Self {
        let stage = if is_hidden { Stage::Hidden } else { Stage::Due { at: Instant::now(), tries: 0 } };
        Self { wish, stage, asked: None, is_refusal_told: false }
    }

    /// When it is to be asked for, if it is.
    pub(super) fn due_at(&self, now: Instant) -> Option<Instant> {
        match self.stage {
            _ if self.asked.is_some() => None,
            Stage::Due { at, .. } => Some(at),
            Stage::Live { is_stale: true, .. } => Some(now),
            Stage::Hidden | Stage::Waiting(_) | Stage::Live { .. } => None,
        }
    }

    /// Times it has been asked for in vain.
    pub(super) fn tries(&self) -> u32 {
        if let Stage::Due { tries, .. } = self.stage { tries } else { 0 }
    }

    /// Its stream has changed: it is to be begun afresh. Live frames go on until that is done.
    pub(super) fn on_changed(&mut self) {
        match &mut self.stage {
            Stage::Live { is_stale, .. } | Stage::Waiting(Waiting { is_stale, .. }) => *is_stale = true,
            Stage::Hidden | Stage::Due { .. } => {}
        }
    }

    /// Whether this is the snapshot that is waited for.
    pub(super) fn awaits(&self, request: u64) -> bool {
        matches!(&self.stage, Stage::Waiting(waiting) if waiting.request == request)
    }

    /// When to ask again for a snapshot that could not be had; none when it has been tried often enough.
    pub(super) fn retry(&self) -> Option<Stage> {
        let Stage::Waiting(Waiting { tries, .. }) = &self.stage else { return None };
        let after = RETRY_AFTER.mul_f64(f64::from(1 + tries / 8) * rand::rng().random_range(0.5..1.5));
        let tries = tries + 1;
        (tries < TRIES_MAX).then(|| Stage::Due { at: Instant::now() + after, tries })
    }

    /// The snapshot is there, or will never be: live frames may follow. Gives what the viewer is to be told first.
    pub(super) fn go_live(&mut self) -> Option<Begun> {
        match std::mem::replace(&mut self.stage, Stage::Hidden) {
            Stage::Waiting(Waiting { feed, series, points, is_stale, .. }) => {
                let stream = feed.log.number;
                self.stage = Stage::Live { feed, is_stale };
                self.is_refusal_told = false;
                Some(Begun { stream, series, points })
            }
            other => {
                self.stage = other;
                None
            }
        }
    }

    /// Takes what would soon be gone from the log, when live frames may not be sent now.
    pub(super) fn absorb(&mut self, is_blocked: bool) {
        let (feed, is_stale, keep_bytes) = match &mut self.stage {
            Stage::Waiting(waiting) => (&mut waiting.feed, &mut waiting.is_stale, KEPT_BYTES_MAX),
            Stage::Live { feed, is_stale } if is_blocked => (feed, is_stale, 0),
            _ => return,
        };
        if feed.log.is_long_behind(feed.cursor) {
            let mut frames = Vec::new();
            *is_stale |= !feed.read(usize::MAX, |frame| frames.push(frame));
            // Not while the log is locked: the pipeline wants to write to it.
            for frame in frames {
                feed.lag.absorb(frame, keep_bytes);
            }
        }
    }
}

impl Stage {
    /// The place in a stream.
    pub(super) fn feed(&self) -> Option<&Feed> {
        match self {
            Self::Waiting(waiting) => Some(&waiting.feed),
            Self::Live { feed, .. } => Some(feed),
            Self::Hidden | Self::Due { .. } => None,
        }
    }
}

impl Feed {
    /// At a place in a stream.
    pub(super) fn new(log: Arc<StreamLog>, cursor: u64) -> Self {
        Self { log, cursor, lag: Lag::default() }
    }

    /// Gives frames from the log until they have as many bytes as there is room for. False when frames were gone before
    /// they could be read, which happens to a session that did not run for seconds.
    pub(super) fn read(&mut self, room: usize, mut give: impl FnMut(Bytes)) -> bool {
        let mut room = room;
        let read = self.log.read(self.cursor, |frame| {
            room = room.saturating_sub(frame.len());
            give(frame.clone());
            room > 0
        });
        match read {
            Read::UpTo(cursor) => {
                self.cursor = cursor;
                true
            }
            Read::Lost => {
                self.cursor = self.log.end();
                false
            }
        }
    }
}

#[cfg(test)]
mod tests;

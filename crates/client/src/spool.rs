//! One spool: the queue of a device's unacknowledged messages, under one random id and one list of channels.
//!
//! Owns the numbers (every message ever pushed is acknowledged, held or accounted for as lost) and, through
//! [`queue`], the frames in memory or in files. Takes encoded frames and acknowledgements, gives what to send next.
//! Knows no socket and no clock.

pub(crate) mod folder;
pub(crate) mod losses;
pub(crate) mod queue;
pub(crate) mod segment;

use bytes::Bytes;
use protocol::{
    device::{ChannelDecl, Clock, Hello},
    ids::Id,
};

use losses::Losses;
use queue::{Place, Queue};

/// Why messages are lost, as the hub shows it.
pub(crate) mod reason {
    /// The spool's bound was reached and the oldest went.
    pub(crate) const OVERFLOW: &str = "spool overflow";
    /// A file of the spool could not be read.
    pub(crate) const DAMAGED: &str = "spool damaged";
    /// The hub closed the connection over this message again and again.
    pub(crate) const QUARANTINED: &str = "unreadable to the hub, kept at the device";
    /// The hub asks for what was acknowledged before (it lost its data), or what went before a restart.
    pub(crate) const FORGOTTEN: &str = "no longer held by the device";
}

/// What to send next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// `from..=to` will never come.
    Gap { from: u64, to: u64, reason: &'static str },
    /// A frame.
    Message { seq: u64, frame: Bytes },
}

impl Outgoing {
    /// The last number this stands for.
    pub(crate) fn through(&self) -> u64 {
        match self {
            Self::Gap { to, .. } => *to,
            Self::Message { seq, .. } => *seq,
        }
    }
}

/// The hub has more of this spool than was ever pushed to it: the device's disk was rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stale;

#[derive(Debug)]
pub(crate) struct Spool {
    /// Its `first`, `next` and `now_us` are set when it is sent.
    hello: Hello,
    /// Written by an earlier run of the client: it is drained, never appended to.
    found: bool,
    acked: u64,
    losses: Losses,
    queue: Queue,
}

impl Spool {
    pub(crate) fn new(hello: Hello, queue: Queue, found: bool) -> Self {
        Self { hello, found, acked: queue.first() - 1, losses: Losses::default(), queue }
    }

    pub(crate) fn id(&self) -> u64 {
        self.hello.spool
    }

    pub(crate) fn device(&self) -> &Id {
        &self.hello.device
    }

    /// Whether its times count from a start of the device that is long past.
    pub(crate) fn is_of_an_old_boot(&self) -> bool {
        self.found && self.hello.clock == Clock::Boot
    }

    pub(crate) fn channels(&self) -> &[ChannelDecl] {
        &self.hello.channels
    }

    /// The hello that introduces this spool as it stands.
    pub(crate) fn hello(&self, now_us: Option<i64>) -> Hello {
        Hello { first: self.queue.first(), next: self.queue.next(), now_us, ..self.hello.clone() }
    }

    /// Takes a longer list of channels that begins with the present one.
    pub(crate) fn extend_channels(&mut self, channels: Vec<ChannelDecl>) {
        debug_assert!(channels.starts_with(&self.hello.channels), "a channel list is append-only");
        self.hello.channels = channels;
        self.queue.introduce(&self.hello);
    }

    /// The number of the next message to be pushed.
    pub(crate) fn next(&self) -> u64 {
        self.queue.next()
    }

    /// Appends the frame that carries the number [`next`](Self::next).
    pub(crate) fn push(&mut self, frame: Bytes) {
        self.queue.push(frame);
    }

    /// What follows `sent`, the last number that was sent or acknowledged; only what is safe to send.
    pub(crate) fn following(&mut self, sent: u64) -> Option<Outgoing> {
        let from = sent + 1;
        if from < self.queue.first() {
            let below = self.queue.first() - 1;
            return Some(match self.losses.at(from) {
                Some(lost) => Outgoing::Gap { from, to: lost.to.min(below), reason: lost.reason },
                None => Outgoing::Gap { from, to: self.losses.before_next(from).min(below), reason: reason::FORGOTTEN },
            });
        }
        if from > self.queue.safe_through() {
            return None;
        }
        match self.queue.get(from) {
            Place::Held(frame) => Some(Outgoing::Message { seq: from, frame }),
            Place::Lost { to } => {
                if self.losses.at(from).is_none() {
                    self.losses.add(from, to, reason::DAMAGED);
                }
                Some(Outgoing::Gap { from, to, reason: reason::DAMAGED })
            }
            Place::End => None,
        }
    }

    /// Everything up to `acked` is on the hub's disk. Returns how many held messages that settles.
    pub(crate) fn acknowledge(&mut self, acked: u64) -> Result<u64, Stale> {
        if acked >= self.queue.next() {
            return Err(Stale);
        }
        let settled = acked.saturating_sub(self.acked.max(self.queue.first() - 1));
        self.acked = acked;
        self.queue.trim(acked);
        self.losses.trim(acked);
        Ok(settled)
    }

    /// Whether the hub has, or knows to be lost, everything that was ever pushed.
    pub(crate) fn is_drained(&self) -> bool {
        self.acked + 1 == self.queue.next()
    }

    /// Drops the oldest to make room, the newest message only with `whole`; `None` when there is nothing that may
    /// go. Returns how many messages are lost.
    pub(crate) fn shed(&mut self, whole: bool) -> Option<u64> {
        let dropped = self.queue.shed(whole)?;
        let lost = dropped.start.max(self.acked + 1)..dropped.end;
        if !lost.is_empty() {
            self.losses.add(lost.start, lost.end - 1, reason::OVERFLOW);
        }
        Some(lost.end.saturating_sub(lost.start))
    }

    /// The oldest message that is not acknowledged.
    pub(crate) fn oldest(&self) -> Option<u64> {
        (self.queue.first() < self.queue.next()).then(|| self.queue.first())
    }

    /// Takes the oldest message out and accounts for it as quarantined.
    pub(crate) fn quarantine_oldest(&mut self) -> Option<(u64, Bytes)> {
        let seq = self.oldest()?;
        let Place::Held(frame) = self.queue.get(seq) else { return None };
        self.queue.trim(seq);
        self.losses.add(seq, seq, reason::QUARANTINED);
        Some((seq, frame))
    }

    /// Messages held and not acknowledged.
    pub(crate) fn waiting(&self) -> u64 {
        self.queue.next() - self.queue.first()
    }

    /// Bytes held, in memory or on disk.
    pub(crate) fn byte_len(&self) -> u64 {
        self.queue.byte_len()
    }

    pub(crate) fn queue_mut(&mut self) -> &mut Queue {
        &mut self.queue
    }
}

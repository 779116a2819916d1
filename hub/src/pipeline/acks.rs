//! Acknowledgements: what waits for the journal, and when each device hears of it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::Pipeline;
use crate::ingest::http::{PostError, Posted};

/// A commit that covers more messages than this makes acknowledgements scarcer.
const MANY_MESSAGES: usize = 2_000;
/// Then one device hears at most this often, unless half its credit is used.
const ACK_INTERVAL_WHEN_MANY: Duration = Duration::from_millis(25);
/// And with very many devices this seldom at most.
const ACK_INTERVAL_MAX: Duration = Duration::from_millis(100);
/// What one device more adds to the interval: an acknowledgement is a system call of 8 µs (measured), and all of them
/// together shall take a tenth of the core, not a third.
const ACK_INTERVAL_A_DEVICE: Duration = Duration::from_micros(80);

/// A message whose record is not durable yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unacknowledged {
    pub stream: u32,
    pub seq: u64,
}

/// A POST that is answered when its record is durable.
#[derive(Debug)]
pub(super) struct WaitingPost {
    pub posted: Posted,
    pub reply: oneshot::Sender<Result<Posted, PostError>>,
}

/// An http waiter or an acknowledgement that waits for its record to become durable, in journal order.
type InOrder<T> = VecDeque<(u64, T)>;

/// What waits, in journal order, and which connections have something to hear.
#[derive(Debug, Default)]
pub(super) struct Acks {
    pub messages: InOrder<Unacknowledged>,
    pub posts: InOrder<WaitingPost>,
    /// Connections to acknowledge to, each once.
    pub due: Vec<u64>,
    /// When those that were put off are due.
    put_off_until: Option<Instant>,
    is_many: bool,
}

impl Acks {
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.put_off_until
    }
}

impl Pipeline {
    /// Moves the durable marks up to the durable record and notes whom to tell.
    pub(super) fn release_durable(&mut self) {
        let before = self.acks.messages.len();
        while let Some((_, message)) = pop_durable(&mut self.acks.messages, self.durable_seq) {
            let Some(stream) = self.state.streams.get_mut(&message.stream) else { continue };
            stream.durable = stream.durable.max(message.seq);
            // Whoever speaks for the device now: it may have come back while this was on its way to the disk.
            if let Some(connection) = self.connections.of_device(stream.device) {
                self.acks_due(connection);
            }
        }
        self.acks.is_many = before - self.acks.messages.len() > MANY_MESSAGES;
        while let Some((_, post)) = pop_durable(&mut self.acks.posts, self.durable_seq) {
            // Whoever posted may have hung up; the reading is stored all the same.
            drop(post.reply.send(Ok(post.posted)));
        }
    }

    /// Notes that a connection has something to hear.
    pub(super) fn acks_due(&mut self, connection: u64) {
        if let Some(known) = self.connections.get_mut(connection)
            && !known.ack_due
        {
            known.ack_due = true;
            self.acks.due.push(connection);
        }
    }

    /// Leaves the marks on the links of the connections that are due now.
    pub(super) fn send_acks(&mut self) {
        if self.acks.put_off_until.is_some_and(|until| self.now < until) {
            return;
        }
        self.acks.put_off_until = None;
        let credit = self.credit();
        let interval = interval_when_many(self.connections.len());
        let mut put_off = Vec::new();
        for number in std::mem::take(&mut self.acks.due) {
            let Some(connection) = self.connections.get_mut(number) else { continue };
            let Some(stream) = self.state.streams.get(&connection.stream) else { continue };
            let used = stream.mark.saturating_sub(connection.acked);
            let is_early = connection.last_ack.is_some_and(|last| self.now < last + interval);
            if self.acks.is_many && is_early && used < credit / 2 {
                put_off.push(number);
                continue;
            }
            connection.ack_due = false;
            connection.acked = stream.durable;
            connection.last_ack = Some(self.now);
            connection.link.ack(stream.durable, credit);
        }
        if !put_off.is_empty() {
            // A fifth of the interval: late by at most that much, and not a timer for each device.
            self.acks.put_off_until = Some(self.now + interval / 5);
            self.acks.due = put_off;
        }
    }

    /// Leaves every mark that waits, however early: the hub is stopping.
    pub(super) fn send_all_acks(&mut self) {
        self.acks.put_off_until = None;
        self.acks.is_many = false;
        self.send_acks();
    }

    /// How many messages a device may have on the way: none while the disk is full or history behind, few while the journal is behind.
    pub(super) fn credit(&self) -> u64 {
        if self.disk_full || self.history_behind {
            0
        } else if self.appender.backlog_bytes() > super::BACKLOG_BYTES_MAX / 2 {
            self.config.credit.div_ceil(8)
        } else {
            self.config.credit
        }
    }

    /// Tells every device the credit of now.
    pub(super) fn announce_credit(&mut self) {
        for number in self.connections.numbers() {
            self.acks_due(number);
        }
    }
}

/// How often one of so many devices hears while there is much to acknowledge.
fn interval_when_many(devices: usize) -> Duration {
    (ACK_INTERVAL_A_DEVICE * devices as u32).clamp(ACK_INTERVAL_WHEN_MANY, ACK_INTERVAL_MAX)
}

/// The first that waits, if its record is durable.
fn pop_durable<T>(waiting: &mut InOrder<T>, durable_seq: u64) -> Option<(u64, T)> {
    if waiting.front()?.0 > durable_seq {
        return None;
    }
    waiting.pop_front()
}

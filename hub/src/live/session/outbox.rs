//! What waits to be written to one viewer. Pure.
//!
//! Replies go out first, then the catalogue and its changes, then data, each in order. All are bounded by who fills
//! them: nothing is read from the socket while too many replies wait, changes of the catalogue and a snapshot are
//! fetched when those before are gone, and live frames as far as a round has room.

use std::collections::VecDeque;

use bytes::Bytes;
use protocol::live::HubMessage;

/// Replies that may wait before the hub stops listening to the viewer.
const REPLIES_MAX: usize = 64;

/// Messages that wait for the socket.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    replies: VecDeque<Bytes>,
    catalogue: VecDeque<Bytes>,
    /// Beside each frame the viewer's number of the subscription it belongs to.
    data: VecDeque<(u64, Bytes)>,
    data_bytes: usize,
}

impl Outbox {
    /// Leaves a message that answers the viewer, or tells it how things are.
    pub(super) fn reply(&mut self, message: &HubMessage) {
        self.replies.push_back(message.encode().into());
    }

    /// Leaves parts of the catalogue, or changes of it.
    pub(super) fn catalogue(&mut self, messages: impl IntoIterator<Item = Bytes>) {
        self.catalogue.extend(messages);
    }

    /// Leaves a message of a subscription.
    pub(super) fn data(&mut self, subscription: u64, message: Bytes) {
        self.data_bytes += message.len();
        self.data.push_back((subscription, message));
    }

    /// Takes out what waits for a subscription that has ended.
    pub(super) fn forget(&mut self, subscription: u64) {
        self.data.retain(|(of, message)| {
            let stays = *of != subscription;
            self.data_bytes -= if stays { 0 } else { message.len() };
            stays
        });
    }

    /// The next message to write.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        self.replies.pop_front().or_else(|| self.catalogue.pop_front()).or_else(|| {
            let (_, message) = self.data.pop_front()?;
            self.data_bytes -= message.len();
            Some(message)
        })
    }

    /// Whether the viewer may say more.
    pub(super) fn has_room_for_replies(&self) -> bool {
        self.replies.len() < REPLIES_MAX
    }

    /// Whether no reply waits, so that the viewer would hear nothing for a while.
    pub(super) fn has_no_reply(&self) -> bool {
        self.replies.is_empty()
    }

    /// Whether there is room for changes of the catalogue.
    pub(super) fn has_no_catalogue(&self) -> bool {
        self.catalogue.is_empty()
    }

    /// Bytes of snapshots and live frames.
    pub(super) fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// Whether there is room for a snapshot.
    pub(super) fn has_no_data(&self) -> bool {
        self.data.is_empty()
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.has_no_reply() && self.has_no_catalogue() && self.has_no_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_overtake_and_what_nobody_watches_any_more_is_forgotten() {
        let mut outbox = Outbox::default();
        let reply = HubMessage::Heartbeat { now: 1 };
        for (subscription, message) in [(1, "1"), (2, "2"), (1, "3")] {
            outbox.data(subscription, message.into());
        }
        outbox.catalogue(["a".into(), "b".into()]);
        outbox.reply(&reply);
        outbox.forget(1);
        assert_eq!(outbox.data_bytes(), 1);
        let order: Vec<Bytes> = std::iter::from_fn(|| outbox.pop()).collect();
        assert_eq!(order, [reply.encode().into(), Bytes::from("a"), "b".into(), "2".into()]);
        assert!(outbox.is_empty() && outbox.data_bytes() == 0);
    }

    #[test]
    fn a_viewer_that_asks_and_does_not_read_is_listened_to_no_further() {
        let mut outbox = Outbox::default();
        for now in 0..REPLIES_MAX as u64 {
            assert!(outbox.has_room_for_replies());
            outbox.reply(&HubMessage::Heartbeat { now });
        }
        assert!(!outbox.has_room_for_replies());
        outbox.pop();
        assert!(outbox.has_room_for_replies());
    }
}

//! What the pipeline and the session of one viewer share: the way back to the viewer.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Notify;

/// Control messages that may wait for one viewer. Beyond that they are dropped and the viewer gets the whole
/// catalogue again when it reads on.
const CONTROL_WAITING_MAX: usize = 256;

/// The way back to one viewer.
#[derive(Debug, Default)]
pub struct ViewerLink {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

/// What waits for a viewer, besides the frames in its streams' logs.
#[derive(Debug, Default, PartialEq)]
pub struct Waiting {
    /// Encoded control messages, in order.
    pub control: VecDeque<Bytes>,
    /// Control messages were dropped: start again with a full catalogue.
    pub resync: bool,
    /// Streams whose set of series has changed: subscribe again.
    pub changed_streams: Vec<u64>,
    /// Close with this code.
    pub close: Option<u16>,
}

impl ViewerLink {
    /// There is something new in one of the viewer's logs.
    pub fn wake(&self) {
        self.notify.notify_one();
    }

    /// Leaves an encoded control message.
    pub fn control(&self, message: Bytes) {
        let mut waiting = self.lock();
        if waiting.control.len() >= CONTROL_WAITING_MAX {
            waiting.control.clear();
            waiting.resync = true;
        }
        if !waiting.resync {
            waiting.control.push_back(message);
        }
        drop(waiting);
        self.wake();
    }

    /// Tells that a stream's set of series has changed.
    pub fn stream_changed(&self, stream: u64) {
        let mut waiting = self.lock();
        if !waiting.changed_streams.contains(&stream) {
            waiting.changed_streams.push(stream);
        }
        drop(waiting);
        self.wake();
    }

    /// Asks the session to close.
    pub fn close(&self, code: u16) {
        self.lock().close.get_or_insert(code);
        self.wake();
    }

    /// The code to close with, if it has been asked to; what waits stays.
    pub fn closing(&self) -> Option<u16> {
        self.lock().close
    }

    /// Takes what waits.
    pub fn take(&self) -> Waiting {
        std::mem::take(&mut self.lock())
    }

    /// Waits until something is left here.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change under this lock is whole by itself, so a poisoned one is still good.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_that_does_not_read_costs_a_bounded_queue_and_starts_again() {
        let link = ViewerLink::default();
        for _ in 0..10_000 {
            link.control(Bytes::from_static(b"change"));
        }
        let waiting = link.take();
        assert!(waiting.resync && waiting.control.is_empty());
        link.control(Bytes::from_static(b"change"));
        assert_eq!(link.take().control.len(), 1);
    }
}

//! What the pipeline and the session of one viewer share: the way back to the viewer.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use tokio::sync::Notify;

/// Changes that may wait for one viewer. Beyond that they are dropped, and the viewer gets the whole catalogue again
/// when it reads on.
const CONTROL_WAITING_MAX: usize = 256;

/// The way back to one viewer.
#[derive(Debug, Default)]
pub struct ViewerLink {
    left: Mutex<Left>,
    notify: Notify,
    /// Series of all its subscriptions; kept by the fan-out.
    watched: AtomicUsize,
}

#[derive(Debug, Default)]
struct Left {
    waiting: Waiting,
    /// Changes were dropped: further ones mean nothing until the whole catalogue is there.
    is_lost: bool,
}

/// What waits for a viewer, besides the frames in its streams' logs.
#[derive(Debug, Default, PartialEq)]
pub struct Waiting {
    /// The whole catalogue and all states, encoded; shared with other viewers, so however large it costs nothing here.
    pub catalogue: Vec<Arc<[Bytes]>>,
    /// Encoded changes of it, in order.
    pub control: VecDeque<Bytes>,
    /// Changes were dropped: ask for the whole catalogue.
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

    /// Leaves the whole catalogue, encoded; it replaces what waits of it.
    pub fn catalogue(&self, parts: Vec<Arc<[Bytes]>>) {
        let mut left = self.lock();
        left.is_lost = false;
        left.waiting.control.clear();
        left.waiting.catalogue = parts;
        drop(left);
        self.wake();
    }

    /// Leaves an encoded change of the catalogue.
    pub fn control(&self, message: Bytes) {
        let mut left = self.lock();
        if left.is_lost {
            return;
        }
        if left.waiting.control.len() >= CONTROL_WAITING_MAX {
            left.waiting.catalogue.clear();
            left.waiting.control.clear();
            left.waiting.resync = true;
            left.is_lost = true;
        } else {
            left.waiting.control.push_back(message);
        }
        drop(left);
        self.wake();
    }

    /// Tells that a stream's set of series has changed.
    pub fn stream_changed(&self, stream: u64) {
        let mut left = self.lock();
        if !left.waiting.changed_streams.contains(&stream) {
            left.waiting.changed_streams.push(stream);
        }
        drop(left);
        self.wake();
    }

    /// Asks the session to close.
    pub fn close(&self, code: u16) {
        self.lock().waiting.close.get_or_insert(code);
        self.wake();
    }

    /// Takes what waits. Without room for them, the catalogue and its changes stay, where they are bounded.
    pub fn take(&self, has_room: bool) -> Waiting {
        let mut left = self.lock();
        let mut taken = std::mem::take(&mut left.waiting);
        if !has_room {
            left.waiting.catalogue = std::mem::take(&mut taken.catalogue);
            left.waiting.control = std::mem::take(&mut taken.control);
            left.waiting.resync = std::mem::take(&mut taken.resync);
        }
        taken
    }

    /// Waits until something is left here.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }

    /// Series of all its subscriptions. Only the fan-out changes the number, so it is exact there.
    pub fn watched(&self) -> usize {
        self.watched.load(Ordering::Relaxed)
    }

    pub(super) fn watch(&self, series: usize) {
        self.watched.fetch_add(series, Ordering::Relaxed);
    }

    pub(super) fn unwatch(&self, series: usize) {
        self.watched.fetch_sub(series, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Left> {
        // Every change under this lock is whole by itself, so a poisoned one is still good.
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGE: Bytes = Bytes::from_static(b"change");

    #[test]
    fn a_viewer_that_does_not_read_costs_a_bounded_queue_and_starts_again() {
        let link = ViewerLink::default();
        for _ in 0..10_000 {
            link.control(CHANGE);
        }
        let waiting = link.take(true);
        assert!(waiting.resync && waiting.control.is_empty());
        // A change of something that it may not know is of no use, until it has everything.
        link.control(CHANGE);
        assert_eq!(link.take(true), Waiting::default());
        link.catalogue(Vec::new());
        link.control(CHANGE);
        assert_eq!(link.take(true).control.len(), 1);
    }

    #[test]
    fn a_catalogue_of_any_length_is_one_thing_and_no_reason_to_start_again() {
        let link = ViewerLink::default();
        let catalogue: Vec<Arc<[Bytes]>> = vec![vec![CHANGE; 1_000].into(), vec![CHANGE].into()];
        link.control(CHANGE);
        link.catalogue(catalogue.clone());
        link.control(CHANGE);
        assert_eq!(link.take(false), Waiting::default());
        let waiting = link.take(true);
        assert!(!waiting.resync);
        assert_eq!((waiting.catalogue, waiting.control.len()), (catalogue, 1));
    }
}

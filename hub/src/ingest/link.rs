//! What the pipeline and the task of one device connection share: the way back to the device.
//!
//! Acknowledgements are cumulative, so only the latest is kept; control messages are few and bounded. The pipeline
//! never waits here, and a device that does not read holds nobody else up.

use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::device::HubControl;
use tokio::sync::Notify;

/// Control messages that may wait for one device; further ones are dropped, which the device notices as silence.
const CONTROL_WAITING_MAX: usize = 64;

/// The way back to one device.
#[derive(Debug, Default)]
pub struct Link {
    outbox: Mutex<Outbox>,
    notify: Notify,
}

/// What waits to be written.
#[derive(Debug, Default, PartialEq)]
pub struct Outbox {
    /// Goes out first, in order.
    pub control: Vec<HubControl>,
    /// The latest `acked` and `credit`.
    pub ack: Option<(u64, u64)>,
    /// Close with this code and reason once the rest is out.
    pub close: Option<(u16, String)>,
}

impl Link {
    /// Leaves the latest mark to be acknowledged.
    pub fn ack(&self, acked: u64, credit: u64) {
        self.lock().ack = Some((acked, credit));
        self.notify.notify_one();
    }

    /// Leaves a control message.
    pub fn control(&self, message: HubControl) {
        let mut outbox = self.lock();
        if outbox.control.len() < CONTROL_WAITING_MAX {
            outbox.control.push(message);
        }
        drop(outbox);
        self.notify.notify_one();
    }

    /// Leaves a non-fatal error about one message, or about none.
    pub fn error(&self, code: &str, message: String, seq: Option<u64>) {
        self.control(HubControl::Error { code: code.to_owned(), message, seq });
    }

    /// Asks the connection to close; the first reason stands.
    pub fn close(&self, code: u16, reason: impl Into<String>) {
        self.lock().close.get_or_insert_with(|| (code, reason.into()));
        self.notify.notify_one();
    }

    /// Takes what waits.
    pub fn take(&self) -> Outbox {
        std::mem::take(&mut self.lock())
    }

    /// Waits until something is left here.
    pub async fn changed(&self) {
        self.notify.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Outbox> {
        // A panic while this lock is held leaves a whole outbox behind: every change to it is one assignment.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

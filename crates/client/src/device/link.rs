//! The task of one device: connects, waits and connects again, and syncs the spool's files beside that.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use protocol::close;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    DeviceClock, DeviceConfig, DeviceEvent, Order, Shared,
    commands::Commands,
    connection::{Connection, Outcome},
    suspect::Suspect,
};
use crate::{
    backoff::Backoff,
    socket::{self, Door, Ending, explained},
};

/// Allocated for each connection; the hub says little.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Largest message taken from a hub: control only.
const INCOMING_BYTES_MAX: usize = 64 * 1024;
/// A connection that held so long after welcome was of use, even if nothing was acknowledged.
const USEFUL_AFTER: Duration = Duration::from_secs(10);

/// The present time, microseconds since the Unix epoch.
pub(super) fn unix_now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// What a task of a device holds; lent to each connection.
pub(super) struct Link {
    pub(super) config: DeviceConfig,
    pub(super) shared: Arc<Shared>,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) events: mpsc::Sender<DeviceEvent>,
    pub(super) commands: Commands,
    suspect: Suspect,
}

impl Link {
    pub(super) fn new(
        config: DeviceConfig,
        shared: Arc<Shared>,
        orders: watch::Receiver<Order>,
        events: mpsc::Sender<DeviceEvent>,
    ) -> Self {
        Self { config, shared, orders, events, commands: Commands::default(), suspect: Suspect::default() }
    }

    pub(super) async fn run(mut self) {
        let shared = self.shared.clone();
        let ended = Notify::new();
        let connected = async {
            self.keep_connected().await;
            ended.notify_one();
        };
        tokio::join!(connected, keep_synced(&shared, &ended));
        let mut state = shared.lock();
        state.outbox.tidy();
        shared.note(&mut state, |stats| stats.connected = false);
        drop(state);
        // Before the channels of `self`: whoever sees them closed finds the folder's lock released by this side.
        drop(shared);
        let Self { shared, .. } = self;
        drop(shared);
    }

    async fn keep_connected(&mut self) {
        let mut backoff = Backoff::new(self.config.timing.backoff_first, self.config.timing.backoff_max);
        let mut attempt: u32 = 1;
        loop {
            let opened = tokio::select! {
                opened = self.open() => opened,
                () = over(self.orders.clone(), &self.shared, None) => return,
            };
            let ending = match opened {
                Ok(socket) => {
                    let mut connection = Connection::new(self, socket);
                    let outcome = connection.serve().await;
                    let progress = connection.progress();
                    if progress.acked || progress.welcomed_for >= USEFUL_AFTER {
                        backoff.reset();
                        attempt = 0;
                    }
                    match outcome {
                        Outcome::Over => return,
                        Outcome::Ended(ending) => {
                            if progress.sent && matches!(ending.code, Some(close::UNREADABLE | close::TOO_BIG)) {
                                self.suspect_oldest();
                            }
                            ending
                        }
                    }
                }
                Err(ending) => ending,
            };
            attempt = attempt.saturating_add(1);
            let retry_in = backoff.next(ending.advice, &mut rand::rng());
            self.tell_disconnected(ending, retry_in, attempt);
            let retry_at = Instant::now() + retry_in;
            tokio::select! {
                () = sleep_until(retry_at) => {}
                () = over(self.orders.clone(), &self.shared, Some(retry_at)) => return,
            }
        }
    }

    async fn open(&self) -> Result<socket::Socket, Ending> {
        let door = Door {
            address: &self.config.hub,
            path: "/ws/device",
            subprotocol: protocol::DEVICE_SUBPROTOCOL,
            token: self.config.token.as_deref(),
            read_buffer_bytes: READ_BUFFER_BYTES,
            incoming_bytes_max: INCOMING_BYTES_MAX,
            outgoing_bytes_max: protocol::limits::MESSAGE_BYTES_MAX,
        };
        socket::open(&door).await.map_err(|error| Ending {
            reason: explained(&error),
            advice: error.advice(),
            code: None,
        })
    }

    fn tell_disconnected(&self, ending: Ending, retry_in: Duration, attempt: u32) {
        let device = &self.config.identity.device;
        if ending.code == Some(close::TAKEN_OVER) {
            tracing::warn!(%device, ?retry_in, "{}", ending.reason);
        } else {
            tracing::debug!(%device, ?retry_in, attempt, reason = %ending.reason, "not connected");
        }
        self.shared.note(&mut self.shared.lock(), |stats| {
            stats.connected = false;
            stats.reconnects += 1;
        });
        self.tell(DeviceEvent::Disconnected { reason: ending.reason, retry_in, attempt });
    }

    /// The hub closed over something it could not read. After three times it is the oldest message's fault.
    fn suspect_oldest(&mut self) {
        let mut state = self.shared.lock();
        let front = state.outbox.front();
        let Some(seq) = front.oldest() else { return };
        if !self.suspect.strike(front.id(), seq) {
            return;
        }
        let Some(quarantined) = state.outbox.quarantine_oldest() else { return };
        self.shared.note(&mut state, |stats| stats.quarantined += 1);
        drop(state);
        let path = quarantined.path.as_ref().map(|path| path.display().to_string());
        tracing::error!(device = %self.config.identity.device, seq, path, "the hub cannot read this message: taken out");
        self.tell(DeviceEvent::Quarantined { seq, path: quarantined.path });
    }

    /// Leaves an event out when nobody takes them: the statistics have it all.
    pub(super) fn tell(&self, event: DeviceEvent) {
        let _ = self.events.try_send(event);
    }

    /// The device's time, microseconds.
    pub(super) fn now_us(&self) -> i64 {
        match self.config.clock {
            DeviceClock::Unix => unix_now_us(),
            DeviceClock::Boot(start) => i64::try_from(start.elapsed().as_micros()).unwrap_or(i64::MAX),
        }
    }
}

/// Until the connection is no longer wanted: the handle is gone, or finishing is done or overdue. Nothing that is not
/// acknowledged gets done without a connection, so here only the deadline and the handle count, an outbox that has
/// nothing to deliver, and a next attempt that would come too late.
async fn over(mut orders: watch::Receiver<Order>, shared: &Shared, retry_at: Option<Instant>) {
    loop {
        let order = *orders.borrow_and_update();
        match order {
            Order::Run => {
                if orders.changed().await.is_err() {
                    return;
                }
            }
            Order::Finish(_) if shared.lock().outbox.is_drained() => return,
            Order::Finish(deadline) if retry_at.is_some_and(|at| at > deadline) => return,
            Order::Finish(deadline) => {
                tokio::select! {
                    () = sleep_until(deadline) => return,
                    changed = orders.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// Syncs the spool's files whenever something was written to them; one sync at a time, so that what is written
/// meanwhile shares the next one, and a file is never deleted while another thread still syncs the one after it.
async fn keep_synced(shared: &Shared, ended: &Notify) {
    loop {
        while sync_once(shared).await {
            shared.sendable.notify_one();
        }
        tokio::select! {
            () = shared.unsynced.notified() => {}
            () = ended.notified() => break,
        }
    }
    // A push of the last moment reaches the disk too.
    while sync_once(shared).await {}
}

async fn sync_once(shared: &Shared) -> bool {
    let Some(sync) = shared.lock().outbox.sync_work() else { return false };
    let synced = tokio::task::spawn_blocking(move || {
        let result = sync.work.run();
        (sync, result)
    });
    // It fails only when the runtime stops, and then nothing is sent any more.
    if let Ok((sync, result)) = synced.await {
        let mut state = shared.lock();
        state.outbox.synced(&sync, &result);
        shared.note(&mut state, |_| {});
    }
    true
}

/// When a connection that is finishing must end; far away when it is not.
pub(super) fn deadline(order: Order) -> Option<Instant> {
    match order {
        Order::Run => None,
        Order::Finish(deadline) => Some(deadline),
    }
}

//! One open connection of a device: hello, then frames out and acknowledgements in, until it ends.

mod incoming;
mod outgoing;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use protocol::device::{DeviceControl, HubControl};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{
    Bytes, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{
    DeviceEvent, Order,
    link::{Link, deadline},
};
use crate::socket::{Ending, Socket};

/// Longest time for bye and the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Spools that one connection discards as stale; a hub that calls more of them stale does so to all.
const STALE_MAX: u32 = 16;

/// How a connection ended.
pub(super) enum Outcome {
    /// No longer wanted.
    Over,
    /// To be followed by another one.
    Ended(Ending),
}

/// What a connection was good for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// Something new was acknowledged.
    pub(super) acked: bool,
    /// Readings were sent.
    pub(super) sent: bool,
    /// Time since the first welcome.
    pub(super) welcomed_for: Duration,
}

/// What the hub has been told of the spool that is being sent.
#[derive(Debug, Default)]
struct Announced {
    spool: u64,
    channels: usize,
    /// The last number sent on this connection, or acknowledged before.
    sent: u64,
    /// The last number acknowledged.
    acked: u64,
    /// The last number that may be sent.
    limit: u64,
}

/// Why the stream of frames pauses.
enum Pause {
    /// Another hello is due: the next spool, or more channels.
    Introduce,
    /// No longer wanted.
    Over,
}

pub(super) struct Connection<'a> {
    link: &'a mut Link,
    socket: Socket,
    heard: Instant,
    announced: Announced,
    /// A message on its way whose ack is timed.
    timed: Option<(u64, Instant)>,
    welcomed_at: Option<Instant>,
    has_acked: bool,
    has_sent: bool,
    warned: Option<Instant>,
    unwarned: u64,
}

impl<'a> Connection<'a> {
    pub(super) fn new(link: &'a mut Link, socket: Socket) -> Self {
        Self {
            link,
            socket,
            heard: Instant::now(),
            announced: Announced::default(),
            timed: None,
            welcomed_at: None,
            has_acked: false,
            has_sent: false,
            warned: None,
            unwarned: 0,
        }
    }

    pub(super) fn progress(&self) -> Progress {
        Progress {
            acked: self.has_acked,
            sent: self.has_sent,
            welcomed_for: self.welcomed_at.map_or(Duration::ZERO, |at| at.elapsed()),
        }
    }

    pub(super) async fn serve(&mut self) -> Outcome {
        loop {
            let paused = match self.introduce().await {
                Ok(Pause::Introduce) => self.stream().await,
                other => other,
            };
            match paused {
                Ok(Pause::Introduce) => {}
                Ok(Pause::Over) => {
                    // Best effort: what counts is acknowledged already.
                    let _ = timeout(CLOSE_TIMEOUT, self.say_bye()).await;
                    return Outcome::Over;
                }
                Err(ending) => {
                    if ending.code.is_some() {
                        // Our half of the closing handshake.
                        let _ = timeout(CLOSE_TIMEOUT, self.socket.flush()).await;
                    }
                    return Outcome::Ended(ending);
                }
            }
        }
    }

    /// Sends hello for the oldest spool and waits for its welcome.
    async fn introduce(&mut self) -> Result<Pause, Ending> {
        for _ in 0..STALE_MAX {
            let now_us = self.link.now_us();
            let hello = self.link.shared.lock().outbox.hello(now_us);
            self.announced = Announced { spool: hello.spool, channels: hello.channels.len(), ..Announced::default() };
            self.timed = None;
            self.send_control(&DeviceControl::Hello(Box::new(hello))).await?;
            let until = Instant::now() + self.link.config.timing.hello_timeout;
            loop {
                let message = tokio::select! {
                    message = self.socket.next() => message,
                    () = sleep_until(until) => return Err(Ending::silent("the hub does not answer hello")),
                    () = ordered_to_end(self.link) => return Ok(Pause::Over),
                };
                match self.read(message)? {
                    Some(HubControl::Welcome { spool, acked, credit, .. }) if spool == self.announced.spool => {
                        if self.welcome(acked, credit) {
                            return Ok(Pause::Introduce);
                        }
                        break;
                    }
                    Some(HubControl::Error { code, .. }) if code == "stale_spool" => {
                        self.discard();
                        break;
                    }
                    // Of the spool before this one.
                    Some(HubControl::Ack { .. }) | None => {}
                    Some(other) => self.take(other)?,
                }
            }
        }
        Err(Ending::silent("the hub calls every spool stale"))
    }

    /// False when the welcome says that the spool is stale; it is discarded then.
    fn welcome(&mut self, acked: u64, credit: u64) -> bool {
        let shared = &self.link.shared;
        let mut state = shared.lock();
        let Ok(settled) = state.outbox.acknowledge(acked) else {
            drop(state);
            self.discard();
            return false;
        };
        shared.note(&mut state, |stats| {
            stats.acked += settled;
            stats.connected = true;
        });
        drop(state);
        self.announced.sent = acked;
        self.announced.acked = acked;
        self.announced.limit = acked.saturating_add(credit);
        self.has_acked |= settled > 0;
        if self.welcomed_at.is_none() {
            self.welcomed_at = Some(Instant::now());
            self.link.tell(DeviceEvent::Connected);
        }
        true
    }

    fn discard(&mut self) {
        let shared = &self.link.shared;
        let mut state = shared.lock();
        let messages = state.outbox.discard_front();
        shared.note(&mut state, |_| {});
        drop(state);
        let device = &self.link.config.identity.device;
        tracing::warn!(%device, messages, "the hub has more of this spool than this device: was its disk rolled back?");
        self.link.tell(DeviceEvent::Discarded { messages });
    }

    /// Frames out, acknowledgements in.
    async fn stream(&mut self) -> Result<Pause, Ending> {
        let timing = self.link.config.timing.clone();
        let mut ping = interval_at(Instant::now() + timing.ping_every, timing.ping_every);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Some(pause) = self.pause()? {
                return Ok(pause);
            }
            let more = self.pump().await?;
            let silent_at = self.heard + timing.silence_max;
            let order = *self.link.orders.borrow();
            let finish_at = deadline(order);
            let shared = self.link.shared.clone();
            tokio::select! {
                // In this order: what has arrived is read before its absence is held against the hub.
                biased;
                message = self.socket.next() => {
                    if let Some(control) = self.read(message)? {
                        self.take(control)?;
                    }
                }
                changed = self.link.orders.changed() => {
                    if changed.is_err() {
                        return Ok(Pause::Over);
                    }
                }
                () = sleep_until(finish_at.unwrap_or(silent_at)), if finish_at.is_some() => return Ok(Pause::Over),
                _ = ping.tick() => self.send(Message::Ping(Bytes::new())).await?,
                () = sleep_until(silent_at) => {
                    return Err(Ending::silent(format!("nothing heard for {} s", timing.silence_max.as_secs())));
                }
                () = shared.sendable.notified(), if !more => {}
                () = std::future::ready(()), if more => {}
            }
        }
    }

    /// Whether the stream has come to an end, for now or for good.
    fn pause(&self) -> Result<Option<Pause>, Ending> {
        let mut state = self.link.shared.lock();
        let front = state.outbox.front();
        if front.id() != self.announced.spool {
            // Its bound pushed out all of it.
            return Err(Ending::silent("the spool that was being sent is gone"));
        }
        let grown = front.channels().len() != self.announced.channels;
        if grown && self.announced.acked == self.announced.sent {
            return Ok(Some(Pause::Introduce));
        }
        if state.outbox.advance() {
            return Ok(Some(Pause::Introduce));
        }
        let finishing = matches!(*self.link.orders.borrow(), Order::Finish(_));
        Ok((finishing && state.outbox.is_drained()).then_some(Pause::Over))
    }

    async fn say_bye(&mut self) -> Result<(), Ending> {
        self.send_control(&DeviceControl::Bye).await?;
        let done = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        self.socket.close(Some(done)).await.map_err(|error| Ending::failed(&error))?;
        // The hub's half of the handshake, after which nothing that was sent can get lost by a reset.
        while let Some(Ok(_)) = self.socket.next().await {}
        Ok(())
    }
}

/// Until the handle is gone or the deadline of finishing has passed.
async fn ordered_to_end(link: &mut Link) {
    loop {
        let order = *link.orders.borrow_and_update();
        match deadline(order) {
            None => {
                if link.orders.changed().await.is_err() {
                    return;
                }
            }
            Some(at) => return sleep_until(at).await,
        }
    }
}

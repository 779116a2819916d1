//! One open connection of a device: hello, then frames out and acknowledgements in, until it ends.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use protocol::{
    codec::{ItemKind, item_kind},
    device::{DeviceControl, HubControl},
};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{
    Bytes, Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use super::{
    DeviceEvent, Order,
    link::{Link, deadline, unix_now_us},
};
use crate::{
    socket::{Ending, Socket},
    spool::Outgoing,
};

/// Bytes written before acknowledgements and orders are looked at again.
const PUMP_BYTES: usize = 64 * 1024;
/// Longest time for bye and the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Spools that one connection discards as stale; a hub that calls more of them stale does so to all.
const STALE_MAX: u32 = 16;
/// At most one warning a device in this time about what the hub refused.
const WARN_EVERY: Duration = Duration::from_secs(10);

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

    /// Sends what may be sent, a bounded amount; true when there may be more.
    async fn pump(&mut self) -> Result<bool, Ending> {
        let (answers, items) = {
            let mut state = self.link.shared.lock();
            // Frames with channels that the hub does not know yet wait for the next hello.
            let grown = state.outbox.front().channels().len() != self.announced.channels;
            let items = if grown {
                Vec::new()
            } else {
                state.outbox.following(self.announced.sent, self.announced.limit, PUMP_BYTES)
            };
            (std::mem::take(&mut state.answers), items)
        };
        if answers.is_empty() && items.is_empty() {
            return Ok(false);
        }
        let mut sent = 0;
        for answer in answers {
            self.feed(Message::binary(answer.encode())).await?;
        }
        for item in items {
            self.announced.sent = item.through();
            match item {
                Outgoing::Gap { from, to, reason } => {
                    let gap = DeviceControl::Gap { from, to, reason: reason.to_owned() };
                    self.feed(Message::binary(gap.encode())).await?;
                }
                Outgoing::Message { seq, frame } => {
                    self.timed.get_or_insert((seq, Instant::now()));
                    self.feed(Message::Binary(frame)).await?;
                    sent += 1;
                }
            }
        }
        self.has_sent |= sent > 0;
        let patience = self.link.config.timing.silence_max;
        flushed(timeout(patience, self.socket.flush()).await)?;
        let shared = &self.link.shared;
        shared.note(&mut shared.lock(), |stats| stats.sent += sent);
        Ok(true)
    }

    /// What a message from the hub says; `None` where it says nothing.
    fn read(
        &mut self,
        message: Option<Result<Message, tokio_tungstenite::tungstenite::Error>>,
    ) -> Result<Option<HubControl>, Ending> {
        let message = message.ok_or_else(|| Ending::silent("connection closed"))?;
        self.heard = Instant::now();
        match message.map_err(|error| Ending::failed(&error))? {
            Message::Binary(bytes) if item_kind(&bytes) == ItemKind::Map => HubControl::decode(&bytes)
                .map(Some)
                .map_err(|error| Ending::silent(format!("a message of the hub could not be read: {error}"))),
            Message::Close(frame) => Err(Ending::closed(frame.as_ref())),
            // Nothing of this version: a newer hub may have a use for it.
            _ => Ok(None),
        }
    }

    fn take(&mut self, control: HubControl) -> Result<(), Ending> {
        match control {
            HubControl::Ack { acked, credit } => self.acknowledge(acked, credit),
            HubControl::Command { id, name, args, expires_ms } => {
                let now_ms = unix_now_us().max(0) as u64 / 1000;
                if self.link.commands.admit(&id, expires_ms, now_ms) {
                    let refused = DeviceControl::Result {
                        id: id.clone(),
                        ok: false,
                        value: None,
                        message: Some("the device is busy".to_owned()),
                    };
                    let command = DeviceEvent::Command { id, name, args, expires_ms };
                    if self.link.events.try_send(command).is_err() {
                        self.link.shared.lock().answer(refused);
                    }
                }
                Ok(())
            }
            HubControl::Error { code, message, seq } => {
                self.refused(&code, &message, seq);
                Ok(())
            }
            // A welcome for nothing that was asked, or a type of a newer hub.
            HubControl::Welcome { .. } | HubControl::Unknown => Ok(()),
        }
    }

    fn acknowledge(&mut self, acked: u64, credit: u64) -> Result<(), Ending> {
        if acked > self.announced.sent || acked < self.announced.acked {
            return Err(Ending::silent(format!("the hub acknowledged {acked}, out of turn")));
        }
        self.announced.acked = acked;
        let round_trip = self.timed.take_if(|(seq, _)| *seq <= acked).map(|(_, at)| at.elapsed());
        let shared = &self.link.shared;
        let mut state = shared.lock();
        let settled = state.outbox.acknowledge(acked).unwrap_or_default();
        shared.note(&mut state, |stats| {
            stats.acked += settled;
            if let Some(round_trip) = round_trip {
                stats.ack_round_trip_us = u64::try_from(round_trip.as_micros()).ok();
            }
        });
        drop(state);
        // It may fall: a hub that has too much to do asks for less.
        self.announced.limit = acked.saturating_add(credit);
        self.has_acked |= settled > 0;
        Ok(())
    }

    fn refused(&mut self, code: &str, message: &str, seq: Option<u64>) {
        let message = protocol::text::excerpt(message, 300);
        let code = protocol::text::excerpt(code, 40);
        let shared = &self.link.shared;
        if seq.is_some() {
            shared.note(&mut shared.lock(), |stats| stats.refused += 1);
        }
        if self.warned.is_none_or(|warned| warned.elapsed() >= WARN_EVERY) {
            let device = &self.link.config.identity.device;
            tracing::warn!(%device, seq, code, unreported = self.unwarned, "the hub refused something: {message}");
            self.warned = Some(Instant::now());
            self.unwarned = 0;
        } else {
            self.unwarned += 1;
        }
        self.link.tell(DeviceEvent::Refused { seq, code, message });
    }

    async fn send_control(&mut self, control: &DeviceControl) -> Result<(), Ending> {
        self.send(Message::binary(control.encode())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Ending> {
        let patience = self.link.config.timing.silence_max;
        flushed(timeout(patience, self.socket.send(message)).await)
    }

    /// Writes without flushing.
    async fn feed(&mut self, message: Message) -> Result<(), Ending> {
        let patience = self.link.config.timing.silence_max;
        flushed(timeout(patience, self.socket.feed(message)).await)
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

type Written = Result<Result<(), tokio_tungstenite::tungstenite::Error>, tokio::time::error::Elapsed>;

fn flushed(written: Written) -> Result<(), Ending> {
    match written {
        Ok(written) => written.map_err(|error| Ending::failed(&error)),
        Err(_) => Err(Ending::silent("the hub does not take what is sent")),
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

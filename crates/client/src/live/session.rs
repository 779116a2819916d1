//! One open connection of a viewer, from the upgrade to its end.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use protocol::{
    codec::{ItemKind, item_kind},
    live::{HubMessage, LiveData, ViewerMessage},
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::{Ended, Live, LiveEvent, Unwanted, Wanted};
use crate::socket::{Ending, Socket, explained};

/// Silence after which the socket is taken for dead; the hub beats every 2 s.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// Silence allowed at most, whatever period of heartbeats a hub announces.
const SILENCE_CAP: Duration = Duration::from_secs(60);
/// How often the way there and back is measured.
const ECHO_EVERY: Duration = Duration::from_secs(2);
/// Longest time for one small message to leave.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that was heard for so long was of use.
const USEFUL_AFTER: Duration = Duration::from_secs(3);

struct Session {
    socket: Socket,
    opened: Instant,
    heard: Instant,
    silence_max: Duration,
    welcomed: bool,
    /// What the hub has been asked for on this connection.
    known: Wanted,
}

/// Keeps one connection until it ends.
pub(super) async fn run(live: &mut Live, socket: Socket) -> Result<Ended, Unwanted> {
    let now = Instant::now();
    let known = Wanted { reconnects: live.wishes.borrow().reconnects, ..Wanted::default() };
    let mut session = Session { socket, opened: now, heard: now, silence_max: SILENCE_MAX, welcomed: false, known };
    match session.serve(live).await {
        Ok(unwanted) => {
            // Best effort: the hub notices a vanished viewer too.
            let _ = timeout(SEND_TIMEOUT, session.socket.close(None)).await;
            Err(unwanted)
        }
        Err(ending) => {
            if ending.code.is_some() {
                // Our half of the closing handshake.
                let _ = timeout(SEND_TIMEOUT, session.socket.flush()).await;
            }
            let was_useful = session.welcomed && session.heard - session.opened >= USEFUL_AFTER;
            Ok(Ended { ending, was_useful })
        }
    }
}

impl Session {
    /// Until the connection ends (an error), or is no longer wanted.
    async fn serve(&mut self, live: &mut Live) -> Result<Unwanted, Ending> {
        let wanted = live.wishes.borrow_and_update().clone();
        self.ask(wanted).await?;
        let mut echo = interval(ECHO_EVERY);
        echo.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                // In this order: what has arrived is read before its absence is held against the hub.
                biased;
                changed = live.wishes.changed() => {
                    if changed.is_err() {
                        return Ok(Unwanted);
                    }
                    let wanted = live.wishes.borrow_and_update().clone();
                    self.ask(wanted).await?;
                }
                message = self.socket.next() => {
                    let message = message.ok_or_else(|| Ending::silent("connection closed"))?;
                    let event = self.read(message.map_err(|error| Ending::failed(&error))?)?;
                    if let Some(event) = event && live.tell(event).await.is_err() {
                        return Ok(Unwanted);
                    }
                    // Not before the event is taken: time spent waiting for the application is not the hub's silence.
                    self.heard = Instant::now();
                }
                _ = echo.tick() => {
                    let t = self.opened.elapsed().as_secs_f64() * 1000.0;
                    self.send(&ViewerMessage::Echo { t }).await?;
                }
                () = sleep_until(self.heard + self.silence_max) => {
                    return Err(Ending::silent(format!("nothing heard for {} s", self.silence_max.as_secs())));
                }
                () = live.events.closed() => return Ok(Unwanted),
            }
        }
    }

    /// Brings the hub up to date with what is wanted.
    async fn ask(&mut self, wanted: Wanted) -> Result<(), Ending> {
        if wanted.reconnects != self.known.reconnects {
            return Err(Ending::silent("asked to connect anew"));
        }
        for message in wanted.since(&self.known) {
            self.send(&message).await?;
        }
        self.known = wanted;
        Ok(())
    }

    async fn send(&mut self, message: &ViewerMessage) -> Result<(), Ending> {
        match timeout(SEND_TIMEOUT, self.socket.send(Message::binary(message.encode()))).await {
            Ok(sent) => sent.map_err(|error| Ending::failed(&error)),
            Err(_) => Err(Ending::silent("the hub does not take what is sent")),
        }
    }

    /// What a message means to the application; `None` where it means nothing.
    fn read(&mut self, message: Message) -> Result<Option<LiveEvent>, Ending> {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Close(frame) => return Err(Ending::closed(frame.as_ref())),
            // Text is not of this protocol; a newer hub may have a use for it.
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => return Ok(None),
        };
        match item_kind(&bytes) {
            ItemKind::Array => {
                let mut data = LiveData::default();
                data.decode(&bytes).map_err(|error| unreadable("data", &error))?;
                Ok(Some(LiveEvent::Data(data)))
            }
            ItemKind::Map => {
                let message = HubMessage::decode(&bytes).map_err(|error| unreadable("a control message", &error))?;
                Ok(self.take(message))
            }
            ItemKind::Other => Ok(None),
        }
    }

    fn take(&mut self, message: HubMessage) -> Option<LiveEvent> {
        match &message {
            HubMessage::Unknown => return None,
            HubMessage::Echo { t, .. } => {
                let elapsed_ms = self.opened.elapsed().as_secs_f64() * 1000.0;
                // An echo of something that was never sent, or of a hub that plays with numbers.
                if !(0.0..=elapsed_ms).contains(t) {
                    return None;
                }
                return Some(LiveEvent::RoundTrip(Duration::from_secs_f64((elapsed_ms - t) / 1000.0)));
            }
            HubMessage::Welcome { heartbeat_ms, .. } => {
                self.welcomed = true;
                // Two and a half heartbeats, should this hub beat more slowly.
                let announced = Duration::from_millis(heartbeat_ms.saturating_mul(5) / 2);
                self.silence_max = announced.clamp(SILENCE_MAX, SILENCE_CAP);
            }
            _ => {}
        }
        Some(LiveEvent::Message(message))
    }
}

/// A hub that cannot be understood: what is on the screen would be wrong from here on, a fresh snapshot may be right.
fn unreadable(what: &str, error: &protocol::codec::CodecError) -> Ending {
    Ending::silent(format!("{what} of the hub could not be read: {}", explained(error)))
}

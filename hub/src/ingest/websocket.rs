//! The door for devices: `GET /ws/device`.
//!
//! One task a connection. It moves frames to the pipeline and what the pipeline leaves on the [`Link`] back to the
//! device; it decodes only control messages. When the pipeline is behind it waits, and TCP makes the device wait.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use protocol::{
    DEVICE_SUBPROTOCOL, close,
    codec::{self, ItemKind},
    device::{DeviceControl, control::ControlError},
    limits::MESSAGE_BYTES_MAX,
    text,
};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};

use super::{
    budget::Budget,
    link::{Link, Outbox},
};
use crate::{
    api::error::Problem,
    pipeline::{Input, PipelineHandle, Stopped},
    web::{Permit, Web},
};

/// tungstenite zero-fills its read buffer before every read: 4 KiB costs 3.1 µs a sparse frame, the default 128 KiB
/// costs 7.8 µs (measured).
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Acknowledgements are small and flushed at once.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;
/// What may wait for a device that does not read.
const WRITE_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Control messages a second that one device may send on average, a second's worth at once; faster ones are slowed down.
/// A device has a few to say; a hello with 256 channels costs half a millisecond of everybody's time (measured).
const CONTROL_PER_SECOND: u32 = 64;
/// A device that takes nothing for so long is dropped.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// A message that the pipeline does not take for so long (a full disk, history behind) ends the connection: the device
/// keeps it, and a thousand waiting connections would only use up places.
const BRING_MAX: Duration = Duration::from_secs(10);
/// Then the device is asked to come back after this.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// How long the other side may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Numbers connections; 0 is nobody's.
static NEXT_CONNECTION: AtomicU64 = AtomicU64::new(1);

/// Upgrades a device's request.
pub async fn upgrade(State(web): State<Arc<Web>>, permit: Permit, upgrade: WebSocketUpgrade) -> Response {
    if !*web.ready.borrow() {
        return Problem::overloaded("the hub is starting or stopping").into_response();
    }
    let upgrade = upgrade.protocols([DEVICE_SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        web.metrics.handshakes_refused.inc();
        return Problem::subprotocol(DEVICE_SUBPROTOCOL).into_response();
    }
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| async move {
            let _open = web.open_session();
            let session = Session {
                number: NEXT_CONNECTION.fetch_add(1, Ordering::Relaxed),
                link: Arc::new(Link::default()),
                pipeline: web.pipeline.clone(),
                budget: Budget::new(web.ingest.messages_per_second),
                control_budget: Budget::new(CONTROL_PER_SECOND),
                web,
                socket,
                has_said_hello: false,
            };
            session.run().await;
            drop(permit);
        })
}

/// One device's connection.
struct Session {
    number: u64,
    link: Arc<Link>,
    pipeline: PipelineHandle,
    web: Arc<Web>,
    socket: WebSocket,
    has_said_hello: bool,
    budget: Budget,
    control_budget: Budget,
}

/// Why a session ends.
enum End {
    /// The other side closed, or said bye.
    Closed(&'static str),
    /// This side closes, with this code and reason.
    Close(u16, String),
    /// The socket is broken.
    Broken,
}

impl Session {
    async fn run(mut self) {
        let end = self.serve().await;
        let reason = match &end {
            End::Closed(reason) => (*reason).to_owned(),
            End::Close(code, reason) => format!("{code} {reason}"),
            End::Broken => "connection lost".to_owned(),
        };
        match end {
            End::Close(code, reason) => {
                self.web.metrics.closed(code);
                Box::pin(self.close(code, reason)).await;
            }
            // The answer to the device's close is queued; without this flush it would see a broken connection.
            End::Closed(_) => drop(timeout(CLOSE_TIMEOUT, self.socket.flush()).await),
            End::Broken => {}
        }
        if self.has_said_hello {
            // A stopped pipeline has closed the books already.
            let _ = self.pipeline.input(Input::Closed { connection: self.number, reason }).await;
        }
    }

    async fn serve(&mut self) -> End {
        let mut last_heard = Instant::now();
        let hello_by = last_heard + self.web.ingest.hello_timeout;
        let link = Arc::clone(&self.link);
        let mut tick = tokio::time::interval(self.web.ingest.ping_interval.min(self.web.ingest.hello_timeout));
        tick.reset();
        let mut next_ping = last_heard + self.web.ingest.ping_interval;
        let mut changed = pin!(link.changed());
        loop {
            tokio::select! {
                // Messages last: a device that never pauses is to hear of those it has sent, and of its time running out.
                biased;
                () = &mut changed => {
                    changed.set(link.changed());
                    if let Err(end) = self.write(link.take()).await {
                        return end;
                    }
                }
                _ = tick.tick() => {
                    let now = Instant::now();
                    if !self.has_said_hello && now >= hello_by {
                        return End::Close(close::POLICY, "no hello came in time".into());
                    }
                    if now.duration_since(last_heard) > self.web.ingest.silence_max {
                        return End::Close(close::POLICY, "nothing was heard for too long".into());
                    }
                    if now >= next_ping {
                        next_ping = now + self.web.ingest.ping_interval;
                        if self.send(Message::Ping(Bytes::new())).await.is_err() {
                            return End::Broken;
                        }
                    }
                }
                received = self.socket.next() => {
                    last_heard = Instant::now();
                    if let Err(end) = self.on_received(received, last_heard).await {
                        return end;
                    }
                }
            }
        }
    }

    /// Handles what came at `now`.
    async fn on_received(&mut self, received: Option<Result<Message, axum::Error>>, now: Instant) -> Result<(), End> {
        match received {
            Some(Ok(Message::Binary(bytes))) => self.on_message(bytes, now).await,
            Some(Ok(Message::Text(_))) => {
                Err(End::Close(close::TEXT_MESSAGE, "send binary messages (CBOR), not text".into()))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
            Some(Ok(Message::Close(_))) | None => Err(End::Closed("closed by the device")),
            Some(Err(error)) => Err(self.on_error(&error)),
        }
    }

    fn on_error(&self, error: &axum::Error) -> End {
        match std::error::Error::source(error).and_then(|source| source.downcast_ref::<tungstenite::Error>()) {
            Some(tungstenite::Error::Capacity(_)) => {
                self.web.metrics.too_big.inc();
                End::Close(close::TOO_BIG, format!("a message has at most {MESSAGE_BYTES_MAX} bytes"))
            }
            Some(
                tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) | tungstenite::Error::Io(_),
            ) => End::Broken,
            Some(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => {
                End::Closed("closed by the device")
            }
            _ => {
                self.web.metrics.broken_frames.inc();
                End::Close(close::PROTOCOL_ERROR, text::excerpt(&error.to_string(), 100))
            }
        }
    }

    async fn on_message(&mut self, bytes: Bytes, now: Instant) -> Result<(), End> {
        let kind = codec::item_kind(codec::strip_self_described(&bytes));
        let waits = [self.budget.take(now), (kind == ItemKind::Map).then(|| self.control_budget.take(now)).flatten()];
        if let Some(wait) = waits.into_iter().flatten().max() {
            self.web.metrics.messages_slowed.inc();
            tokio::time::sleep(wait).await;
        }
        // What is seldom waited for is boxed: unboxed, every connection would keep more than 1 KiB of room for it.
        match kind {
            ItemKind::Array if self.has_said_hello => {
                let Err(bytes) = self.pipeline.try_frame(self.number, bytes) else { return Ok(()) };
                let (pipeline, connection) = (self.pipeline.clone(), self.number);
                Box::pin(self.bring(pipeline.frame(connection, bytes))).await
            }
            ItemKind::Array => Err(End::Close(close::POLICY, "say hello before sending readings".into())),
            ItemKind::Map => Box::pin(self.on_control(&bytes)).await,
            ItemKind::Other => {
                self.web.metrics.unreadable.inc();
                let reason = "a message is one CBOR array (readings) or map (control)";
                Err(End::Close(close::UNREADABLE, reason.into()))
            }
        }
    }

    async fn on_control(&mut self, bytes: &[u8]) -> Result<(), End> {
        let control = match DeviceControl::decode(bytes) {
            Ok(control) => control,
            Err(error) => {
                self.web.metrics.control_refused.inc();
                let code = if matches!(error, ControlError::Hello(_)) { "bad_hello" } else { "bad_control" };
                self.link.error(code, error.to_string(), None);
                // Without a good hello there is nothing to go on with, and what comes behind a bad one means something else.
                if self.has_said_hello && code != "bad_hello" {
                    return Ok(());
                }
                self.write(self.link.take()).await?;
                return Err(End::Close(close::POLICY, text::excerpt(&error.to_string(), 100)));
            }
        };
        match control {
            DeviceControl::Hello(hello) => {
                self.has_said_hello = true;
                let input = Input::Hello { connection: self.number, link: Arc::clone(&self.link), hello };
                self.bring_input(input).await
            }
            DeviceControl::Gap { from, to, reason } if self.has_said_hello => {
                self.bring_input(Input::Gap { connection: self.number, from, to, reason }).await
            }
            DeviceControl::Gap { .. } => Err(End::Close(close::POLICY, "say hello before reporting gaps".into())),
            DeviceControl::Bye => Err(End::Close(close::DONE, "bye".into())),
            DeviceControl::Result { .. } => Ok(()),
            DeviceControl::Unknown(kind) => {
                self.link.error("unknown_type", format!("{kind:?} is no message of this version"), None);
                Ok(())
            }
        }
    }

    async fn bring_input(&mut self, input: Input) -> Result<(), End> {
        let pipeline = self.pipeline.clone();
        self.bring(pipeline.input(input)).await
    }

    /// Waits until the pipeline has taken something. When that has stopped, what it left on the link are the last acknowledgements
    /// and the code to close with.
    async fn bring(&mut self, brought: impl Future<Output = Result<(), Stopped>>) -> Result<(), End> {
        match timeout(BRING_MAX, brought).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Stopped)) => {
                self.write(self.link.take()).await?;
                Err(End::Close(close::STOPPING, "the hub is stopping".into()))
            }
            Err(_) => {
                let retry_after_ms = RETRY_AFTER.as_millis();
                Err(End::Close(close::OVERLOADED, format!("retry_after_ms={retry_after_ms}")))
            }
        }
    }

    /// Writes what the pipeline left: control first, then the latest acknowledgement, then the close.
    async fn write(&mut self, outbox: Outbox) -> Result<(), End> {
        for message in outbox.control {
            self.send(Message::Binary(message.encode().into())).await?;
        }
        if let Some((acked, credit)) = outbox.ack {
            self.send(Message::Binary(encode_ack(acked, credit))).await?;
        }
        match outbox.close {
            Some((code, reason)) => Err(End::Close(code, reason)),
            None => Ok(()),
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        self.socket.feed(message).await.map_err(|_| End::Broken)?;
        // Almost always the socket takes it at once; only then is the timer not needed.
        if let Some(flushed) = self.socket.flush().now_or_never() {
            return flushed.map_err(|_| End::Broken);
        }
        match timeout(WRITE_TIMEOUT, self.socket.flush()).await {
            Ok(flushed) => flushed.map_err(|_| End::Broken),
            Err(_) => Err(End::Broken),
        }
    }

    /// Sends a close and waits a moment for the answer, so that the device surely reads the code.
    async fn close(&mut self, code: u16, reason: String) {
        let frame = CloseFrame { code, reason: text::excerpt(&reason, 100).into() };
        if self.send(Message::Close(Some(frame))).await.is_ok() {
            let answered = async { while let Some(Ok(_)) = self.socket.next().await {} };
            // Whether it answered or not, the connection ends here.
            let _ = timeout(CLOSE_TIMEOUT, answered).await;
        }
    }
}

/// The acknowledgement, written by hand: at one a message it is on the hot path.
fn encode_ack(acked: u64, credit: u64) -> Bytes {
    use codec::writer;
    let mut out = Vec::with_capacity(48);
    writer::map(&mut out, 3);
    writer::text(&mut out, "type");
    writer::text(&mut out, "ack");
    writer::text(&mut out, "acked");
    writer::unsigned(&mut out, acked);
    writer::text(&mut out, "credit");
    writer::unsigned(&mut out, credit);
    out.into()
}

#[cfg(test)]
mod tests {
    use protocol::device::HubControl;

    use super::*;

    #[test]
    fn the_hand_written_acknowledgement_is_the_protocols() {
        for (acked, credit) in [(0, 0), (1 << 40, 1024)] {
            assert_eq!(encode_ack(acked, credit), HubControl::Ack { acked, credit }.encode());
        }
    }
}

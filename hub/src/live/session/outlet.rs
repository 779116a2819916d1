//! The way out to one viewer: a socket that may take nothing for a while.

use std::{
    future::poll_fn,
    time::{Duration, Instant},
};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, stream::SplitSink};

use super::outbox::Outbox;

/// One round writes about this many bytes and is flushed before the next: a viewer that reads slowly, but reads, gets
/// through it long before [`super::WRITE_TIMEOUT`].
pub(super) const ROUND_BYTES_MAX: usize = 64 * 1024;

/// The connection is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// Owns the writing half of the socket. Never waits except where it says so.
pub(super) struct Outlet {
    sink: SplitSink<WebSocket, Message>,
    /// The socket takes nothing since then, and the viewer shows no sign of reading either.
    blocked_since: Option<Instant>,
    is_ping_due: bool,
}

impl Outlet {
    pub(super) fn new(sink: SplitSink<WebSocket, Message>) -> Self {
        Self { sink, blocked_since: None, is_ping_due: false }
    }

    /// Whether the socket takes nothing at the moment; then [`flush`](Self::flush) is to be awaited.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked_since.is_some()
    }

    /// Whether it has taken nothing for longer than this.
    pub(super) fn is_blocked_for(&self, longest: Duration) -> bool {
        self.blocked_since.is_some_and(|since| since.elapsed() > longest)
    }

    /// The viewer has answered a ping: it reads, however slowly.
    pub(super) fn on_pong(&mut self) {
        if let Some(since) = &mut self.blocked_since {
            *since = Instant::now();
        }
    }

    /// Sends a ping in front of the next round.
    pub(super) fn ping_soon(&mut self) {
        self.is_ping_due = true;
    }

    /// Writes a round of what waits; true when there is more and the socket would take it.
    pub(super) fn write_round(&mut self, outbox: &mut Outbox) -> Result<bool, Gone> {
        if outbox.is_empty() && !self.is_ping_due {
            return Ok(false);
        }
        if self.is_ping_due && self.is_ready()? {
            self.is_ping_due = false;
            self.sink.start_send_unpin(Message::Ping(Bytes::new())).map_err(|_| Gone)?;
        }
        let mut room = ROUND_BYTES_MAX;
        while room > 0
            && self.is_ready()?
            && let Some(message) = outbox.pop()
        {
            room = room.saturating_sub(message.len());
            self.sink.start_send_unpin(Message::Binary(message)).map_err(|_| Gone)?;
        }
        self.flush_now()?;
        Ok(!outbox.is_empty() && !self.is_blocked())
    }

    fn is_ready(&mut self) -> Result<bool, Gone> {
        let ready = poll_fn(|context| self.sink.poll_ready_unpin(context)).now_or_never();
        ready.transpose().map(|ready| ready.is_some()).map_err(|_| Gone)
    }

    /// Almost always the socket takes everything at once.
    fn flush_now(&mut self) -> Result<(), Gone> {
        let Some(flushed) = self.sink.flush().now_or_never() else {
            self.blocked_since.get_or_insert_with(Instant::now);
            return Ok(());
        };
        self.blocked_since = None;
        flushed.map_err(|_| Gone)
    }

    /// Waits until the socket has taken what was given to it.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        let flushed = self.sink.flush().await;
        self.blocked_since = None;
        flushed.map_err(|_| Gone)
    }

    /// Sends a close behind what the socket was given.
    pub(super) async fn close(&mut self, code: u16) -> Result<(), Gone> {
        let frame = CloseFrame { code, reason: "".into() };
        self.sink.send(Message::Close(Some(frame))).await.map_err(|_| Gone)
    }
}

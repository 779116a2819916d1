//! The way out to one viewer: what waits, in order, and a socket that may take nothing for a while.

use std::{
    collections::VecDeque,
    future::poll_fn,
    time::{Duration, Instant},
};

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, stream::SplitSink};

/// One round writes about this many bytes and is flushed before the next: a viewer that reads slowly, but reads, gets
/// through it long before [`super::WRITE_TIMEOUT`].
pub(super) const ROUND_BYTES_MAX: usize = 64 * 1024;

/// The connection is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Gone;

/// Owns the writing half of the socket. Never waits except where it says so.
pub(super) struct Outlet {
    sink: SplitSink<WebSocket, Message>,
    waiting: VecDeque<Bytes>,
    waiting_bytes: usize,
    /// The socket takes nothing since then.
    blocked_since: Option<Instant>,
}

impl Outlet {
    pub(super) fn new(sink: SplitSink<WebSocket, Message>) -> Self {
        Self { sink, waiting: VecDeque::new(), waiting_bytes: 0, blocked_since: None }
    }

    /// Puts a message behind what waits.
    pub(super) fn push(&mut self, message: Bytes) {
        self.waiting_bytes += message.len();
        self.waiting.push_back(message);
    }

    /// Bytes that may be added before a round is full.
    pub(super) fn room(&self) -> usize {
        ROUND_BYTES_MAX.saturating_sub(self.waiting_bytes)
    }

    /// Whether the socket takes nothing at the moment; then [`flush`](Self::flush) is to be awaited.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked_since.is_some()
    }

    /// Whether it has taken nothing for longer than this.
    pub(super) fn is_blocked_for(&self, longest: Duration) -> bool {
        self.blocked_since.is_some_and(|since| since.elapsed() > longest)
    }

    /// Writes a round of what waits; true when there is more and the socket would take it.
    pub(super) fn write_round(&mut self) -> Result<bool, Gone> {
        let mut room = ROUND_BYTES_MAX;
        while room > 0
            && self.is_ready()?
            && let Some(message) = self.waiting.pop_front()
        {
            room = room.saturating_sub(message.len());
            self.waiting_bytes -= message.len();
            self.sink.start_send_unpin(Message::Binary(message)).map_err(|_| Gone)?;
        }
        self.flush_now()?;
        Ok(!self.waiting.is_empty() && !self.is_blocked())
    }

    /// Sends a ping, unless the socket takes nothing anyway.
    pub(super) fn ping(&mut self) -> Result<(), Gone> {
        if self.is_blocked() || !self.is_ready()? {
            return Ok(());
        }
        self.sink.start_send_unpin(Message::Ping(Bytes::new())).map_err(|_| Gone)?;
        self.flush_now()
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

    /// Sends a close behind what the socket was given; what still waits here is left out.
    pub(super) async fn close(&mut self, code: u16) -> Result<(), Gone> {
        let frame = CloseFrame { code, reason: "".into() };
        self.sink.send(Message::Close(Some(frame))).await.map_err(|_| Gone)
    }
}

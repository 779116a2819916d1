//! What a device's connection sends.

use futures_util::SinkExt;
use protocol::device::DeviceControl;
use tokio::time::{Instant, error::Elapsed, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Connection;
use crate::{socket::Ending, spool::Outgoing};

/// Bytes written before acknowledgements and orders are looked at again.
const PUMP_BYTES: usize = 64 * 1024;

impl Connection<'_> {
    /// Sends what may be sent, a bounded amount; true when there may be more.
    pub(super) async fn pump(&mut self) -> Result<bool, Ending> {
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

    pub(super) async fn send_control(&mut self, control: &DeviceControl) -> Result<(), Ending> {
        self.send(Message::binary(control.encode())).await
    }

    pub(super) async fn send(&mut self, message: Message) -> Result<(), Ending> {
        let patience = self.link.config.timing.silence_max;
        flushed(timeout(patience, self.socket.send(message)).await)
    }

    /// Writes without flushing.
    async fn feed(&mut self, message: Message) -> Result<(), Ending> {
        let patience = self.link.config.timing.silence_max;
        flushed(timeout(patience, self.socket.feed(message)).await)
    }
}

fn flushed(written: Result<Result<(), Error>, Elapsed>) -> Result<(), Ending> {
    match written {
        Ok(written) => written.map_err(|error| Ending::failed(&error)),
        Err(_) => Err(Ending::silent("the hub does not take what is sent")),
    }
}

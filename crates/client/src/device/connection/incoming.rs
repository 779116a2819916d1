//! What a device's connection hears.

use std::time::Duration;

use protocol::{
    codec::{ItemKind, item_kind},
    device::{DeviceControl, HubControl},
};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::Connection;
use crate::{
    device::{DeviceEvent, link::unix_now_us},
    socket::Ending,
};

/// At most one warning a device in this time about what the hub refused.
const WARN_EVERY: Duration = Duration::from_secs(10);

impl Connection<'_> {
    /// What a message from the hub says; `None` where it says nothing.
    pub(super) fn read(&mut self, message: Option<Result<Message, Error>>) -> Result<Option<HubControl>, Ending> {
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

    pub(super) fn take(&mut self, control: HubControl) -> Result<(), Ending> {
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
}

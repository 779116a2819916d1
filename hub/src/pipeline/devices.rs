//! Devices' connections: hello, welcome, takeover, goodbye.

use std::{sync::Arc, time::Instant};

use journal::Kind;
use protocol::{
    close,
    device::{ChannelDecl, Hello, HubControl},
    ids::Id,
    limits::CHANNELS_PER_DEVICE_MAX,
};

use super::Pipeline;
use crate::{
    clock::wire_ms,
    ingest::{admission::SessionClock, link::Link},
    number_map::NumberMap,
    state::{
        fold::Stream,
        record::{self, CatalogueRecord, ConnectionRecord},
    },
};

/// One connection that has said hello.
#[derive(Debug)]
pub(super) struct Connection {
    pub link: Arc<Link>,
    pub device: u32,
    pub stream: u32,
    pub clock: SessionClock,
    /// The last mark it was told.
    pub acked: u64,
    pub ack_due: bool,
    pub last_ack: Option<Instant>,
}

/// All connections by number, and which device holds which.
#[derive(Debug, Default)]
pub(super) struct Connections {
    by_number: NumberMap<u64, Connection>,
    by_device: NumberMap<u32, u64>,
}

impl Connections {
    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Connection> {
        self.by_number.get_mut(&number)
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        self.by_number.keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(super) fn of_device(&self, device: u32) -> Option<u64> {
        self.by_device.get(&device).copied()
    }

    pub(super) fn is_connected(&self, device: u32) -> bool {
        self.by_device.contains_key(&device)
    }

    pub(super) fn close_all(&mut self, code: u16, reason: &str) {
        for connection in self.by_number.values() {
            connection.link.close(code, reason);
        }
    }

    fn insert(&mut self, number: u64, connection: Connection) {
        self.remove(number);
        self.by_device.insert(connection.device, number);
        self.by_number.insert(number, connection);
    }

    fn remove(&mut self, number: u64) -> Option<Connection> {
        let connection = self.by_number.remove(&number)?;
        if self.by_device.get(&connection.device) == Some(&number) {
            self.by_device.remove(&connection.device);
        }
        Some(connection)
    }
}

impl Pipeline {
    pub(super) fn on_hello(&mut self, number: u64, link: &Arc<Link>, hello: &Hello) {
        let device = self.state.device_number(hello.device.as_str());
        let stream = device.and_then(|device| self.state.stream_of(device, hello.spool));
        if let Some(known) = stream.map(|stream| &self.state.streams[&stream]) {
            if hello.next <= known.mark {
                self.metrics.stale_spools.inc();
                let mark = known.mark;
                if self.may_warn() {
                    tracing::warn!(device = %hello.device, next = hello.next, mark, "a spool was rolled back");
                }
                let message = format!(
                    "this spool has messages up to {mark} here, but the device would go on with {}: it was rolled back (a \
                     restored SD card?). Discard it and start a new spool",
                    hello.next
                );
                link.error("stale_spool", message, None);
                // What it sends before it has read this is not taken for messages of a spool that goes on.
                self.on_closed(number, "stale_spool".into());
                return;
            }
            if !is_append_only(known, &hello.channels) {
                link.error(
                    "channels_changed",
                    "a spool's channel list may only grow: drain this spool under its own hello, then start a new one"
                        .into(),
                    None,
                );
                link.close(close::POLICY, "channels_changed");
                self.on_closed(number, "channels_changed".into());
                return;
            }
        }
        if device.is_none() && self.state.devices.len() >= self.config.devices_max as usize {
            self.metrics.devices_refused.inc();
            let message =
                format!("the hub knows {} devices already: raise ingest.devices_max", self.config.devices_max);
            link.error("too_many_devices", message, None);
            link.close(close::POLICY, "too_many_devices");
            return;
        }
        self.take_over(number, &hello.device, device);
        let catalogue = self.catalogue_record(&hello.device, hello.spool, &hello.channels, Some(hello));
        let (device, stream) = (catalogue.device, catalogue.stream);
        self.put_catalogue(&catalogue);
        let before = self.connections.get_mut(number).map(|known| known.device);
        if let Some(other) = before.filter(|&before| before != device) {
            self.note_connection(Kind::Disconnect, other, "the connection went on as another device".into());
        }
        if before != Some(device) {
            self.note_connection(Kind::Connect, device, String::new());
        }
        let durable = self.state.streams[&stream].durable;
        let clock = SessionClock::of_hello(hello, self.arrival_us, self.is_clock_trusted());
        self.connections.insert(
            number,
            Connection {
                link: Arc::clone(link),
                device,
                stream,
                clock,
                acked: durable,
                ack_due: false,
                last_ack: None,
            },
        );
        self.metrics.device_connections.set(self.connections.len() as i64);
        self.presence.touch(&self.state, device, self.arrival_us);
        link.control(HubControl::Welcome {
            spool: hello.spool,
            acked: durable,
            credit: self.credit(),
            now: wire_ms(self.arrival_us),
            features: Vec::new(),
        });
    }

    /// The same device on another connection: the newer one wins, and the older is told why.
    fn take_over(&mut self, number: u64, id: &Id, device: Option<u32>) {
        let Some(old) = device.and_then(|device| self.connections.of_device(device)) else { return };
        if old == number {
            return;
        }
        if self.may_warn() {
            tracing::warn!(device = %id, "another connection took this device over: is its id or its SD card cloned?");
        }
        self.metrics.takeovers.inc();
        if let Some(connection) = self.connections.remove(old) {
            connection.link.close(close::TAKEN_OVER, "another connection took this device over");
            self.note_connection(Kind::Disconnect, connection.device, "taken over".into());
        }
    }

    pub(super) fn on_closed(&mut self, number: u64, reason: String) {
        if let Some(connection) = self.connections.remove(number) {
            self.note_connection(Kind::Disconnect, connection.device, reason);
        }
        self.metrics.device_connections.set(self.connections.len() as i64);
    }

    fn note_connection(&mut self, kind: Kind, device: u32, reason: String) {
        self.presence.changed(device);
        let payload = record::encode(&ConnectionRecord { device, reason });
        self.appender.append(kind, self.arrival_us, &[&payload]);
    }

    /// The record that puts a device, a spool and its channels in place. `hello` is absent for readings that come
    /// without one: then what is known of the device stays.
    pub(super) fn catalogue_record(
        &self,
        id: &Id,
        spool: u64,
        channels: &[ChannelDecl],
        hello: Option<&Hello>,
    ) -> CatalogueRecord {
        let device = self.state.device_number(id.as_str());
        let known = device.map(|device| &self.state.devices[device as usize]);
        let device = device.unwrap_or(self.state.devices.len() as u32);
        let mut next_series = self.state.series.len() as u32;
        let mut room = (CHANNELS_PER_DEVICE_MAX.saturating_sub(known.map_or(0, |known| known.series.len())) as u32)
            .min(self.config.series_max.saturating_sub(next_series));
        let series = channels.iter().map(|channel| {
            self.state.series_of(device, channel.name.as_str()).or_else(|| {
                room = room.checked_sub(1)?;
                next_series += 1;
                Some(next_series - 1)
            })
        });
        let said = |of_hello: fn(&Hello) -> &Option<String>, of_device: Option<&Option<String>>| match hello {
            Some(hello) => of_hello(hello).clone(),
            None => of_device.cloned().flatten(),
        };
        CatalogueRecord {
            series: series.collect(),
            stream: self.state.stream_of(device, spool).unwrap_or(self.state.next_stream),
            device,
            id: id.clone(),
            spool,
            title: said(|hello| &hello.title, known.map(|known| &known.title)),
            model: said(|hello| &hello.model, known.map(|known| &known.model)),
            firmware: said(|hello| &hello.firmware, known.map(|known| &known.firmware)),
            labels: match hello {
                Some(hello) => hello.labels.clone(),
                None => known.map(|known| known.labels.clone()).unwrap_or_default(),
            },
            channels: channels.to_vec(),
        }
    }

    /// Journals and applies a catalogue record, unless it says nothing new.
    pub(super) fn put_catalogue(&mut self, catalogue: &CatalogueRecord) {
        let is_known = self.state.streams.get(&catalogue.stream).is_some_and(|stream| {
            let device = &self.state.devices[catalogue.device as usize];
            stream.decls == catalogue.channels
                && stream.series == catalogue.series
                && device.title == catalogue.title
                && device.model == catalogue.model
                && device.firmware == catalogue.firmware
                && device.labels == catalogue.labels
        });
        if is_known {
            return;
        }
        let seq = self.appender.append(Kind::Catalogue, self.arrival_us, &[&record::encode(catalogue)]);
        self.state.apply_catalogue(catalogue, seq, self.arrival_us);
        // Only whoever replays the journal needs the channels of forgotten spools.
        self.state.prune(u64::MAX);
        self.presence.declared(&self.state, catalogue.device);
        self.viewers.catalogue_changed(catalogue.device);
        self.metrics.series.set(self.state.series.len() as i64);
    }
}

/// True when `channels` begins with the spool's list: names and what decides how numbers are read stay.
fn is_append_only(stream: &Stream, channels: &[ChannelDecl]) -> bool {
    channels.len() >= stream.decls.len()
        && stream
            .decls
            .iter()
            .zip(channels)
            .all(|(known, new)| known.name == new.name && known.decoding() == new.decoding() && known.kind == new.kind)
}

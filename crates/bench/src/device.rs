//! Simulated devices of the load generator: hello, frames with the next number and a time of their own, and what is
//! acknowledged.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, bail};
use protocol::{
    DEVICE_SUBPROTOCOL,
    device::{ChannelDecl, Clock, DeviceControl, Hello, HubControl, encode::FrameWriter},
    ids::Id,
};

use crate::{link::Opening, swarm::Swarm};

/// What `{"type": "ack", "acked": …` looks like: a map of three pairs, and the first two keys and one value.
const ACK_BEGIN: &[u8] = b"\xa3\x64type\x63ack\x65acked";

/// The next number, the last time, the last acknowledgement of one device.
#[derive(Debug)]
pub struct Device {
    /// Its link's number.
    pub link: usize,
    /// The last message number sent.
    pub sent: u64,
    /// The last one acknowledged.
    pub acked: u64,
    time_us: i64,
    writer: FrameWriter,
}

/// Microseconds since the Unix epoch.
pub fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

/// A hello for a device that holds nothing yet.
pub fn hello(name: &str, channels: Vec<ChannelDecl>, import: bool) -> anyhow::Result<Vec<u8>> {
    let hello = Hello {
        device: Id::new(name)?,
        // Random by the spec, and different in every run; the clock is as good here.
        spool: now_us() as u64,
        first: 1,
        next: 1,
        clock: Clock::Unix,
        now_us: Some(now_us()),
        import,
        features: Vec::new(),
        channels,
        title: None,
        model: None,
        firmware: None,
        labels: BTreeMap::new(),
    };
    Ok(DeviceControl::Hello(Box::new(hello)).encode())
}

/// Gauges called `c0`, `c1` ….
pub fn gauges(count: usize) -> anyhow::Result<Vec<ChannelDecl>> {
    (0..count).map(|i| Ok(ChannelDecl::gauge(Id::new(&format!("c{i}"))?))).collect()
}

/// Connects a device and waits until the hub has welcomed it.
pub fn open(address: SocketAddr, hello: &[u8]) -> anyhow::Result<Opening> {
    let mut opening = Opening::connect(address, "/ws/device", DEVICE_SUBPROTOCOL)?;
    opening.send(hello)?;
    let (_, answer) = opening.receive().context("no welcome")?;
    match HubControl::decode(&answer)? {
        HubControl::Welcome { .. } => Ok(opening),
        other => bail!("the hub does not welcome: {other:?}"),
    }
}

/// Connects `count` devices called `bench-0`, `bench-1` … with so many gauges each.
pub fn fleet(swarm: &mut Swarm, address: SocketAddr, count: usize, channels: usize) -> anyhow::Result<Vec<Device>> {
    (0..count)
        .map(|i| {
            let hello = hello(&format!("bench-{i}"), gauges(channels)?, false)?;
            Ok(Device::new(swarm.add(open(address, &hello)?)?))
        })
        .collect()
}

impl Device {
    /// A device that has sent nothing.
    pub fn new(link: usize) -> Self {
        Self { link, sent: 0, acked: 0, time_us: 0, writer: FrameWriter::default() }
    }

    /// Messages that are on the way.
    pub fn in_flight(&self) -> u64 {
        self.sent - self.acked
    }

    /// Listens until at most so many messages are on the way and the socket takes more.
    pub fn listen_until(&mut self, swarm: &mut Swarm, in_flight_max: u64) -> anyhow::Result<()> {
        while self.in_flight() > in_flight_max || swarm.link(self.link).is_blocked() {
            swarm.turn(Duration::from_millis(10), |_, message| {
                self.on_message(message);
            })?;
        }
        Ok(())
    }

    /// The next frame with one reading of now.
    pub fn one_reading(&mut self, value: f64) -> Vec<u8> {
        self.readings(1, |_| value)
    }

    /// The next frame with one reading of now in each of the first `channels` channels.
    pub fn readings(&mut self, channels: u16, value: impl Fn(u16) -> f64) -> Vec<u8> {
        // A series wants each of its times once; two frames of one microsecond would be a late reading.
        self.time_us = now_us().max(self.time_us + 1);
        for channel in 0..channels {
            self.writer.scalar(channel, 0.0, value(channel));
        }
        self.sent += 1;
        self.writer.finish(self.sent, self.time_us as f64 / 1000.0)
    }

    /// The next frame with a column of values, 1 ms apart. Times begin an hour ago, so that a device that sends faster
    /// than its clock runs stays in the past.
    pub fn column(&mut self, dts_ms: &[u32], values: &[f64]) -> Vec<u8> {
        if self.time_us == 0 {
            self.time_us = now_us() / 1000 * 1000 - 3_600_000_000;
        }
        self.writer.column(0, dts_ms, values);
        self.sent += 1;
        let frame = self.writer.finish(self.sent, self.time_us as f64 / 1000.0);
        self.time_us += dts_ms.len() as i64 * 1000;
        frame
    }

    /// The next frame with so many readings of each of the first `channels` channels: one of now, or several at 10 Hz.
    /// These begin an hour ago, like those of a [`column`](Self::column).
    pub fn block(&mut self, channels: u16, readings: usize, value: impl Fn(u16, usize) -> f64) -> Vec<u8> {
        if readings == 1 {
            return self.readings(channels, |channel| value(channel, 0));
        }
        if self.time_us == 0 {
            self.time_us = now_us() - 3_600_000_000;
        }
        for channel in 0..channels {
            let values: Vec<f64> = (0..readings).map(|reading| value(channel, reading)).collect();
            self.writer.fixed_rate_f64(channel, 0.0, 100.0, &values);
        }
        self.sent += 1;
        let frame = self.writer.finish(self.sent, self.time_us as f64 / 1000.0);
        self.time_us += readings as i64 * 100_000;
        frame
    }

    /// Reads a message of the hub; true when it acknowledges something new.
    pub fn on_message(&mut self, message: &[u8]) -> bool {
        let acked = read_ack(message).unwrap_or(0);
        let is_news = acked > self.acked;
        self.acked = self.acked.max(acked);
        is_news
    }
}

/// The number in an acknowledgement. By hand: the load generator reads more of them than the hub writes.
fn read_ack(message: &[u8]) -> Option<u64> {
    let rest = message.strip_prefix(ACK_BEGIN)?;
    let (&head, rest) = rest.split_first()?;
    let wide = |len: usize| Some(rest.get(..len)?.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)));
    match head {
        0..=23 => Some(u64::from(head)),
        24 => wide(1),
        25 => wide(2),
        26 => wide(4),
        27 => wide(8),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_are_read_as_the_protocol_reads_them() {
        for acked in [0, 23, 24, 255, 256, 65_535, 65_536, 1 << 32, 1 << 52] {
            assert_eq!(read_ack(&HubControl::Ack { acked, credit: 1024 }.encode()), Some(acked));
        }
        let welcome = HubControl::Welcome { spool: 1, acked: 5, credit: 1, now: 1, features: vec![] };
        assert_eq!(read_ack(&welcome.encode()), None);
    }

    #[test]
    fn frames_count_up_and_no_time_comes_twice() {
        let mut device = Device::new(0);
        let channels = [gauges(1).expect("good names")[0].decoding()];
        let (mut batch, mut last_us) = (protocol::device::Batch::default(), 0);
        for seq in 1..=100 {
            let frame = device.one_reading(21.5);
            protocol::device::data::decode(&frame, &channels, &mut batch).expect("readable");
            assert_eq!((batch.seq, batch.len()), (seq, 1));
            assert!(batch.times_us[0] > last_us);
            last_us = batch.times_us[0];
        }
    }
}

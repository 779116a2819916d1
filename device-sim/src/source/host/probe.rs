//! What one group of measurements of a machine has to offer: its channels and how to read them.
//!
//! Owns the [`Probe`] trait, the place where probes put values, and rates from counters. Reads nothing itself.

use protocol::device::ChannelDecl;

use super::tree::Tree;
use crate::source::{Sample, name::channel_id};

/// A group of channels that are read together. A probe is made only when there is something to read.
pub(super) trait Probe: Send {
    /// Its channels; asked once, at the start. Names that another probe has too get a number.
    fn channels(&self) -> Vec<ChannelDecl>;

    /// Reads everything that is read quickly.
    fn read(&mut self, tree: &Tree, readings: &mut Readings<'_>);

    /// Hands over what has become ready since the last call, for sensors that take their time.
    fn collect(&mut self, _readings: &mut Readings<'_>) {}

    /// Whether something will be ready to collect soon.
    fn is_busy(&self) -> bool {
        false
    }
}

/// Where a probe puts its values.
pub(super) struct Readings<'a> {
    /// Place of the probe's first channel among the host's.
    pub(super) first: usize,
    /// Channels that the host has; values beyond are left out.
    pub(super) channels: usize,
    /// When the values are taken, microseconds since the Unix epoch.
    pub(super) time_us: i64,
    pub(super) out: &'a mut Vec<Sample>,
}

impl Readings<'_> {
    /// The value of the probe's channel number `channel`; `None` is a missing measurement.
    pub(super) fn put(&mut self, channel: usize, value: Option<f64>) {
        self.put_at(channel, self.time_us, value);
    }

    /// The same for a value that was taken at another time.
    pub(super) fn put_at(&mut self, channel: usize, time_us: i64, value: Option<f64>) {
        let channel = self.first + channel;
        if channel < self.channels {
            self.out.push(Sample::Point { channel, time_us, value: value.unwrap_or(f64::NAN) });
        }
    }
}

/// A gauge in `unit` with `decimals` digits worth showing. The name is made an id.
pub(super) fn gauge(name: &str, title: String, unit: &str, decimals: u8) -> ChannelDecl {
    let id = channel_id(name).expect("a probe's names start with a word");
    ChannelDecl { title: Some(title), unit: Some(unit.to_owned()), decimals: Some(decimals), ..ChannelDecl::gauge(id) }
}

/// A counter of the kernel as a rate.
#[derive(Debug, Default)]
pub(super) struct Rate {
    last: Option<(i64, u64)>,
}

impl Rate {
    /// Puts how fast the counter rose since the last call, a second. The first count has no rate, so nothing is put; a
    /// counter that is gone, that fell (it was reset) or whose time did not pass makes a missing measurement.
    pub(super) fn put(&mut self, readings: &mut Readings<'_>, channel: usize, count: Option<u64>) {
        let last = self.last.take();
        self.last = count.map(|count| (readings.time_us, count));
        match (last, count) {
            (None, Some(_)) => {}
            (Some((last_us, last)), Some(count)) if count >= last && readings.time_us > last_us => {
                readings.put(channel, Some((count - last) as f64 * 1e6 / (readings.time_us - last_us) as f64));
            }
            _ => readings.put(channel, None),
        }
    }
}

//! This machine as a device: processor, memory, pressure, disks, network, and the sensors that Linux shows.
//!
//! Owns the probes that were found at the start; the list of channels stays as it was then. Takes the time and a root
//! folder (`/`, or a copy in tests) and gives samples. A sensor that disappears gives missing measurements, never an error.

mod iio;
mod memory;
mod onewire;
mod pressure;
mod probe;
mod processor;
#[cfg(test)]
mod tests;
mod thermal;
mod traffic;
mod tree;

use std::path::PathBuf;

use protocol::{device::ChannelDecl, limits::CHANNELS_PER_DEVICE_MAX};

use self::{
    iio::Iio,
    memory::Memory,
    onewire::OneWire,
    pressure::Pressure,
    probe::{Probe, Readings},
    processor::{Load, Processor},
    thermal::Thermal,
    traffic::{Disks, Network},
    tree::Tree,
};
use super::{Sample, Source, SourceError, cadence::Cadence, name::distinct};

/// How soon to look whether a slow sensor is ready, microseconds.
const COLLECT_US: i64 = 100_000;

/// What to measure of a machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The root of its file system, `/` but in tests.
    pub root: PathBuf,
    /// How often to measure, Hz, from 0.001 to 1000.
    pub rate_hz: f64,
    /// Whether each core of the processor has a channel.
    pub per_core: bool,
}

/// The measurements of one machine.
pub struct Host {
    tree: Tree,
    channels: Vec<ChannelDecl>,
    /// Each with the place of its first channel.
    probes: Vec<(usize, Box<dyn Probe>)>,
    ticks: Cadence,
}

impl Host {
    /// Looks for everything that can be measured.
    pub fn open(config: &Config) -> Result<Self, SourceError> {
        if !(0.001..=1_000.0).contains(&config.rate_hz) {
            return Err(SourceError::Rate { rate_hz: config.rate_hz });
        }
        let tree = Tree::new(&config.root);
        let period_us = (1e6 / config.rate_hz).round() as i64;
        let mut channels: Vec<ChannelDecl> = Vec::new();
        let mut probes = Vec::new();
        for probe in find(&tree, config.per_core)? {
            probes.push((channels.len(), probe));
            let found = probes.last().map(|(_, probe)| probe.channels()).unwrap_or_default();
            for channel in found {
                let name = distinct(channel.name, &channels);
                channels.push(ChannelDecl { name, period_ms: Some(period_us as f64 / 1e3), ..channel });
            }
        }
        if channels.is_empty() {
            return Err(SourceError::NothingToMeasure { root: config.root.clone() });
        }
        if channels.len() > CHANNELS_PER_DEVICE_MAX {
            tracing::warn!(found = channels.len(), kept = CHANNELS_PER_DEVICE_MAX, "too many things to measure");
            channels.truncate(CHANNELS_PER_DEVICE_MAX);
        }
        Ok(Self { tree, channels, probes, ticks: Cadence::new(period_us, 0) })
    }
}

/// Every probe that has something to read here, in the order of the channels.
fn find(tree: &Tree, per_core: bool) -> Result<Vec<Box<dyn Probe>>, SourceError> {
    fn boxed<P: Probe + 'static>(probe: Option<P>) -> Option<Box<dyn Probe>> {
        probe.map(|probe| Box::new(probe) as Box<dyn Probe>)
    }
    let probes = [
        boxed(Processor::find(tree, per_core)),
        boxed(Load::find(tree)),
        boxed(Memory::find(tree)),
        boxed(Pressure::find(tree)),
        boxed(Disks::find(tree)),
        boxed(Network::find(tree)),
        boxed(Thermal::find(tree)),
        boxed(OneWire::find(tree)?),
        boxed(Iio::find(tree)),
    ];
    Ok(probes.into_iter().flatten().collect())
}

impl Source for Host {
    fn channels(&self) -> &[ChannelDecl] {
        &self.channels
    }

    fn poll(&mut self, now_us: i64, out: &mut Vec<Sample>) -> Result<Option<i64>, SourceError> {
        // What was missed cannot be measured any more: one reading stands for all ticks that are due.
        let mut is_due = false;
        while self.ticks.due_us(now_us) <= now_us {
            is_due = true;
            self.ticks.advance();
        }
        // The time of reading, not of the tick: rates need it. Whole milliseconds are short on the wire.
        let time_us = now_us - now_us.rem_euclid(1_000);
        let mut is_busy = false;
        for (first, probe) in &mut self.probes {
            let mut readings = Readings { first: *first, channels: self.channels.len(), time_us, out };
            probe.collect(&mut readings);
            if is_due {
                probe.read(&self.tree, &mut readings);
            }
            is_busy |= probe.is_busy();
        }
        let next_us = self.ticks.due_us(now_us);
        Ok(Some(if is_busy { next_us.min(now_us + COLLECT_US) } else { next_us }))
    }
}

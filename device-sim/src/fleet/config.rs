//! What a fleet consists of.

use std::{
    fs,
    io::stdin,
    path::{Path, PathBuf},
    time::Duration,
};

use client::{address::HubAddress, device::Identity};
use protocol::{ids::Id, limits::ID_BYTES_MAX, text};

use super::FleetError;
use crate::{
    agent::now_us,
    fault::Fault,
    source::{
        Source, SourceError,
        host::{self, Host},
        name::channel_id,
        replay::{Pace, Replay},
        stdin::Stdin,
        waveform::{self, Profile, Waveform},
    },
};

/// Where a fleet's readings come from.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceConfig {
    /// Simulated physics.
    Waveform {
        /// What every device is; `None`: all profiles in turn.
        profile: Option<Profile>,
        /// How often the slow channels are measured, Hz.
        rate_hz: f64,
        /// Whether machines carry an accelerometer (1 000 readings a second each).
        vibration: bool,
    },
    /// This machine.
    Host(host::Config),
    /// JSON lines or CSV on standard input.
    Stdin,
    /// A recording.
    Replay {
        /// A CSV file.
        path: PathBuf,
        /// When its rows are sent, and with which times.
        pace: Pace,
    },
}

impl SourceConfig {
    /// What there is only one of, for a person.
    pub(super) fn one_only(&self) -> Option<&'static str> {
        match self {
            Self::Host(_) => Some("this machine"),
            Self::Stdin => Some("standard input"),
            Self::Waveform { .. } | Self::Replay { .. } => None,
        }
    }

    /// Whether it can wait for the hub instead of losing its oldest messages: a pipe and an import can, what happens
    /// now cannot.
    pub(super) fn is_patient(&self) -> bool {
        matches!(self, Self::Stdin | Self::Replay { pace: Pace::AsRecorded, .. })
    }

    pub(super) fn open(&self, index: u32, seed: u64) -> Result<Box<dyn Source>, SourceError> {
        Ok(match self {
            Self::Waveform { profile, rate_hz, vibration } => {
                let (profile, rate_hz, vibration) = (*profile, *rate_hz, *vibration);
                let config = waveform::Config { index, seed, profile, rate_hz, vibration };
                Box::new(Waveform::new(&config, now_us())?)
            }
            Self::Host(config) => Box::new(Host::open(config)?),
            Self::Stdin => Box::new(Stdin::new(stdin())?),
            Self::Replay { path, pace } => Box::new(Replay::open(path, *pace)?),
        })
    }

    /// What is known of a device without asking anybody.
    fn identity(&self, index: u32) -> Identity {
        let named = |text: &str, instead: &str| {
            channel_id(text).unwrap_or_else(|| Id::new(instead).expect("the names below are ids"))
        };
        match self {
            Self::Waveform { profile, .. } => {
                let simulated = waveform::Identity::of(index, *profile);
                Identity { title: Some(simulated.title), model: Some(simulated.model), ..Identity::new(simulated.id) }
            }
            Self::Host(config) => {
                // Where Raspberry Pis and their like say what they are.
                let model = read_line(&config.root.join("proc/device-tree/model"));
                Identity { model, ..Identity::new(machine(&config.root).unwrap_or_else(|| named("", "host"))) }
            }
            Self::Stdin => Identity::new(named("stdin", "stdin")),
            Self::Replay { path, pace } => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                Identity { import: *pace == Pace::AsRecorded, ..Identity::new(named(&stem, "replay")) }
            }
        }
    }
}

/// What the machine with this file system is called, as far as it can stand in an id.
pub(crate) fn machine(root: &Path) -> Option<Id> {
    channel_id(&read_line(&root.join("proc/sys/kernel/hostname"))?)
}

fn read_line(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text::excerpt(text.trim_end_matches('\0').lines().next()?, 100);
    (!line.is_empty()).then_some(line)
}

/// What a fleet consists of, and where it connects.
#[derive(Clone)]
pub struct FleetConfig {
    /// Where to connect.
    pub hub: HubAddress,
    /// Shown to the hub by every device.
    pub token: Option<String>,
    /// The device's id; with several devices they are called `ID-1`, `ID-2` …. `None`: named after the source.
    pub device: Option<Id>,
    /// Where simulated devices without a given id stand: their ids begin and their titles end with it, so that those
    /// of two machines differ. `None`: `greenhouse-1`, `boiler-1` ….
    pub site: Option<Id>,
    /// How many.
    pub devices: u32,
    /// Where readings come from.
    pub source: SourceConfig,
    /// What goes wrong with them.
    pub faults: Vec<Fault>,
    /// Of everything that is random in the sources, together with the devices' ids.
    pub seed: u64,
    /// How long samples are gathered into one message.
    pub gather: Duration,
    /// Each device keeps unacknowledged messages in a folder of its own in here; `None`: in memory.
    pub spool: Option<PathBuf>,
    /// Bytes kept at most, all devices together, but at least 1 MiB each.
    pub spool_bytes: u64,
    /// Messages after which a device ends.
    pub messages_max: Option<u64>,
}

impl FleetConfig {
    /// Simulated devices of all kinds with their defaults, for a first look.
    pub fn demo(hub: HubAddress, devices: u32) -> Self {
        Self {
            hub,
            token: None,
            device: None,
            site: None,
            devices,
            source: SourceConfig::Waveform { profile: None, rate_hz: 1.0, vibration: true },
            faults: Vec::new(),
            seed: 1,
            gather: Duration::from_millis(100),
            spool: None,
            spool_bytes: 64 * 1024 * 1024,
            messages_max: None,
        }
    }

    /// Whether a recording is sent with the times it has.
    pub fn is_import(&self) -> bool {
        matches!(self.source, SourceConfig::Replay { pace: Pace::AsRecorded, .. })
    }

    /// Who the device with this number is.
    pub(super) fn identity(&self, index: u32) -> Result<Identity, FleetError> {
        let known = self.source.identity(index);
        let stem = match (&self.device, &self.source) {
            (Some(device), _) => device,
            // These have names of their own already.
            (None, SourceConfig::Waveform { .. }) => return self.on_site(known).map(with_firmware),
            (None, _) => &known.device,
        };
        let text = if self.devices == 1 { stem.to_string() } else { format!("{stem}-{}", index + 1) };
        let title = match &self.source {
            // "Boiler 1" would be what another fleet calls one of its own.
            SourceConfig::Waveform { profile, .. } => {
                Some(format!("{text} · {}", profile.unwrap_or_else(|| Profile::of(index)).key()))
            }
            _ => known.title.clone(),
        };
        Ok(with_firmware(Identity { device: id(text)?, title, ..known }))
    }

    /// What is random in a device comes from the fleet's seed and the device's id (FNV-1a): two fleets with the same
    /// seed have no twins.
    pub(super) fn seed_of(&self, device: &Id) -> u64 {
        let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.seed ^ device.as_str().bytes().fold(0xcbf2_9ce4_8422_2325, mix)
    }

    fn on_site(&self, known: Identity) -> Result<Identity, FleetError> {
        let Some(site) = &self.site else { return Ok(known) };
        let room = ID_BYTES_MAX - "-".len() - known.device.as_str().len();
        let short = &site.as_str()[..site.as_str().len().min(room)];
        let device = id(format!("{short}-{}", known.device))?;
        Ok(Identity { device, title: known.title.map(|title| format!("{title} ({site})")), ..known })
    }
}

fn id(text: String) -> Result<Id, FleetError> {
    Id::new(&text).map_err(|source| FleetError::Id { text, source })
}

fn with_firmware(identity: Identity) -> Identity {
    Identity { firmware: Some(concat!("device-sim ", env!("CARGO_PKG_VERSION")).to_owned()), ..identity }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Sample;

    #[test]
    fn a_fleet_with_a_name_of_its_own_has_no_twin_of_another_one() {
        let demo = FleetConfig::demo("hub".parse().expect("an address"), 20);
        let lab = FleetConfig { device: Some(Id::new("lab").expect("an id")), ..demo.clone() };
        let readings = |fleet: &FleetConfig| {
            let identity = fleet.identity(1).expect("an identity");
            let seed = fleet.seed_of(&identity.device);
            let config = waveform::Config { index: 1, seed, profile: None, rate_hz: 1.0, vibration: false };
            let (mut out, mut now_us) = (Vec::new(), 0);
            let mut source = Waveform::new(&config, now_us).expect("a boiler");
            while now_us < 10_000_000 {
                now_us = source.poll(now_us, &mut out).expect("readings").expect("no end");
            }
            let value = |sample: &Sample| match sample {
                Sample::Point { channel, value, .. } => (*channel, *value),
                Sample::Run { .. } => panic!("no accelerometer"),
            };
            (identity.title, out.iter().map(value).collect::<Vec<_>>())
        };
        let (of_demo, of_lab) = (readings(&demo), readings(&lab));
        assert_eq!((of_demo.0.as_deref(), of_lab.0.as_deref()), (Some("Boiler 1"), Some("lab-2 · boiler")));
        assert_ne!(of_demo.1, of_lab.1);
        assert_eq!(of_lab, readings(&lab), "the same seed and the same id give the same readings");
    }
}

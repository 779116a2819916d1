//! The command line, and what follows from it together with the configuration file.

mod file;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use client::{
    address::{AddressError, HubAddress},
    token::{self, TokenError},
};
use protocol::ids::Id;

pub use file::{Config, ConfigError, SourceName};

use crate::{
    fault::{Fault, FaultSyntaxError},
    fleet::{FleetConfig, SourceConfig, machine},
    source::{host, replay::Pace, waveform::Profile},
};

/// Devices for a Highwater hub: simulated ones, this machine, what another program prints, or a recording.
///
/// Every reading is kept until the hub has it on disk; a hub that is away is waited for.
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(version, name = "device-sim", after_help = EXAMPLES)]
pub struct Options {
    /// The hub: ws://host:port, http://host:port or host:port [default: port 8080 of this machine]
    #[arg(long, value_name = "URL")]
    pub hub: Option<String>,
    /// A file with the device's token; others must not be able to read it
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The device's id; several devices are called ID-1, ID-2 … [default: named after this machine or the source]
    #[arg(long, value_name = "ID")]
    pub device: Option<String>,
    /// How many devices [default: 1]
    #[arg(long, value_name = "N")]
    pub devices: Option<u32>,
    /// Where readings come from [default: waveform]
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<SourceName>,
    /// Send a recording: CSV with a column timestamp, time or t
    #[arg(long, value_name = "FILE", conflicts_with = "source")]
    pub replay: Option<PathBuf>,
    /// Replay so many times as fast as it was recorded; times are moved so that the last row is now, the spacing is
    /// kept [default: 1]
    #[arg(long, value_name = "X", conflicts_with = "as_recorded")]
    pub speed: Option<f64>,
    /// Replay at once, with the times it was recorded at: an import
    #[arg(long)]
    pub as_recorded: bool,
    /// What simulated devices are: greenhouse, boiler, press, cold-room, meter, hall, weather [default: all in turn]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<Profile>,
    /// Give simulated machines an accelerometer: 1 000 readings a second each
    #[arg(long)]
    pub vibration: bool,
    /// Measurements a second, from 0.001 to 1000 (waveform and host) [default: 1]
    #[arg(long, value_name = "HZ")]
    pub rate: Option<f64>,
    /// Of everything that is random; the same seed and device id give the same readings [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Let a channel misbehave: drift:CH,per-hour=1 · spike:CH,size=10,every=60 · stuck:CH,every=600,for=60 ·
    /// dropout:CH,every=600,for=60,as=nan · reset:CH,every=86400. CH may be *; may be given several times
    #[arg(long, value_name = "FAULT")]
    pub fault: Vec<String>,
    /// How long readings are gathered into one message, milliseconds; slower sources do not wait [default: 100]
    #[arg(long, value_name = "MS")]
    pub batch_ms: Option<u64>,
    /// Keep unacknowledged messages in this folder: they survive a restart [default: in memory]
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,
    /// Bytes kept at most, all devices together, but at least 1 MiB each; then the oldest go [default: 67108864]
    #[arg(long, value_name = "BYTES")]
    pub spool_bytes: Option<u64>,
    /// Measure the machine whose file system is mounted here (host) [default: /]
    #[arg(long, value_name = "DIR")]
    pub root: Option<PathBuf>,
    /// A channel for each core of the processor (host)
    #[arg(long)]
    pub per_core: bool,
    /// Stop after this time, for example 30s or 5min
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub duration: Option<Duration>,
    /// Stop when each device has sent so many messages
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// A configuration file, see configs/device-sim.toml; flags stand above it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Shown below the flags; a test reads every one of them.
const EXAMPLES: &str = "\
Simulated physics:
  device-sim                  a greenhouse, to a hub on this machine
  device-sim --device lab --devices 20 --hub hub.local
                              lab-1 … lab-20, of all kinds
  device-sim --profile press --vibration --fault drift:vibration,per-hour=2

This machine, as an agent that loses nothing when the hub or the power goes:
  device-sim --source host --hub hub.local \\
             --spool /var/lib/highwater-agent

What another program prints, a line a reading: JSON such as
{\"temp\": 21.5, \"hum\": 40}, or CSV below a line of names. A field t, time or
timestamp is the time; without one it is now:
  my-sensor-script | device-sim --source stdin --device shed
  while sleep 1; do echo \"{\\\"dice\\\": $((RANDOM % 6 + 1))}\"; done |
    device-sim --source stdin --device table

A recording, CSV with a line of names and a column t, time or timestamp:
  device-sim --replay pump.csv --speed 60
                              60 times as fast as it was recorded; its times
                              are moved so that the last row is now, and the
                              spacing is kept: an hour fills the last hour
  device-sim --replay pump.csv --as-recorded
                              an import: at once, with its own times

Stops with Ctrl-C, waits a moment for what is not acknowledged, and says how
much that is; a second Ctrl-C does not wait. Exit codes: 0 everything is
acknowledged, 1 it is not or there was nothing to send, 2 wrong usage.
RUST_LOG=debug says more.";

/// Everything decided before the first reading.
#[derive(Clone)]
pub struct Settings {
    /// The devices.
    pub fleet: FleetConfig,
    /// When to stop without being asked.
    pub duration: Option<Duration>,
}

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The hub's address.
    #[error("--hub (or hub in the configuration)")]
    Hub(#[source] AddressError),
    /// The token file.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The device's id.
    #[error("--device {text:?}")]
    Device {
        /// As written.
        text: String,
        /// What is wrong with it.
        #[source]
        source: protocol::ids::IdError,
    },
    /// A fault.
    #[error("--fault {text:?}")]
    Fault {
        /// As written.
        text: String,
        /// What is wrong with it.
        #[source]
        source: FaultSyntaxError,
    },
    /// No device at all.
    #[error("--devices 0: there is nothing to do")]
    NoDevices,
    /// A flag that only another one gives sense to.
    #[error("{flag} has no meaning without {needs}")]
    Senseless {
        /// The flag.
        flag: &'static str,
        /// What it belongs to.
        needs: &'static str,
    },
}

impl Options {
    /// Puts together flags, file and defaults, in this order.
    pub fn settings(&self) -> Result<Settings, SettingsError> {
        self.check()?;
        let file = self.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
        let config = self.over(file);
        if config.devices == 0 {
            return Err(SettingsError::NoDevices);
        }
        let hub = HubAddress::parse(&config.hub).map_err(SettingsError::Hub)?;
        let token = config.token_file.as_deref().map(token::read_file).transpose()?;
        let device = config
            .device
            .as_deref()
            .map(|text| Id::new(text).map_err(|source| SettingsError::Device { text: text.to_owned(), source }));
        let faults = config
            .faults
            .iter()
            .map(|text| text.parse::<Fault>().map_err(|source| SettingsError::Fault { text: text.clone(), source }));
        let fleet = FleetConfig {
            hub,
            token,
            device: device.transpose()?,
            // Nothing that the hub's own demo, or a simulator on another machine, is called too.
            site: Some(machine(Path::new("/")).unwrap_or_else(|| Id::new("sim").expect("a word is an id"))),
            devices: config.devices,
            faults: faults.collect::<Result<_, _>>()?,
            seed: config.seed,
            gather: Duration::from_millis(config.batch_ms),
            spool_bytes: config.spool_bytes,
            messages_max: self.count,
            source: source(&config),
            spool: config.spool,
        };
        Ok(Settings { fleet, duration: self.duration })
    }

    /// Flags that would be ignored in silence.
    fn check(&self) -> Result<(), SettingsError> {
        let is_waveform = self.replay.is_none() && matches!(self.source, None | Some(SourceName::Waveform));
        let is_host = matches!(self.source, None | Some(SourceName::Host)) && self.replay.is_none();
        // A configuration file may name the recording or the source that the flag belongs to.
        let may_replay = self.replay.is_some() || self.config.is_some();
        let may_measure = is_host && (self.source.is_some() || self.config.is_some());
        for (is_given, flag, has_sense, needs) in [
            (self.speed.is_some(), "--speed", may_replay, "--replay FILE"),
            (self.as_recorded, "--as-recorded", may_replay, "--replay FILE"),
            (self.profile.is_some(), "--profile", is_waveform, "--source waveform"),
            (self.vibration, "--vibration", is_waveform, "--source waveform"),
            (self.root.is_some(), "--root", may_measure, "--source host"),
            (self.per_core, "--per-core", may_measure, "--source host"),
        ] {
            if is_given && !has_sense {
                return Err(SettingsError::Senseless { flag, needs });
            }
        }
        Ok(())
    }

    /// The file with the flags over it.
    fn over(&self, file: Config) -> Config {
        // A source on the command line is meant instead of the recording in the file.
        let replay = if self.source.is_some() { None } else { file.replay };
        Config {
            hub: self.hub.clone().unwrap_or(file.hub),
            token_file: self.token_file.clone().or(file.token_file),
            device: self.device.clone().or(file.device),
            devices: self.devices.unwrap_or(file.devices),
            source: self.source.unwrap_or(file.source),
            replay: self.replay.clone().or(replay),
            speed: self.speed.or(file.speed),
            as_recorded: self.as_recorded || file.as_recorded,
            profile: self.profile.or(file.profile),
            vibration: self.vibration || file.vibration,
            rate_hz: self.rate.unwrap_or(file.rate_hz),
            seed: self.seed.unwrap_or(file.seed),
            faults: if self.fault.is_empty() { file.faults } else { self.fault.clone() },
            batch_ms: self.batch_ms.unwrap_or(file.batch_ms),
            spool: self.spool.clone().or(file.spool),
            spool_bytes: self.spool_bytes.unwrap_or(file.spool_bytes),
            root: self.root.clone().unwrap_or(file.root),
            per_core: self.per_core || file.per_core,
        }
    }
}

fn source(config: &Config) -> SourceConfig {
    if let Some(path) = config.replay.clone() {
        let pace =
            if config.as_recorded { Pace::AsRecorded } else { Pace::Live { speed: config.speed.unwrap_or(1.0) } };
        return SourceConfig::Replay { path, pace };
    }
    let rate_hz = config.rate_hz;
    match config.source {
        SourceName::Waveform => {
            SourceConfig::Waveform { profile: config.profile, rate_hz, vibration: config.vibration }
        }
        SourceName::Host => {
            SourceConfig::Host(host::Config { root: config.root.clone(), rate_hz, per_core: config.per_core })
        }
        SourceName::Stdin => SourceConfig::Stdin,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use clap::Parser as _;

    use super::*;

    fn settings(line: &str) -> Result<Settings, SettingsError> {
        Options::try_parse_from(line.split_whitespace()).unwrap().settings()
    }

    #[test]
    fn every_example_in_the_help_is_a_command_that_works() {
        // Wider lines would be wrapped in the middle of a command.
        assert!(EXAMPLES.lines().all(|line| line.chars().count() < 78));
        let mut examples = 0;
        let whole = EXAMPLES.replace("\\\n             ", "").replace("|\n", "|");
        let commands = whole.lines().filter(|line| line.starts_with("  "));
        for (_, line) in commands.filter_map(|line| line.split_once("device-sim")) {
            // Two spaces begin the explanation.
            let flags = line.split("  ").next().unwrap_or_default();
            if let Err(error) = settings(&format!("device-sim {flags}")) {
                panic!("{flags}: {error}");
            }
            examples += 1;
        }
        assert_eq!(examples, 8);
    }

    #[test]
    fn flags_stand_above_the_file_and_the_file_above_the_defaults() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sim.toml");
        std::fs::write(&path, "devices = 7\nseed = 5\nreplay = \"x.csv\"").unwrap();
        let config = format!("device-sim --config {} --seed 9", path.display());
        let fleet = settings(&config).unwrap().fleet;
        assert_eq!((fleet.devices, fleet.seed, fleet.gather), (7, 9, Duration::from_millis(100)));
        assert!(matches!(fleet.source, SourceConfig::Replay { pace: Pace::Live { .. }, .. }));
        let fleet = settings(&format!("{config} --source host --rate 2")).unwrap().fleet;
        assert!(matches!(fleet.source, SourceConfig::Host(host::Config { rate_hz: 2.0, .. })));
    }

    #[test]
    fn what_is_wrong_is_named_with_the_flag_it_stands_behind() {
        for (line, flag, reason) in [
            ("--hub ftp://x", "--hub", "ws://"),
            ("--hub http//x", "--hub", "ws://hub.local:8080"),
            ("--hub wss://x", "--hub", "TLS"),
            ("--device a/b", "--device \"a/b\"", "not allowed"),
            ("--fault melt:temp", "--fault \"melt:temp\"", "drift"),
            ("--devices 0", "--devices 0", ""),
            ("--token-file /nowhere", "/nowhere", "No such file"),
            ("--config /nowhere", "/nowhere", "No such file"),
            ("--speed 2", "--speed", ""),
            ("--per-core", "--per-core has no meaning without --source host", ""),
            ("--source stdin --profile hall", "--profile", ""),
        ] {
            let error = settings(&format!("device-sim {line}")).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains(flag), "{error}");
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            assert!(source.contains(reason), "{line}: {source}");
        }
        assert!(Options::try_parse_from(["device-sim", "--profile", "fridge"]).is_err());
        assert!(Options::try_parse_from(["device-sim", "--source", "host", "--replay", "x"]).is_err());
    }
}

//! The configuration file.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, de};

use crate::source::waveform::Profile;

/// Where readings come from, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SourceName {
    /// Simulated physics
    Waveform,
    /// This machine: processor, memory, disks, network, temperatures, connected sensors
    Host,
    /// JSON lines or CSV with a header, from standard input
    Stdin,
}

/// What the file says. `configs/device-sim.toml` shows all of it with the defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The hub's address.
    pub hub: String,
    /// A file that holds the device's token and nothing else.
    pub token_file: Option<PathBuf>,
    /// The device's id.
    pub device: Option<String>,
    /// How many devices.
    pub devices: u32,
    /// Where readings come from.
    pub source: SourceName,
    /// A recording to send instead.
    pub replay: Option<PathBuf>,
    /// How much faster than it was recorded.
    pub speed: Option<f64>,
    /// At once, with the times it was recorded at.
    pub as_recorded: bool,
    /// What simulated devices are.
    #[serde(deserialize_with = "profile")]
    pub profile: Option<Profile>,
    /// Whether simulated machines carry an accelerometer.
    pub vibration: bool,
    /// Measurements a second.
    pub rate_hz: f64,
    /// Of everything that is random.
    pub seed: u64,
    /// What misbehaves.
    pub faults: Vec<String>,
    /// How long readings are gathered into one message, milliseconds.
    pub batch_ms: u64,
    /// Where unacknowledged messages are kept; absent: in memory.
    pub spool: Option<PathBuf>,
    /// Bytes kept at most, all devices together.
    pub spool_bytes: u64,
    /// Root of the measured machine's file system.
    pub root: PathBuf,
    /// Whether each core of the processor has a channel.
    pub per_core: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hub: "ws://127.0.0.1:8080".to_owned(),
            token_file: None,
            device: None,
            devices: 1,
            source: SourceName::Waveform,
            replay: None,
            speed: None,
            as_recorded: false,
            profile: None,
            vibration: false,
            rate_hz: 1.0,
            seed: 1,
            faults: Vec::new(),
            batch_ms: 100,
            spool: None,
            spool_bytes: 64 * 1024 * 1024,
            root: PathBuf::from("/"),
            per_core: false,
        }
    }
}

fn profile<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Profile>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(de::Error::custom)
}

/// Why the configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be; the source says in which line.
    #[error("the configuration {path} is not understood")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: toml::de::Error,
    },
}

impl Config {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/device-sim.toml");

    #[test]
    fn the_sample_is_complete_and_equal_to_the_defaults() {
        assert_eq!(Config::read(Path::new(SAMPLE)).unwrap(), Config::default());
        // What has no default is commented out; it must be valid too, and then nothing is left at its default.
        let text = fs::read_to_string(SAMPLE).unwrap();
        let whole: Config = toml::from_str(&text.replace("\n# key: ", "\n")).unwrap();
        let Config { token_file, device, replay, speed, profile, spool, .. } = whole;
        assert!(token_file.is_some() && device.is_some() && replay.is_some());
        assert!(speed.is_some() && profile.is_some() && spool.is_some());
    }

    #[test]
    fn a_slip_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sim.toml");
        for (text, named) in [("rate_hz = 1.0\nsped = 2", "sped"), ("\nprofile = \"fridge\"", "cold-room")] {
            fs::write(&path, text).unwrap();
            let error = Config::read(&path).unwrap_err();
            let reason = std::error::Error::source(&error).unwrap().to_string();
            assert!(reason.contains("line 2") && reason.contains(named), "{reason}");
        }
    }
}

//! Configuration: one section a stage, each owned by its stage. Defaults, then the TOML file, then
//! `HUB__SECTION__KEY` from the environment, then flags.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub mod duration;
mod hint;
pub mod listen;

use crate::{historian, ingest, live, pipeline, web};

/// All of it. Unknown keys are refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What the screens call this hub.
    pub name: String,
    /// Address and port to listen on.
    #[serde(deserialize_with = "listen::deserialize")]
    pub listen: SocketAddr,
    /// Folder for everything the hub keeps.
    pub data: PathBuf,
    /// Allows an address other than loopback although nothing is encrypted and nobody is asked who they are.
    pub insecure: bool,
    /// Devices' connections.
    pub ingest: ingest::Config,
    /// The journal and its commits.
    pub journal: pipeline::JournalConfig,
    /// What is kept, and for how long.
    pub history: historian::Config,
    /// Viewers.
    pub live: live::Config,
    /// The HTTP side: names it answers to, limits of connections.
    pub web: web::Config,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "highwater".into(),
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            data: PathBuf::from("highwater-data"),
            insecure: false,
            ingest: ingest::Config::default(),
            journal: pipeline::JournalConfig::default(),
            history: historian::Config::default(),
            live: live::Config::default(),
            web: web::Config::default(),
        }
    }
}

/// Why there is no configuration to start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file has something wrong, with line and column.
    #[error("{}: {message}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Line, column, the line itself, and what is expected there.
        message: String,
    },
    /// A value from the environment does not fit.
    #[error("a HUB__SECTION__KEY variable does not fit: {0}")]
    Environment(String),
    /// Two values do not go together.
    #[error("{0}")]
    Value(String),
}

impl Config {
    /// Defaults, the file if one is named, the environment; checked.
    pub fn load(path: Option<&Path>) -> Result<Self, ConfigError> {
        let loaded = Self::load_unchecked(path)?;
        loaded.check()?;
        Ok(loaded)
    }

    /// The same before it is known what flags say.
    pub fn load_unchecked(path: Option<&Path>) -> Result<Self, ConfigError> {
        let mut builder = config::Config::builder();
        if let Some(path) = path {
            let text =
                std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
            // Read strictly by itself first: only this way does an error have its line and column.
            toml::from_str::<Self>(&text).map_err(|error| {
                let message = error.to_string();
                let hint = hint::of(&text, &error).map(|hint| format!("{}\n{hint}", message.trim_end()));
                ConfigError::File { path: path.to_owned(), message: hint.unwrap_or(message) }
            })?;
            builder = builder.add_source(config::File::from_str(&text, config::FileFormat::Toml));
        }
        let environment =
            config::Environment::with_prefix("HUB").prefix_separator("__").separator("__").try_parsing(true);
        builder
            .add_source(environment)
            .build()
            .and_then(config::Config::try_deserialize)
            .map_err(|error| ConfigError::Environment(error.to_string()))
    }

    /// Checks what the types cannot say.
    pub fn check(&self) -> Result<(), ConfigError> {
        if !self.listen.ip().is_loopback() && !self.insecure {
            return Err(ConfigError::Value(format!(
                "listen = \"{}\" is reachable from other machines, and this version neither encrypts nor asks who is \
                 there. Listen on 127.0.0.1, or say insecure = true (--insecure) if this network is trusted",
                self.listen
            )));
        }
        let ingest = &self.ingest;
        for (key, is_zero) in [
            ("ingest.messages_per_second", ingest.messages_per_second == 0),
            ("ingest.hello_timeout", ingest.hello_timeout.is_zero()),
            ("ingest.ping_interval", ingest.ping_interval.is_zero()),
            ("live.heartbeat", self.live.heartbeat.is_zero()),
            ("history.readers_max", self.history.readers_max == 0),
            ("web.connections_max", self.web.connections_max == 0),
        ] {
            if is_zero {
                return Err(ConfigError::Value(format!("{key} must be above 0")));
            }
        }
        if self.ingest.credit == 0 {
            return Err(ConfigError::Value("ingest.credit must be at least 1".into()));
        }
        if self.journal.segment_bytes < 64 * 1024 {
            return Err(ConfigError::Value("journal.segment_bytes must be at least 65536".into()));
        }
        if self.history.replay_bytes_max > self.journal.retain_bytes {
            // Otherwise the journal could be full of what history has no reason to store yet.
            return Err(ConfigError::Value("history.replay_bytes_max must not be above journal.retain_bytes".into()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_file_is_complete_and_equal_to_the_defaults() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/hub.toml");
        let text = std::fs::read_to_string(&path).expect("configs/hub.toml");
        let shipped: toml::Table = text.parse().expect("TOML");
        let defaults = toml::Table::try_from(Config::default()).expect("TOML");
        assert_eq!(shipped, defaults);
    }

    #[test]
    fn the_minimal_file_is_accepted() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/hub-minimal.toml");
        Config::load(Some(&path)).expect("accepted");
    }

    #[test]
    fn a_typo_is_named_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("hub.toml");
        std::fs::write(&path, "name = \"shed\"\n[ingest]\ncredits = 5\n").expect("written");
        let message = Config::load(Some(&path)).expect_err("a typo").to_string();
        assert!(message.contains("hub.toml") && message.contains("line 3") && message.contains("credits"), "{message}");
        assert!(message.ends_with("did you mean credit?"), "{message}");
    }

    #[test]
    fn another_address_than_loopback_needs_the_word() {
        let mut config = Config { listen: SocketAddr::from(([0, 0, 0, 0], 8080)), ..Config::default() };
        assert!(config.check().expect_err("refused").to_string().contains("insecure = true"));
        config.insecure = true;
        config.check().expect("said so");
    }
}

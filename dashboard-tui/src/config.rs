//! The configuration file.

use std::{collections::BTreeMap, io, path::Path, path::PathBuf};

use serde::Deserialize;

use crate::theme::ThemeName;

/// What the file says. `configs/dashboard-tui.toml` shows all of it with the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The hub's address.
    pub hub: String,
    /// A file that holds the viewer's token and nothing else.
    pub token_file: Option<PathBuf>,
    /// Colours.
    pub theme: ThemeName,
    /// Whether clicks and the wheel are taken. Without it the terminal's own selecting works as usual.
    pub mouse: bool,
    /// Keys by action; what is not named keeps its default.
    pub keys: BTreeMap<String, Vec<String>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            hub: "ws://127.0.0.1:8080".to_owned(),
            token_file: None,
            theme: ThemeName::Default,
            mouse: true,
            keys: BTreeMap::new(),
        }
    }
}

/// Why the configuration is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not what it should be; the source says in which line.
    #[error("the configuration {} is not understood", path.display())]
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
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|source| ConfigError::Parse { path: path.to_owned(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keymap::{BINDINGS, Keymap};

    const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../configs/dashboard-tui.toml");

    #[test]
    fn the_sample_is_complete_and_equal_to_the_defaults() {
        let sample = Config::read(Path::new(SAMPLE)).expect("the sample is valid");
        assert_eq!(Config { keys: BTreeMap::new(), ..sample.clone() }, Config::default());
        assert_eq!(sample.keys.len(), BINDINGS.len(), "every action is in the sample");
        assert_eq!(Keymap::new(&sample.keys), Keymap::new(&BTreeMap::new()));
        let text = std::fs::read_to_string(SAMPLE).expect("readable");
        let uncommented = text.replace("# token_file", "token_file");
        let all: Config = toml::from_str(&uncommented).expect("what is commented out is valid too");
        assert!(all.token_file.is_some());
    }

    #[test]
    fn a_slip_is_named_with_its_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("tui.toml");
        std::fs::write(&path, "hub = \"ws://hub\"\nmouze = true\n").expect("written");
        let error = Config::read(&path).expect_err("no such key");
        let reason = std::error::Error::source(&error).expect("a reason").to_string();
        assert!(reason.contains("line 2") && reason.contains("mouze"), "{reason}");
    }
}

//! The command line, and what follows from it together with the configuration and the environment.

use std::path::PathBuf;

use client::{
    address::HubAddress,
    live::LiveConfig,
    token::{self, TokenError},
};

use crate::{
    config::{Config, ConfigError},
    keymap::{Keymap, KeymapError},
    theme::ThemeName,
};

/// Live dashboard for the terminal: devices, their latest values and charts.
///
/// Keeps trying when the hub is away. Press ? for the keys.
#[derive(Debug, Clone, Default, clap::Parser)]
#[command(version, name = "dashboard-tui")]
pub struct Options {
    /// The hub's address, as in [`HubAddress::parse`].
    #[arg(
        long,
        value_name = "URL",
        help = "The hub: ws://host:port, http://host:port or host:port [default: ws://127.0.0.1:8080]"
    )]
    pub hub: Option<String>,
    /// A file with the viewer's token; others must not be able to read it
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Colours; without this flag `NO_COLOR` turns them off
    #[arg(long, value_name = "THEME")]
    pub theme: Option<ThemeName>,
    /// The device to select first; with --once, the only one to print
    #[arg(long, value_name = "ID")]
    pub device: Option<String>,
    /// A configuration file, see configs/dashboard-tui.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write a log to this file (the level is in `RUST_LOG`)
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    /// Print what the table would show, one line a channel, and exit
    #[arg(long)]
    pub once: bool,
}

/// Everything decided before the first frame.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to connect, and as whom.
    pub live: LiveConfig,
    /// The hub's `host:port`, as shown.
    pub hub: String,
    /// Colours at the start.
    pub theme: ThemeName,
    /// Whether the mouse is taken.
    pub mouse: bool,
    /// What keys do.
    pub keymap: Keymap,
    /// The device selected first, or alone.
    pub device: Option<String>,
}

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The configuration file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its key section.
    #[error("the keys in the configuration do not fit")]
    Keys(#[from] KeymapError),
    /// The hub's address.
    #[error("--hub (or hub in the configuration) does not name a hub")]
    Hub(#[from] client::address::AddressError),
    /// The token file.
    #[error("--token-file (or token_file in the configuration) cannot be used")]
    Token(#[from] TokenError),
}

impl Options {
    /// Puts together flags, file and environment: a flag wins over `NO_COLOR`, which wins over the file, which wins
    /// over the defaults. `no_color` is the value of that variable.
    pub fn settings(&self, no_color: Option<&str>) -> Result<Settings, SettingsError> {
        let config = self.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
        let url = self.hub.clone().unwrap_or(config.hub);
        let hub = HubAddress::parse(&url)?.authority();
        let token_file = self.token_file.as_deref().or(config.token_file.as_deref());
        let token = token_file.map(token::read_file).transpose()?;
        let coloured = no_color.is_none_or(str::is_empty);
        let theme = self.theme.unwrap_or(if coloured { config.theme } else { ThemeName::Plain });
        let keymap = Keymap::new(&config.keys)?;
        let live = LiveConfig { url, token };
        Ok(Settings { live, hub, theme, mouse: config.mouse, keymap, device: self.device.clone() })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use clap::{CommandFactory, Parser};

    use super::*;

    fn options(arguments: &[&str]) -> Options {
        Options::try_parse_from([&["dashboard-tui"], arguments].concat()).expect("valid flags")
    }

    #[test]
    fn flags_win_over_no_color_and_that_over_the_file() {
        Options::command().debug_assert();
        let theme = |arguments: &[&str], no_color| options(arguments).settings(no_color).expect("fits").theme;
        assert_eq!(theme(&[], None), ThemeName::Default);
        assert_eq!(theme(&[], Some("")), ThemeName::Default);
        assert_eq!(theme(&[], Some("1")), ThemeName::Plain);
        assert_eq!(theme(&["--theme", "colour-blind"], Some("1")), ThemeName::ColourBlind);
    }

    #[test]
    fn an_address_is_taken_as_people_write_it_and_a_slip_is_named() {
        let hub = |url| options(&["--hub", url]).settings(None).map(|settings| settings.hub);
        assert_eq!(hub("http://hub.local:9000/").expect("an address"), "hub.local:9000");
        assert_eq!(hub("hub.local").expect("an address"), "hub.local:8080");
        assert!(matches!(hub("ftp://hub"), Err(SettingsError::Hub(_))));
        assert_eq!(options(&[]).settings(None).expect("fits").hub, "127.0.0.1:8080");
    }

    #[test]
    fn a_token_that_everyone_can_read_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        let settings = || options(&["--token-file", path.to_str().expect("text")]).settings(None);
        assert!(matches!(settings(), Err(SettingsError::Token(TokenError::Read { .. }))));
        fs::write(&path, " hw_secret\n").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
        assert!(matches!(settings(), Err(SettingsError::Token(TokenError::Exposed { .. }))));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
        assert_eq!(settings().expect("fits").live.token.as_deref(), Some("hw_secret"));
        fs::write(&path, "\n").expect("written");
        assert!(matches!(settings(), Err(SettingsError::Token(TokenError::Content(_)))));
    }
}

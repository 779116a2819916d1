//! The command line: `hub`, `hub demo`, `hub check-config`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, listen};

/// Takes readings from devices over WebSockets, keeps every one it acknowledges, and shows them live.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES, args_conflicts_with_subcommands = false)]
pub struct Cli {
    /// What to do; without a command the hub serves.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What every command takes.
    #[command(flatten)]
    pub options: Options,
}

const EXAMPLES: &str = "\
Examples:
  hub demo               a hub with a small simulated fleet, to look around
  hub                    a hub on http://127.0.0.1:8080 that keeps its data
                         in ./highwater-data
  hub --listen 0.0.0.0:8080 --insecure
                         reachable from the network: only where you trust
                         everybody on it
  hub --config configs/hub.toml
                         with a configuration file; any key can be overridden
                         from the environment, as HUB__INGEST__CREDIT=2048

Send a first reading:
  curl -X POST http://127.0.0.1:8080/api/v1/readings \\
       -H 'content-type: application/json' \\
       -d '{\"device\": \"shed\", \"readings\": {\"temp\": 21.5}}'

Exit codes: 0 stopped as asked, 1 could not start or go on (the reason is
printed), 2 wrong usage.";

/// Commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// A hub with a small simulated fleet that connects over real WebSockets.
    Demo,
    /// Reads the configuration, says what is wrong with it or prints what is in force, and exits.
    CheckConfig,
}

/// Flags that stand above file and environment.
#[derive(Debug, Clone, Default, Args)]
pub struct Options {
    /// Address and port to listen on; a port alone is one of this machine [default: 127.0.0.1:8080].
    #[arg(long, global = true, value_name = "ADDR", value_parser = listen::parse)]
    pub listen: Option<SocketAddr>,
    /// Folder for everything the hub keeps [default: highwater-data; demo: highwater-demo].
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Configuration file (TOML); configs/hub.toml shows every key with its default.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Allows an address that other machines reach, without encryption and without asking who they are.
    #[arg(long, global = true)]
    pub insecure: bool,
}

impl Cli {
    /// The configuration in force: defaults, file, environment, flags.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let options = &self.options;
        let mut config = Config::load_unchecked(options.config.as_deref())?;
        if matches!(self.command, Some(Command::Demo)) && config.data == Config::default().data {
            config.data = PathBuf::from("highwater-demo");
        }
        if let Some(listen) = options.listen {
            config.listen = listen;
        }
        if let Some(data) = &options.data {
            config.data.clone_from(data);
        }
        config.insecure |= options.insecure;
        config.check()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_teaches() {
        Cli::command().debug_assert();
        let help = Cli::command().render_long_help().to_string();
        for part in ["demo", "check-config", "--listen", "--data", "--config", "--insecure", "curl"] {
            assert!(help.contains(part), "{part} is not in the help");
        }
        // Wider ones would be wrapped in the middle of a command.
        assert!(EXAMPLES.lines().all(|line| line.chars().count() < 78));
    }

    #[test]
    fn flags_stand_above_the_defaults_before_and_behind_the_command() {
        for line in [["hub", "demo", "--listen", "127.0.0.1:9"], ["hub", "--listen", "localhost:9", "demo"]] {
            let cli = Cli::try_parse_from(line).expect("accepted");
            let config = cli.config().expect("good");
            assert_eq!((config.listen.port(), config.data.to_str()), (9, Some("highwater-demo")));
        }
    }
}

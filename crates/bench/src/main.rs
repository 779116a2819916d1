//! `bench`: what the hub does a second, how long it takes and what it costs, beside a floor measured in the same run.
//!
//! Every command starts the release binary of the hub as a process of its own, pinned to core 0, and drives it from
//! core 1 over real sockets. Rates come from acknowledgements, processor time from `/proc`, written bytes from the device, bytes on
//! the wire from the client's side. Latencies are taken from the intended send time, so a slow hub cannot hide behind
//! a load generator that waits for it.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};

mod ack;
mod capture;
mod device;
mod disk;
mod echo;
mod fanout;
mod floor;
mod frame;
mod http;
mod ingest;
mod link;
mod memory;
mod process;
mod query;
mod restart;
mod stats;
mod store;
mod swarm;
mod table;
mod transport;
mod viewer;
mod wire;

/// Measures a hub and prints each figure with its floor and its target.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    options: Options,
}

/// What to measure.
#[derive(Debug, Subcommand)]
enum Command {
    /// Durable, acknowledged frames a second, from 1 000 devices with a viewer watching.
    Ingest,
    /// From sending a reading to its acknowledgement, and to a viewer's socket.
    Ack,
    /// 1 000 viewers.
    Fanout,
    /// One hour, one day and thirty days, warm and cold, through REST and through the engine.
    Query,
    /// Bytes a reading on disk, and bytes written to the device.
    Store,
    /// Memory of an idle hub, of a connection, and of a fleet.
    Memory,
    /// The same readings over WebSocket and HTTP, and updates by push and by polling.
    HttpVsWs,
    /// From start to ready after a kill with a full journal.
    Restart,
    /// Bytes a reading on the wire for fixed-rate channels.
    Wire,
    /// Serves an echo endpoint on the hub's own WebSocket settings, for conformance suites, until it is interrupted.
    Echo {
        /// Address and port to listen on.
        #[arg(long, default_value = "127.0.0.1:9001")]
        listen: std::net::SocketAddr,
    },
    /// Prints the bytes of handshakes, frames and closes as they pass between a client and a hub.
    Capture,
    /// The floor itself; started by the other commands.
    #[command(hide = true)]
    Floor {
        /// What the server does with what it reads.
        kind: floor::Kind,
    },
}

/// What all commands take.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The hub to measure [default: `hub` beside this program, built if it is not there].
    #[arg(long, global = true, value_name = "FILE")]
    hub: Option<PathBuf>,
    /// Folder for the hub's data; on a real disk, or the figures of writing mean nothing [default: beside the hub].
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How long one load lasts, seconds.
    #[arg(long, global = true, default_value_t = 10)]
    seconds: u64,
    /// How often each figure is taken; the median is printed.
    #[arg(long, global = true, default_value_t = 3)]
    repeat: usize,
}

impl Options {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let options = &cli.options;
    match &cli.command {
        Command::Floor { kind } => return floor::serve(*kind),
        Command::Echo { listen } => return echo::serve(*listen),
        _ => process::pin_to_last_core(),
    }
    match &cli.command {
        Command::Ingest => ingest::run(options),
        Command::Ack => ack::run(options),
        Command::Fanout => fanout::run(options),
        Command::Query => query::run(options),
        Command::Store => store::run(options),
        Command::Memory => memory::run(options),
        Command::HttpVsWs => transport::run(options),
        Command::Restart => restart::run(options),
        Command::Wire => wire::run(options),
        Command::Capture => capture::run(options),
        Command::Floor { .. } | Command::Echo { .. } => Ok(()),
    }
}

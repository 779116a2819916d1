//! Arguments, tracing, signals, exit codes; everything else is in the library.

use std::{io::IsTerminal, num::NonZero, process::ExitCode, thread, time::Duration};

use anyhow::Context;
use clap::Parser;
use hub::{
    Hub, StopHandle,
    cli::{Cli, Command},
    demo::{self, Demo},
    pipeline::Ended,
};
use protocol::close;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .with_target(false)
        .init();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hub: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<()> {
    let config = cli.config()?;
    if matches!(cli.command, Some(Command::CheckConfig)) {
        let text = toml::to_string(&config).context("cannot print the configuration")?;
        print!("{text}");
        return Ok(());
    }
    // With one core, threads that share it only cost switches.
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let mut runtime = match cores {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build().context("cannot start the runtime")?;
    let outcome = runtime.block_on(serve(cli, config));
    // What still blocks a thread (a query, a disk that does not answer) has nothing left to say.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

async fn serve(cli: &Cli, config: hub::Config) -> anyhow::Result<()> {
    // The port first: with one that is taken, the data folder is not even touched.
    let listener = hub::listen(config.listen)?;
    let address = listener.local_addr().context("the listener has no address")?;
    let hub = Hub::build(&config)?;
    if config.insecure && !config.listen.ip().is_loopback() {
        tracing::warn!(%address, "insecure: nothing is encrypted, and everybody who reaches this port may read and write");
    }
    let stop = StopHandle::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let mut hangup = signal(SignalKind::hangup()).context("cannot wait for signals")?;
    let demo = match cli.command {
        Some(Command::Demo) => Some(Demo::start(address).context("cannot start the simulated devices")?),
        _ => None,
    };
    demo::say_what_next(address, demo.is_some(), &config);
    let stopping = stop.clone();
    tokio::spawn(async move {
        let code = tokio::select! {
            _ = terminate.recv() => close::RESTARTING,
            _ = hangup.recv() => close::RESTARTING,
            _ = interrupt.recv() => close::STOPPING,
        };
        tracing::info!("stopping: everything acknowledged is kept");
        if let Some(demo) = demo {
            demo.stop().await;
        }
        stopping.stop(code);
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Asked twice: at once, then. What was acknowledged is on disk whatever happens.
        std::process::exit(130);
    });
    let ended = hub.serve(listener, stop).await;
    match ended {
        Ended::Stopped => Ok(()),
        failed => Err(failed.into()),
    }
}

//! Arguments, signals, the status line and exit codes around [`device_sim`].

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use anyhow::Context;
use clap::Parser;
use device_sim::{
    fleet::{Fleet, SHUTDOWN_PATIENCE},
    options::{Options, Settings},
    status,
};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let options = Options::parse();
    let is_terminal = io::stderr().is_terminal();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    let log_writer = move || {
        let mut stderr = io::stderr();
        if is_terminal {
            let _ = status::clear(&mut stderr);
        }
        stderr
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(log_writer)
        .with_ansi(is_terminal)
        .with_target(false)
        .init();
    match run(&options, is_terminal) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "device-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options, is_terminal: bool) -> anyhow::Result<bool> {
    let settings = options.settings()?;
    // A socket a device, and three files with a spool on disk; the usual soft limit is 1 024.
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    let _ = setrlimit(Resource::Nofile, files);
    let mut runtime = match settings.fleet.devices {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build().context("cannot start the runtime")?;
    let is_delivered = runtime.block_on(serve(&settings, is_terminal));
    // The thread that reads standard input may never return.
    runtime.shutdown_background();
    is_delivered
}

/// Whether everything is acknowledged and no source has failed.
async fn serve(settings: &Settings, is_terminal: bool) -> anyhow::Result<bool> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for signals")?;
    let mut fleet = Fleet::start(&settings.fleet)?;
    let greeting = status::greeting(fleet.ids(), &settings.fleet, fleet.snapshot().waiting_messages);
    let _ = writeln!(io::stderr(), "device-sim: {greeting}");
    let recorded = fleet.recorded();
    if let Some(remark) = recorded.and_then(|span| status::about_replay(span, &settings.fleet)) {
        let _ = writeln!(io::stderr(), "device-sim: {remark}");
    }
    status::watch(&mut fleet, is_terminal, stop(settings.duration, &mut interrupt, &mut terminate)).await;
    let waiting = fleet.snapshot().waiting_messages;
    let spool = settings.fleet.spool.as_ref().map(|folder| folder.display().to_string());
    let summary = tokio::select! {
        summary = fleet.finish(SHUTDOWN_PATIENCE) => summary,
        _ = interrupt.recv() => anyhow::bail!(status::cut_short(waiting, spool.as_deref())),
    };
    let farewell = status::farewell(&summary, spool.as_deref(), recorded.filter(|_| settings.fleet.is_import()));
    let is_delivered = summary.is_drained && summary.failures.is_empty();
    let mut stderr = io::stderr();
    for (device, error) in summary.failures {
        let _ = writeln!(stderr, "device-sim: {device}: {:#}", anyhow::Error::new(error));
    }
    let _ = writeln!(stderr, "device-sim: {farewell}");
    Ok(is_delivered)
}

async fn stop(duration: Option<Duration>, interrupt: &mut Signal, terminate: &mut Signal) {
    let timer = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = timer => {}
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

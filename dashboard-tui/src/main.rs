//! Command line, log file and exit code around [`dashboard_tui`].

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use dashboard_tui::{once, options::Options, run};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    match start(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The terminal may be gone; the exit code says it too.
            let _ = writeln!(io::stderr(), "dashboard-tui: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(options: &Options) -> anyhow::Result<()> {
    let no_color = std::env::var("NO_COLOR").ok();
    let settings = options.settings(no_color.as_deref())?;
    if let Some(path) = &options.log_file {
        log_to(path)?;
    }
    // One thread: a screen and a socket are never busy at the same time for long.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    runtime.block_on(async {
        if options.once {
            let (handle, mut events) = client::live::connect(settings.live.clone());
            let wanted =
                once::Wanted { hub: &settings.hub, device: settings.device.as_deref(), patience: once::ANSWER_MAX };
            once::run(&handle, &mut events, wanted, &mut io::stdout().lock(), &mut io::stderr().lock()).await?;
        } else {
            run::run(settings).await?;
        }
        Ok(())
    })
}

/// The screen belongs to the dashboard: what there is to log goes to a file, or nowhere.
fn log_to(path: &Path) -> anyhow::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    let file = file.with_context(|| format!("cannot write the log file {}", path.display()))?;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(file).init();
    Ok(())
}

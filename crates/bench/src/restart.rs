//! From start to ready after a SIGKILL with a full journal.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;

use crate::{
    Options, device,
    process::{self, HubProcess},
    stats::median,
    swarm::Swarm,
    table::{Table, Target},
};

/// Small enough to fill in seconds, large enough to be more than a restart may replay.
const RETAIN_BYTES: u64 = 256 << 20;
const DEVICES: usize = 100;
/// Messages that a device keeps on the way.
const WINDOW: u64 = 200;
const TURN: Duration = Duration::from_millis(1);
/// A journal that has not grown for so long, under load, is as long as it becomes.
const LOOK_GAP: Duration = Duration::from_secs(3);
/// A hub that acknowledges nothing for so long, under load, is stuck.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// Prints the figures.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut table = Table::new("Start after kill −9 with a full journal (256 MiB)");
    for readings in [1, 100] {
        let folder = process::folder(options)?;
        let hub = HubProcess::start(options, folder.path(), &[])?;
        let fresh_ms = hub.ready_after.as_secs_f64() * 1e3;
        let data = folder.path().join("data");
        fill(&hub, &data, readings)?;
        hub.kill()?;
        let mut taken = Vec::new();
        for _ in 0..options.repeat {
            // A start stores what it replays, so only the first one after a kill has the whole work: each gets a copy.
            let again = process::folder(options)?;
            let copied = Command::new("cp").arg("-a").arg(&data).arg(again.path()).status()?;
            ensure!(copied.success(), "cannot copy the data folder");
            let hub = HubProcess::start(options, again.path(), &[])?;
            taken.push(hub.ready_after.as_secs_f64() * 1e3);
            hub.kill()?;
        }
        let name = |what: &str| format!("{readings}-reading frames: {what}");
        table.add(name("ready after the kill"), median(&mut taken), "ms", None, Target::AtMost(1_000.0));
        table.add(name("an empty folder, for comparison"), fresh_ms, "ms", None, Target::None);
    }
    println!("{table}");
    Ok(())
}

/// Sends until the journal is as long as it may become.
fn fill(hub: &HubProcess, data: &Path, readings: usize) -> anyhow::Result<()> {
    let mut swarm = Swarm::new()?;
    let mut devices = device::fleet(&mut swarm, hub.address, DEVICES, 1)?;
    let dts_ms: Vec<u32> = (0..readings as u32).collect();
    let values: Vec<f64> = (0..readings).map(|i| 20.0 + (i % 17) as f64 / 10.0).collect();
    let (mut bytes_before, mut looked, mut heard) = (0, Instant::now(), Instant::now());
    loop {
        for device in &mut devices {
            if device.in_flight() < WINDOW && !swarm.link(device.link).is_blocked() {
                let frame = if readings == 1 { device.one_reading(21.5) } else { device.column(&dts_ms, &values) };
                swarm.link(device.link).send(&frame)?;
            }
        }
        swarm.turn(TURN, |number, message| {
            if devices[number].on_message(message) {
                heard = Instant::now();
            }
        })?;
        ensure!(heard.elapsed() < SILENCE_MAX, "nothing was acknowledged for {SILENCE_MAX:?}");
        if looked.elapsed() >= LOOK_GAP {
            let bytes = folder_bytes(data)?;
            if bytes >= RETAIN_BYTES && bytes == bytes_before {
                return Ok(());
            }
            (bytes_before, looked) = (bytes, Instant::now());
        }
    }
}

/// Bytes of the journal's files.
fn folder_bytes(data: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(data.join("journal"))? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

//! Bytes a reading: in the database on a realistic mix, and written to the device while readings come fast and slow.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use device_sim::source::{
    RunValues, Sample, Source,
    waveform::{Config, Waveform},
};
use protocol::device::encode::FrameWriter;

use crate::{
    Options,
    device::{self, Device},
    disk,
    process::{self, HubProcess},
    swarm::Swarm,
    table::{Table, Target},
};

/// Six of each of the simulator's seven kinds.
const SIMULATED: u32 = 42;
/// What they measure of, seconds: most of a day at 1 Hz.
const SIMULATED_S: i64 = 20 * 3_600;
/// Readings a frame of an import.
const IMPORT_READINGS: usize = 1_000;
/// The fast load: 1 000 devices of ten channels.
const FAST_DEVICES: usize = 1_000;
/// Messages that a device has on the way at most.
const WINDOW: u64 = 64;
/// Length of the journal meanwhile: less than a hub's own, so that it is soon full, and enough for a replay of the usual
/// length.
const RETAIN_BYTES: u64 = 192 << 20;
/// How long the fast load runs before anything counts: what the filling has left behind is written by then.
const SETTLE_TIME: Duration = Duration::from_secs(60);
/// How long what is written is counted at least: several of history's spills belong to it.
const FAST_TIME_MIN: Duration = Duration::from_secs(180);
/// And of the slow load: two of history's own commits, every 30 s.
const SLOW_TIME_MIN: Duration = Duration::from_secs(60);

/// Prints the figures.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut table = Table::new("Bytes on disk and bytes written");
    kept(options, &mut table)?;
    fast(options, Shape { frames_a_second: 10_000, channels: 10, readings: 1 }, &mut table)?;
    fast(options, Shape { frames_a_second: 1_000, channels: 10, readings: 10 }, &mut table)?;
    slow(options, &mut table)?;
    println!("{table}");
    Ok(())
}

/// The realistic mix, imported, then what the database takes once everything is in it.
fn kept(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    for (what, vibration, devices, seconds) in
        [("slow channels at 1 Hz", false, SIMULATED, SIMULATED_S), ("with vibration at 1 kHz", true, 7, 1_800)]
    {
        let folder = process::folder(options)?;
        let hub = HubProcess::start(options, folder.path(), &[])?;
        let start_us = device::now_us() - (seconds + 3_600) * 1_000_000;
        for index in 0..devices {
            let config = Config { index, seed: 1, profile: None, rate_hz: 1.0, vibration };
            import(&hub, index, Waveform::new(&config, start_us)?, start_us, start_us + seconds * 1_000_000)?;
        }
        hub.settle()?;
        let readings = hub.metric("highwater_readings_stored_total")?;
        hub.stop()?;
        let bytes = database_bytes(&folder.path().join("data"))?;
        let what = format!("database, {what}: {readings:.0} readings");
        table.add(what, bytes as f64 / readings, "bytes a reading", None, Target::AtMost(1.6));
    }
    Ok(())
}

fn import(hub: &HubProcess, index: u32, mut source: Waveform, start_us: i64, end_us: i64) -> anyhow::Result<()> {
    let hello = device::hello(&format!("sim-{index}"), source.channels().to_vec(), true)?;
    let mut swarm = Swarm::new()?;
    let mut device = Device::new(swarm.add(device::open(hub.address, &hello)?)?);
    let (mut writer, mut samples, mut now_us, mut t0_us) = (FrameWriter::default(), Vec::new(), start_us, None);
    while now_us < end_us {
        now_us = source.poll(now_us, &mut samples)?.context("the simulator never ends")?;
        for sample in samples.drain(..) {
            let time_us = match &sample {
                Sample::Point { time_us, .. } => *time_us,
                Sample::Run { start_us, .. } => *start_us,
            };
            let offset_ms = (time_us - *t0_us.get_or_insert(time_us)) as f64 / 1e3;
            match sample {
                Sample::Point { channel, value, .. } => writer.scalar(channel as u16, offset_ms, value),
                Sample::Run { channel, period_us, values: RunValues::I16(values), .. } => {
                    writer.fixed_rate_i16(channel as u16, offset_ms, period_us as f64 / 1e3, &values);
                }
                Sample::Run { channel, period_us, values: RunValues::F64(values), .. } => {
                    writer.fixed_rate_f64(channel as u16, offset_ms, period_us as f64 / 1e3, &values);
                }
            }
        }
        if writer.readings() >= IMPORT_READINGS
            && let Some(t0_us) = t0_us.take()
        {
            device.sent += 1;
            let frame = writer.finish(device.sent, t0_us as f64 / 1e3);
            swarm.link(device.link).send(&frame)?;
        }
        device.listen_until(&mut swarm, 63)?;
    }
    device.listen_until(&mut swarm, 0)?;
    Ok(())
}

/// Everything in the data folder but the journal and the lock.
fn database_bytes(data: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

/// How the fast load comes.
#[derive(Debug, Clone, Copy)]
struct Shape {
    /// Frames a second of all devices.
    frames_a_second: u32,
    /// Channels in a frame.
    channels: u16,
    /// Readings of each.
    readings: usize,
}

/// 100 000 readings a second into a journal that recycles its segments: what is written a reading.
fn fast(options: &Options, shape: Shape, table: &mut Table) -> anyhow::Result<()> {
    let folder = process::folder(options)?;
    let settings = [("JOURNAL__RETAIN_BYTES", &*RETAIN_BYTES.to_string())];
    let hub = HubProcess::start(options, folder.path(), &settings)?;
    let mut swarm = Swarm::new()?;
    let mut devices = device::fleet(&mut swarm, hub.address, FAST_DEVICES, usize::from(shape.channels))?;
    // A segment that is written for the first time is filled with zeros before.
    while hub.metric("highwater_journal_bytes")? < RETAIN_BYTES as f64 {
        steady(&mut swarm, &mut devices, Shape { frames_a_second: 50_000, ..shape }, Duration::from_secs(1))?;
    }
    steady(&mut swarm, &mut devices, shape, SETTLE_TIME)?;
    let before = disk::written_bytes(folder.path())?;
    let frames = steady(&mut swarm, &mut devices, shape, options.duration().max(FAST_TIME_MIN))?;
    let written = (disk::written_bytes(folder.path())? - before) as f64;
    let readings = frames as f64 * f64::from(shape.channels) * shape.readings as f64;
    let what = format!(
        "written to the device at 100 000 readings/s, frames of {} channels × {}",
        shape.channels, shape.readings
    );
    table.add(what, written / readings, "bytes a reading", None, Target::AtMost(20.0));
    Ok(())
}

/// One reading a second: what a commit writes.
fn slow(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    let folder = process::folder(options)?;
    let hub = HubProcess::start(options, folder.path(), &[])?;
    let mut swarm = Swarm::new()?;
    let mut devices = device::fleet(&mut swarm, hub.address, 1, 1)?;
    let shape = Shape { frames_a_second: 1, channels: 1, readings: 1 };
    steady(&mut swarm, &mut devices, shape, Duration::from_secs(3))?;
    let before = disk::written_bytes(folder.path())?;
    let commits = steady(&mut swarm, &mut devices, shape, options.duration().max(SLOW_TIME_MIN))?;
    let written = (disk::written_bytes(folder.path())? - before) as f64;
    let what = "written to the device a commit, 1 reading/s, history's commits included";
    table.add(what, written / commits as f64 / 1e3, "KB", None, Target::AtMost(15.0));
    Ok(())
}

/// Sends at the intended times for so long; gives how many frames.
fn steady(swarm: &mut Swarm, devices: &mut [Device], shape: Shape, duration: Duration) -> anyhow::Result<u64> {
    let (began, gap, mut next) = (Instant::now(), Duration::from_secs(1) / shape.frames_a_second, 0_u32);
    while began.elapsed() < duration {
        while began + gap * next <= Instant::now() {
            let number = next as usize % devices.len();
            if devices[number].in_flight() >= WINDOW {
                break;
            }
            let value = |channel: u16, reading: usize| {
                let phase = f64::from(next) / 30_000.0 + f64::from(channel) + reading as f64 / 300.0;
                ((20.0 + phase.sin() * 5.0) * 100.0).round() / 100.0
            };
            let frame = devices[number].block(shape.channels, shape.readings, value);
            swarm.link(devices[number].link).send(&frame)?;
            next += 1;
        }
        swarm.turn(Duration::from_millis(1), |number, message| {
            devices[number].on_message(message);
        })?;
    }
    Ok(u64::from(next))
}

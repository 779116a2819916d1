//! Memory: an idle hub, an idle connection, a fleet of 1 000 devices with ten channels each.

use std::time::{Duration, Instant};

use crate::{
    Options,
    device::{self, Device},
    process::{self, HubProcess, Memory},
    swarm::Swarm,
    table::{Table, Target},
};

/// How long connections are left alone before memory is read.
const REST: Duration = Duration::from_secs(3);
/// A fleet is watched for this long at least: heads have to fill.
const FLEET_TIME_MIN: Duration = Duration::from_secs(300);
/// Once a second each device says all it measures.
const DEVICES: usize = 1_000;
const CHANNELS: u16 = 10;
const KIB: f64 = 1024.0;
const MB: f64 = 1e6;

/// Prints the figures.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut table = Table::new("Memory (PSS)");
    let idle = connections(options, 0)?;
    table.add("idle hub", idle.before.proportional / MB, "MB", None, Target::AtMost(20.0));
    table.add("idle hub, RSS", idle.before.resident / MB, "MB", None, Target::None);
    for count in [1_000, 5_000] {
        let Connections { before, after } = connections(options, count)?;
        let each = |more: Memory, less: Memory| (more.proportional - less.proportional) / count as f64 / KIB;
        let name = |what: &str| format!("{what}, of {count}");
        table.add(name("an idle device connection"), each(after, before), "KiB", None, Target::AtMost(8.0));
        let device = each(before, idle.before);
        table.add(name("a device of one channel that the hub knows"), device, "KiB", None, Target::None);
    }
    fleet(options, &mut table)?;
    println!("{table}");
    Ok(())
}

/// Memory of a hub without and with the connections of devices that it knows.
struct Connections {
    before: Memory,
    after: Memory,
}

/// What so many connections cost. The hub meets the devices first and is started again, so that what it remembers of
/// them is there before they connect, and no memory that their introduction has left free.
fn connections(options: &Options, count: usize) -> anyhow::Result<Connections> {
    let folder = process::folder(options)?;
    let settings = [("WEB__CONNECTIONS_PER_ADDRESS_MAX", "10000")];
    let hub = HubProcess::start(options, folder.path(), &settings)?;
    device::fleet(&mut Swarm::new()?, hub.address, count, 1)?;
    hub.stop()?;
    let hub = HubProcess::start(options, folder.path(), &settings)?;
    rest(&mut Swarm::new()?, REST)?;
    let before = hub.memory()?;
    let mut swarm = Swarm::new()?;
    device::fleet(&mut swarm, hub.address, count, 1)?;
    rest(&mut swarm, REST)?;
    Ok(Connections { before, after: hub.memory()? })
}

/// 1 000 devices × 10 channels at 1 Hz.
fn fleet(options: &Options, table: &mut Table) -> anyhow::Result<()> {
    let folder = process::folder(options)?;
    let hub = HubProcess::start(options, folder.path(), &[])?;
    let mut swarm = Swarm::new()?;
    let mut devices = device::fleet(&mut swarm, hub.address, DEVICES, usize::from(CHANNELS))?;
    let duration = options.duration().max(FLEET_TIME_MIN);
    let before = hub.usage()?;
    let (began, gap, mut next) = (Instant::now(), Duration::from_secs(1) / DEVICES as u32, 0_u32);
    let mut most: f64 = 0.0;
    while began.elapsed() < duration {
        while began + gap * next <= Instant::now() {
            send(&mut swarm, &mut devices[next as usize % DEVICES], next)?;
            next += 1;
        }
        swarm.turn(Duration::from_millis(1), |number, message| {
            devices[number].on_message(message);
        })?;
        if next.is_multiple_of(10_000) {
            most = most.max(hub.memory()?.proportional);
        }
    }
    let busy = (hub.usage()?.cpu_s - before.cpu_s) / began.elapsed().as_secs_f64() * 100.0;
    let what = format!("1 000 devices × 10 channels at 1 Hz for {} s", duration.as_secs());
    table.add(format!("{what}, most"), most / MB, "MB", None, Target::AtMost(64.0));
    table.add(format!("{what}, at the end"), hub.memory()?.proportional / MB, "MB", None, Target::AtMost(64.0));
    table.add(format!("{what}, core"), busy, "%", None, Target::None);
    Ok(())
}

fn send(swarm: &mut Swarm, device: &mut Device, wave: u32) -> anyhow::Result<()> {
    let value = |channel: u16| {
        let phase = f64::from(wave) / 20_000.0 + f64::from(channel);
        ((20.0 + phase.sin() * 5.0) * 100.0).round() / 100.0
    };
    let frame = device.readings(CHANNELS, value);
    swarm.link(device.link).send(&frame)
}

/// Only answers pings for so long.
fn rest(swarm: &mut Swarm, duration: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + duration;
    while Instant::now() < until {
        swarm.turn(Duration::from_millis(100), |_, _| {})?;
    }
    Ok(())
}

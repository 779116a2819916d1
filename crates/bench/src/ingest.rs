//! Durable, acknowledged frames a second from 1 000 devices, with a viewer watching all of them.
//!
//! Each figure stands beside the same frames read and discarded by bare tungstenite and by plain TCP.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::{
    Options,
    device::{self, Device},
    floor::{FloorProcess, Kind},
    frame::{opcode, put_masked},
    link::Opening,
    process::{self, HubProcess},
    stats::medians,
    swarm::Swarm,
    table::{Table, Target},
    viewer,
};

/// As many as the target names.
const DEVICES: usize = 1_000;
/// Messages that a device keeps on the way when it does not wait for each: far below the hub's credit.
const WINDOW: u64 = 64;
/// Readings in a column.
const COLUMN: usize = 100;
/// How long the load runs before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);

/// How devices send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shape {
    /// Messages on the way at most.
    window: u64,
    /// Readings a frame; 1 is a scalar, more a column.
    readings: usize,
}

/// What came of a load.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// Frames a second of wall time.
    a_second: f64,
    /// Frames a second of the server's processor time.
    a_core: f64,
    /// Share of its core that the server used.
    busy: f64,
}

/// Prints the figures.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut table = Table::new("Durable, acknowledged ingest: 1 000 devices, one viewer watching everything");
    for readings in [1, COLUMN] {
        let unit = if readings == 1 { "frames/s" } else { "readings/s" };
        let shape = |window| Shape { window, readings };
        let [tcp, tcp_core, tcp_busy] = medians(options.repeat, || floor(options, Kind::Tcp, readings))?;
        let [ws, ws_core, ws_busy] = medians(options.repeat, || floor(options, Kind::WebSocket, readings))?;
        let name = |what: &str| format!("{readings}-reading frames: {what}");
        let each = readings as f64;
        table.add(
            name(&format!("plain TCP, discarded (core {tcp_busy:.0} % busy)")),
            tcp * each,
            unit,
            None,
            Target::None,
        );
        table.add(name("plain TCP, a core"), tcp_core * each, unit, None, Target::None);
        table.add(
            name(&format!("tungstenite, discarded (core {ws_busy:.0} % busy)")),
            ws * each,
            unit,
            None,
            Target::None,
        );
        table.add(name("tungstenite, a core"), ws_core * each, unit, None, Target::None);
        let (ws, ws_core) = (Some(ws * each), Some(ws_core * each));
        let [open, open_core, busy] = medians(options.repeat, || hub(options, shape(WINDOW), "10ms"))?;
        let target = if readings == 1 { Target::ShareOfFloor(0.75) } else { Target::AtLeast(5e6) };
        table.add(name(&format!("one ack a commit (core {busy:.0} % busy)")), open * each, unit, ws, target);
        let target = if readings == 1 { Target::None } else { Target::AtLeast(5e6) };
        table.add(name("one ack a commit, a core, history included"), open_core * each, unit, ws_core, target);
        if readings > 1 {
            continue;
        }
        let [flooded, most_mb, settled_mb] = medians(options.repeat, || flood(options))?;
        let what = "a device sends whenever its socket takes it, whatever its credit";
        table.add(name(what), flooded, unit, Some(open), Target::ShareOfFloor(0.9));
        table.add(name(&format!("{what}: most memory")), most_mb, "MB", None, Target::None);
        table.add(name("one ack a commit: most memory"), settled_mb, "MB", None, Target::None);
        let [answered, answered_core, busy] = medians(options.repeat, || answers(options))?;
        let what = format!("tungstenite, every frame answered (core {busy:.0} % busy)");
        table.add(name(&what), answered, unit, None, Target::None);
        table.add(name("tungstenite, every frame answered, a core"), answered_core, unit, None, Target::None);
        for commit in ["10ms", "2ms"] {
            let [closed, closed_core, busy] = medians(options.repeat, || hub(options, shape(1), commit))?;
            let what = format!("every frame its own ack, {commit} commits (core {busy:.0} % busy)");
            // With one message on the way a device sends at most once a commit: 1 000 devices cannot fill a core then.
            table.add(name(&what), closed, unit, Some(answered), Target::None);
            let what = format!("every frame its own ack, {commit} commits, a core, history included");
            table.add(name(&what), closed_core, unit, Some(answered_core), Target::AtLeast(150_000.0));
        }
    }
    println!("{table}");
    Ok(())
}

/// The load against the hub: rate, rate a core, percent of the core.
fn hub(options: &Options, shape: Shape, commit: &str) -> anyhow::Result<[f64; 3]> {
    let folder = process::folder(options)?;
    let hub = HubProcess::start(options, folder.path(), &[("JOURNAL__COMMIT_INTERVAL", commit)])?;
    let mut swarm = Swarm::new()?;
    let mut devices = device::fleet(&mut swarm, hub.address, DEVICES, 1)?;
    swarm.add(viewer::open(hub.address, "*/*", 10)?)?;
    drive(&mut swarm, &mut devices, shape, WARM_UP)?;
    let acked = |devices: &[Device]| devices.iter().map(|device| device.acked).sum::<u64>();
    hub.settle()?;
    let (began, before, acked_before) = (Instant::now(), hub.usage()?, acked(&devices));
    drive(&mut swarm, &mut devices, shape, options.duration())?;
    let (took, after, acked_after) = (began.elapsed(), hub.usage()?, acked(&devices));
    drain(&mut swarm, &mut devices)?;
    hub.settle()?;
    let in_all = acked(&devices) - acked_before;
    let rate = Rate {
        a_second: (acked_after - acked_before) as f64 / took.as_secs_f64(),
        a_core: in_all as f64 / (hub.usage()?.cpu_s - before.cpu_s),
        busy: (after.cpu_s - before.cpu_s) / took.as_secs_f64(),
    };
    Ok(rate.figures())
}

/// Far more than the hub can take, from devices that do not listen to it: messages a second that are acknowledged all the
/// same, and the hub's peak memory, MB, then and under the load that fills it just so.
fn flood(options: &Options) -> anyhow::Result<[f64; 3]> {
    let folder = process::folder(options)?;
    let hub = HubProcess::start(options, folder.path(), &[])?;
    let mut swarm = Swarm::new()?;
    let mut devices = device::fleet(&mut swarm, hub.address, DEVICES, 1)?;
    swarm.add(viewer::open(hub.address, "*/*", 10)?)?;
    drive(&mut swarm, &mut devices, Shape { window: WINDOW, readings: 1 }, WARM_UP + options.duration())?;
    let settled_mb = hub.memory()?.peak / 1e6;
    let shape = Shape { window: u64::MAX, readings: 1 };
    drive(&mut swarm, &mut devices, shape, WARM_UP)?;
    let acked = |devices: &[Device]| devices.iter().map(|device| device.acked).sum::<u64>();
    let (began, before) = (Instant::now(), acked(&devices));
    drive(&mut swarm, &mut devices, shape, options.duration())?;
    let a_second = (acked(&devices) - before) as f64 / began.elapsed().as_secs_f64();
    Ok([a_second, hub.memory()?.peak / 1e6, settled_mb])
}

impl Rate {
    fn figures(self) -> [f64; 3] {
        [self.a_second, self.a_core, self.busy * 100.0]
    }
}

/// Sends as the shape allows for so long.
fn drive(swarm: &mut Swarm, devices: &mut [Device], shape: Shape, duration: Duration) -> anyhow::Result<()> {
    let until = Instant::now() + duration;
    let dts_ms: Vec<u32> = (0..shape.readings as u32).collect();
    let mut values: Vec<f64> = (0..shape.readings).map(|i| measured(i as u64)).collect();
    let mut wave = 0;
    while Instant::now() < until {
        let mut idle = true;
        for device in devices.iter_mut() {
            if device.in_flight() >= shape.window || swarm.link(device.link).is_blocked() {
                continue;
            }
            idle = false;
            wave += 1;
            let frame = if shape.readings == 1 {
                device.one_reading(measured(wave))
            } else {
                // A column of its own each time, without computing a hundred sines a frame.
                values.rotate_left(1);
                device.column(&dts_ms, &values)
            };
            swarm.link(device.link).send(&frame)?;
        }
        let timeout = if idle { Duration::from_millis(1) } else { Duration::ZERO };
        listen(swarm, devices, timeout)?;
    }
    Ok(())
}

/// Waits until everything sent is acknowledged.
fn drain(swarm: &mut Swarm, devices: &mut [Device]) -> anyhow::Result<()> {
    while devices.iter().any(|device| device.in_flight() > 0) {
        listen(swarm, devices, Duration::from_millis(10))?;
    }
    Ok(())
}

fn listen(swarm: &mut Swarm, devices: &mut [Device], timeout: Duration) -> anyhow::Result<()> {
    swarm.turn(timeout, |number, message| {
        // The last link is the viewer's.
        if let Some(device) = devices.get_mut(number) {
            device.on_message(message);
        }
    })
}

/// A temperature with two decimals, as sensors give it.
fn measured(wave: u64) -> f64 {
    ((21.0 + (wave as f64 / 500.0).sin() * 4.0) * 100.0).round() / 100.0
}

/// The same frames into a server that discards them.
fn floor(options: &Options, kind: Kind, readings: usize) -> anyhow::Result<[f64; 3]> {
    let mut server = FloorProcess::start(kind)?;
    let mut swarm = Swarm::new()?;
    for _ in 0..DEVICES {
        swarm.add(connect(kind, server.address)?)?;
    }
    let mut frame = Vec::new();
    let mut device = Device::new(0);
    let dts_ms: Vec<u32> = (0..readings as u32).collect();
    let values: Vec<f64> = (0..readings).map(|i| measured(i as u64)).collect();
    let payload = if readings == 1 { device.one_reading(21.07) } else { device.column(&dts_ms, &values) };
    put_masked(&mut frame, opcode::BINARY, &payload, [1, 2, 3, 4]);
    let mut send_for = |duration: Duration| -> anyhow::Result<u64> {
        let (until, mut sent) = (Instant::now() + duration, 0);
        while Instant::now() < until {
            for number in 0..DEVICES {
                if !swarm.link(number).is_blocked() {
                    swarm.link(number).write(&frame)?;
                    sent += 1;
                }
            }
            swarm.turn(Duration::ZERO, |_, _| {})?;
        }
        Ok(sent)
    };
    send_for(WARM_UP)?;
    let (began, before, count_before) = (Instant::now(), server.usage()?, server.count()?);
    let sent = send_for(options.duration())?;
    let (took, after, count_after) = (began.elapsed().as_secs_f64(), server.usage()?, server.count()?);
    // TCP has no messages to count on the other side; it keeps up with the load generator by far.
    let frames = if kind == Kind::Tcp { sent } else { count_after - count_before } as f64;
    let cpu_s = after.cpu_s - before.cpu_s;
    Ok(Rate { a_second: frames / took, a_core: frames / cpu_s, busy: cpu_s / took }.figures())
}

/// The floor of frames that are each answered: nothing is decoded, nothing is stored.
fn answers(options: &Options) -> anyhow::Result<[f64; 3]> {
    let server = FloorProcess::start(Kind::Answered)?;
    let mut swarm = Swarm::new()?;
    let mut devices = (0..DEVICES)
        .map(|_| Ok(Device::new(swarm.add(connect(Kind::Answered, server.address)?)?)))
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut answer_for = |duration: Duration| -> anyhow::Result<u64> {
        let (until, mut answered) = (Instant::now() + duration, 0);
        while Instant::now() < until {
            for device in &mut devices {
                if device.in_flight() == 0 {
                    let frame = device.one_reading(21.07);
                    swarm.link(device.link).send(&frame)?;
                }
            }
            swarm.turn(Duration::from_millis(1), |number, _| {
                devices[number].acked = devices[number].sent;
                answered += 1;
            })?;
        }
        Ok(answered)
    };
    answer_for(WARM_UP)?;
    let (began, before) = (Instant::now(), server.usage()?);
    let frames = answer_for(options.duration())? as f64;
    let (took, cpu_s) = (began.elapsed().as_secs_f64(), server.usage()?.cpu_s - before.cpu_s);
    Ok(Rate { a_second: frames / took, a_core: frames / cpu_s, busy: cpu_s / took }.figures())
}

fn connect(kind: Kind, address: SocketAddr) -> anyhow::Result<Opening> {
    match kind {
        Kind::Tcp => Opening::connect_tcp(address),
        Kind::WebSocket | Kind::Answered => Opening::connect(address, "/", protocol::DEVICE_SUBPROTOCOL),
    }
}

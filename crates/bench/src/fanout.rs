//! 1 000 viewers: every message to each of them, and a hundred series at ten frames a second.

use std::time::{Duration, Instant};

use protocol::live::LiveData;

use crate::{
    Options,
    device::{self, Device},
    process::{self, HubProcess},
    stats::{Latencies, medians},
    swarm::Swarm,
    table::{Table, Target},
    viewer,
};

const VIEWERS: usize = 1_000;
/// What is sent before anything counts: the viewers' snapshots are behind by then.
const WARM_UP: Duration = Duration::from_secs(2);
/// One of so many viewers looks into its frames for latencies; all of them count points.
const LOOKING: usize = 10;

/// A load.
#[derive(Debug, Clone, Copy)]
struct Load {
    devices: usize,
    channels: u16,
    frames_a_second: u32,
    max_hz: u32,
}

/// Prints the figures.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut table = Table::new("Fan-out to 1 000 viewers");
    // A little more than the target, or a single late message would miss it.
    let every = Load { devices: 10, channels: 1, frames_a_second: 1_010, max_hz: 0 };
    let [deliveries, frames, p50, p99, busy] = medians(options.repeat, || measure(options, every))?;
    let name = |what: &str| format!("1 010 messages/s, every change: {what}");
    table.add(name("deliveries"), deliveries, "/s", None, Target::AtLeast(1e6));
    table.add(name("frames written"), frames, "/s", None, Target::None);
    table.add(name("device to viewer, p50"), p50, "ms", None, Target::None);
    table.add(name("device to viewer, p99"), p99, "ms", None, Target::AtMost(40.0));
    table.add(name("core"), busy, "%", None, Target::AtMost(50.0));
    let conflated = Load { devices: 10, channels: 10, frames_a_second: 100, max_hz: 10 };
    let [deliveries, frames, .., busy] = medians(options.repeat, || measure(options, conflated))?;
    let name = |what: &str| format!("100 series at 10 Hz: {what}");
    table.add(name("deliveries"), deliveries, "/s", None, Target::None);
    table.add(name("frames written"), frames, "/s", None, Target::None);
    table.add(name("core"), busy, "%", None, Target::AtMost(20.0));
    println!("{table}");
    Ok(())
}

/// Points and frames delivered a second, p50 and p99 from the intended send time, percent of the core.
fn measure(options: &Options, load: Load) -> anyhow::Result<[f64; 5]> {
    let folder = process::folder(options)?;
    let hub = HubProcess::start(options, folder.path(), &[])?;
    let mut swarm = Swarm::new()?;
    let mut devices = device::fleet(&mut swarm, hub.address, load.devices, usize::from(load.channels))?;
    for _ in 0..VIEWERS {
        swarm.add(viewer::open(hub.address, "*/*", load.max_hz)?)?;
    }
    let epoch = Instant::now();
    let mut seen = Seen::default();
    drive(&mut swarm, &mut devices, load, epoch, WARM_UP, &mut seen)?;
    seen = Seen::default();
    let (began, before) = (Instant::now(), hub.usage()?);
    drive(&mut swarm, &mut devices, load, epoch, options.duration(), &mut seen)?;
    let (took, used) = (began.elapsed().as_secs_f64(), hub.usage()?.cpu_s - before.cpu_s);
    // The viewers that looked stand for all.
    let points = seen.points as f64 * LOOKING as f64;
    let latencies = &mut seen.latencies;
    Ok([
        points / took,
        seen.frames as f64 / took,
        latencies.percentile_ms(0.5),
        latencies.percentile_ms(0.99),
        used / took * 100.0,
    ])
}

#[derive(Default)]
struct Seen {
    /// Of all viewers.
    frames: u64,
    /// Of the viewers that look.
    points: u64,
    latencies: Latencies,
    data: LiveData,
}

/// Sends at the intended times for so long; values say when they were meant to be sent.
fn drive(
    swarm: &mut Swarm,
    devices: &mut [Device],
    load: Load,
    epoch: Instant,
    duration: Duration,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    let began = Instant::now();
    let gap = Duration::from_secs(1) / load.frames_a_second;
    let frames = (duration.as_secs_f64() * f64::from(load.frames_a_second)) as u32;
    for frame in 0..frames {
        let intended = began + gap * frame;
        loop {
            let wait = intended.saturating_duration_since(Instant::now());
            listen(swarm, devices, epoch, wait.min(Duration::from_millis(1)), seen)?;
            if wait.is_zero() {
                break;
            }
        }
        let number = frame as usize % devices.len();
        let device = &mut devices[number];
        let message = device.readings(load.channels, |_| intended.duration_since(epoch).as_secs_f64() * 1e3);
        swarm.link(device.link).send(&message)?;
    }
    Ok(())
}

fn listen(
    swarm: &mut Swarm,
    devices: &mut [Device],
    epoch: Instant,
    timeout: Duration,
    seen: &mut Seen,
) -> anyhow::Result<()> {
    swarm.turn(timeout, |number, message| {
        if let Some(device) = devices.get_mut(number) {
            device.on_message(message);
            return;
        }
        if !viewer::is_data(message) {
            return;
        }
        seen.frames += 1;
        if number % LOOKING == 0 && seen.data.decode(message).is_ok() {
            let now = Instant::now();
            seen.points += seen.data.values.len() as u64;
            for &age_ms in &seen.data.values {
                seen.latencies.add(now.saturating_duration_since(epoch + Duration::from_secs_f64(age_ms / 1e3)));
            }
        }
    })
}

//! From sending a reading to its acknowledgement, and from sending it to a viewer's socket. Open loop: every message
//! has an intended time, and a late one counts from there.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

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

const DEVICES: usize = 1_000;
/// What is sent before anything counts.
const WARM_UP: Duration = Duration::from_secs(2);
/// Longest wait for messages while nothing is due.
const TURN_MAX: Duration = Duration::from_millis(1);

/// A load: frames a second in all, readings in each, a viewer at this rate.
#[derive(Debug, Clone, Copy)]
struct Load {
    frames_a_second: u32,
    readings: u16,
    viewer_hz: Option<u32>,
}

/// Prints the figures.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut table = Table::new("Latency, open loop: 1 000 devices, 10 ms commits");
    for (frames_a_second, readings) in [(100_000, 1), (10_000, 10)] {
        let load = Load { frames_a_second, readings, viewer_hz: None };
        let [p50, p99, busy, ..] = medians(options.repeat, || measure(options, load))?;
        let name =
            |what: &str| format!("ack, {frames_a_second} frames/s of {readings} (core {busy:.0} % busy): {what}");
        table.add(name("p50"), p50, "ms", None, Target::AtMost(7.0));
        table.add(name("p99"), p99, "ms", None, Target::AtMost(15.0));
    }
    for (hz, p50_max, p99_max) in [(0, 5.0, 20.0), (10, 105.0, 120.0)] {
        let load = Load { frames_a_second: 75_000, readings: 1, viewer_hz: Some(hz) };
        let [.., busy, p50, p99] = medians(options.repeat, || measure(options, load))?;
        let name = |what: &str| format!("to a viewer, 75 000 frames/s, max_hz {hz} (core {busy:.0} % busy): {what}");
        table.add(name("p50"), p50, "ms", None, Target::AtMost(p50_max));
        table.add(name("p99"), p99, "ms", None, Target::AtMost(p99_max));
    }
    println!("{table}");
    Ok(())
}

/// Ack p50 and p99, percent of the core, viewer p50 and p99.
fn measure(options: &Options, load: Load) -> anyhow::Result<[f64; 5]> {
    let folder = process::folder(options)?;
    let hub = HubProcess::start(options, folder.path(), &[("JOURNAL__COMMIT_INTERVAL", "10ms")])?;
    let mut swarm = Swarm::new()?;
    let devices = device::fleet(&mut swarm, hub.address, DEVICES, usize::from(load.readings))?;
    if let Some(hz) = load.viewer_hz {
        let series = if load.readings == 1 { "*/*" } else { "*/c0" };
        swarm.add(viewer::open(hub.address, series, hz)?)?;
    }
    let mut run = Run::new(devices, load);
    run.drive(&mut swarm, WARM_UP)?;
    run.forget();
    let (began, before) = (Instant::now(), hub.usage()?);
    run.drive(&mut swarm, options.duration())?;
    let busy = (hub.usage()?.cpu_s - before.cpu_s) / began.elapsed().as_secs_f64() * 100.0;
    let (acks, views) = (&mut run.acks, &mut run.views);
    anyhow::ensure!(acks.len() > 0, "nothing was acknowledged");
    Ok([acks.percentile_ms(0.5), acks.percentile_ms(0.99), busy, views.percentile_ms(0.5), views.percentile_ms(0.99)])
}

struct Run {
    devices: Vec<Device>,
    /// Messages on the way, by device: number and intended time.
    sent: Vec<VecDeque<(u64, Instant)>>,
    load: Load,
    /// Values of readings count from here, milliseconds, so that whoever sees one knows its age.
    epoch: Instant,
    acks: Latencies,
    views: Latencies,
    data: LiveData,
}

impl Run {
    fn new(devices: Vec<Device>, load: Load) -> Self {
        Self {
            sent: devices.iter().map(|_| VecDeque::new()).collect(),
            devices,
            load,
            epoch: Instant::now(),
            acks: Latencies::default(),
            views: Latencies::default(),
            data: LiveData::default(),
        }
    }

    fn forget(&mut self) {
        self.acks = Latencies::default();
        self.views = Latencies::default();
    }

    /// Sends at the intended times for so long.
    fn drive(&mut self, swarm: &mut Swarm, duration: Duration) -> anyhow::Result<()> {
        let began = Instant::now();
        let gap = Duration::from_secs(1) / self.load.frames_a_second;
        let frames = (duration.as_secs_f64() * f64::from(self.load.frames_a_second)) as u32;
        let mut next = 0;
        while next < frames {
            let now = Instant::now();
            // At most a round of all devices between two looks at the sockets.
            let round = next + DEVICES as u32;
            while next < frames.min(round) && began + gap * next <= now {
                self.send(swarm, next as usize % DEVICES, began + gap * next)?;
                next += 1;
            }
            let due = began + gap * next;
            self.listen(swarm, due.saturating_duration_since(Instant::now()).min(TURN_MAX))?;
        }
        Ok(())
    }

    fn send(&mut self, swarm: &mut Swarm, number: usize, intended: Instant) -> anyhow::Result<()> {
        let device = &mut self.devices[number];
        let age_ms = intended.duration_since(self.epoch).as_secs_f64() * 1e3;
        let frame = device.readings(self.load.readings, |_| age_ms);
        self.sent[number].push_back((device.sent, intended));
        swarm.link(device.link).send(&frame)
    }

    fn listen(&mut self, swarm: &mut Swarm, timeout: Duration) -> anyhow::Result<()> {
        // epoll counts in milliseconds; a shorter wait is spent looking.
        let timeout = if timeout < TURN_MAX { Duration::ZERO } else { timeout };
        swarm.turn(timeout, |number, message| {
            let now = Instant::now();
            if let Some(device) = self.devices.get_mut(number) {
                if device.on_message(message) {
                    let sent = &mut self.sent[number];
                    let covered = sent.partition_point(|&(seq, _)| seq <= device.acked);
                    for (_, intended) in sent.drain(..covered) {
                        self.acks.add(now.duration_since(intended));
                    }
                }
            } else if viewer::is_data(message) && self.data.decode(message).is_ok() {
                for &age_ms in &self.data.values {
                    let intended = self.epoch + Duration::from_secs_f64(age_ms / 1e3);
                    self.views.add(now.saturating_duration_since(intended));
                }
            }
        })
    }
}

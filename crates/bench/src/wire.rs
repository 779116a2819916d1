//! Bytes a reading on the wire, for the simulator's fixed-rate channels: each a hundred readings a frame, counted at
//! the socket, frame headers and acknowledgements included.

use anyhow::{Context, ensure};
use device_sim::source::{
    RunValues, Sample, Source,
    waveform::{Config, Profile, Waveform},
};
use protocol::device::encode::FrameWriter;

use crate::{
    Options,
    device::{self, Device},
    process::{self, HubProcess},
    swarm::Swarm,
    table::{Table, Target},
};

/// Readings a frame, as the target says.
const READINGS: usize = 100;
/// Frames that are sent.
const FRAMES: u64 = 2_000;

/// Prints the figures.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let start_us = device::now_us() - 3_600_000_000;
    let config = Config { index: 0, seed: 1, profile: Some(Profile::Press), rate_hz: 1.0, vibration: true };
    let mut source = Waveform::new(&config, start_us)?;
    let channels = source.channels().to_vec();
    let mut counts = Counts::default();
    let mut now_us = start_us;
    while counts.values.len() < READINGS * FRAMES as usize {
        let mut samples = Vec::new();
        now_us = source.poll(now_us, &mut samples)?.context("the simulator never ends")?;
        for sample in samples {
            counts.take(sample);
        }
    }
    let folder = process::folder(options)?;
    let hub = HubProcess::start(options, folder.path(), &[])?;
    let hello = device::hello("bench-press", channels, true)?;
    let mut swarm = Swarm::new()?;
    let mut device = Device::new(swarm.add(device::open(hub.address, &hello)?)?);
    let mut writer = FrameWriter::default();
    for values in counts.values.chunks_exact(READINGS).take(FRAMES as usize) {
        writer.fixed_rate_i16(counts.channel, 0.0, counts.period_us as f64 / 1e3, values);
        let t0_us = counts.start_us + device.sent as i64 * READINGS as i64 * counts.period_us;
        device.sent += 1;
        let frame = writer.finish(device.sent, t0_us as f64 / 1e3);
        swarm.link(device.link).send(&frame)?;
        device.listen_until(&mut swarm, 63)?;
    }
    device.listen_until(&mut swarm, 0)?;
    let stored = hub.metric("highwater_readings_stored_total")?;
    ensure!(stored as u64 == READINGS as u64 * FRAMES, "{stored} readings were stored");
    let (sent, received) = swarm.bytes();
    let mut table = Table::new("Bytes a reading on the wire: vibration at 1 kHz, 100 readings a frame");
    table.add("frames with headers and masks", sent as f64 / stored, "bytes", None, Target::AtMost(3.5));
    table.add("acknowledgements", received as f64 / stored, "bytes", None, Target::None);
    println!("{table}");
    Ok(())
}

/// The fixed-rate channel's raw counts, joined.
#[derive(Default)]
struct Counts {
    channel: u16,
    start_us: i64,
    period_us: i64,
    values: Vec<i16>,
}

impl Counts {
    fn take(&mut self, sample: Sample) {
        let Sample::Run { channel, start_us, period_us, values: RunValues::I16(values) } = sample else { return };
        if self.values.is_empty() {
            (self.channel, self.start_us, self.period_us) = (channel as u16, start_us, period_us);
        }
        self.values.extend(values);
    }
}

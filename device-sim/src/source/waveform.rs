//! Simulated devices whose channels obey physics: a daily curve, thermostats, doors, meters, a shaking bearing.
//!
//! Owns the models and their randomness. Takes the time and gives samples; the same seed, number, start and times give
//! the same samples, however the polls are spread. What meters count depends on seed, number and time alone: it goes on
//! when the simulator is started again. Reads nothing, not even a clock. A device takes some 2 KiB.

mod boiler;
mod climate;
mod cold_room;
mod contact;
mod greenhouse;
mod hall;
mod meter;
pub(crate) mod noise;
mod plant;
mod press;
mod profile;
mod spells;
#[cfg(test)]
mod tests;
mod thermostat;
mod vibration;
mod weather;

use protocol::device::{ChannelDecl, Kind};
use rand::{RngExt as _, SeedableRng as _};

pub use self::profile::{Identity, Profile, UnknownProfile};
use self::{noise::Rng, plant::Plant, vibration::Vibration};
use super::{RunValues, Sample, Source, SourceError, cadence::Cadence};

/// A state is said when it changes, and again after this long, microseconds.
const STATE_REPEAT_US: i64 = 60_000_000;
/// Longest step of a model, seconds: doors and thermostats act within one.
const STEP_S_MAX: f64 = 1.0;

/// Which device to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Its number in the fleet, from 0.
    pub index: u32,
    /// Of everything that is random in it, together with its number.
    pub seed: u64,
    /// The profile of the whole fleet; `None`: all of them in turn.
    pub profile: Option<Profile>,
    /// How often the slow channels are measured, Hz, from 0.001 to 1000.
    pub rate_hz: f64,
    /// Whether machines carry an accelerometer (1 000 readings a second each).
    pub vibration: bool,
}

struct Accelerometer {
    channel: usize,
    /// Due at the end of each block.
    blocks: Cadence,
    vibration: Vibration,
}

/// One simulated device.
pub struct Waveform {
    channels: Vec<ChannelDecl>,
    plant: Box<dyn Plant>,
    rng: Rng,
    ticks: Cadence,
    values: Vec<f64>,
    /// What was last said of each state channel (the state's number), and when.
    said: Vec<Option<(i64, i64)>>,
    accelerometer: Option<Accelerometer>,
}

impl Waveform {
    /// A device that starts at `now_us` (microseconds since the Unix epoch).
    pub fn new(config: &Config, now_us: i64) -> Result<Self, SourceError> {
        if !(0.001..=1_000.0).contains(&config.rate_hz) {
            return Err(SourceError::Rate { rate_hz: config.rate_hz });
        }
        // Fibonacci hashing: neighbours in the fleet get seeds far apart.
        let mut rng = Rng::seed_from_u64(config.seed ^ u64::from(config.index).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        // First of all, for its meters are to be the same at every rate.
        let plant = config.profile.unwrap_or_else(|| Profile::of(config.index)).plant(now_us, &mut rng);
        let period_us = (1e6 / config.rate_hz).round() as i64;
        // A fleet spreads over the period, on whole milliseconds: those are short on the wire.
        let phase_us = rng.random_range(0..(period_us / 1_000).max(1)) * 1_000;
        let vibration_rng = rng.fork();
        let mut channels = plant.channels();
        for channel in &mut channels {
            let repeats_us = if channel.kind == Kind::State { STATE_REPEAT_US.max(period_us) } else { period_us };
            channel.period_ms = Some(repeats_us as f64 / 1e3);
        }
        let said = vec![None; channels.len()];
        let has_accelerometer = config.vibration && plant.shaft().is_some();
        let accelerometer = has_accelerometer.then(|| {
            channels.push(vibration_channel());
            let block_us = vibration::SAMPLE_US * vibration::BLOCK_LEN as i64;
            let blocks = Cadence::new(block_us, phase_us);
            Accelerometer { channel: channels.len() - 1, blocks, vibration: Vibration::new(vibration_rng) }
        });
        Ok(Self {
            channels,
            plant,
            rng,
            ticks: Cadence::new(period_us, phase_us),
            values: Vec::new(),
            said,
            accelerometer,
        })
    }

    /// Moves the plant on to `time_us` and reads its sensors.
    fn tick(&mut self, time_us: i64, out: &mut Vec<Sample>) {
        let elapsed_s = self.ticks.period_us() as f64 / 1e6;
        let steps = (elapsed_s / STEP_S_MAX).ceil();
        for _ in 0..steps as u32 {
            self.plant.step(time_us, elapsed_s / steps, &mut self.rng);
        }
        self.values.clear();
        self.plant.read(time_us, &mut self.rng, &mut self.values);
        for (channel, (value, decl)) in self.values.iter().zip(&self.channels).enumerate() {
            let value = round(*value, decl.decimals);
            if decl.kind == Kind::State {
                let state = value as i64;
                let is_news = self.said[channel]
                    .is_none_or(|(said, said_us)| said != state || (time_us - said_us).abs() >= STATE_REPEAT_US);
                if !is_news {
                    continue;
                }
                self.said[channel] = Some((state, time_us));
            }
            out.push(Sample::Point { channel, time_us, value });
        }
    }
}

impl Source for Waveform {
    fn channels(&self) -> &[ChannelDecl] {
        &self.channels
    }

    fn poll(&mut self, now_us: i64, out: &mut Vec<Sample>) -> Result<Option<i64>, SourceError> {
        loop {
            let tick_us = self.ticks.due_us(now_us);
            let block_us =
                self.accelerometer.as_mut().map_or(i64::MAX, |accelerometer| accelerometer.blocks.due_us(now_us));
            if tick_us.min(block_us) > now_us {
                return Ok(Some(tick_us.min(block_us)));
            }
            // In order of time, so that the shaft has the same load however late a poll comes.
            match &mut self.accelerometer {
                Some(accelerometer) if block_us < tick_us => {
                    accelerometer.blocks.advance();
                    out.extend(accelerometer.block(block_us, self.plant.as_ref()));
                }
                _ => {
                    self.ticks.advance();
                    self.tick(tick_us, out);
                }
            }
        }
    }
}

impl Accelerometer {
    /// The samples of the block that ends at `end_us`.
    fn block(&mut self, end_us: i64, plant: &dyn Plant) -> Option<Sample> {
        let shaft = plant.shaft()?;
        Some(Sample::Run {
            channel: self.channel,
            start_us: end_us - self.blocks.period_us(),
            period_us: vibration::SAMPLE_US,
            values: RunValues::I16(self.vibration.block(shaft)),
        })
    }
}

fn vibration_channel() -> ChannelDecl {
    ChannelDecl {
        scale: Some(vibration::SCALE),
        period_ms: Some(vibration::SAMPLE_US as f64 / 1e3),
        ..plant::gauge("vibration", "Bearing vibration", "m/s2", 3)
    }
}

/// To the sensor's resolution; multiplying by a whole power of ten keeps 21.4 from becoming 21.400000000000002.
fn round(value: f64, decimals: Option<u8>) -> f64 {
    let steps = 10_f64.powi(i32::from(decimals.unwrap_or(0)));
    // Adding 0 turns −0 into 0.
    (value * steps).round() / steps + 0.0
}

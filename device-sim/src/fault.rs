//! Sensors that misbehave on request: drift, spikes, a stuck value, dropouts, a counter that starts again.
//!
//! Owns the faults and their randomness. Takes a source and gives a source with the same channels and other values; the
//! same seed gives the same faults, however the polls are spread.

mod parse;
#[cfg(test)]
mod tests;

use protocol::{device::ChannelDecl, ids::Id};
use rand::{RngExt as _, SeedableRng as _};

pub use self::parse::FaultSyntaxError;
use crate::source::{
    RunValues, Sample, Source, SourceError, Span,
    waveform::noise::{Rng, waiting_time},
};

/// A fault as it is asked for, such as `spike:temp,size=20,every=60` ([`str::parse`]).
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// The channel that has it; `None`: every channel, each at times of its own.
    pub channel: Option<Id>,
    /// What goes wrong.
    pub kind: FaultKind,
}

/// What goes wrong. Values in the channel's unit, times in seconds; times between events are means, drawn at random.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FaultKind {
    /// The value runs away steadily. `drift:CHANNEL,per-hour=1`
    Drift {
        /// How far in an hour.
        per_hour: f64,
    },
    /// A single value is off, up or down. `spike:CHANNEL,size=10,every=60`
    Spike {
        /// How far.
        size: f64,
        /// From one spike to the next.
        every_s: f64,
    },
    /// The value stays what it was for a while. `stuck:CHANNEL,every=600,for=60`
    Stuck {
        /// From the end of one spell to the start of the next.
        every_s: f64,
        /// How long it stays.
        for_s: f64,
    },
    /// Nothing is measured for a while. `dropout:CHANNEL,every=600,for=60,as=nan`
    Dropout {
        /// From the end of one spell to the start of the next.
        every_s: f64,
        /// How long it lasts.
        for_s: f64,
        /// What is sent meanwhile.
        missing: Missing,
    },
    /// A counter starts again from 0. `reset:CHANNEL,every=86400`
    Reset {
        /// From one reset to the next.
        every_s: f64,
    },
}

/// What a dropout sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// NaN: the device knows that it measured nothing. `as=nan`
    Nan,
    /// Nothing at all. `as=silence`
    Silence,
}

/// A fault names a channel that the source does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no channel {channel} to put a fault on: there are {known}")]
pub struct UnknownChannel {
    channel: Id,
    known: String,
}

/// A source with faults.
pub struct Faulty {
    source: Box<dyn Source>,
    faults: Vec<Fault>,
    seed: u64,
    /// The faults of each channel, in the order asked for; as long as the channel list was at the last poll.
    active: Vec<Vec<ActiveFault>>,
    /// What the source gave, kept for its memory.
    given: Vec<Sample>,
}

impl Faulty {
    /// Puts `faults` on `source`.
    ///
    /// A source that has channels must have those that the faults name; one whose channels appear later may get them later.
    pub fn new(source: Box<dyn Source>, faults: Vec<Fault>, seed: u64) -> Result<Self, UnknownChannel> {
        let channels = source.channels();
        let is_missing = |id: &&Id| !channels.is_empty() && channels.iter().all(|channel| channel.name != **id);
        if let Some(channel) = faults.iter().filter_map(|fault| fault.channel.as_ref()).find(is_missing) {
            let known = channels.iter().map(|channel| channel.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(UnknownChannel { channel: channel.clone(), known });
        }
        Ok(Self { source, faults, seed, active: Vec::new(), given: Vec::new() })
    }

    /// Gives channels that are new since the last poll their faults.
    fn arm(&mut self) {
        for (index, channel) in self.source.channels().iter().enumerate().skip(self.active.len()) {
            let concerns = |fault: &&Fault| fault.channel.as_ref().is_none_or(|name| *name == channel.name);
            // A seed for each place: a further fault changes nothing in the others.
            let place = (index as u64) << 32;
            let faults = self.faults.iter().zip(0_u64..).filter(|(fault, _)| concerns(fault));
            let active = faults.map(|(fault, number)| ActiveFault::new(fault.kind, self.seed ^ place ^ number));
            self.active.push(active.collect());
        }
    }
}

impl Source for Faulty {
    fn channels(&self) -> &[ChannelDecl] {
        self.source.channels()
    }

    fn recorded(&self) -> Option<Span> {
        self.source.recorded()
    }

    fn lines_skipped(&self) -> u64 {
        self.source.lines_skipped()
    }

    fn poll(&mut self, now_us: i64, out: &mut Vec<Sample>) -> Result<Option<i64>, SourceError> {
        let next_us = self.source.poll(now_us, &mut self.given);
        self.arm();
        for sample in self.given.drain(..) {
            match sample {
                Sample::Point { channel, time_us, value } => {
                    let value = alter(&mut self.active[channel], time_us, value);
                    out.extend(value.map(|value| Sample::Point { channel, time_us, value }));
                }
                Sample::Run { channel, start_us, period_us, values } if !self.active[channel].is_empty() => {
                    let decl = &self.source.channels()[channel];
                    let run = alter_run(&mut self.active[channel], decl, start_us, period_us, &values);
                    out.extend(run.into_iter().map(|(start_us, values)| Sample::Run {
                        channel,
                        start_us,
                        period_us,
                        values,
                    }));
                }
                run @ Sample::Run { .. } => out.push(run),
            }
        }
        next_us
    }
}

/// One value with every fault of its channel; `None`: it is not sent.
fn alter(faults: &mut [ActiveFault], time_us: i64, value: f64) -> Option<f64> {
    faults.iter_mut().try_fold(value, |value, fault| fault.alter(time_us, value))
}

/// A run with every fault of its channel, in pieces where values are not sent: (start, values) each.
fn alter_run(
    faults: &mut [ActiveFault],
    decl: &ChannelDecl,
    start_us: i64,
    period_us: i64,
    values: &RunValues,
) -> Vec<(i64, RunValues)> {
    let (scale, offset) = (decl.scale.unwrap_or(1.0), decl.offset.unwrap_or(0.0));
    let mut pieces: Vec<(i64, Vec<f64>)> = Vec::new();
    let mut is_joined = false;
    for index in 0..values.len() {
        let time_us = start_us + index as i64 * period_us;
        let value = match values {
            RunValues::I16(counts) => f64::from(counts[index]) * scale + offset,
            RunValues::F64(values) => values[index],
        };
        match (alter(faults, time_us, value), pieces.last_mut()) {
            (Some(value), Some((_, piece))) if is_joined => piece.push(value),
            (Some(value), _) => pieces.push((time_us, vec![value])),
            (None, _) => {}
        }
        is_joined = pieces.last().is_some_and(|(piece_us, piece)| piece_us + piece.len() as i64 * period_us > time_us);
    }
    let counts = |values: &[f64]| -> Vec<i16> {
        // Saturating, as the instrument does.
        values.iter().map(|value| ((value - offset) / scale).round() as i16).collect()
    };
    let same_kind = |piece: Vec<f64>| match values {
        RunValues::I16(_) if piece.iter().all(|value| value.is_finite()) => RunValues::I16(counts(&piece)),
        RunValues::I16(_) | RunValues::F64(_) => RunValues::F64(piece),
    };
    pieces.into_iter().map(|(start_us, piece)| (start_us, same_kind(piece))).collect()
}

/// A fault at work on one channel.
struct ActiveFault {
    kind: FaultKind,
    rng: Rng,
    /// When the fault met its first value.
    first_us: Option<i64>,
    /// When the present or next event or spell starts.
    starts_us: i64,
    /// The value to stay at, or to count from.
    held: Option<f64>,
}

impl ActiveFault {
    fn new(kind: FaultKind, seed: u64) -> Self {
        Self { kind, rng: Rng::seed_from_u64(seed), first_us: None, starts_us: 0, held: None }
    }

    fn alter(&mut self, time_us: i64, value: f64) -> Option<f64> {
        let first_us = self.start(time_us);
        match self.kind {
            FaultKind::Drift { per_hour } => Some(value + per_hour * (time_us - first_us) as f64 / 3.6e9),
            FaultKind::Spike { size, every_s } => {
                let is_spike = self.happens(time_us, every_s, 0.0);
                let up = is_spike && self.rng.random();
                Some(if up {
                    value + size
                } else if is_spike {
                    value - size
                } else {
                    value
                })
            }
            FaultKind::Stuck { every_s, for_s } => {
                let is_stuck = self.happens(time_us, every_s, for_s);
                if is_stuck {
                    self.held = self.held.or(Some(value));
                }
                Some(self.held.unwrap_or(value))
            }
            FaultKind::Dropout { every_s, for_s, missing } => match (self.happens(time_us, every_s, for_s), missing) {
                (false, _) => Some(value),
                (true, Missing::Nan) => Some(f64::NAN),
                (true, Missing::Silence) => None,
            },
            FaultKind::Reset { every_s } => {
                if self.happens(time_us, every_s, 0.0) {
                    self.held = Some(value);
                }
                Some(value - self.held.unwrap_or(0.0))
            }
        }
    }

    /// Meets the first value, and plans the first event from it.
    fn start(&mut self, time_us: i64) -> i64 {
        if let Some(first_us) = self.first_us {
            return first_us;
        }
        self.first_us = Some(time_us);
        if let FaultKind::Spike { every_s, .. }
        | FaultKind::Stuck { every_s, .. }
        | FaultKind::Dropout { every_s, .. }
        | FaultKind::Reset { every_s } = self.kind
        {
            self.starts_us = self.later(time_us, every_s);
        }
        time_us
    }

    /// Whether an event of `for_s` seconds is on. One without a length happens to the first value that it meets.
    fn happens(&mut self, time_us: i64, every_s: f64, for_s: f64) -> bool {
        let lasts_us = (for_s * 1e6) as i64;
        while lasts_us > 0 && time_us >= self.starts_us + lasts_us {
            self.starts_us = self.later(self.starts_us + lasts_us, every_s);
            self.held = None;
        }
        let is_on = time_us >= self.starts_us;
        if is_on && lasts_us == 0 {
            self.starts_us = self.later(time_us, every_s);
        }
        is_on
    }

    fn later(&mut self, from_us: i64, mean_s: f64) -> i64 {
        from_us + (waiting_time(mean_s, &mut self.rng) * 1e6) as i64
    }
}

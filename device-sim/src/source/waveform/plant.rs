//! What a simulated device stands in: a room or a machine with a state that moves on.
//!
//! Owns the [`Plant`] trait and how its channels are declared. A plant takes elapsed time and gives true values;
//! rounding to the sensor's resolution, rates and faults are not its business.

use protocol::{
    device::{ChannelDecl, Kind},
    ids::Id,
};

use super::{noise::Rng, vibration::Shaft};

/// A model of a room or a machine.
pub(super) trait Plant: Send {
    /// The channels of its sensors, in the order of the values that [`read`](Self::read) gives.
    fn channels(&self) -> Vec<ChannelDecl>;

    /// Moves on by `elapsed_s` seconds to `time_us` (microseconds since the Unix epoch).
    fn step(&mut self, time_us: i64, elapsed_s: f64, rng: &mut Rng);

    /// Appends what the sensors see at `time_us`, one value a channel.
    fn read(&self, time_us: i64, rng: &mut Rng, values: &mut Vec<f64>);

    /// What turns in it, for an accelerometer; most plants have nothing that does.
    fn shaft(&self) -> Option<Shaft> {
        None
    }
}

fn declare(name: &str, title: &str) -> ChannelDecl {
    let name = Id::new(name).expect("the names of simulated channels are ids");
    ChannelDecl { title: Some(title.to_owned()), ..ChannelDecl::gauge(name) }
}

/// A quantity in `unit` from a sensor that resolves `decimals` digits behind the point.
pub(super) fn gauge(name: &str, title: &str, unit: &str, decimals: u8) -> ChannelDecl {
    ChannelDecl { unit: Some(unit.to_owned()), decimals: Some(decimals), ..declare(name, title) }
}

/// A total that only rises.
pub(super) fn counter(name: &str, title: &str, unit: &str, decimals: u8) -> ChannelDecl {
    ChannelDecl { kind: Kind::Counter, ..gauge(name, title, unit, decimals) }
}

/// One of `states`, by number.
pub(super) fn state(name: &str, title: &str, states: [&str; 2]) -> ChannelDecl {
    ChannelDecl { kind: Kind::State, states: states.map(str::to_owned).into(), ..declare(name, title) }
}

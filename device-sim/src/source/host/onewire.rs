//! Thermometers on a 1-wire bus (`/sys/bus/w1/devices/28-*`, DS18B20 and its kin).
//!
//! A sensor takes 750 ms to convert, and reading its file waits for that. A thread of its own does the waiting: each
//! reading asks for a round, and the values are collected when they are there, with the time at which they were asked for.

use std::{
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread,
};

use protocol::device::ChannelDecl;

use super::{
    probe::{Probe, Readings, gauge},
    tree::Tree,
};
use crate::source::SourceError;

const BUS: &str = "sys/bus/w1/devices";

/// One round of readings: when it was asked for, and a value a sensor.
type Round = (i64, Vec<Option<f64>>);

/// See the module.
pub(super) struct OneWire {
    sensors: Vec<String>,
    /// Holds one request. A further one while a round is under way is not made.
    requests: SyncSender<i64>,
    /// Holds the one round that was asked for.
    rounds: Receiver<Round>,
    is_busy: bool,
}

impl OneWire {
    pub(super) fn find(tree: &Tree) -> Result<Option<Self>, SourceError> {
        let sensors = tree.names(BUS, "28-");
        if sensors.is_empty() {
            return Ok(None);
        }
        let (requests, asked) = sync_channel::<i64>(1);
        let (done, rounds) = sync_channel::<Round>(1);
        let (tree, bus) = (tree.clone(), sensors.clone());
        let serve = move || {
            // Ends when the probe is gone: nobody asks any more.
            for time_us in asked {
                let values = bus.iter().map(|sensor| celsius(&tree, sensor)).collect();
                if done.send((time_us, values)).is_err() {
                    return;
                }
            }
        };
        let spawned = thread::Builder::new().name("1-wire".to_owned()).spawn(serve);
        spawned.map_err(|source| SourceError::Thread { what: "the 1-wire bus", source })?;
        Ok(Some(Self { sensors, requests, rounds, is_busy: false }))
    }
}

impl Probe for OneWire {
    fn channels(&self) -> Vec<ChannelDecl> {
        let channel = |sensor: &String| gauge(&format!("w1.{sensor}"), format!("Thermometer {sensor}"), "Cel", 2);
        self.sensors.iter().map(channel).collect()
    }

    fn read(&mut self, _tree: &Tree, readings: &mut Readings<'_>) {
        if !self.is_busy {
            self.is_busy = self.requests.try_send(readings.time_us).is_ok();
        }
    }

    fn collect(&mut self, readings: &mut Readings<'_>) {
        match self.rounds.try_recv() {
            Ok((time_us, values)) => {
                self.is_busy = false;
                for (channel, value) in values.into_iter().enumerate() {
                    readings.put_at(channel, time_us, value);
                }
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
    }

    fn is_busy(&self) -> bool {
        self.is_busy
    }
}

/// One thermometer: newer kernels have a file with thousandths of a degree, all have `w1_slave` with a checksum.
fn celsius(tree: &Tree, sensor: &str) -> Option<f64> {
    let thousandths: i32 = match tree.number(&format!("{BUS}/{sensor}/temperature")) {
        Some(thousandths) => thousandths,
        None => checked(&tree.text(&format!("{BUS}/{sensor}/w1_slave"))?)?,
    };
    Some(f64::from(thousandths) / 1e3)
}

/// From `72 01 4b 46 7f ff 0e 10 57 : crc=57 YES`, then `… t=23125`.
fn checked(text: &str) -> Option<i32> {
    let (check, data) = text.split_once('\n')?;
    check.trim_end().ends_with("YES").then(|| data.rsplit_once("t=")?.1.trim().parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::checked;

    #[test]
    fn a_failed_checksum_is_a_missing_measurement() {
        let text = |verdict: &str| {
            format!("72 01 4b 46 7f ff 0e 10 57 : crc=57 {verdict}\n72 01 4b 46 7f ff 0e 10 57 t=23125")
        };
        assert_eq!(checked(&text("YES")), Some(23_125));
        assert_eq!(checked(&text("NO")), None);
        assert_eq!(checked("72 01"), None);
    }
}

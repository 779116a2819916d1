//! Temperatures and fans of the machine itself: thermal zones (`/sys/class/thermal`) and monitoring chips (`/sys/class/hwmon`).

use protocol::device::ChannelDecl;

use super::{
    probe::{Probe, Readings, gauge},
    tree::Tree,
};

/// One file with a whole number in it.
struct Sensor {
    path: String,
    channel: ChannelDecl,
    /// Value of one count, in the channel's unit.
    factor: f64,
}

/// Zones and chips.
pub(super) struct Thermal {
    sensors: Vec<Sensor>,
}

impl Thermal {
    pub(super) fn find(tree: &Tree) -> Option<Self> {
        let mut sensors = zones(tree);
        sensors.extend(chips(tree));
        (!sensors.is_empty()).then_some(Self { sensors })
    }
}

impl Probe for Thermal {
    fn channels(&self) -> Vec<ChannelDecl> {
        self.sensors.iter().map(|sensor| sensor.channel.clone()).collect()
    }

    fn read(&mut self, tree: &Tree, readings: &mut Readings<'_>) {
        for (channel, sensor) in self.sensors.iter().enumerate() {
            readings.put(channel, tree.number::<f64>(&sensor.path).map(|count| count * sensor.factor));
        }
    }
}

/// Zones are named by their type: their numbers depend on the order in which drivers were loaded.
fn zones(tree: &Tree) -> Vec<Sensor> {
    let zones = tree.names("sys/class/thermal", "thermal_zone");
    let zone = |zone: String| {
        let name = tree.text(&format!("sys/class/thermal/{zone}/type")).unwrap_or_else(|| zone.clone());
        let channel = gauge(&format!("thermal.{name}"), format!("Temperature of {name}"), "Cel", 1);
        Sensor { path: format!("sys/class/thermal/{zone}/temp"), channel, factor: 1e-3 }
    };
    zones.into_iter().map(zone).collect()
}

/// Chips are named by their driver, their inputs by number, with a title from the label where there is one.
fn chips(tree: &Tree) -> Vec<Sensor> {
    let mut sensors = Vec::new();
    for chip in tree.names("sys/class/hwmon", "hwmon") {
        let folder = format!("sys/class/hwmon/{chip}");
        let name = tree.text(&format!("{folder}/name")).unwrap_or(chip);
        for (kind, what, unit, decimals, factor) in
            [("temp", "Temperature", "Cel", 1, 1e-3), ("fan", "Fan speed", "1/min", 0, 1.0)]
        {
            for file in tree.names(&folder, kind) {
                let Some(input) = file.strip_suffix("_input") else { continue };
                let label = tree.text(&format!("{folder}/{input}_label")).unwrap_or_else(|| input.to_owned());
                let channel = gauge(&format!("hwmon.{name}.{input}"), format!("{what} {name} {label}"), unit, decimals);
                sensors.push(Sensor { path: format!("{folder}/{file}"), channel, factor });
            }
        }
    }
    sensors
}

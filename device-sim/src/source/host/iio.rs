//! Sensors of the kernel's industrial I/O (`/sys/bus/iio/devices`): BME280, converters, light and motion sensors.
//!
//! Names, units and scaling follow the kernel's Documentation/ABI/testing/sysfs-bus-iio.

use protocol::device::ChannelDecl;

use super::{
    probe::{Probe, Readings, gauge},
    tree::Tree,
};

const BUS: &str = "sys/bus/iio/devices";

/// (kind in the ABI, title, the kernel's unit × this = ours, our unit, digits worth showing).
const KINDS: [(&str, &str, f64, &str, u8); 12] = [
    ("temp", "Temperature", 1e-3, "Cel", 2),
    ("humidityrelative", "Humidity", 1e-3, "%RH", 1),
    ("pressure", "Pressure", 1e3, "Pa", 0),
    ("illuminance", "Light", 1.0, "lx", 1),
    ("voltage", "Voltage", 1e-3, "V", 4),
    ("current", "Current", 1e-3, "A", 4),
    ("power", "Power", 1e-3, "W", 3),
    ("resistance", "Resistance", 1.0, "Ohm", 1),
    ("accel", "Acceleration", 1.0, "m/s2", 3),
    ("anglvel", "Rotation", 1.0, "rad/s", 4),
    ("magn", "Magnetic field", 1e-4, "T", 7),
    ("concentration", "Concentration", 1.0, "%", 3),
];

/// One input of a sensor.
struct Input {
    channel: ChannelDecl,
    value: Value,
    factor: f64,
}

/// Where its value stands.
enum Value {
    /// In the kernel's unit.
    Processed { path: String },
    /// (raw + offset) × scale is in the kernel's unit.
    Raw { path: String, offset: f64, scale: f64 },
}

/// See the module.
pub(super) struct Iio {
    inputs: Vec<Input>,
}

impl Iio {
    pub(super) fn find(tree: &Tree) -> Option<Self> {
        let devices = tree.names(BUS, "iio:device");
        let inputs: Vec<Input> = devices.iter().flat_map(|device| inputs(tree, device)).collect();
        (!inputs.is_empty()).then_some(Self { inputs })
    }
}

impl Probe for Iio {
    fn channels(&self) -> Vec<ChannelDecl> {
        self.inputs.iter().map(|input| input.channel.clone()).collect()
    }

    fn read(&mut self, tree: &Tree, readings: &mut Readings<'_>) {
        for (channel, input) in self.inputs.iter().enumerate() {
            let value = match &input.value {
                Value::Processed { path } => tree.number(path),
                Value::Raw { path, offset, scale } => tree.number(path).map(|raw: f64| (raw + offset) * scale),
            };
            readings.put(channel, value.map(|value| value * input.factor));
        }
    }
}

fn inputs(tree: &Tree, device: &str) -> Vec<Input> {
    let folder = format!("{BUS}/{device}");
    let chip = tree.text(&format!("{folder}/name")).unwrap_or_else(|| device.to_owned());
    let files = tree.names(&folder, "in_");
    let input = |file: &String| {
        let (name, is_processed) = match (file.strip_suffix("_input"), file.strip_suffix("_raw")) {
            (Some(name), _) => (name, true),
            // Some drivers give both; the processed one needs no arithmetic.
            (None, Some(name)) if !files.contains(&format!("{name}_input")) => (name, false),
            _ => return None,
        };
        let name = name.strip_prefix("in_")?;
        // `voltage3`, `accel_x`, `temp` and `concentration_co2` start with their kind.
        let kind = name.trim_end_matches(|character: char| character.is_ascii_digit()).split('_').next()?;
        let (_, title, factor, unit, decimals) = KINDS.into_iter().find(|row| row.0 == kind)?;
        let path = format!("{folder}/{file}");
        let value = if is_processed {
            Value::Processed { path }
        } else {
            let part = |what: &str| attribute(tree, &folder, name, kind, what);
            Value::Raw { path, offset: part("offset").unwrap_or(0.0), scale: part("scale").unwrap_or(1.0) }
        };
        let rest = name.strip_prefix(kind).unwrap_or_default().replace('_', " ");
        let title =
            [title, rest.trim(), &chip].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        let channel = gauge(&format!("iio.{chip}.{name}"), title, unit, decimals);
        Some(Input { channel, value, factor })
    };
    files.iter().filter_map(input).collect()
}

/// An attribute of one input, or the one that all inputs of its kind share.
fn attribute(tree: &Tree, folder: &str, name: &str, kind: &str, what: &str) -> Option<f64> {
    let own = tree.number(&format!("{folder}/in_{name}_{what}"));
    own.or_else(|| tree.number(&format!("{folder}/in_{kind}_{what}")))
}

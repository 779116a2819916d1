//! Golden frames: `golden/*.json` and `golden/encoders/*.json`, each `{name, direction, hex, value}`.
//!
//! The Rust tests and the web page's JavaScript tests read the same files.

use std::{fmt::Write, fs, path::PathBuf};

use protocol::{
    codec::{self, ItemKind},
    device::{DeviceControl, HubControl},
    live::{HubMessage, LiveData, ViewerMessage},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    columns,
    frames::{self, Direction},
    tree,
};

/// One file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Golden {
    pub name: String,
    pub direction: Direction,
    /// The bytes of the message.
    pub hex: String,
    /// What they say: typed arrays as arrays, NaN as null.
    pub value: Value,
}

impl Golden {
    pub fn bytes(&self) -> Vec<u8> {
        from_hex(&self.hex)
    }
}

pub fn from_hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    assert!(rest.is_empty(), "an odd number of hex digits: {hex}");
    pairs.iter().map(|[high, low]| high << 4 | low).collect()
}

pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes everything");
        hex
    })
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Every golden file below `golden/`, the other encoders' too.
pub fn read_all() -> Vec<Golden> {
    let mut paths: Vec<PathBuf> = [folder(), folder().join("encoders")]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("the golden folder"))
        .map(|entry| entry.expect("a folder entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| {
            let golden: Golden = serde_json::from_slice(&fs::read(path).expect("readable"))
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            assert_eq!(Some(golden.name.as_str()), path.file_stem().and_then(|stem| stem.to_str()));
            golden
        })
        .collect()
}

#[test]
fn every_frame_this_crate_writes_equals_its_golden_file() {
    for (name, direction, bytes) in frames::all() {
        let path = folder().join(format!("{name}.json"));
        if std::env::var_os("BLESS").is_some() {
            let value = tree::read(&bytes).expect("one item").json();
            let golden = Golden { name: name.into(), direction, hex: to_hex(&bytes), value };
            fs::write(&path, serde_json::to_string_pretty(&golden).expect("JSON") + "\n").expect("written");
        }
        let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let golden: Golden = serde_json::from_slice(&text).expect("a golden file");
        assert_eq!((golden.name.as_str(), golden.direction), (name, direction));
        assert_eq!(golden.hex, to_hex(&bytes), "{name}");
    }
}

#[test]
fn a_second_decoder_reads_the_value_out_of_every_golden_frame() {
    for golden in read_all() {
        let tree = tree::read(&golden.bytes()).unwrap_or_else(|error| panic!("{}: {error}", golden.name));
        assert_eq!(tree.json(), golden.value, "{}", golden.name);
    }
}

/// What `back` says stands in `sent` the same way; `sent` may have more, and leave `kind` to its default.
fn assert_said(name: &str, back: &Value, sent: &Value) {
    match (back, sent) {
        (Value::Object(back), Value::Object(sent)) => {
            for (key, value) in back {
                match sent.get(key) {
                    Some(sent) => assert_said(name, value, sent),
                    None => assert_eq!((key.as_str(), value), ("kind", &Value::from("gauge")), "{name}"),
                }
            }
        }
        (Value::Array(back), Value::Array(sent)) => {
            assert_eq!(back.len(), sent.len(), "{name}");
            back.iter().zip(sent).for_each(|(back, sent)| assert_said(name, back, sent));
        }
        // Whole milliseconds and points; hello's `now` is kept to the microsecond but written in milliseconds.
        (Value::Number(back), Value::Number(sent)) => {
            let (back, sent) = (back.as_f64().expect("a number"), sent.as_f64().expect("a number"));
            assert!(back.to_bits() == sent.to_bits() || (sent.fract() != 0.0 && (back - sent).abs() < 1.0), "{name}");
        }
        // The value of a result is kept as text.
        (Value::String(back), Value::Number(sent)) => assert_eq!(*back, sent.to_string(), "{name}"),
        _ => assert_eq!(back, sent, "{name}"),
    }
}

fn json(bytes: &[u8]) -> Value {
    tree::read(bytes).expect("one item").json()
}

#[test]
fn what_devices_and_viewers_say_is_understood() {
    for Golden { name, direction, hex, value } in read_all() {
        let bytes = from_hex(&hex);
        match (direction, codec::item_kind(codec::strip_self_described(&bytes))) {
            (Direction::DeviceToHub, ItemKind::Array) => {
                assert!(columns::agree(&bytes, &frames::channels()), "{name} is refused");
            }
            (Direction::DeviceToHub, ItemKind::Map) => {
                let message = DeviceControl::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
                assert!(!matches!(message, DeviceControl::Unknown(_)), "{name}");
                assert_said(&name, &json(&message.encode()), &value);
            }
            (Direction::ViewerToHub, ItemKind::Map) => {
                let message = ViewerMessage::decode(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
                let absent = matches!(&message, ViewerMessage::Subscribe(_)) && value.get("max_hz").is_none();
                let mut back = json(&message.encode());
                if absent {
                    back.as_object_mut().and_then(|map| map.remove("max_hz")).expect("the default is written");
                }
                assert_said(&name, &back, &value);
            }
            (Direction::HubToDevice | Direction::HubToViewer, _) => {}
            (_, kind) => panic!("{name}: {kind:?} goes {direction:?}"),
        }
    }
}

#[test]
fn what_the_hub_says_comes_back_as_the_same_bytes() {
    for Golden { name, direction, hex, value } in read_all() {
        let bytes = from_hex(&hex);
        let back = match direction {
            Direction::HubToDevice => {
                let message = HubControl::decode(&bytes).expect("readable");
                assert_eq!(serde_json::from_value::<HubControl>(value).expect("the same shape"), message, "{name}");
                message.encode()
            }
            Direction::HubToViewer if codec::item_kind(&bytes) == ItemKind::Array => {
                let mut data = LiveData::default();
                data.decode(&bytes).expect("readable");
                let mut back = Vec::new();
                data.encode(&mut back);
                back
            }
            Direction::HubToViewer => {
                let message = HubMessage::decode(&bytes).expect("readable");
                assert_eq!(serde_json::from_value::<HubMessage>(value).expect("the same shape"), message, "{name}");
                if message == HubMessage::Unknown { bytes.clone() } else { message.encode() }
            }
            _ => continue,
        };
        assert_eq!(to_hex(&back), hex, "{name}");
    }
}

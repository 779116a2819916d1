//! Golden frames: `golden/*.json` and `golden/encoders/*.json`, each `{name, direction, hex, value}`.
//!
//! The Rust tests and the web page's JavaScript tests read the same files.

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
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
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

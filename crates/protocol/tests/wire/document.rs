//! `docs/protocol.md` is held to its word: its bytes say what its JSON says and are understood, and its tables
//! are those of the source.

use std::{fs, path::Path};

use protocol::{
    codec::{self, ItemKind},
    device::{Channel, ChannelDecl, DeviceControl, HubControl, Refusal, data},
    limits,
    live::{HubMessage, LiveData, ViewerMessage},
};
use serde_json::Value;

use crate::{golden::from_hex, tree};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn document() -> String {
    read("../../docs/protocol.md")
}

/// One message of the document: who says it to whom, its JSON, its bytes.
struct Example {
    direction: String,
    json: Value,
    bytes: Vec<u8>,
}

/// Every block of bytes, with the block of JSON right before it.
fn examples(document: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut json = None;
    let mut blocks = document.split("```");
    while let (Some(_), Some(block)) = (blocks.next(), blocks.next()) {
        let (info, content) = block.split_once('\n').expect("a block has a line");
        if info == "json" {
            json = serde_json::from_str(content).ok();
        } else if let Some(direction) = info.strip_prefix("hex ") {
            let hex: String = content.lines().filter_map(|line| line.split('#').next()).collect();
            let json = json.take().unwrap_or_else(|| panic!("no JSON before {content}"));
            examples.push(Example { direction: direction.into(), json, bytes: from_hex(&hex) });
        } else {
            json = None;
        }
    }
    examples
}

/// The rows of the table behind `marker`, without its head, as cells.
fn table(document: &str, marker: &str) -> Vec<Vec<String>> {
    let (_, behind) = document.split_once(marker).unwrap_or_else(|| panic!("no {marker}"));
    behind
        .trim_start()
        .lines()
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect())
        .collect()
}

#[test]
fn every_example_says_in_bytes_what_it_says_in_json() {
    let examples = examples(&document());
    assert!(examples.len() >= 16, "only {} examples were found", examples.len());
    for example in examples {
        let tree = tree::read(&example.bytes).unwrap_or_else(|error| panic!("{}: {error}", example.json));
        assert_eq!(tree.json(), example.json);
    }
}

#[test]
fn every_example_is_understood() {
    let mut channels: Vec<Channel> = Vec::new();
    for Example { direction, json, bytes } in examples(&document()) {
        match (direction.as_str(), codec::item_kind(&bytes)) {
            ("device-to-hub", ItemKind::Map) => {
                let message = DeviceControl::decode(&bytes).unwrap_or_else(|error| panic!("{json}: {error}"));
                assert!(!matches!(message, DeviceControl::Unknown(_)), "{json}");
                if let DeviceControl::Hello(hello) = message {
                    channels = hello.channels.iter().map(ChannelDecl::decoding).collect();
                }
            }
            ("device-to-hub", ItemKind::Array) => {
                let mut batch = data::Batch::default();
                data::decode(&bytes, &channels, &mut batch).unwrap_or_else(|error| panic!("{json}: {error}"));
                assert_eq!(Value::from(batch.seq), json[0]);
            }
            ("hub-to-device", ItemKind::Map) => {
                assert_ne!(HubControl::decode(&bytes), Ok(HubControl::Unknown), "{json}");
                HubControl::decode(&bytes).unwrap_or_else(|error| panic!("{json}: {error}"));
            }
            ("viewer-to-hub", ItemKind::Map) => {
                let message = ViewerMessage::decode(&bytes).unwrap_or_else(|error| panic!("{json}: {error}"));
                assert!(!matches!(message, ViewerMessage::Unknown(_)), "{json}");
            }
            ("hub-to-viewer", ItemKind::Map) => {
                let message = HubMessage::decode(&bytes).unwrap_or_else(|error| panic!("{json}: {error}"));
                assert_ne!(message, HubMessage::Unknown, "{json}");
            }
            ("hub-to-viewer", ItemKind::Array) => {
                LiveData::default().decode(&bytes).unwrap_or_else(|error| panic!("{json}: {error}"));
            }
            other => panic!("{other:?}: {json}"),
        }
    }
}

#[test]
fn the_refusals_are_those_of_the_source() {
    let rows = table(&document(), "<!-- refusals -->");
    let codes: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(codes, Refusal::ALL.map(Refusal::code));
}

#[test]
fn the_close_codes_are_those_of_the_source() {
    let rows = table(&document(), "<!-- close codes -->");
    let documented: Vec<u16> = rows.iter().map(|row| row[0].parse().expect("a code")).collect();
    let source = read("src/close.rs");
    let in_source = source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split_once(" = "));
    let in_source: Vec<u16> =
        in_source.map(|(_, code)| code.trim_end_matches(';').parse().expect("a number")).collect();
    assert_eq!(documented, in_source);
}

#[test]
fn the_limits_are_those_of_the_source() {
    let values = [
        ("MESSAGE_BYTES_MAX", limits::MESSAGE_BYTES_MAX as u64),
        ("READINGS_PER_MESSAGE_MAX", limits::READINGS_PER_MESSAGE_MAX as u64),
        ("CHANNELS_PER_DEVICE_MAX", limits::CHANNELS_PER_DEVICE_MAX as u64),
        ("INTEGER_MAX", limits::INTEGER_MAX),
        ("ID_BYTES_MAX", limits::ID_BYTES_MAX as u64),
        ("TEXT_CHARS_MAX", limits::TEXT_CHARS_MAX as u64),
        ("LABELS_MAX", limits::LABELS_MAX as u64),
        ("STATES_MAX", limits::STATES_MAX as u64),
        ("FEATURES_MAX", limits::FEATURES_MAX as u64),
        ("SPOOLS_REMEMBERED", limits::SPOOLS_REMEMBERED as u64),
        ("TIME_MS_MAX", limits::TIME_MS_MAX as u64),
        ("PERIOD_MS_MAX", limits::PERIOD_MS_MAX as u64),
        ("VIEWER_MESSAGE_BYTES_MAX", limits::VIEWER_MESSAGE_BYTES_MAX as u64),
        ("LIVE_FRAME_BYTES_MAX", limits::LIVE_FRAME_BYTES_MAX as u64),
        ("LIVE_CONTROL_BYTES_MAX", limits::LIVE_CONTROL_BYTES_MAX as u64),
        ("SERIES_PER_SUBSCRIPTION_MAX", limits::SERIES_PER_SUBSCRIPTION_MAX as u64),
        ("SUBSCRIPTIONS_PER_VIEWER_MAX", limits::SUBSCRIPTIONS_PER_VIEWER_MAX as u64),
        ("SERIES_PER_VIEWER_MAX", limits::SERIES_PER_VIEWER_MAX as u64),
        ("WINDOW_MS_MAX", limits::WINDOW_MS_MAX),
        ("POINTS_MAX", u64::from(limits::POINTS_MAX)),
        ("POINTS_PER_SNAPSHOT_MAX", u64::from(limits::POINTS_PER_SNAPSHOT_MAX)),
        ("SELECTOR_BYTES_MAX", limits::SELECTOR_BYTES_MAX as u64),
        ("SELECTOR_TERMS_MAX", limits::SELECTOR_TERMS_MAX as u64),
    ];
    let rows = table(&document(), "<!-- limits -->");
    let documented: Vec<(String, u64)> =
        rows.iter().map(|row| (row[2].clone(), row[1].replace(' ', "").parse().expect("a number"))).collect();
    assert_eq!(documented, values.map(|(name, value)| (name.to_owned(), value)));
    let source = read("src/limits.rs");
    let in_source: Vec<&str> =
        source.lines().filter_map(|line| line.strip_prefix("pub const ")?.split(':').next()).collect();
    assert_eq!(in_source, values.map(|(name, _)| name));
}

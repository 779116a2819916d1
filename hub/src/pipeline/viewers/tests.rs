use std::collections::BTreeMap;

use journal::{Kind, Record};
use protocol::{device::ChannelDecl, ids::Id};

use super::*;
use crate::state::record::{self, CatalogueRecord};

/// So many devices with as many channels each: `d0/c0`, `d0/c1` …
fn state(devices: u32, channels: u32) -> State {
    let mut state = State::default();
    let id = |text: String| Id::new(&text).expect("valid");
    for device in 0..devices {
        let catalogue = CatalogueRecord {
            stream: device,
            device,
            id: id(format!("d{device}")),
            spool: 1,
            title: None,
            model: None,
            firmware: None,
            labels: BTreeMap::new(),
            channels: (0..channels).map(|channel| ChannelDecl::gauge(id(format!("c{channel}")))).collect(),
            series: (0..channels).map(|channel| Some(device * channels + channel)).collect(),
        };
        let payload = record::encode(&catalogue);
        let seq = u64::from(device) + 1;
        state.apply(&Record { seq, arrival_us: 5, kind: Kind::Catalogue, payload: &payload }).expect("readable");
    }
    state
}

fn gap(from: u64, second: i64, reason: &str) -> GapNote {
    let time_us = second * 1_000_000;
    let (before_us, behind_us) = (Some(time_us), Some(time_us + 500_000));
    GapNote { from, to: from + 1, reason: reason.into(), arrival_us: 0, before_us, behind_us, stream: 0 }
}

fn selector(text: &str) -> Selector {
    Selector::parse(text).expect("valid")
}

#[test]
fn a_selector_stands_for_the_series_of_all_its_terms_once() {
    let state = state(12, 3);
    assert_eq!(resolve(&state, &selector("d1/c0,*/c0,d11/*")).len(), 12 + 2);
    assert_eq!(resolve(&state, &selector("d2/c1,d1/c2")), [5, 7]);
    assert_eq!(resolve(&state, &selector("nobody/*")), [0; 0]);
}

#[test]
fn a_stream_lacks_what_its_selector_stands_for_by_now() {
    let state = state(3, 2);
    let changed = BTreeSet::from([2]);
    for (text, series, wanted) in [
        ("*/*", &[0, 1, 2, 3][..], true),
        ("*/*", &[0, 1, 2, 3, 4, 5], false),
        ("*/c1", &[1, 3], true),
        ("d2/c0", &[4], false),
        ("d1/*", &[], false),
    ] {
        assert_eq!(lacks(&state, &changed, &selector(text), series), wanted, "{text} {series:?}");
    }
}

#[test]
fn gaps_reach_into_the_window_and_come_in_order() {
    let mut state = state(1, 2);
    state.devices[0].gaps.extend([gap(1, 10, "one"), gap(5, 20, "two"), gap(9, 30, "three")]);
    let gaps = gaps_of(&state, &[0, 1], 20_400_000);
    let seen: Vec<_> = gaps.iter().map(|gap| (gap.from, gap.to, &gap.reason[..])).collect();
    let (two, three) = ((20_000, 20_500, "2 messages lost: two"), (30_000, 30_500, "2 messages lost: three"));
    assert_eq!(seen, [two, two, three, three]);
}

#[test]
fn however_many_gaps_there_are_the_newest_fit_a_message() {
    let mut state = state(16, 64);
    for device in &mut state.devices {
        device.gaps.extend((0..64).map(|number| gap(1, number, &"long".repeat(100))));
    }
    let series: Vec<u32> = (0..1_024).collect();
    let gaps = gaps_of(&state, &series, 0);
    assert!(gaps.len() > 200 && gaps.is_sorted_by_key(|gap| gap.to));
    assert_eq!(gaps.last().map(|gap| gap.from), Some(63_000));
    let message = protocol::live::HubMessage::SnapshotEnd { id: 1 << 52, stream: 1 << 52, gaps };
    assert!(message.encode().len() <= LIVE_CONTROL_BYTES_MAX);
}

use protocol::ids::Id;

use super::*;
use crate::state::record;

fn catalogue(stream: u32, spool: u64, channels: &[&str]) -> CatalogueRecord {
    CatalogueRecord {
        stream,
        device: 0,
        id: Id::new("shed").expect("valid"),
        spool,
        title: None,
        model: None,
        firmware: None,
        labels: BTreeMap::new(),
        channels: channels.iter().map(|name| ChannelDecl::gauge(Id::new(name).expect("valid"))).collect(),
        series: (0..channels.len() as u32).map(Some).collect(),
    }
}

fn apply(state: &mut State, kind: Kind, payload: &[u8]) {
    state.apply(&Record { seq: 1, arrival_us: 5, kind, payload }).expect("readable");
}

#[test]
fn marks_and_the_ledger_follow_the_records() {
    let mut state = State::default();
    apply(&mut state, Kind::Catalogue, &record::encode(&catalogue(0, 77, &["temp"])));
    let head = DataHead { stream: 0, seq: 1, shift_us: 0, flags: 0 };
    apply(&mut state, Kind::Data, head.encode(&mut [0; record::DATA_HEAD_BYTES_MAX]));
    apply(
        &mut state,
        Kind::Gap,
        &record::encode(&GapRecord { stream: 0, from: 2, to: 4, reason: "spool full".into() }),
    );
    apply(&mut state, Kind::Refused, &record::encode(&RefusedRecord { stream: 0, seq: 5, code: "bad_value".into() }));
    assert_eq!(state.streams[&0].mark, 5);
    let delivery = &state.devices[0].delivery;
    assert_eq!((delivery.stored, delivery.lost, delivery.refused_total()), (1, 3, 1));
    assert_eq!(state.devices[0].gaps[0].reason, "spool full");
    assert_eq!(state.device_number("shed"), Some(0));
    assert_eq!(state.series_of(0, "temp"), Some(0));
}

#[test]
fn a_cadence_is_learned_and_neither_an_outage_nor_a_replay_spoils_it() {
    let mut state = State::default();
    state.apply_catalogue(&catalogue(0, 77, &["temp"]), 1, 0);
    let arrivals = (0..100).map(|message| 1_000_000 + message * 10_000_000).chain([3_600_000_000]);
    let records: Vec<(DataHead, i64)> = (1..)
        .zip(arrivals)
        .map(|(seq, arrival_us)| (DataHead { stream: 0, seq, shift_us: 0, flags: 0 }, arrival_us))
        .collect();
    let learned_us = [1, 2].map(|_| {
        for (head, arrival_us) in &records {
            state.apply_data(head, *arrival_us);
        }
        state.devices[0].cadence_us.expect("learned")
    });
    assert!((10_000_000..=12_000_000).contains(&learned_us[0]), "{learned_us:?}");
    assert_eq!(learned_us[0], learned_us[1], "a replay teaches nothing");
}

#[test]
fn a_hole_in_a_run_is_damage_and_shown_as_a_gap() {
    let mut state = State::default();
    state.apply_catalogue(&catalogue(0, 77, &["temp"]), 1, 0);
    for seq in [1, 2, 6] {
        state.apply_data(&DataHead { stream: 0, seq, shift_us: 0, flags: 0 }, 5);
    }
    let device = &state.devices[0];
    assert_eq!((device.delivery.stored, device.delivery.lost), (3, 3));
    assert_eq!((device.gaps[0].from, device.gaps[0].to), (3, 5));
}

#[test]
fn only_the_last_eight_spools_are_remembered_and_the_hubs_own_always() {
    let mut state = State::default();
    state.apply_catalogue(&catalogue(0, 0, &["temp"]), 1, 0);
    for spool in 1..=20 {
        state.apply_catalogue(&catalogue(spool, u64::from(spool), &["temp"]), u64::from(spool) + 1, i64::from(spool));
    }
    assert_eq!(state.devices[0].streams.len(), SPOOLS_REMEMBERED + 1);
    assert_eq!(state.stream_of(0, 0), Some(0));
    assert_eq!(state.stream_of(0, 12), None);
    assert_eq!(state.stream_of(0, 13), Some(13));
    assert_eq!(state.series.len(), 1);
}

#[test]
fn a_spool_in_use_is_not_forgotten_for_a_newer_one() {
    let mut state = State::default();
    state.apply_catalogue(&catalogue(0, 77, &["temp"]), 1, 0);
    for spool in 1..=20 {
        state.apply_catalogue(&catalogue(spool, u64::from(spool), &["temp"]), u64::from(spool) + 1, i64::from(spool));
        state.apply_data(&DataHead { stream: 0, seq: u64::from(spool), shift_us: 0, flags: 0 }, i64::from(spool));
    }
    assert_eq!(state.stream_of(0, 77), Some(0));
}

#[test]
fn channels_of_a_forgotten_spool_stay_until_no_record_needs_them() {
    let mut state = State::default();
    for spool in 1..=10 {
        state.apply_catalogue(&catalogue(spool, u64::from(spool), &["temp"]), u64::from(spool), i64::from(spool));
    }
    // Spools 1 and 2 were forgotten by records 9 and 10.
    assert!(state.streams.contains_key(&1) && state.streams.contains_key(&2));
    assert_eq!(state.prune(10), [0]);
    assert!(!state.streams.contains_key(&1) && state.streams.contains_key(&2));
    assert_eq!(state.prune(11), [0]);
    assert!(!state.streams.contains_key(&2));
    assert_eq!(state.prune(12), [0_u32; 0]);
}

#[test]
fn a_lost_catalogue_record_leaves_placeholders_and_numbers_as_they_are() {
    let mut state = State::default();
    let mut late = catalogue(5, 77, &["temp", "hum"]);
    (late.device, late.series) = (2, vec![Some(7), Some(8)]);
    state.apply_catalogue(&late, 9, 0);
    assert_eq!((state.devices.len(), state.series.len()), (3, 9));
    assert_eq!(state.device_number("shed"), Some(2));
    assert_eq!((state.series_of(2, "temp"), state.series_of(2, "hum")), (Some(7), Some(8)));
    assert_eq!(&*state.devices[0].id, "lost-device-0");
}

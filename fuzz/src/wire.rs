//! Every decoder of the wire. `crates/protocol/tests` includes this file and replays the corpora through it.

use std::fmt::Debug;

use protocol::{
    device::{Batch, Channel, DataError, DeviceControl, data},
    limits::{INTEGER_MAX, READINGS_PER_MESSAGE_MAX},
    live::{LiveData, ViewerMessage},
    selector::Selector,
};

/// The channels that hello of the golden frames declares, as far as decoding goes.
fn channels() -> Vec<Channel> {
    let plain = Channel { scale: 1.0, offset: 0.0, states: Vec::new() };
    vec![
        plain.clone(),
        plain.clone(),
        Channel { states: vec!["closed".into(), "open".into()], ..plain.clone() },
        Channel { scale: 0.01, ..plain.clone() },
        Channel { scale: 0.5, offset: -10.0, ..plain },
    ]
}

/// A data frame from a device.
pub fn device_data(bytes: &[u8]) {
    let channels = channels();
    let mut batch = Batch::default();
    match data::decode(bytes, &channels, &mut batch) {
        Ok(()) => {
            assert!((1..=INTEGER_MAX).contains(&batch.seq));
            assert!(batch.len() <= READINGS_PER_MESSAGE_MAX);
            assert_eq!(batch.times_us.len(), batch.values.len());
            assert!(!batch.values.iter().any(|value| value.is_infinite()));
            let mut end = 0;
            for run in &batch.runs {
                assert_eq!(run.start as usize, end, "runs follow one another");
                assert!(usize::from(run.channel) < channels.len());
                end = run.range().end;
            }
            assert_eq!(end, batch.len(), "every reading belongs to a run");
            assert_eq!(data::peek_seq(bytes), Some(batch.seq));
        }
        Err(DataError::Refused { seq, .. }) => assert_eq!(data::peek_seq(bytes), Some(seq)),
        Err(DataError::Unreadable(_)) => assert_eq!(data::peek_seq(bytes), None),
    }
}

/// A control message from a device.
pub fn device_control(bytes: &[u8]) {
    let Ok(mut first) = DeviceControl::decode(bytes) else { return };
    if let DeviceControl::Hello(hello) = &mut first {
        // Written in whole milliseconds, and read back to what a double holds of that in microseconds.
        hello.now_us = hello.now_us.map(|now_us| ((now_us as f64 / 1000.0).round() * 1000.0) as i64);
    }
    // An unknown type is cleaned for the log, and is then another one.
    if !matches!(first, DeviceControl::Unknown(_)) {
        comes_back(&first, &DeviceControl::decode(&first.encode()));
    }
}

/// A control message from a viewer.
pub fn viewer_control(bytes: &[u8]) {
    let Ok(first) = ViewerMessage::decode(bytes) else { return };
    if !matches!(first, ViewerMessage::Unknown(_)) {
        comes_back(&first, &ViewerMessage::decode(&first.encode()));
    }
}

/// A live data frame, as a viewer reads it.
pub fn live_data(bytes: &[u8]) {
    let mut first = LiveData::default();
    if first.decode(bytes).is_err() {
        return;
    }
    let rows: usize = first.series().map(|(_, dt_ms, values)| dt_ms.len().min(values.len())).sum();
    assert_eq!(rows, first.values.len());
    let mut encoded = Vec::new();
    first.encode(&mut encoded);
    assert!(encoded.len() <= LiveData::byte_len_max(first.ids.len(), first.values.len()));
    let mut again = LiveData::default();
    let outcome = again.decode(&encoded).map(|()| again);
    comes_back(&first, &outcome);
}

/// A selector from a viewer or a query: it matches what one of its terms matches alone.
pub fn selector(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(selector) = Selector::parse(text) else { return };
    for (device, channel) in [("greenhouse-1", "temp"), ("a", "b"), ("aaaaaaaaaaaaaaaaaaaaaaaa.b", "x_y")] {
        let terms = text.split(',').map(str::trim).filter(|term| !term.is_empty());
        let alone = terms.map(|term| Selector::parse(term).expect("a term of a selector is one"));
        assert_eq!(selector.matches(device, channel), alone.into_iter().any(|term| term.matches(device, channel)));
    }
}

/// What is decoded, encoded and decoded again is the same. As text, so that NaN equals NaN.
fn comes_back<T: Debug, E: Debug>(first: &T, again: &Result<T, E>) {
    assert_eq!(format!("{:?}", Ok::<_, ()>(first)), format!("{again:?}"));
}

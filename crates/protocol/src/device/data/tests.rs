use super::*;
use crate::{device::encode::FrameWriter, limits::READINGS_PER_MESSAGE_MAX};

fn plain(count: usize) -> Vec<Channel> {
    vec![Channel { scale: 1.0, offset: 0.0, states: Vec::new() }; count]
}

fn decoded(bytes: &[u8], channels: &[Channel]) -> Batch {
    let mut batch = Batch::default();
    decode(bytes, channels, &mut batch).expect("a good frame");
    batch
}

fn refused(bytes: &[u8], channels: &[Channel]) -> Refusal {
    match decode(bytes, channels, &mut Batch::default()) {
        Err(DataError::Refused { seq: 7, refusal, .. }) => refusal,
        other => panic!("expected a refusal of 7, got {other:?}"),
    }
}

#[test]
fn all_three_item_shapes_fill_the_same_columns() {
    let mut writer = FrameWriter::default();
    writer.scalar(0, -500.0, 21.5);
    writer.scalar(1, 0.25, f64::NAN);
    writer.column(2, &[0, 10], &[1.0, 2.5]);
    writer.fixed_rate_i16(3, 1.0, 0.5, &[-1, 0, 1]);
    let mut channels = plain(4);
    channels[3].scale = 0.01;
    channels[3].offset = 5.0;
    let batch = decoded(&writer.finish(7, 1_000.0), &channels);
    assert_eq!(batch.seq, 7);
    assert_eq!(batch.times_us, [500_000, 1_000_250, 1_000_000, 1_010_000, 1_001_000, 1_001_500, 1_002_000]);
    assert_eq!(batch.values[0].to_bits(), 21.5_f64.to_bits());
    assert!(batch.values[1].is_nan());
    assert_eq!(&batch.values[2..], [1.0, 2.5, 4.99, 5.0, 5.01]);
    let runs: Vec<_> = batch.runs.iter().map(|run| (run.channel, run.start, run.len)).collect();
    assert_eq!(runs, [(0, 0, 1), (1, 1, 1), (2, 2, 2), (3, 4, 3)]);
}

#[test]
fn states_and_booleans_are_numbers() {
    let mut channels = plain(1);
    channels[0].states = vec!["closed".into(), "open".into()];
    // [7, 0, [[0, 0, "open"], [0, 1, false], [0, [2, 3], ["closed", true]]]]
    let mut bytes = vec![0x83, 0x07, 0x00, 0x83, 0x83, 0x00, 0x00, 0x64];
    bytes.extend_from_slice(b"open");
    bytes.extend_from_slice(&[0x83, 0x00, 0x01, 0xf4, 0x83, 0x00, 0x82, 0x02, 0x03, 0x82, 0x66]);
    bytes.extend_from_slice(b"closed");
    bytes.push(0xf5);
    let batch = decoded(&bytes, &channels);
    assert_eq!(batch.values, [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(batch.times_us, [0, 1000, 2000, 3000]);
}

#[test]
fn what_is_wrong_inside_is_refused_with_its_reason() {
    // All are [7, t0, [item]].
    let item = |item: &[u8]| [&[0x83, 0x07, 0x00, 0x81][..], item].concat();
    for (bytes, refusal) in [
        (item(&[0x83, 0x05, 0x00, 0x01]), Refusal::UnknownChannel),
        (item(&[0x83, 0x00, 0xf9, 0x7c, 0x00, 0x01]), Refusal::BadTime),
        (item(&[0x83, 0x00, 0x00, 0xf9, 0x7c, 0x00]), Refusal::BadValue),
        (item(&[0x83, 0x00, 0x00, 0x61, b'x']), Refusal::UnknownState),
        (item(&[0x83, 0x00, 0x82, 0x00, 0x01, 0x81, 0x01]), Refusal::LengthMismatch),
        (item(&[0x83, 0x00, 0x00, 0x81, 0x01]), Refusal::LengthMismatch),
        (item(&[0x84, 0x00, 0x00, 0x00, 0x81, 0x01]), Refusal::BadTime),
        (item(&[0x84, 0x00, 0x00, 0x01, 0x01]), Refusal::BadValue),
        (item(&[0x82, 0x00, 0x00]), Refusal::Malformed),
        (item(&[0x85, 0x00, 0x00, 0x01, 0x81, 0x01, 0x00]), Refusal::Malformed),
        (item(&[0x83, 0x00, 0xd8, 0x45, 0x43, 0, 0, 0, 0x81, 0x01]), Refusal::Malformed),
        (item(&[0x83, 0x00, 0x00, 0xc1, 0x01]), Refusal::Malformed),
        (vec![0x83, 0x07, 0xfa, 0x4f, 0, 0, 0, 0x80], Refusal::CoarseTime),
        (vec![0x83, 0x07, 0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0, 0x80], Refusal::BadTime),
        (vec![0x83, 0x07, 0x00, 0x80, 0x00], Refusal::Malformed),
        (vec![0x84, 0x07, 0x00, 0x80, 0x00], Refusal::Malformed),
        (vec![0x83, 0x07, 0x00], Refusal::Malformed),
    ] {
        assert_eq!(refused(&bytes, &plain(1)), refusal, "{bytes:02x?}");
    }
}

#[test]
fn without_a_number_a_message_is_unreadable() {
    for bytes in [&[][..], &[0x80], &[0x83, 0x00, 0x00, 0x80], &[0x83, 0x61, b'a'], &[0xff], &[0x83, 0x20, 0x00, 0x80]]
    {
        let outcome = decode(bytes, &plain(1), &mut Batch::default());
        assert!(matches!(outcome, Err(DataError::Unreadable(_))), "{bytes:02x?}: {outcome:?}");
    }
}

#[test]
fn the_limit_counts_all_items_together() {
    let values = vec![0_i16; 40_000];
    let mut writer = FrameWriter::default();
    writer.fixed_rate_i16(0, 0.0, 1.0, &values);
    writer.fixed_rate_i16(0, 0.0, 1.0, &values[..25_536]);
    assert_eq!(decoded(&writer.finish(7, 0.0), &plain(1)).len(), READINGS_PER_MESSAGE_MAX);
    writer.fixed_rate_i16(0, 0.0, 1.0, &values);
    writer.fixed_rate_i16(0, 0.0, 1.0, &values);
    assert_eq!(refused(&writer.finish(7, 0.0), &plain(1)), Refusal::TooManyReadings);
}

#[test]
fn the_number_in_front_is_read_whatever_follows() {
    assert_eq!(peek_seq(&[0x83, 0x18, 0x2a, 0x00, 0x81, 0xf6]), Some(42));
    assert_eq!(peek_seq(&[0x83, 0xf6]), None);
}

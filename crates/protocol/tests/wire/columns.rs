//! What a device's data frame means, written a second time from `docs/protocol.md` alone, over the tree of the
//! second decoder.

use protocol::{
    device::{Batch, ChannelDecl, DataError, data},
    limits::{INTEGER_MAX, PERIOD_MS_MAX, READINGS_PER_MESSAGE_MAX, TIME_MS_MAX},
};

use crate::tree::{self, Tree};

/// The meaning of one frame: per item the channel, times in microseconds and values.
#[derive(Debug, PartialEq)]
pub struct Columns {
    pub seq: u64,
    pub items: Vec<(usize, Vec<i64>, Vec<f64>)>,
}

fn whole(tree: &Tree) -> Option<u64> {
    match *tree {
        Tree::Number { value, .. } if value.fract() == 0.0 && (0.0..=INTEGER_MAX as f64).contains(&value) => {
            Some(value as u64)
        }
        _ => None,
    }
}

fn number(tree: &Tree) -> Option<f64> {
    if let Tree::Number { value, .. } = *tree { Some(value) } else { None }
}

fn time_ms(tree: &Tree) -> Option<f64> {
    number(tree).filter(|ms| ms.abs() <= TIME_MS_MAX)
}

fn value(tree: &Tree, channel: &ChannelDecl) -> Option<f64> {
    let value = match tree {
        Tree::Number { value, .. } => value * channel.scale.unwrap_or(1.0) + channel.offset.unwrap_or(0.0),
        Tree::Bool(value) => f64::from(u8::from(*value)),
        Tree::Text(text) => channel.states.iter().position(|state| state == text)? as f64,
        Tree::Null => f64::NAN,
        _ => return None,
    };
    (!value.is_infinite()).then_some(value)
}

/// The entries of a plain or typed array.
fn entries(tree: &Tree) -> Option<Vec<Tree>> {
    match tree {
        Tree::Array(items) => Some(items.clone()),
        Tree::Typed(column) => {
            Some(column.iter().map(|&value| Tree::Number { value, coarse: false, integer: false }).collect())
        }
        _ => None,
    }
}

/// None: refused.
pub fn columns(tree: &Tree, channels: &[ChannelDecl]) -> Option<Columns> {
    let Tree::Array(frame) = tree else { return None };
    let [seq, t0, Tree::Array(items)] = frame.as_slice() else { return None };
    let seq = whole(seq).filter(|&seq| seq > 0)?;
    if matches!(t0, Tree::Number { coarse: true, .. }) {
        return None;
    }
    let t0_us = (time_ms(t0)? * 1000.0).round() as i64;
    let time_us = |ms: f64| t0_us + (ms * 1000.0).round() as i64;
    let mut meaning = Vec::new();
    for item in items {
        let Tree::Array(item) = item else { return None };
        let place = usize::try_from(whole(item.first()?)?).ok()?;
        let channel = channels.get(place)?;
        let values = |tree: &Tree| entries(tree)?.iter().map(|entry| value(entry, channel)).collect::<Option<Vec<_>>>();
        let (times, values) = match item.as_slice() {
            [_, dt @ (Tree::Array(_) | Tree::Typed(_)), column] => {
                let times = entries(dt)?.iter().map(|entry| time_ms(entry).map(time_us)).collect::<Option<Vec<_>>>()?;
                (times, values(column)?)
            }
            [_, dt, scalar] => (vec![time_us(time_ms(dt)?)], vec![value(scalar, channel)?]),
            [_, start, period, column] => {
                let (start_us, period_ms) = (time_us(time_ms(start)?), number(period)?);
                let values = values(column)?;
                if !(period_ms > 0.0 && period_ms <= PERIOD_MS_MAX) {
                    return None;
                }
                let offset = |i: usize| (i as f64 * (period_ms * 1000.0)).round() as i64;
                ((0..values.len()).map(|i| start_us + offset(i)).collect(), values)
            }
            _ => return None,
        };
        if times.len() != values.len() {
            return None;
        }
        meaning.push((place, times, values));
    }
    let readings: usize = meaning.iter().map(|(_, times, _)| times.len()).sum();
    (readings <= READINGS_PER_MESSAGE_MAX).then_some(Columns { seq, items: meaning })
}

/// The same shape out of what this crate decoded.
fn of_batch(batch: &Batch) -> Columns {
    let items = batch
        .runs
        .iter()
        .map(|run| (usize::from(run.channel), batch.times_us[run.range()].to_vec(), batch.values[run.range()].to_vec()))
        .collect();
    Columns { seq: batch.seq, items }
}

/// Both decoders refuse, or both give the same columns. True when they took the frame.
pub fn agree(bytes: &[u8], channels: &[ChannelDecl]) -> bool {
    let oracle = tree::read(bytes.strip_prefix(b"\xd9\xd9\xf7").unwrap_or(bytes));
    let expected = oracle.as_ref().ok().and_then(|tree| columns(tree, channels));
    let decoding: Vec<_> = channels.iter().map(ChannelDecl::decoding).collect();
    let mut batch = Batch::default();
    let outcome = data::decode(bytes, &decoding, &mut batch);
    let context = || format!("{}\n{outcome:?}\n{oracle:?}", crate::golden::to_hex(bytes));
    match (&outcome, expected) {
        (Ok(()), Some(expected)) => {
            assert_eq!(batch.times_us.len(), batch.values.len(), "{}", context());
            // As text, so that NaN equals NaN and 0 differs from -0.
            assert_eq!(format!("{:?}", of_batch(&batch)), format!("{expected:?}"), "{}", context());
            true
        }
        (Err(DataError::Refused { seq, .. }), None) => {
            assert_eq!(data::peek_seq(bytes), Some(*seq), "{}", context());
            false
        }
        (Err(DataError::Unreadable(_)), None) => {
            assert_eq!(data::peek_seq(bytes), None, "{}", context());
            false
        }
        _ => panic!("only one of two decoders took it: {}", context()),
    }
}

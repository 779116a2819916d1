//! Deterministic readings: the same message number always holds the same readings, so that everything the hub gives
//! back can be compared without remembering what was sent.

use protocol::device::encode::FrameWriter;
use serde_json::{Value, json};

use crate::support::hello;

/// Readings in a message.
const READINGS: u64 = 8;
/// Time from one reading to the next: thousands of messages make hours, so that all levels of rollups are filled.
const STEP_MS: u64 = 2_000;
/// Time that one message covers.
const MESSAGE_MS: u64 = READINGS * STEP_MS;

/// How a device writes its readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One item a reading.
    Scalars,
    /// Two arrays.
    Columns,
    /// No times at all.
    FixedRate,
    /// Columns whose messages come in pairs, the later one first: every second message is late.
    Late,
}

/// One device of each kind.
pub const KINDS: [Kind; 4] = [Kind::Scalars, Kind::Columns, Kind::FixedRate, Kind::Late];

/// All readings of one device.
#[derive(Debug, Clone)]
pub struct Generator {
    kind: Kind,
    t0_ms: u64,
}

impl Generator {
    pub fn new(kind: Kind, t0_ms: u64) -> Self {
        // Whole hours, so that no bucket begins before the first reading.
        Self { kind, t0_ms: t0_ms / 3_600_000 * 3_600_000 }
    }

    pub fn id(&self) -> String {
        format!("{:?}", self.kind).to_lowercase()
    }

    pub fn hello(&self, first: u64, next: u64) -> Value {
        let mut hello = hello(&self.id(), 77, &["n"]);
        (hello["first"], hello["next"]) = (json!(first), json!(next));
        hello
    }

    /// Which stretch of time message `seq` holds, counted from 0.
    fn stretch(&self, seq: u64) -> u64 {
        match self.kind {
            Kind::Late => (seq - 1) ^ 1,
            _ => seq - 1,
        }
    }

    /// The time before which message `seq` and later ones hold nothing, milliseconds.
    pub fn begin_ms(&self, seq: u64) -> u64 {
        self.t0_ms + (seq - 1) / 2 * 2 * MESSAGE_MS
    }

    /// The time behind everything in messages up to `seq`, milliseconds.
    pub fn end_ms(&self, seq: u64) -> u64 {
        self.t0_ms + seq.div_ceil(2) * 2 * MESSAGE_MS
    }

    fn readings(&self, seq: u64) -> impl Iterator<Item = (u64, f64)> {
        let stretch = self.stretch(seq);
        let begin_ms = self.t0_ms + stretch * MESSAGE_MS;
        (0..READINGS).map(move |i| (begin_ms + i * STEP_MS, value(stretch * READINGS + i)))
    }

    /// Message `seq` as it goes over the wire.
    pub fn frame(&self, seq: u64) -> Vec<u8> {
        let (times, values): (Vec<u64>, Vec<f64>) = self.readings(seq).unzip();
        let mut writer = FrameWriter::default();
        match self.kind {
            Kind::Scalars => {
                for (time_ms, value) in times.iter().zip(&values) {
                    writer.scalar(0, (time_ms - times[0]) as f64, *value);
                }
            }
            Kind::Columns | Kind::Late => {
                writer.column(0, &times.iter().map(|time_ms| (time_ms - times[0]) as u32).collect::<Vec<_>>(), &values);
            }
            Kind::FixedRate => writer.fixed_rate_f64(0, 0.0, STEP_MS as f64, &values),
        }
        writer.finish(seq, times[0] as f64)
    }

    /// The readings of messages `from` to `to`, and of the neighbour that shares a pair with them, in time order.
    fn sorted(&self, from: u64, to: u64) -> Vec<(u64, f64)> {
        let (begin_ms, end_ms) = (self.begin_ms(from), self.end_ms(to));
        let mut all: Vec<(u64, f64)> =
            (from.saturating_sub(2).max(1)..=to).flat_map(|seq| self.readings(seq)).collect();
        all.retain(|reading| (begin_ms..end_ms).contains(&reading.0));
        all.sort_by_key(|reading| reading.0);
        all
    }

    /// Asserts that these are exactly the readings that the hub must have between the first of `from` and the last of
    /// `to`.
    pub fn assert_readings(&self, seen: &[(u64, f64)], from: u64, to: u64) {
        let sent = self.sorted(from, to);
        if let Some(place) = (0..seen.len().max(sent.len())).find(|&i| seen.get(i) != sent.get(i)) {
            panic!(
                "{}, messages {from} to {to}: reading {place} differs: seen {:?}, sent {:?} ({} seen, {} sent)",
                self.id(),
                seen.get(place),
                sent.get(place),
                seen.len(),
                sent.len()
            );
        }
    }
}

/// Rises, falls, repeats and jumps, so that every way of storing values gets its turn.
fn value(index: u64) -> f64 {
    match index / 500 % 4 {
        0 => (index as f64 * 0.05).sin() * 1e3,
        1 => (index % 7) as f64 / 4.0,
        2 => 21.5,
        _ => (index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as f64,
    }
}

/// One bucket of what was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollup {
    pub start_ms: u64,
    pub min: f64,
    pub max: f64,
    pub last: f64,
    pub count: u64,
}

impl Rollup {
    /// Messages 1 to `mark` in buckets of this width.
    pub fn of(generator: &Generator, mark: u64, width_ms: u64) -> Vec<Self> {
        let mut buckets: Vec<Self> = Vec::new();
        for (time_ms, value) in generator.sorted(1, mark) {
            let start_ms = time_ms / width_ms * width_ms;
            match buckets.last_mut().filter(|bucket| bucket.start_ms == start_ms) {
                Some(bucket) => {
                    bucket.min = bucket.min.min(value);
                    bucket.max = bucket.max.max(value);
                    bucket.last = value;
                    bucket.count += 1;
                }
                None => buckets.push(Self { start_ms, min: value, max: value, last: value, count: 1 }),
            }
        }
        buckets
    }
}

//! The answer as JSON or CBOR: columns, null where a measurement is missing, and what is known to be lost.

use history::Buckets;
use protocol::live::{GapRow, SeriesRow};
use serde::{Serialize, Serializer};

use super::{Answered, Question, measured, ms};

/// The whole answer.
#[derive(Serialize)]
pub(super) struct Answer<'a> {
    from: Ms,
    to: Ms,
    points: u32,
    series: Vec<Series<'a>>,
    gaps: &'a [GapRow],
}

/// Milliseconds, as an integer where there is no fraction.
pub(super) struct Ms(pub(super) i64);

/// One reading.
#[derive(Serialize)]
pub(super) struct Reading {
    t: Ms,
    value: Option<f64>,
}

impl Reading {
    pub(super) fn new((time_us, value): (i64, f64)) -> Self {
        Self { t: Ms(time_us), value: measured(value) }
    }
}

impl Serialize for Ms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1000 == 0 { serializer.serialize_i64(self.0 / 1000) } else { serializer.serialize_f64(ms(self.0)) }
    }
}

#[derive(Serialize)]
struct Series<'a> {
    #[serde(flatten)]
    row: &'a SeriesRow,
    before: Option<Reading>,
    /// Width of a bucket; null when the readings are raw.
    bucket_ms: Option<Ms>,
    t: Vec<Ms>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Vec<Option<f64>>>,
    #[serde(flatten)]
    columns: Option<Columns>,
}

#[derive(Serialize)]
struct Columns {
    min: Vec<Option<f64>>,
    max: Vec<Option<f64>>,
    mean: Vec<Option<f64>>,
    last: Vec<Option<f64>>,
    count: Vec<u64>,
}

impl<'a> Answer<'a> {
    pub(super) fn new(question: &Question, answers: &'a [Answered], gaps: &'a [GapRow]) -> Self {
        Self {
            from: Ms(question.from_us),
            to: Ms(question.to_us),
            points: question.points,
            series: answers.iter().map(Series::new).collect(),
            gaps,
        }
    }
}

impl<'a> Series<'a> {
    fn new(answered: &'a Answered) -> Self {
        let (row, before) = (&answered.row, answered.before.map(Reading::new));
        match &answered.answer {
            Buckets::Raw(readings) => Self {
                row,
                before,
                bucket_ms: None,
                t: readings.times_us.iter().map(|&time_us| Ms(time_us)).collect(),
                value: Some(readings.values.iter().map(|&value| measured(value)).collect()),
                columns: None,
            },
            Buckets::Buckets { width_us, rows } => Self {
                row,
                before,
                bucket_ms: Some(Ms(*width_us)),
                t: rows.iter().map(|bucket| Ms(bucket.start_us)).collect(),
                value: None,
                columns: Some(Columns {
                    min: rows.iter().map(|bucket| measured(bucket.min)).collect(),
                    max: rows.iter().map(|bucket| measured(bucket.max)).collect(),
                    mean: rows.iter().map(|bucket| measured(bucket.mean())).collect(),
                    last: rows.iter().map(|bucket| measured(bucket.last)).collect(),
                    count: rows.iter().map(|bucket| bucket.count).collect(),
                }),
            },
        }
    }
}

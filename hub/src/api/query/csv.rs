//! The answer as CSV: a row a point (long), or a row an instant and a column a series (wide). Units stand in the
//! header or their own column; a missing measurement is an empty field. Ids hold nothing that needs quoting, units are
//! quoted where they do.

use std::{collections::BTreeMap, fmt::Write};

use history::{Buckets, Readings};
use protocol::live::SeriesRow;

use super::{Answered, iso, measured};
use crate::api::error::Problem;

/// Cells of a wide answer, empty ones included.
const CELLS_MAX: usize = 20_000_000;

/// The header of raw readings.
pub(super) const RAW_HEADER: &str = "time,device,channel,unit,value\n";

/// A row a point.
pub(super) fn long(answers: &[Answered]) -> String {
    let is_reduced = answers.iter().any(|answered| matches!(answered.answer, Buckets::Buckets { .. }));
    let mut out =
        String::from(if is_reduced { "time,device,channel,unit,min,max,mean,last,count\n" } else { RAW_HEADER });
    for Answered { row, answer, .. } in answers {
        let names = names(row);
        match answer {
            Buckets::Raw(readings) if is_reduced => {
                for (&time_us, &value) in readings.times_us.iter().zip(&readings.values) {
                    let value = field(value);
                    let count = u8::from(!value.is_empty());
                    line(&mut out, format_args!("{},{names},{value},{value},{value},{value},{count}", iso(time_us)));
                }
            }
            Buckets::Raw(readings) => raw(&mut out, row, readings),
            Buckets::Buckets { rows, .. } => {
                for bucket in rows {
                    let [min, max, mean, last] = [bucket.min, bucket.max, bucket.mean(), bucket.last].map(field);
                    let time = iso(bucket.start_us);
                    line(&mut out, format_args!("{time},{names},{min},{max},{mean},{last},{}", bucket.count));
                }
            }
        }
    }
    out
}

/// Raw readings of one series, a row each.
pub(super) fn raw(out: &mut String, row: &SeriesRow, readings: &Readings) {
    let names = names(row);
    for (&time_us, &value) in readings.times_us.iter().zip(&readings.values) {
        line(out, format_args!("{},{names},{}", iso(time_us), field(value)));
    }
}

/// A row an instant and a column a series: the mean of a bucket, or the reading itself.
pub(super) fn wide(answers: &[Answered]) -> Result<String, Problem> {
    let mut rows: BTreeMap<i64, Vec<(usize, f64)>> = BTreeMap::new();
    let mut out = String::from("time");
    for (column, Answered { row, answer, .. }) in answers.iter().enumerate() {
        let unit = row.unit.as_ref().map(|unit| format!(" [{unit}]")).unwrap_or_default();
        let name = format!("{}/{}{unit}", row.device, row.channel);
        let _ = write!(out, ",{}", quoted(&name));
        let mut put = |time_us, value| rows.entry(time_us).or_default().push((column, value));
        match answer {
            Buckets::Raw(readings) => {
                readings.times_us.iter().zip(&readings.values).for_each(|(&time_us, &value)| put(time_us, value));
            }
            Buckets::Buckets { rows, .. } => rows.iter().for_each(|bucket| put(bucket.start_us, bucket.mean())),
        }
    }
    if rows.len() * answers.len() > CELLS_MAX {
        let detail = "so many series hardly share an instant: ask for layout=long, or for fewer series".to_owned();
        return Err(Problem::new(400, "too much at once", detail));
    }
    out.push('\n');
    for (time_us, values) in rows {
        out.push_str(&iso(time_us));
        let mut next = 0;
        for (column, value) in values {
            out.extend(std::iter::repeat_n(',', column + 1 - next));
            out.push_str(&field(value));
            next = column + 1;
        }
        out.extend(std::iter::repeat_n(',', answers.len() - next));
        out.push('\n');
    }
    Ok(out)
}

fn names(row: &SeriesRow) -> String {
    format!("{},{},{}", row.device, row.channel, quoted(row.unit.as_deref().unwrap_or_default()))
}

fn quoted(text: &str) -> String {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-[] %".contains(&byte) || byte >= 0x80)
        && !text.starts_with(['-', '+', '=', '@']);
    if is_plain { text.to_owned() } else { format!("\"{}\"", text.replace('"', "\"\"")) }
}

fn field(value: f64) -> String {
    measured(value).map(|value| value.to_string()).unwrap_or_default()
}

fn line(out: &mut String, fields: std::fmt::Arguments<'_>) {
    out.write_fmt(fields).expect("writing to a string does not fail");
    out.push('\n');
}

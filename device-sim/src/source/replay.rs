//! A recording sent once more: at its own pace, faster, or all at once with the times it has.
//!
//! Owns one CSV file. Reads it twice, once to check every line before anything is sent and once to send it, so that a
//! recording of any length takes no memory. Takes the time and gives samples. Never sends a time that lies ahead.

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use csv::StringRecord;
use protocol::{device::ChannelDecl, text::excerpt};

use super::{
    Sample, Source, SourceError, Span,
    table::{LeftOut, Survey, Table, TableError},
};

/// Rows that one poll gives at most.
const ROWS_PER_POLL_MAX: usize = 1_024;

/// When the rows of a recording are sent, and with which times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// Row by row, `speed` times as fast as it was recorded (at least 1), the times shifted so that the last row
    /// happens at the moment it is sent. Between two rows lies as much time as in the recording.
    Live {
        /// 1 is the recording's own pace.
        speed: f64,
    },
    /// As fast as it goes, with the recorded times: an import.
    AsRecorded,
}

/// A recording being sent.
pub struct Replay {
    path: PathBuf,
    pace: Pace,
    table: Table,
    span: Span,
    rows: csv::Reader<File>,
    row: StringRecord,
    values: Vec<f64>,
    /// The time of `row` when it was read but is not yet due, as recorded.
    waiting_us: Option<i64>,
    started_us: Option<i64>,
}

impl Replay {
    /// Opens a recording and checks it from end to end.
    ///
    /// The header names a column `timestamp`, `time` or `t`; every other column is a channel. Rows may be out of order:
    /// such a row is sent with its neighbours and keeps its time.
    pub fn open(path: &Path, pace: Pace) -> Result<Self, SourceError> {
        if let Pace::Live { speed } = pace
            && !(speed >= 1.0 && speed.is_finite())
        {
            return Err(SourceError::Speed { speed });
        }
        let (table, span) = check(path)?;
        let (rows, _) = open_rows(path)?;
        Ok(Self {
            path: path.to_owned(),
            pace,
            table,
            span,
            rows,
            row: StringRecord::new(),
            values: Vec::new(),
            waiting_us: None,
            started_us: None,
        })
    }

    /// When a row is due, and what is added to its time; both in microseconds.
    fn schedule(&self, time_us: i64, started_us: i64) -> (i64, i64) {
        match self.pace {
            Pace::AsRecorded => (i64::MIN, 0),
            Pace::Live { speed } => {
                let sent_after_us = |time_us: i64| ((time_us - self.span.first_us) as f64 / speed).round() as i64;
                let ends_us = started_us + sent_after_us(self.span.last_us);
                (started_us + sent_after_us(time_us), ends_us - self.span.last_us)
            }
        }
    }
}

impl Source for Replay {
    fn channels(&self) -> &[ChannelDecl] {
        self.table.channels()
    }

    fn recorded(&self) -> Option<Span> {
        Some(self.span)
    }

    fn poll(&mut self, now_us: i64, out: &mut Vec<Sample>) -> Result<Option<i64>, SourceError> {
        let started_us = *self.started_us.get_or_insert(now_us);
        for _ in 0..ROWS_PER_POLL_MAX {
            let time_us = match self.waiting_us.take() {
                Some(time_us) => time_us,
                None => match next_row(&self.path, &mut self.rows, &self.table, &mut self.row)? {
                    Some(time_us) => time_us,
                    None => return Ok(None),
                },
            };
            let (due_us, shift_us) = self.schedule(time_us, started_us);
            if due_us > now_us {
                self.waiting_us = Some(time_us);
                return Ok(Some(due_us));
            }
            self.table
                .values(&self.row, &mut self.values)
                .map_err(|problem| in_row(&self.path, &self.row, &problem))?;
            let time_us = time_us + shift_us;
            out.extend(self.values.iter().enumerate().map(|(channel, &value)| Sample::Point {
                channel,
                time_us,
                value,
            }));
        }
        Ok(Some(now_us))
    }
}

/// Reads the whole recording for its channels, its span and its mistakes.
fn check(path: &Path) -> Result<(Table, Span), SourceError> {
    let (mut rows, table) = open_rows(path)?;
    let mut row = StringRecord::new();
    let mut span: Option<Span> = None;
    let mut survey = Survey::new(&table);
    while let Some(time_us) = next_row(path, &mut rows, &table, &mut row)? {
        survey.row(&table, &row).map_err(|problem| in_row(path, &row, &problem))?;
        let known = span.unwrap_or(Span { first_us: time_us, last_us: time_us });
        span = Some(Span { first_us: known.first_us.min(time_us), last_us: known.last_us.max(time_us) });
    }
    let span = span.ok_or_else(|| in_line(path, 1, "no row below the header".to_owned()))?;
    let (table, left_out) = survey.settle(table).map_err(|problem| in_line(path, 1, problem.to_string()))?;
    for LeftOut { column, text } in left_out {
        tracing::warn!(%column, text, "neither numbers nor words such as on and off: the column is left out");
    }
    Ok((table, span))
}

fn open_rows(path: &Path) -> Result<(csv::Reader<File>, Table), SourceError> {
    let file = File::open(path).map_err(|source| SourceError::OpenRecording { path: path.to_owned(), source })?;
    // Rows of another length are told by the table, with the line they stand in.
    let mut rows = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let header = rows.headers().map_err(|source| SourceError::ReadRecording { path: path.to_owned(), source })?;
    let table = Table::from_header(header).map_err(|problem| in_line(path, 1, problem.to_string()))?;
    if !table.has_time() {
        let there_are = excerpt(&header.iter().collect::<Vec<_>>().join(", "), 200);
        return Err(in_line(path, 1, format!("no column is called timestamp, time or t; there are: {there_are}")));
    }
    Ok((rows, table))
}

/// Reads a row and gives its time; `None` at the end.
fn next_row(
    path: &Path,
    rows: &mut csv::Reader<File>,
    table: &Table,
    row: &mut StringRecord,
) -> Result<Option<i64>, SourceError> {
    let is_row =
        rows.read_record(row).map_err(|source| SourceError::ReadRecording { path: path.to_owned(), source })?;
    if !is_row {
        return Ok(None);
    }
    let time_us = table.time_us(row).map_err(|problem| in_row(path, row, &problem))?;
    Ok(Some(time_us.expect("a recording without a column of times is not opened")))
}

fn in_row(path: &Path, row: &StringRecord, problem: &TableError) -> SourceError {
    in_line(path, row.position().map_or(0, csv::Position::line), problem.to_string())
}

fn in_line(path: &Path, line: u64, problem: String) -> SourceError {
    SourceError::Recording { path: path.to_owned(), line, problem }
}

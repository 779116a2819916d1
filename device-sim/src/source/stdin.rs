//! What another program prints: JSON lines or CSV, so that any script, serial port or instrument can be a device.
//!
//! Owns the input and the channels that appear in it. Takes the time, for lines that carry none, and gives samples. A
//! line that cannot be used (what a program says when it starts, half a line from a serial port) is logged with its
//! number, and reading goes on.

mod complaints;
mod json;
mod lines;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    io::Read,
    sync::mpsc::{Receiver, TryRecvError},
};

use csv::StringRecord;
use protocol::{device::ChannelDecl, ids::Id, limits::CHANNELS_PER_DEVICE_MAX, text::excerpt};

use self::{
    complaints::Complaints,
    json::{Fields, JsonError},
    lines::{LINE_BYTES_MAX, Line},
};
use super::{
    Sample, Source, SourceError,
    name::{channel_id, distinct},
    table::{Table, TableError},
};

/// Lines that one poll takes at most.
const LINES_PER_POLL_MAX: usize = 256;
/// How soon to look for lines again, microseconds: a line without a time is at most that much late.
const LOOK_AGAIN_US: i64 = 20_000;
/// Lines that may be a CSV table's header and are kept until a row fits one of them: more than programs say at first.
const HEADERS_MAX: usize = 16;
/// Most different JSON fields that are told apart; a device has far fewer channels.
const FIELDS_MAX: usize = 1_024;

/// Readings from an input.
pub struct Stdin {
    lines: Receiver<Line>,
    /// The newest line read, from 1.
    line: u64,
    format: Format,
    /// While the format is unknown: lines that may be a header, by number. Names alone do not tell one from a greeting;
    /// the first row below does.
    headers: VecDeque<(u64, Table)>,
    has_readings: bool,
    channels: Vec<ChannelDecl>,
    complaints: Complaints,
}

enum Format {
    /// No reading so far.
    Unknown,
    Json(HashMap<String, Field>),
    Csv {
        table: Table,
        values: Vec<f64>,
    },
}

/// What is known of a JSON field.
#[derive(Debug, Clone, Copy)]
struct Field {
    /// `None`: it was never a number, or there was no room for another channel.
    channel: Option<usize>,
    is_complained_of: bool,
}

/// Why a line is left out.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("longer than {LINE_BYTES_MAX} bytes")]
    TooLong,
    #[error("not UTF-8 text")]
    Encoding,
    #[error("not CSV: {0}")]
    Csv(#[source] csv::Error),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Json(#[from] JsonError),
    #[error("no number in it")]
    NoNumber,
    #[error("neither a JSON line such as {{\"temp\": 21.5}} nor the header of the CSV rows that follow")]
    NoFormat,
}

impl Stdin {
    /// Starts to read `input`. The first line with readings tells the format: a JSON object, or a CSV row that fits a
    /// header above it.
    pub fn new(input: impl Read + Send + 'static) -> Result<Self, SourceError> {
        Ok(Self {
            lines: lines::read(input)?,
            line: 0,
            format: Format::Unknown,
            headers: VecDeque::new(),
            has_readings: false,
            channels: Vec::new(),
            complaints: Complaints::default(),
        })
    }

    fn take(&mut self, now_us: i64, number: u64, bytes: &[u8], out: &mut Vec<Sample>) -> Result<(), LineError> {
        let line = if number == 1 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) } else { bytes };
        let line = line.trim_ascii_start();
        if line.is_empty() {
            return Ok(());
        }
        if matches!(self.format, Format::Unknown) {
            self.tell_format(now_us, number, line)?;
        }
        match &mut self.format {
            // The line may turn out to be a header.
            Format::Unknown => Ok(()),
            Format::Csv { table, values } => {
                let row = split(line)?;
                let time_us = table.time_us(&row)?.unwrap_or(now_us);
                table.values(&row, values)?;
                out.extend(values.iter().enumerate().map(|(channel, &value)| Sample::Point {
                    channel,
                    time_us,
                    value,
                }));
                Ok(())
            }
            Format::Json(known) => {
                let fields = json::parse(line)?;
                let mut line =
                    JsonLine { now_us, number, known, channels: &mut self.channels, complaints: &mut self.complaints };
                line.take(fields, out)
            }
        }
    }

    /// Settles the format if `line` holds readings, and keeps the line in mind if it may be a header.
    fn tell_format(&mut self, now_us: i64, number: u64, line: &[u8]) -> Result<(), LineError> {
        if line.starts_with(b"{") {
            json::parse(line)?;
            self.format = Format::Json(HashMap::new());
            self.skip_headers(now_us);
            return Ok(());
        }
        let row = split(line)?;
        let mut values = Vec::new();
        let mut fit = |table: &Table| table.time_us(&row).and_then(|_| table.values(&row, &mut values));
        // The newest first: what a program says comes above its table.
        if let Some(place) = self.headers.iter().rposition(|(_, table)| fit(table).is_ok()) {
            let (_, table) = self.headers.remove(place).expect("it was found there");
            self.channels = table.channels().to_vec();
            self.format = Format::Csv { table, values };
            self.skip_headers(now_us);
            return Ok(());
        }
        let has_numbers = row.iter().any(|field| field.trim().parse::<f64>().is_ok());
        if let (true, Some((_, newest))) = (has_numbers, self.headers.back()) {
            fit(newest)?;
        }
        let table = Table::from_header(&row)?;
        if self.headers.len() == HEADERS_MAX
            && let Some((oldest, _)) = self.headers.pop_front()
        {
            self.complaints.line_skipped(now_us, oldest, &LineError::NoFormat);
        }
        self.headers.push_back((number, table));
        Ok(())
    }

    fn skip_headers(&mut self, now_us: i64) {
        for (number, _) in self.headers.drain(..) {
            self.complaints.line_skipped(now_us, number, &LineError::NoFormat);
        }
    }

    fn end(&mut self, now_us: i64) -> Result<Option<i64>, SourceError> {
        self.skip_headers(now_us);
        if self.has_readings { Ok(None) } else { Err(SourceError::NothingUsable { lines: self.line }) }
    }
}

impl Source for Stdin {
    fn channels(&self) -> &[ChannelDecl] {
        &self.channels
    }

    fn poll(&mut self, now_us: i64, out: &mut Vec<Sample>) -> Result<Option<i64>, SourceError> {
        let before = out.len();
        for _ in 0..LINES_PER_POLL_MAX {
            self.has_readings |= out.len() > before;
            let (number, taken) = match self.lines.try_recv() {
                Ok(Line::Text { number, bytes }) => (number, self.take(now_us, number, &bytes, out)),
                Ok(Line::TooLong { number }) => (number, Err(LineError::TooLong)),
                Ok(Line::Failed { number, source }) => return Err(SourceError::ReadInput { line: number, source }),
                Err(TryRecvError::Empty) => return Ok(Some(now_us + LOOK_AGAIN_US)),
                Err(TryRecvError::Disconnected) => return self.end(now_us),
            };
            self.line = number;
            if let Err(problem) = taken {
                self.complaints.line_skipped(now_us, number, &problem);
            }
        }
        self.has_readings |= out.len() > before;
        Ok(Some(now_us))
    }

    fn lines_skipped(&self) -> u64 {
        self.complaints.lines_skipped()
    }
}

/// One line of JSON on its way into channels.
struct JsonLine<'a> {
    now_us: i64,
    number: u64,
    known: &'a mut HashMap<String, Field>,
    channels: &'a mut Vec<ChannelDecl>,
    complaints: &'a mut Complaints,
}

impl JsonLine<'_> {
    fn take(&mut self, fields: Fields, out: &mut Vec<Sample>) -> Result<(), LineError> {
        let time_us = fields.time_us.unwrap_or(self.now_us);
        let samples_before = out.len();
        for (name, value) in fields.values {
            if let Some((channel, value)) = self.channel(&name, value) {
                out.push(Sample::Point { channel, time_us, value });
            }
        }
        if out.len() == samples_before { Err(LineError::NoNumber) } else { Ok(()) }
    }

    /// The channel of a field and its value; its first number or `null` makes a channel of it.
    fn channel(&mut self, name: &str, value: Option<f64>) -> Option<(usize, f64)> {
        if !self.known.contains_key(name) && self.known.len() >= FIELDS_MAX {
            return None;
        }
        let field = self.known.entry(name.to_owned()).or_insert(Field { channel: None, is_complained_of: false });
        let has_room = self.channels.len() < CHANNELS_PER_DEVICE_MAX;
        if field.channel.is_none() && value.is_some() && has_room {
            self.channels.push(declare(name, self.channels));
            field.channel = Some(self.channels.len() - 1);
        }
        if let (Some(channel), Some(value)) = (field.channel, value) {
            return Some((channel, value));
        }
        if !field.is_complained_of {
            field.is_complained_of = true;
            let problem = if value.is_some() { "a device has at most 256 channels" } else { "not a number" };
            self.complaints.field_ignored(self.now_us, self.number, &excerpt(name, 40), problem);
        }
        None
    }
}

fn declare(name: &str, taken: &[ChannelDecl]) -> ChannelDecl {
    let id = channel_id(name)
        .unwrap_or_else(|| Id::new(&format!("field-{}", taken.len() + 1)).expect("a word and a number make an id"));
    let id = distinct(id, taken);
    ChannelDecl { title: (id.as_str() != name).then(|| excerpt(name, 64)), ..ChannelDecl::gauge(id) }
}

/// One line of CSV as its fields.
fn split(line: &[u8]) -> Result<StringRecord, LineError> {
    std::str::from_utf8(line).map_err(|_| LineError::Encoding)?;
    let mut row = StringRecord::new();
    let mut reader = csv::ReaderBuilder::new().has_headers(false).buffer_capacity(line.len()).from_reader(line);
    reader.read_record(&mut row).map_err(LineError::Csv)?;
    Ok(row)
}

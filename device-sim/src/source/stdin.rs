//! What another program prints: JSON lines or CSV, so that any script, serial port or instrument can be a device.
//!
//! Owns the input and the channels that appear in it. Takes the time, for lines that carry none, and gives samples. A
//! line that cannot be used is logged with its number, and reading goes on.

mod complaints;
mod json;
mod lines;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
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
/// Most different JSON fields that are told apart; a device has far fewer channels.
const FIELDS_MAX: usize = 1_024;

/// Readings from an input.
pub struct Stdin {
    lines: Receiver<Line>,
    format: Format,
    channels: Vec<ChannelDecl>,
    complaints: Complaints,
}

enum Format {
    /// Nothing but empty lines so far.
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
}

impl Stdin {
    /// Starts to read `input`: the first line that is not empty tells the format, JSON when it begins with `{` or `[`,
    /// otherwise the header of a CSV table.
    pub fn new(input: impl Read + Send + 'static) -> Result<Self, SourceError> {
        Ok(Self {
            lines: lines::read(input)?,
            format: Format::Unknown,
            channels: Vec::new(),
            complaints: Complaints::default(),
        })
    }

    /// Lines that could not be used so far.
    pub fn lines_skipped(&self) -> u64 {
        self.complaints.lines_skipped()
    }

    fn take(&mut self, now_us: i64, number: u64, bytes: &[u8], out: &mut Vec<Sample>) -> Result<(), LineError> {
        let line = if number == 1 { bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes) } else { bytes };
        let line = line.trim_ascii_start();
        let Some(first) = line.first() else { return Ok(()) };
        match &mut self.format {
            Format::Unknown if matches!(first, b'{' | b'[') => {
                self.format = Format::Json(HashMap::new());
                self.take(now_us, number, line, out)
            }
            Format::Unknown => {
                let table = Table::from_header(&split(line)?)?;
                self.channels = table.channels().to_vec();
                self.format = Format::Csv { table, values: Vec::new() };
                Ok(())
            }
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
}

impl Source for Stdin {
    fn channels(&self) -> &[ChannelDecl] {
        &self.channels
    }

    fn poll(&mut self, now_us: i64, out: &mut Vec<Sample>) -> Result<Option<i64>, SourceError> {
        for _ in 0..LINES_PER_POLL_MAX {
            let (number, taken) = match self.lines.try_recv() {
                Ok(Line::Text { number, bytes }) => (number, self.take(now_us, number, &bytes, out)),
                Ok(Line::TooLong { number }) => (number, Err(LineError::TooLong)),
                Ok(Line::Failed { number, source }) => return Err(SourceError::ReadInput { line: number, source }),
                Err(TryRecvError::Empty) => return Ok(Some(now_us + LOOK_AGAIN_US)),
                Err(TryRecvError::Disconnected) => return Ok(None),
            };
            if let Err(problem) = taken {
                self.complaints.line_skipped(now_us, number, &problem);
            }
        }
        Ok(Some(now_us))
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

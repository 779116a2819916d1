//! A CSV table of readings: a header that names channels, a column of times, rows of numbers.
//!
//! Takes records that the `csv` crate has split and gives channels, times and values. Reads no file.

mod survey;

use csv::StringRecord;
use protocol::{device::ChannelDecl, ids::Id, limits::CHANNELS_PER_DEVICE_MAX, text::excerpt};

pub(super) use self::survey::{LeftOut, Survey};
use super::{
    name::{channel_id, distinct},
    timestamp::{self, TimeError},
};

/// What a column of times may be called.
const TIME_NAMES: [&str; 3] = ["t", "time", "timestamp"];

/// Whether a column or a field of this name holds times.
pub(super) fn is_time_name(name: &str) -> bool {
    TIME_NAMES.iter().any(|known| name.trim().eq_ignore_ascii_case(known))
}

/// Why a header or a row cannot be understood.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum TableError {
    /// The first line holds data.
    #[error("the first line must name the columns, such as \"time,temp,hum\", but it starts with {0:?}")]
    NoHeader(String),
    /// Columns that are set apart by something else than a comma.
    #[error("the columns must be separated by commas, here it is {by}: {header:?}")]
    Separator {
        /// For a person.
        by: &'static str,
        /// How the first line begins.
        header: String,
    },
    /// Nothing but times.
    #[error("no column of values beside the time")]
    NoValues,
    /// More columns than a device may have channels.
    #[error("{0} columns of values, a device has at most {CHANNELS_PER_DEVICE_MAX} channels")]
    TooManyColumns(usize),
    /// A row of another length.
    #[error("{fields} fields, but the header names {columns} columns")]
    Width {
        /// In the row.
        fields: usize,
        /// In the header.
        columns: usize,
    },
    /// A time that is none.
    #[error(transparent)]
    Time(#[from] TimeError),
    /// A value that is no number.
    #[error("column {column}: {text:?} is not a number")]
    NotANumber {
        /// As the channel is called.
        column: Id,
        /// What stands there.
        text: String,
    },
    /// Numbers and words in one column.
    #[error("column {column}: {text:?} stands there, but above it {}", match text.parse::<f64>() {
        Ok(_) => "are words",
        Err(_) => "are numbers",
    })]
    Mixed {
        /// As the channel is called.
        column: Id,
        /// The first field of the other sort.
        text: String,
    },
}

/// The columns of one table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Fields in a row.
    width: usize,
    time: Option<usize>,
    columns: Vec<Column>,
    /// One a column, in their order.
    channels: Vec<ChannelDecl>,
}

/// A column of values.
#[derive(Debug, Clone, Copy)]
struct Column {
    /// Its place in a row.
    place: usize,
    reading: Reading,
}

/// How fields become values.
#[derive(Debug, Clone, Copy)]
enum Reading {
    Number,
    /// The names of the states 0 and 1.
    Words([&'static str; 2]),
}

impl Table {
    /// Reads a header. A name may carry its unit: `oven temperature [Cel]`.
    pub(super) fn from_header(header: &StringRecord) -> Result<Self, TableError> {
        let first = header.get(0).unwrap_or_default().trim();
        if first.is_empty() || first.parse::<f64>().is_ok() || timestamp::parse(first).is_ok() {
            return Err(TableError::NoHeader(excerpt(first, 40)));
        }
        let separators = [(';', "semicolons"), ('\t', "tabs")];
        if let (1, Some((_, by))) =
            (header.len(), separators.into_iter().find(|(separator, _)| first.contains(*separator)))
        {
            return Err(TableError::Separator { by, header: excerpt(first, 40) });
        }
        let time = header.iter().position(is_time_name);
        let places: Vec<usize> = (0..header.len()).filter(|place| Some(*place) != time).collect();
        match places.len() {
            0 => return Err(TableError::NoValues),
            count if count > CHANNELS_PER_DEVICE_MAX => return Err(TableError::TooManyColumns(count)),
            _ => {}
        }
        let mut channels = Vec::with_capacity(places.len());
        for place in &places {
            let channel = channel(&header[*place], *place, &channels);
            channels.push(channel);
        }
        let columns = places.into_iter().map(|place| Column { place, reading: Reading::Number }).collect();
        Ok(Self { width: header.len(), time, columns, channels })
    }

    /// Whether there is a column of times.
    pub(super) fn has_time(&self) -> bool {
        self.time.is_some()
    }

    /// One channel a column of values, in their order.
    pub(super) fn channels(&self) -> &[ChannelDecl] {
        &self.channels
    }

    /// The row's time, microseconds since the Unix epoch; `None` when the table has no such column.
    pub(super) fn time_us(&self, row: &StringRecord) -> Result<Option<i64>, TableError> {
        if row.len() != self.width {
            return Err(TableError::Width { fields: row.len(), columns: self.width });
        }
        Ok(self.time.map(|column| timestamp::parse(&row[column])).transpose()?)
    }

    /// The row's values, one a channel; an empty field is a missing measurement (NaN).
    /// The row must have passed [`time_us`](Self::time_us).
    pub(super) fn values(&self, row: &StringRecord, values: &mut Vec<f64>) -> Result<(), TableError> {
        values.clear();
        for (column, channel) in self.columns.iter().zip(&self.channels) {
            let text = &row[column.place];
            let value = match column.reading {
                Reading::Number => value(text),
                Reading::Words(_) if is_missing(text) => Some(f64::NAN),
                Reading::Words([off, on]) => {
                    let is = |word: &str| text.trim().eq_ignore_ascii_case(word);
                    is(on).then_some(1.0).or_else(|| is(off).then_some(0.0))
                }
            };
            let value = value
                .ok_or_else(|| TableError::NotANumber { column: channel.name.clone(), text: excerpt(text, 40) })?;
            values.push(value);
        }
        Ok(())
    }
}

fn channel(header: &str, column: usize, taken: &[ChannelDecl]) -> ChannelDecl {
    let header = header.trim();
    let (title, unit) = match header.strip_suffix(']').and_then(|text| text.split_once('[')) {
        Some((title, unit)) => (title.trim(), Some(unit.trim().to_owned())),
        None => (header, None),
    };
    let id = channel_id(title)
        .unwrap_or_else(|| Id::new(&format!("column-{}", column + 1)).expect("a word and a number make an id"));
    let name = distinct(id, taken);
    ChannelDecl { title: (name.as_str() != title).then(|| title.to_owned()), unit, ..ChannelDecl::gauge(name) }
}

fn is_missing(text: &str) -> bool {
    ["", "nan", "na", "n/a", "null"].iter().any(|missing| text.trim().eq_ignore_ascii_case(missing))
}

/// A field as a number: finite, or NaN where nothing was measured.
fn value(text: &str) -> Option<f64> {
    if is_missing(text) {
        return Some(f64::NAN);
    }
    match text.trim() {
        text if text.eq_ignore_ascii_case("true") => Some(1.0),
        text if text.eq_ignore_ascii_case("false") => Some(0.0),
        text => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(header: &[&str]) -> Result<Table, TableError> {
        Table::from_header(&StringRecord::from(header.to_vec()))
    }

    #[test]
    fn a_header_names_channels_units_and_the_time() {
        let table = table(&["temp", "Timestamp", "Oven (left) [Cel]", "temp", "温度"]).unwrap();
        let names: Vec<&str> = table.channels().iter().map(|channel| channel.name.as_str()).collect();
        assert_eq!(names, ["temp", "Oven-left", "temp-2", "column-5"]);
        assert_eq!(table.channels()[1].title.as_deref(), Some("Oven (left)"));
        assert_eq!(table.channels()[1].unit.as_deref(), Some("Cel"));
        assert_eq!(table.channels()[0].title, None, "a title equal to the name says nothing");
        assert!(table.has_time());
    }

    #[test]
    fn a_header_that_is_none_is_refused() {
        assert!(matches!(table(&["2026-01-01 00:00:00", "21.5"]), Err(TableError::NoHeader(_))));
        assert!(matches!(table(&["21.5", "40"]), Err(TableError::NoHeader(_))));
        assert_eq!(table(&["time"]).unwrap_err(), TableError::NoValues);
        let error = table(&["time;temp"]).unwrap_err().to_string();
        assert!(error.contains("separated by commas") && error.contains("time;temp"), "{error}");
        let many: Vec<String> = (0..300).map(|column| format!("c{column}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(table(&many).unwrap_err(), TableError::TooManyColumns(300));
    }

    #[test]
    fn rows_give_times_and_values() {
        let table = table(&["t", "a", "b"]).unwrap();
        let row = |fields: [&str; 3]| StringRecord::from(fields.to_vec());
        let mut values = Vec::new();
        assert_eq!(table.time_us(&row(["1767268800", "1", "2"])), Ok(Some(1_767_268_800_000_000)));
        table.values(&row(["", " 1.5 ", ""]), &mut values).unwrap();
        assert!(matches!(values[..], [1.5, missing] if missing.is_nan()), "{values:?}");
        table.values(&row(["", "true", "N/A"]), &mut values).unwrap();
        assert!(matches!(values[..], [1.0, missing] if missing.is_nan()), "{values:?}");
        for bad in ["on", "inf", "1,5"] {
            let error = table.values(&row(["", "1", bad]), &mut values).unwrap_err().to_string();
            assert!(error.contains("column b") && error.contains(bad), "{error}");
        }
        let short = StringRecord::from(vec!["1767268800", "1"]);
        assert_eq!(table.time_us(&short), Err(TableError::Width { fields: 2, columns: 3 }));
    }
}

//! Where a device's readings come from.
//!
//! Owns the [`Source`] trait and its implementations: [`waveform`] (simulated physics), [`host`] (this machine),
//! [`stdin`] (what another program prints) and [`replay`] (a recording). Takes the current time as an argument and
//! gives [`Sample`]s. Never reads a clock, never sleeps, never talks to a hub.

pub mod cadence;
pub mod host;
pub mod name;
pub mod replay;
pub mod stdin;
mod table;
mod timestamp;
pub mod waveform;

use std::{io, path::PathBuf};

use protocol::device::ChannelDecl;

/// What a source yields for one of its channels.
#[derive(Debug, Clone, PartialEq)]
pub enum Sample {
    /// One value at one instant.
    Point {
        /// Place of the channel in [`Source::channels`], from 0.
        channel: usize,
        /// When it was measured, microseconds since the Unix epoch.
        time_us: i64,
        /// In the channel's unit (`scale` and `offset` are applied already); NaN is a missing measurement.
        value: f64,
    },
    /// Values at a fixed rate, without a gap between them.
    Run {
        /// Place of the channel in [`Source::channels`], from 0.
        channel: usize,
        /// When the first value was measured, microseconds since the Unix epoch.
        start_us: i64,
        /// Time from one value to the next, microseconds, above 0.
        period_us: i64,
        /// The values; never empty.
        values: RunValues,
    },
}

/// The values of a [`Sample::Run`].
#[derive(Debug, Clone, PartialEq)]
pub enum RunValues {
    /// Raw counts as an instrument gives them: value = count × the channel's `scale` + its `offset`.
    I16(Vec<i16>),
    /// In the channel's unit (`scale` and `offset` are applied already); NaN is a missing measurement.
    F64(Vec<f64>),
}

impl RunValues {
    /// How many values there are.
    pub fn len(&self) -> usize {
        match self {
            Self::I16(counts) => counts.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The earliest and the latest time of a recording, microseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The earliest.
    pub first_us: i64,
    /// The latest, at or after `first_us`.
    pub last_us: i64,
}

/// A supply of readings for one device.
pub trait Source: Send {
    /// The channels so far. The list only ever grows, and only within [`poll`](Self::poll); what stands in it stays.
    fn channels(&self) -> &[ChannelDecl];

    /// Appends the samples due up to `now_us` (microseconds since the Unix epoch) to `out`.
    ///
    /// Returns when to be called next; an instant at or before `now_us` means that more is ready at once. One call
    /// appends a bounded number of samples. `None`: the source has ended and is not to be called again.
    fn poll(&mut self, now_us: i64, out: &mut Vec<Sample>) -> Result<Option<i64>, SourceError>;

    /// From the first to the last time of a recording; `None`: it is none.
    fn recorded(&self) -> Option<Span> {
        None
    }

    /// Lines of an input that could not be used so far.
    fn lines_skipped(&self) -> u64 {
        0
    }
}

/// Why a source cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The rate asked for is not one that a source can keep.
    #[error("a rate of {rate_hz} Hz is not possible: from 0.001 to 1000")]
    Rate {
        /// As asked for.
        rate_hz: f64,
    },
    /// The replay speed is not usable.
    #[error("a speed of {speed} is not possible: from 1 (the recording's own pace) upwards")]
    Speed {
        /// As asked for.
        speed: f64,
    },
    /// The machine shows nothing that can be measured.
    #[error("nothing to measure under {root}: is it the root of a Linux system?")]
    NothingToMeasure {
        /// Where was looked.
        root: PathBuf,
    },
    /// Starting a thread failed.
    #[error("cannot start the thread that reads {what}")]
    Thread {
        /// What the thread is for.
        what: &'static str,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Reading lines failed.
    #[error("cannot read the input after line {line}")]
    ReadInput {
        /// The last line that was read whole, from 1.
        line: u64,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The input has ended without a single reading.
    #[error(
        "{}: print JSON lines such as {{\"temp\": 21.5}}, or CSV whose first line names the columns",
        ended_after(*.lines)
    )]
    NothingUsable {
        /// How many there were.
        lines: u64,
    },
    /// Opening a recording failed.
    #[error("cannot open {path}")]
    OpenRecording {
        /// The recording.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Reading a recording failed.
    #[error("cannot read {path}")]
    ReadRecording {
        /// The recording.
        path: PathBuf,
        /// The system's reason, or what is not CSV about it.
        #[source]
        source: csv::Error,
    },
    /// A recording's line cannot be understood.
    #[error("{path}:{line}: {problem}")]
    Recording {
        /// The recording.
        path: PathBuf,
        /// From 1, the header included.
        line: u64,
        /// What is wrong and what to do.
        problem: String,
    },
}

fn ended_after(lines: u64) -> String {
    match lines {
        0 => "the input is empty".to_owned(),
        1 => "the input has ended after one line without a reading".to_owned(),
        _ => format!("the input has ended after {lines} lines without a reading"),
    }
}

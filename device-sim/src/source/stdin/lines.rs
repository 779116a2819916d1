//! Lines of an input, read by a thread of their own.
//!
//! Takes anything that can be read and gives numbered lines through a bounded channel. Never interprets them.

use std::{
    io::{self, BufRead, BufReader, Read},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread,
};

use crate::source::SourceError;

/// Longest line, bytes, its end included: beyond any instrument, and a bound on what a line can cost.
pub(super) const LINE_BYTES_MAX: usize = 64 * 1024;
/// Lines read ahead. When as many wait, reading stops, the pipe fills and the program that writes into it waits.
const LINES_AHEAD_MAX: usize = 256;

/// What the thread says. Lines are numbered from 1.
#[derive(Debug)]
pub(super) enum Line {
    /// A line without its end.
    Text { number: u64, bytes: Vec<u8> },
    /// A line above [`LINE_BYTES_MAX`]; it was thrown away.
    TooLong { number: u64 },
    /// Reading failed after this many lines; nothing follows.
    Failed { number: u64, source: io::Error },
}

/// Starts to read. The channel closes at the end of the input; the thread ends there, or with the first line after
/// the receiver is gone.
pub(super) fn read(input: impl Read + Send + 'static) -> Result<Receiver<Line>, SourceError> {
    let (sender, receiver) = sync_channel(LINES_AHEAD_MAX);
    thread::Builder::new()
        .name("input".to_owned())
        .spawn(move || read_all(BufReader::new(input), &sender))
        .map_err(|source| SourceError::Thread { what: "the input", source })?;
    Ok(receiver)
}

fn read_all(mut input: impl BufRead, lines: &SyncSender<Line>) {
    for number in 1.. {
        let line = match read_line(&mut input, number) {
            Ok(Some(line)) => line,
            Ok(None) => return,
            Err(source) => Line::Failed { number: number - 1, source },
        };
        let is_last = matches!(line, Line::Failed { .. });
        if lines.send(line).is_err() || is_last {
            return;
        }
    }
}

fn read_line(input: &mut impl BufRead, number: u64) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    input.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    if bytes.len() == LINE_BYTES_MAX && !bytes.ends_with(b"\n") {
        input.skip_until(b'\n')?;
        return Ok(Some(Line::TooLong { number }));
    }
    bytes.truncate(bytes.trim_ascii_end().len());
    Ok(Some(Line::Text { number, bytes }))
}

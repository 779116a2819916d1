//! The file format of a spool on disk, version 1.
//!
//! A file is `"HWSPOOL"` and a version byte, then records: payload length (u32), CRC-32C of all that follows it in
//! the record (u32), kind (u8), number (u64), payload; little endian. The first record is the spool's hello, its
//! number that of the file's first message; the rest are frames with consecutive numbers. Each file stands for
//! itself: nothing has to be read beside it.
//!
//! Files are only ever appended to, so a power cut leaves at most a torn tail, which was never sent.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use protocol::{
    device::{DeviceControl, Hello, control::ControlError},
    limits::MESSAGE_BYTES_MAX,
};

const MAGIC: &[u8; 7] = b"HWSPOOL";
const VERSION: u8 = 1;
const FILE_HEAD_BYTES: usize = 8;
const RECORD_HEAD_BYTES: usize = 17;
const KIND_HELLO: u8 = 1;
const KIND_MESSAGE: u8 = 2;

/// Why a file is not part of a spool that can be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    #[error("cannot read {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} was written by a newer version (format {version}, this is {VERSION}): it is left as it is")]
    Newer { path: PathBuf, version: u8 },
    #[error("{0} does not begin like a spool: it was being created when the power went")]
    NoHead(PathBuf),
    #[error("{path} has no hello of this version")]
    Hello {
        path: PathBuf,
        #[source]
        source: ControlError,
    },
}

/// A file's content: what is intact from its beginning.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) hello: Hello,
    /// The number of the first frame, or of the next one to come where there is none.
    pub(crate) first: u64,
    pub(crate) frames: Vec<Bytes>,
}

/// What a file begins with.
pub(crate) fn head(hello: &Hello, first: u64) -> Vec<u8> {
    let mut head = Vec::with_capacity(512);
    head.extend_from_slice(MAGIC);
    head.push(VERSION);
    append(&mut head, KIND_HELLO, first, &DeviceControl::Hello(Box::new(hello.clone())).encode());
    head
}

/// Appends a message's record.
pub(crate) fn message(out: &mut Vec<u8>, seq: u64, frame: &[u8]) {
    append(out, KIND_MESSAGE, seq, frame);
}

/// Bytes that a message of `frame_len` bytes takes in a file.
pub(crate) fn message_len(frame_len: usize) -> u64 {
    (RECORD_HEAD_BYTES + frame_len) as u64
}

fn append(out: &mut Vec<u8>, kind: u8, seq: u64, payload: &[u8]) {
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    let crc_at = out.len();
    out.extend_from_slice(&[0; 4]);
    out.push(kind);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(payload);
    let crc = crc32c::crc32c(&out[crc_at + 4..]);
    out[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Reads a whole file; whatever follows the first record that is not intact does not count.
pub(crate) fn read(path: &Path) -> Result<Segment, SegmentError> {
    let bytes = fs::read(path).map_err(|source| SegmentError::Read { path: path.to_owned(), source })?;
    parse(path, &Bytes::from(bytes))
}

fn parse(path: &Path, bytes: &Bytes) -> Result<Segment, SegmentError> {
    let no_head = || SegmentError::NoHead(path.to_owned());
    if bytes.len() < FILE_HEAD_BYTES || !bytes.starts_with(MAGIC) {
        return Err(no_head());
    }
    let version = bytes[MAGIC.len()];
    if version > VERSION {
        return Err(SegmentError::Newer { path: path.to_owned(), version });
    }
    let mut place = FILE_HEAD_BYTES;
    let (kind, first, payload) = record(bytes, &mut place).ok_or_else(no_head)?;
    if kind != KIND_HELLO || first == 0 {
        return Err(no_head());
    }
    let hello_error = |source| SegmentError::Hello { path: path.to_owned(), source };
    let hello = match DeviceControl::decode(&payload).map_err(hello_error)? {
        DeviceControl::Hello(hello) => *hello,
        _ => return Err(no_head()),
    };
    let mut frames = Vec::new();
    while let Some((KIND_MESSAGE, seq, frame)) = record(bytes, &mut place) {
        if seq != first + frames.len() as u64 {
            break;
        }
        frames.push(frame);
    }
    Ok(Segment { hello, first, frames })
}

/// The intact record at `place`, which moves behind it.
fn record(bytes: &Bytes, place: &mut usize) -> Option<(u8, u64, Bytes)> {
    let rest = &bytes[*place..];
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let (crc, rest) = rest.split_first_chunk::<4>()?;
    let len = u32::from_le_bytes(*len) as usize;
    // A hello is smaller than a message may be; a length beyond that is not one.
    if len > MESSAGE_BYTES_MAX {
        return None;
    }
    let covered = rest.get(..9 + len)?;
    if crc32c::crc32c(covered) != u32::from_le_bytes(*crc) {
        return None;
    }
    let (&kind, numbered) = covered.split_first()?;
    let (seq, _) = numbered.split_first_chunk::<8>()?;
    let payload_at = *place + RECORD_HEAD_BYTES;
    *place = payload_at + len;
    Some((kind, u64::from_le_bytes(*seq), bytes.slice(payload_at..payload_at + len)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbox::tests::hello;

    fn file() -> (Vec<u8>, Vec<Vec<u8>>) {
        let frames: Vec<Vec<u8>> = (0..4_u8).map(|n| vec![n; 5 + usize::from(n)]).collect();
        let mut bytes = head(&hello("d", 1), 7);
        for (seq, frame) in (7..).zip(&frames) {
            message(&mut bytes, seq, frame);
        }
        (bytes, frames)
    }

    fn parsed(bytes: Vec<u8>) -> Result<Segment, SegmentError> {
        parse(Path::new("x"), &Bytes::from(bytes))
    }

    #[test]
    fn what_was_written_comes_back_and_a_torn_tail_is_cut() {
        let (bytes, frames) = file();
        let whole = parsed(bytes.clone()).unwrap();
        assert_eq!((whole.hello, whole.first), (hello("d", 1), 7));
        assert_eq!(whole.frames, frames);
        let mut found = 0;
        for end in 0..bytes.len() {
            let torn = parsed(bytes[..end].to_vec()).map(|segment| segment.frames).unwrap_or_default();
            assert_eq!(torn, frames[..torn.len()], "cut at {end}");
            assert!(torn.len() >= found && torn.len() < frames.len(), "cut at {end}");
            found = torn.len();
        }
        assert_eq!(found, frames.len() - 1);
    }

    #[test]
    fn a_flipped_bit_ends_the_file_before_it_and_never_changes_a_frame() {
        let (bytes, frames) = file();
        for place in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[place / 8] ^= 1 << (place % 8);
            match parsed(damaged) {
                Ok(segment) => assert_eq!(segment.frames, frames[..segment.frames.len()], "bit {place}"),
                Err(SegmentError::NoHead(_)) => {}
                Err(SegmentError::Newer { version, .. }) => assert!(place / 8 == 7 && version > VERSION),
                Err(error) => panic!("bit {place}: {error}"),
            }
        }
    }
}

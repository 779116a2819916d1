//! Payloads of journal records. Frequent ones are a few varints in front of the device's own frame; rare ones are CBOR.
//!
//! These formats are on disk: a change gets a new record kind or a new journal version, never a new meaning.

use std::collections::BTreeMap;

use protocol::{
    codec::{self, CodecError},
    device::{ChannelDecl, Refusal},
    ids::Id,
};
use serde::{Deserialize, Serialize};

/// Why a payload cannot be read; it was written by this program, so this means damage that the checksum missed or a
/// newer version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The payload ends too early or a number in it is too long.
    #[error("the record's payload is cut short")]
    Short,
    /// The CBOR part is not what it should be.
    #[error("the record's payload cannot be read")]
    Codec(#[source] CodecError),
    /// A number with no meaning in this version.
    #[error("the record's payload names an unknown code {0}")]
    UnknownCode(u64),
}

/// The head of a data record; the device's frame stands behind it as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHead {
    /// The hub's number of (device, spool).
    pub stream: u32,
    /// The message's number in its spool.
    pub seq: u64,
    /// Added to every time in the frame, microseconds: what admission decided about the device's clock.
    pub shift_us: i64,
    /// Flags of every reading in it, see [`protocol::flags`].
    pub flags: u8,
}

/// Longest head: three varints of 10 bytes, one of 5, rounded up.
pub const DATA_HEAD_BYTES_MAX: usize = 32;

impl DataHead {
    /// Writes the head into `out` and gives back the part that was used.
    pub fn encode<'a>(&self, out: &'a mut [u8; DATA_HEAD_BYTES_MAX]) -> &'a [u8] {
        let mut len = put_varint(out, 0, u64::from(self.stream));
        len = put_varint(out, len, self.seq);
        len = put_varint(out, len, zigzag(self.shift_us));
        out[len] = self.flags;
        &out[..=len]
    }

    /// Reads the head and gives back the device's frame behind it.
    pub fn decode(payload: &[u8]) -> Result<(Self, &[u8]), PayloadError> {
        let mut rest = payload;
        let stream = u32::try_from(take_varint(&mut rest)?).map_err(|_| PayloadError::Short)?;
        let seq = take_varint(&mut rest)?;
        let shift_us = unzigzag(take_varint(&mut rest)?);
        let (&flags, frame) = rest.split_first().ok_or(PayloadError::Short)?;
        Ok((Self { stream, seq, shift_us, flags }, frame))
    }
}

/// A stretch of messages that will never come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GapRecord {
    /// The hub's number of (device, spool).
    pub stream: u32,
    /// First missing number.
    pub from: u64,
    /// Last missing number.
    pub to: u64,
    /// Why, in the device's words or `unexplained`.
    pub reason: String,
}

/// A message that had its number but not a content the hub could take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedRecord {
    /// The hub's number of (device, spool).
    pub stream: u32,
    /// The message's number.
    pub seq: u64,
    /// [`Refusal::code`].
    pub code: String,
}

impl RefusedRecord {
    /// The refusal, or malformed for a code of a newer version.
    pub fn refusal(&self) -> Refusal {
        Refusal::from_code(&self.code).unwrap_or(Refusal::Malformed)
    }
}

/// A device, one spool of it, and the channels that the spool's messages refer to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CatalogueRecord {
    /// The hub's number of (device, spool).
    pub stream: u32,
    /// The hub's number of the device.
    pub device: u32,
    /// The device's id.
    pub id: Id,
    /// The spool's id; 0 is the hub's own for readings that come without one.
    pub spool: u64,
    /// What people call the device.
    pub title: Option<String>,
    /// Hardware model.
    pub model: Option<String>,
    /// Software version on the device.
    pub firmware: Option<String>,
    /// Free key and value pairs.
    pub labels: BTreeMap<String, String>,
    /// Channels in the spool's order.
    pub channels: Vec<ChannelDecl>,
    /// The series each channel goes to; none where the device or the hub has too many.
    pub series: Vec<Option<u32>>,
}

/// A device came or went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionRecord {
    /// The hub's number of the device.
    pub device: u32,
    /// On a disconnect, why.
    pub reason: String,
}

/// The hub started or stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubRecord {
    /// The program's version.
    pub version: String,
    /// The random number of this run.
    pub run: u64,
}

/// Writes a rare record's payload.
pub fn encode<T: Serialize>(record: &T) -> Vec<u8> {
    codec::to_vec(record)
}

/// Reads a rare record's payload.
pub fn decode<'de, T: Deserialize<'de>>(payload: &'de [u8]) -> Result<T, PayloadError> {
    codec::from_slice(payload).map_err(PayloadError::Codec)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// LEB128 at `start`; gives the place behind it.
fn put_varint(out: &mut [u8; DATA_HEAD_BYTES_MAX], start: usize, mut value: u64) -> usize {
    let mut place = start;
    while value >= 0x80 {
        out[place] = value as u8 | 0x80;
        value >>= 7;
        place += 1;
    }
    out[place] = value as u8;
    place + 1
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, PayloadError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, behind) = rest.split_first().ok_or(PayloadError::Short)?;
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(PayloadError::Short)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_data_head_comes_back_equal(stream: u32, seq in 0_u64..1 << 53, shift_us: i64, flags: u8, frame: Vec<u8>) {
            let head = DataHead { stream, seq, shift_us, flags };
            let mut buffer = [0; DATA_HEAD_BYTES_MAX];
            let payload = [head.encode(&mut buffer), &frame].concat();
            prop_assert_eq!(DataHead::decode(&payload), Ok((head, &frame[..])));
        }

        #[test]
        fn damaged_heads_never_panic(payload: Vec<u8>) {
            let _ = DataHead::decode(&payload);
        }
    }

    #[test]
    fn the_usual_head_takes_six_bytes() {
        let head = DataHead { stream: 40, seq: 100_000, shift_us: 0, flags: 0 };
        assert_eq!(head.encode(&mut [0; DATA_HEAD_BYTES_MAX]).len(), 6);
    }
}

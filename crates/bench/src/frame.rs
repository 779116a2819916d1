//! WebSocket frames (RFC 6455 section 5.2) as a client writes and reads them, without a library between the bytes and
//! who counts them.

use std::ops::Range;

/// What a frame carries; the values are on the wire.
pub mod opcode {
    /// A text message.
    pub const TEXT: u8 = 1;
    /// A binary message.
    pub const BINARY: u8 = 2;
    /// Close.
    pub const CLOSE: u8 = 8;
    /// Ping.
    pub const PING: u8 = 9;
    /// Pong.
    pub const PONG: u8 = 10;
}

/// The last (here: only) frame of a message.
const FIN: u8 = 0x80;
/// The payload is masked.
const MASKED: u8 = 0x80;
/// The length follows in two bytes.
const LEN_16: u8 = 126;
/// The length follows in eight bytes.
const LEN_64: u8 = 127;

/// Appends a masked frame.
pub fn put_masked(out: &mut Vec<u8>, opcode: u8, payload: &[u8], key: [u8; 4]) {
    out.push(FIN | opcode);
    match payload.len() {
        len @ 0..=125 => out.push(MASKED | len as u8),
        len @ 126..=0xffff => {
            out.push(MASKED | LEN_16);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(MASKED | LEN_64);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&key);
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
}

/// A whole frame at the begin of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// See [`opcode`].
    pub opcode: u8,
    /// Where the payload is; masked payloads stay as they are.
    pub payload: Range<usize>,
    /// The mask, when there is one.
    pub key: Option<[u8; 4]>,
}

impl Frame {
    /// Finds the frame that `bytes` begin with; none while it is not complete.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let &[first, second, ..] = bytes else { return None };
        let (len, mut start) = match second & !MASKED {
            LEN_16 => (usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)), 4),
            LEN_64 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?) as usize, 10),
            len => (usize::from(len), 2),
        };
        let key = if second & MASKED == 0 {
            None
        } else {
            start += 4;
            Some(bytes.get(start - 4..start)?.try_into().ok()?)
        };
        let payload = start..start.checked_add(len)?;
        (bytes.len() >= payload.end).then_some(Self { opcode: first & 0x0f, payload, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_come_back() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut bytes = Vec::new();
            put_masked(&mut bytes, opcode::BINARY, &payload, [1, 2, 3, 4]);
            assert_eq!(Frame::parse(&bytes[..bytes.len() - 1]), None, "cut {len}");
            let frame = Frame::parse(&bytes).expect("whole");
            assert_eq!((frame.opcode, frame.payload.len(), frame.key), (opcode::BINARY, len, Some([1, 2, 3, 4])));
            let unmasked = bytes[frame.payload].iter().zip([1, 2, 3, 4].iter().cycle()).map(|(byte, key)| byte ^ key);
            assert!(unmasked.eq(payload));
        }
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        // RFC 6455 section 5.7: a single-frame unmasked text message, "Hello".
        let bytes = b"\x81\x05Hello";
        assert_eq!(Frame::parse(bytes), Some(Frame { opcode: opcode::TEXT, payload: 2..7, key: None }));
    }
}

//! Writes the few CBOR shapes of data frames straight into a byte buffer, shortest form first (RFC 8949 section 4.2).

use crate::limits::INTEGER_MAX;

const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

/// RFC 8746 tags of the little endian typed arrays that this wire uses; u8 and i8 have no byte order.
pub mod tag {
    /// u8 elements.
    pub const U8: u64 = 64;
    /// u16 elements.
    pub const U16: u64 = 69;
    /// u32 elements.
    pub const U32: u64 = 70;
    /// i8 elements.
    pub const I8: u64 = 72;
    /// i16 elements.
    pub const I16: u64 = 77;
    /// i32 elements.
    pub const I32: u64 = 78;
    /// f32 elements.
    pub const F32: u64 = 85;
    /// f64 elements.
    pub const F64: u64 = 86;
}

/// Additional information 24 to 27: the value follows in 1, 2, 4 or 8 bytes (RFC 8949 section 3).
const FOLLOWS_U8: u8 = 0x18;
const FOLLOWS_U16: u8 = 0x19;
const FOLLOWS_U32: u8 = 0x1a;
const FOLLOWS_U64: u8 = 0x1b;

fn head(out: &mut Vec<u8>, major: u8, value: u64) {
    let major = major << 5;
    match value {
        0..=0x17 => out.push(major | value as u8),
        0x18..=0xff => out.extend_from_slice(&[major | FOLLOWS_U8, value as u8]),
        0x100..=0xffff => {
            out.push(major | FOLLOWS_U16);
            out.extend_from_slice(&(value as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(major | FOLLOWS_U32);
            out.extend_from_slice(&(value as u32).to_be_bytes());
        }
        _ => {
            out.push(major | FOLLOWS_U64);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// The head of an array of `len` items.
pub fn array(out: &mut Vec<u8>, len: usize) {
    head(out, ARRAY, len as u64);
}

/// The head of a map of `len` pairs.
pub fn map(out: &mut Vec<u8>, len: usize) {
    head(out, MAP, len as u64);
}

/// An unsigned integer.
pub fn unsigned(out: &mut Vec<u8>, value: u64) {
    head(out, UNSIGNED, value);
}

/// A text string.
pub fn text(out: &mut Vec<u8>, value: &str) {
    head(out, TEXT, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

/// null: a missing measurement.
pub fn null(out: &mut Vec<u8>) {
    out.push(0xf6);
}

/// A number in the fewest bytes that lose nothing: integer, single or double. Never a half: few decoders on
/// small devices have it.
pub fn number(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() <= INTEGER_MAX as f64 {
        let integer = value as i64;
        match u64::try_from(integer) {
            Ok(unsigned) => head(out, UNSIGNED, unsigned),
            Err(_) => head(out, NEGATIVE, (-1 - integer) as u64),
        }
    } else if f64::from(value as f32).to_bits() == value.to_bits() {
        out.push(0xfa);
        out.extend_from_slice(&(value as f32).to_be_bytes());
    } else {
        out.push(0xfb);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// A time in milliseconds: like [`number`], but never a single float (the hub refuses those as absolute times).
pub fn time_ms(out: &mut Vec<u8>, value: f64) {
    if value.fract() == 0.0 && value.abs() <= INTEGER_MAX as f64 {
        number(out, value);
    } else {
        out.push(0xfb);
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// The head of a typed array: tag, then a byte string of `byte_len` bytes that the caller appends, little endian.
pub fn typed_array(out: &mut Vec<u8>, tag: u64, byte_len: usize) {
    head(out, TAG, tag);
    head(out, BYTES, byte_len as u64);
}

/// A whole typed array.
pub fn typed<const W: usize, T: Copy>(out: &mut Vec<u8>, tag: u64, values: &[T], to_le_bytes: impl Fn(T) -> [u8; W]) {
    typed_array(out, tag, values.len() * W);
    out.reserve(values.len() * W);
    for &value in values {
        out.extend_from_slice(&to_le_bytes(value));
    }
}

//! The bytes of a chunk: columns of numbers in, bytes out, and back.
//!
//! Owns the formats of a raw chunk ([`readings`]), of a chunk of rollup rows and of a series' open rollup rows
//! ([`rows`]). It is pure: no clock, no I/O, no state between calls.
//!
//! Every sealed blob is `version, body, CRC32C of what stands before (4 bytes, little endian)`. `SQLite` has no page
//! checksums of its own, and pco decodes many a damaged column into plausible numbers, so the sum is what finds a
//! rotten sector. The decoders do not rely on it: on any bytes whatsoever they return an error or a value, never
//! panic, and allocate nothing that a checked count has not bounded.

pub(crate) mod bytes;
pub(crate) mod floats;
pub(crate) mod integers;
pub(crate) mod pcodec;
pub(crate) mod readings;
pub(crate) mod rows;

/// The version that this code writes and the newest that it reads.
const VERSION: u8 = 1;

/// The most readings or rollup rows in one blob; a decoder refuses a count above it before it allocates.
pub(crate) const COUNT_MAX: usize = 1 << 16;

/// Why bytes could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Fewer bytes than the counts in front of them promise.
    #[error("the bytes end early")]
    Truncated,
    /// A version this code does not know.
    #[error("codec version {0} is newer than this program")]
    Version(u8),
    /// The bytes are not the ones that were written.
    #[error("the checksum does not match")]
    Checksum,
    /// A count, a tag or a length that no encoder writes.
    #[error("impossible {0}")]
    Impossible(&'static str),
    /// pco found its column damaged.
    #[error("pco column damaged")]
    Column,
}

/// Starts a sealed blob.
fn begin() -> Vec<u8> {
    vec![VERSION]
}

/// Ends a sealed blob with its checksum.
fn finish(mut blob: Vec<u8>) -> Vec<u8> {
    let sum = crc32c::crc32c(&blob);
    blob.extend_from_slice(&sum.to_le_bytes());
    blob
}

/// The body of a sealed blob whose version and checksum hold.
fn body(blob: &[u8]) -> Result<&[u8], DecodeError> {
    let (rest, sum) = blob.split_last_chunk::<4>().ok_or(DecodeError::Truncated)?;
    let (&version, body) = rest.split_first().ok_or(DecodeError::Truncated)?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    if crc32c::crc32c(rest) != u32::from_le_bytes(*sum) {
        return Err(DecodeError::Checksum);
    }
    Ok(body)
}

#[cfg(test)]
mod tests;

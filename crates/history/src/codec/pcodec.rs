//! One column through pco: its wrapped format without the two header bytes, which are the same for every column.

use pco::data_types::Number;
use pco::wrapped::{FileCompressor, FileDecompressor};
use pco::{ChunkConfig, DeltaSpec, ModeSpec};

use super::DecodeError;
use super::bytes::Reader;

/// What [`FileCompressor::write_header`] writes in pco 1.x. It belongs to codec version 1: when an upgrade of pco changes
/// it, the golden test fails, and the codec needs a new version.
const HEADER: [u8; 2] = [4, 1];

/// Level 4 leaves at most 16 bins; their table is paid for by every chunk, so more do not pay at 1 024 numbers.
const LEVEL: usize = 4;

/// Appends `numbers`, at least one, at most [`super::COUNT_MAX`].
pub(crate) fn put<T: Number>(out: &mut Vec<u8>, numbers: &[T], delta_order: usize, mode: ModeSpec) {
    let mut config = ChunkConfig::default();
    config.compression_level = LEVEL;
    config.mode_spec = mode;
    config.delta_spec = match delta_order {
        0 => DeltaSpec::NoOp,
        order => DeltaSpec::TryConsecutive(order),
    };
    let mut compressor = FileCompressor::default()
        .chunk_compressor(numbers, &config)
        .expect("a column of 1 to 65 536 numbers fits in one pco page, and the configuration is constant");
    compressor.write_meta(&mut *out).expect("a Vec takes every byte");
    compressor.write_page(0, out).expect("a Vec takes every byte");
}

/// Reads a column of `count` numbers, which the caller has bounded.
pub(crate) fn get<T: Number + Default>(reader: &mut Reader<'_>, count: usize) -> Result<Vec<T>, DecodeError> {
    let damaged = |_| DecodeError::Column;
    let (file, _) = FileDecompressor::new(HEADER.as_slice()).map_err(damaged)?;
    let (mut chunk, rest) = file.chunk_decompressor::<T, _>(reader.rest).map_err(damaged)?;
    let mut numbers = vec![T::default(); count];
    let mut page = chunk.page_decompressor(rest, count).map_err(damaged)?;
    if page.read(&mut numbers).map_err(damaged)?.n_processed != count {
        return Err(DecodeError::Truncated);
    }
    reader.rest = page.into_src();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_what_pco_writes() {
        assert_eq!(FileCompressor::default().write_header(Vec::new()).unwrap(), HEADER);
    }
}

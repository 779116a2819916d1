//! What the fuzz targets do: one function a target, which takes any bytes and panics when a promise is broken.

pub mod journal_recovery;
pub mod wire;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    #[test]
    fn the_corpus_of_the_journal_is_taken() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/journal_recovery");
        let mut taken = 0;
        for entry in fs::read_dir(folder).expect("the corpus") {
            super::journal_recovery::journal_recovery(&fs::read(entry.expect("an entry").path()).expect("readable"));
            taken += 1;
        }
        assert!(taken > 3);
    }
}

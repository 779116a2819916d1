//! Replays the fuzz corpora through the bodies of the fuzz targets, `fuzz/src/wire.rs`.

use std::{fs, path::Path};

#[path = "../../../../fuzz/src/wire.rs"]
mod targets;

fn replay(target: &str, run: fn(&[u8]), at_least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        println!("{}", path.display());
        run(&fs::read(&path).expect("readable"));
        replayed += 1;
    }
    assert!(replayed >= at_least, "only {replayed} files in {}", folder.display());
}

#[test]
fn every_input_that_the_fuzzer_kept_is_taken() {
    replay("device_data", targets::device_data, 20);
    replay("device_control", targets::device_control, 10);
    replay("viewer_control", targets::viewer_control, 5);
    replay("live_data", targets::live_data, 5);
    replay("selector", targets::selector, 5);
}

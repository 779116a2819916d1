//! Rules that a compiler does not check.

use std::{fs, path::Path};

#[test]
fn the_state_knows_no_view_no_terminal_and_no_clock() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![root.join("state.rs")];
    let mut folders = vec![root.join("state")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable") {
            let path = entry.expect("readable").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    assert!(files.len() > 10);
    for file in files {
        let text = fs::read_to_string(&file).expect("readable");
        for word in ["crate::view", "crate::app", "ratatui", "crossterm", "Instant", "SystemTime", "Timestamp"] {
            assert!(!text.contains(word), "{} uses {word}", file.display());
        }
    }
}

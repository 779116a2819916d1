//! The folder tree in which a Linux system shows its state.
//!
//! Takes paths relative to a root (`/` on a real machine, a copy in tests) and gives short texts, numbers and sorted
//! names. A file that is not there is an answer, not an error: sensors get unplugged.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    str::FromStr,
};

/// Longest file that is read, bytes: a kernel's table of a machine with hundreds of disks and cores.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// The root of a system.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    root: PathBuf,
}

impl Tree {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The text of a file without the white space around it.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let mut text = String::new();
        let file = File::open(self.root.join(path)).ok()?;
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
        text.truncate(text.trim_end().len());
        Some(text)
    }

    /// The number that a file consists of.
    pub(super) fn number<T: FromStr>(&self, path: &str) -> Option<T> {
        self.text(path)?.trim_start().parse().ok()
    }

    /// Whether there is such a file or folder.
    pub(super) fn has(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    /// The names in a folder that start with `prefix`, `hwmon2` before `hwmon10`; none when there is no such folder.
    pub(super) fn names(&self, folder: &str, prefix: &str) -> Vec<String> {
        let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
        names.sort_by(|one, other| (natural(one), one).cmp(&(natural(other), other)));
        names
    }
}

/// A name as (text, number) for sorting, by the last number in it.
fn natural(name: &str) -> (&str, u64, &str) {
    let end = name.rfind(|character: char| character.is_ascii_digit()).map_or(0, |last| last + 1);
    let start = name[..end].trim_end_matches(|character: char| character.is_ascii_digit()).len();
    (&name[..start], name[start..end].parse().unwrap_or(0), &name[end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted_as_people_count() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["hwmon10", "hwmon2", "hwmon0", "other1", "temp1_input"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let tree = Tree::new(folder.path());
        assert_eq!(tree.names("", "hwmon"), ["hwmon0", "hwmon2", "hwmon10"]);
        assert_eq!(tree.names("nowhere", ""), [""; 0]);
    }
}

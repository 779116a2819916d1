//! The house rules of ARCHITECTURE.md that a compiler does not know: who may know whom, that every queue is bounded, and
//! that the tree is about no machine in particular.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Whom each crate may depend on among the others; the bench, which is not shipped, on all.
const CRATES: [(&str, &[&str]); 8] = [
    ("crates/protocol", &[]),
    ("crates/journal", &[]),
    ("crates/history", &[]),
    ("crates/client", &["protocol"]),
    ("hub", &["protocol", "journal", "history", "device-sim"]),
    ("device-sim", &["protocol", "client"]),
    ("dashboard-tui", &["protocol", "client"]),
    ("crates/bench", &["protocol", "journal", "history", "client", "hub", "device-sim"]),
];

/// Parts of the hub, and whom they never import. Siblings get handles when the hub is built.
const STRANGERS: [(&str, &[&str]); 6] = [
    ("state", &["api", "historian", "ingest", "live", "pipeline", "web"]),
    ("historian", &["api", "live", "pipeline", "web"]),
    ("pipeline", &["api", "web"]),
    ("ingest", &["historian", "live", "state"]),
    ("live", &["state"]),
    ("api", &["ingest", "live"]),
];

/// Directories of other machines, as they stand in text: what follows would be somebody's.
const HOMES: [&str; 4] = ["/home/", "/Users/", "/root/", "C:\\Users\\"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the hub lies in the workspace").to_owned()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below a folder that ships, with its text.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push((path.clone(), read(&path)));
        }
    }
    found
}

/// Members of the workspace as its folders are.
fn members() -> BTreeSet<String> {
    let crates = fs::read_dir(root().join("crates")).expect("crates");
    let names = crates.map(|entry| format!("crates/{}", entry.expect("readable").file_name().display()));
    names.chain(["hub", "device-sim", "dashboard-tui"].map(str::to_owned)).collect()
}

#[test]
fn crates_know_each_other_only_as_the_map_says() {
    let map = read(&root().join("ARCHITECTURE.md"));
    let known: BTreeSet<String> = CRATES.iter().map(|(member, _)| (*member).to_owned()).collect();
    assert_eq!(members(), known, "every crate has its rule");
    let names: BTreeSet<&str> = CRATES.iter().filter_map(|(member, _)| member.rsplit('/').next()).collect();
    for (member, allowed) in CRATES {
        let manifest: toml::Table = read(&root().join(member).join("Cargo.toml")).parse().expect("TOML");
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        let used: BTreeSet<&str> =
            dependencies.keys().map(String::as_str).filter(|name| names.contains(name)).collect();
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        assert!(used.is_subset(&allowed), "{member} depends on {used:?}, it may on {allowed:?}");
        let row = map.lines().find(|line| line.starts_with(&format!("| `{member}` |")));
        let row = row.unwrap_or_else(|| panic!("{member} is not on the map"));
        let told = row.trim_end_matches(" |").rsplit(" | ").next().expect("a last cell");
        for name in used.iter().filter(|_| told != "all") {
            assert!(told.contains(name), "{member} depends on {name}, the map says {told:?}");
        }
    }
}

/// The parts of its own crate that a source names: the first names behind `crate::`.
fn imported(source: &str) -> BTreeSet<&str> {
    let first_name = |text: &'_ str| {
        let text = text.trim_start();
        text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(text.len())
    };
    let mut parts = BTreeSet::new();
    for behind in source.split("crate::").skip(1) {
        let mut depth = 0;
        let mut deeper = |letter: char| {
            depth += i32::from(letter == '{') - i32::from(letter == '}');
            depth
        };
        let list = behind.strip_prefix('{').map(|list| &list[..list.find(|letter| deeper(letter) < 0).unwrap_or(0)]);
        let mut depth = 0;
        let entries = list.unwrap_or(behind).split(|letter| {
            depth += i32::from(letter == '{') - i32::from(letter == '}');
            letter == ',' && depth == 0
        });
        let entries = entries.take(if list.is_some() { usize::MAX } else { 1 }).map(str::trim_start);
        parts.extend(entries.map(|entry| &entry[..first_name(entry)]).filter(|name| !name.is_empty()));
    }
    parts
}

#[test]
fn parts_of_the_hub_do_not_import_their_siblings() {
    let source = root().join("hub/src");
    let mut looked_at: BTreeMap<&str, usize> = BTreeMap::new();
    for (path, text) in sources(&source) {
        let inside = path.strip_prefix(&source).expect("below").with_extension("");
        let part = inside.iter().next().and_then(|part| part.to_str()).expect("a name").to_owned();
        let Some((part, strangers)) = STRANGERS.iter().find(|(known, _)| *known == part) else { continue };
        *looked_at.entry(part).or_default() += 1;
        let wrong: Vec<&str> = imported(&text).into_iter().filter(|name| strangers.contains(name)).collect();
        assert!(wrong.is_empty(), "{} imports {wrong:?}, which {part} is a stranger to", path.display());
    }
    assert_eq!(looked_at.len(), STRANGERS.len(), "every part was found: {looked_at:?}");
}

#[test]
fn imports_are_understood() {
    let source = "use crate::{api::error::Problem, web::{Web, Permit}, clock}; use crate::state; crate::live::new()";
    assert_eq!(imported(source), BTreeSet::from(["api", "web", "clock", "state", "live"]));
}

#[test]
fn every_queue_is_bounded() {
    let mut looked_at = 0;
    for member in members() {
        for (path, text) in sources(&root().join(member).join("src")) {
            looked_at += 1;
            let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
            for line in code {
                // The standard library's `mpsc::channel` has no bound; tokio's takes one.
                let is_std = line.contains("mpsc::channel()") || line.contains("mpsc::channel::<");
                let is_unbounded = line.contains("unbounded_channel") || line.contains("unbounded()");
                assert!(!is_std && !is_unbounded, "{}: {line}", path.display());
            }
        }
    }
    assert!(looked_at > 100, "{looked_at} files");
}

/// Whether a text names this path, as a path of its own and not as the end of another.
fn names_path(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + path.len()..].chars().next();
        let is_begin = before.is_none_or(|before| !before.is_alphanumeric() && !"._-*)}]~/".contains(before));
        // `/home/` alone is any machine's; `/home/somebody` is not. A path of this machine must end here.
        is_begin && behind.is_some_and(char::is_alphanumeric) == path.ends_with(['/', '\\'])
    })
}

#[test]
fn the_tree_is_about_no_machine_in_particular() {
    let root = root();
    let Ok(listed) = Command::new("git").arg("-C").arg(&root).args(["ls-files", "-z"]).output() else {
        println!("skipped: git is not installed");
        return;
    };
    if !listed.status.success() {
        println!("skipped: this is no git checkout: {}", String::from_utf8_lossy(&listed.stderr).trim());
        return;
    }
    let own = root.canonicalize().expect("it exists").display().to_string();
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    let mut looked_at = 0;
    for name in listed.split_terminator('\0') {
        // This file has to name them.
        if name.ends_with("proof/tidy.rs") {
            continue;
        }
        // One that somebody has just deleted is still listed.
        let Ok(bytes) = fs::read(root.join(name)) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        looked_at += 1;
        for path in HOMES.into_iter().chain([own.as_str()]) {
            assert!(!names_path(&text, path), "{name} names {path}");
        }
    }
    assert!(looked_at > 300, "{looked_at} files");
}

#[test]
fn paths_of_a_machine_are_noticed() {
    for (text, wanted) in [
        ("see /home/ann/notes", true),
        ("\"/Users/bob\"", true),
        ("$HOME/home/x", false),
        ("ProtectHome=/home/", false),
        ("https://example.org/home/page", false),
    ] {
        assert_eq!(HOMES.iter().any(|path| names_path(text, path)), wanted, "{text}");
    }
    assert!(names_path("cd /opt/checkout && make", "/opt/checkout"));
    assert!(!names_path("cd /opt/checkouts", "/opt/checkout"));
}

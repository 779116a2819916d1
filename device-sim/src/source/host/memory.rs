//! Memory (`/proc/meminfo`): what is used and what programs could still get.

use protocol::device::ChannelDecl;

use super::{
    probe::{Probe, Readings, gauge},
    tree::Tree,
};

/// See the module.
pub(super) struct Memory;

impl Memory {
    pub(super) fn find(tree: &Tree) -> Option<Self> {
        tree.has("proc/meminfo").then_some(Self)
    }
}

impl Probe for Memory {
    fn channels(&self) -> Vec<ChannelDecl> {
        vec![
            gauge("mem.used", "Memory used".to_owned(), "B", 0),
            gauge("mem.available", "Memory available".to_owned(), "B", 0),
            gauge("mem.used-percent", "Memory used".to_owned(), "%", 1),
        ]
    }

    fn read(&mut self, tree: &Tree, readings: &mut Readings<'_>) {
        let text = tree.text("proc/meminfo").unwrap_or_default();
        let total = bytes(&text, "MemTotal:");
        let available = bytes(&text, "MemAvailable:");
        let used = total.zip(available).map(|(total, available)| total - available);
        readings.put(0, used);
        readings.put(1, available);
        readings.put(2, used.zip(total).filter(|(_, total)| *total > 0.0).map(|(used, total)| 100.0 * used / total));
    }
}

/// The row that starts with `key`; the file counts in KiB, whatever it calls them.
fn bytes(text: &str, key: &str) -> Option<f64> {
    let row = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kibibytes: f64 = row.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1_024.0)
}

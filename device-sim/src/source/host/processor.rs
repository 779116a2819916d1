//! Processor time: how busy all cores, and each, were since the last reading (`/proc/stat`), and the load (`/proc/loadavg`).

use protocol::device::ChannelDecl;

use super::{
    probe::{Probe, Readings, gauge},
    tree::Tree,
};

/// Time counters of one row of `/proc/stat`, in the kernel's ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    idle: u64,
    total: u64,
}

/// See the module.
pub(super) struct Processor {
    /// `cpu` for all, then `cpu0`, `cpu1` … when each is wanted.
    rows: Vec<String>,
    last: Vec<Option<Ticks>>,
}

impl Processor {
    pub(super) fn find(tree: &Tree, per_core: bool) -> Option<Self> {
        let stat = tree.text("proc/stat")?;
        let names =
            stat.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| name.starts_with("cpu"));
        let rows: Vec<String> = names.take(if per_core { usize::MAX } else { 1 }).map(str::to_owned).collect();
        (!rows.is_empty()).then(|| Self { last: vec![None; rows.len()], rows })
    }
}

impl Probe for Processor {
    fn channels(&self) -> Vec<ChannelDecl> {
        let busy = self.rows.iter().map(|row| match row.strip_prefix("cpu") {
            Some(core) if !core.is_empty() => {
                gauge(&format!("cpu.{core}.busy"), format!("Processor core {core} busy"), "%", 1)
            }
            _ => gauge("cpu.busy", "Processor busy".to_owned(), "%", 1),
        });
        busy.collect()
    }

    fn read(&mut self, tree: &Tree, readings: &mut Readings<'_>) {
        let stat = tree.text("proc/stat").unwrap_or_default();
        for (channel, (row, last)) in self.rows.iter().zip(&mut self.last).enumerate() {
            let now = stat.lines().find_map(|line| ticks(line, row));
            let before = std::mem::replace(last, now);
            match (before, now) {
                (None, Some(_)) => {}
                (Some(before), Some(now)) => readings.put(channel, busy_percent(before, now)),
                (_, None) => readings.put(channel, None),
            }
        }
    }
}

/// The counters of `row`, when `line` is it. Waiting for a disk is idle time; guests are counted in user time already.
fn ticks(line: &str, row: &str) -> Option<Ticks> {
    let mut fields = line.split_whitespace();
    if fields.next() != Some(row) {
        return None;
    }
    let counts: Vec<u64> = fields.take(8).map_while(|field| field.parse().ok()).collect();
    let idle = counts.get(3)? + counts.get(4).unwrap_or(&0);
    Some(Ticks { idle, total: counts.iter().sum() })
}

fn busy_percent(before: Ticks, now: Ticks) -> Option<f64> {
    let total = now.total.checked_sub(before.total).filter(|total| *total > 0)?;
    // The kernel's idle counters may step back by a tick when a core wakes.
    let idle = now.idle.saturating_sub(before.idle).min(total);
    Some(100.0 * (total - idle) as f64 / total as f64)
}

/// The mean number of tasks that ran or waited in the last minute.
pub(super) struct Load;

impl Load {
    pub(super) fn find(tree: &Tree) -> Option<Self> {
        tree.has("proc/loadavg").then_some(Self)
    }
}

impl Probe for Load {
    fn channels(&self) -> Vec<ChannelDecl> {
        vec![gauge("load1", "Load, 1 minute".to_owned(), "/", 2)]
    }

    fn read(&mut self, tree: &Tree, readings: &mut Readings<'_>) {
        let text = tree.text("proc/loadavg");
        readings.put(0, text.as_deref().and_then(|text| text.split_whitespace().next()?.parse().ok()));
    }
}

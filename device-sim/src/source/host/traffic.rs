//! Bytes a second to and from disks (`/proc/diskstats`) and network interfaces (`/proc/net/dev`).

use protocol::device::ChannelDecl;

use super::{
    probe::{Probe, Rate, Readings, gauge},
    tree::Tree,
};

/// A sector of `/proc/diskstats`, bytes, whatever the disk's own sectors are.
const SECTOR_BYTES: u64 = 512;

/// One disk or interface with its two directions.
struct Line {
    name: String,
    rates: [Rate; 2],
}

fn lines(names: Vec<String>) -> Option<Vec<Line>> {
    let lines: Vec<Line> = names.into_iter().map(|name| Line { name, rates: Default::default() }).collect();
    (!lines.is_empty()).then_some(lines)
}

fn put(lines: &mut [Line], readings: &mut Readings<'_>, counts: impl Fn(&str) -> Option<[u64; 2]>) {
    for (place, line) in lines.iter_mut().enumerate() {
        let counts = counts(&line.name);
        for (direction, rate) in line.rates.iter_mut().enumerate() {
            rate.put(readings, 2 * place + direction, counts.map(|counts| counts[direction]));
        }
    }
}

/// Disks that are hardware: loop devices, RAM disks, partitions and volumes would count the same bytes again.
pub(super) struct Disks {
    disks: Vec<Line>,
}

impl Disks {
    pub(super) fn find(tree: &Tree) -> Option<Self> {
        let mut names = tree.names("sys/block", "");
        names.retain(|name| tree.has(&format!("sys/block/{name}/device")));
        Some(Self { disks: lines(names)? })
    }
}

impl Probe for Disks {
    fn channels(&self) -> Vec<ChannelDecl> {
        let pair = |Line { name, .. }: &Line| {
            [
                gauge(&format!("disk.{name}.read"), format!("Read from disk {name}"), "B/s", 0),
                gauge(&format!("disk.{name}.write"), format!("Written to disk {name}"), "B/s", 0),
            ]
        };
        self.disks.iter().flat_map(pair).collect()
    }

    fn read(&mut self, tree: &Tree, readings: &mut Readings<'_>) {
        let text = tree.text("proc/diskstats").unwrap_or_default();
        put(&mut self.disks, readings, |name| {
            let fields = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
            let disk = fields.into_iter().find(|fields| fields.get(2) == Some(&name))?;
            let sectors = |field: usize| disk.get(field)?.parse::<u64>().ok();
            Some([sectors(5)? * SECTOR_BYTES, sectors(9)? * SECTOR_BYTES])
        });
    }
}

/// Network interfaces but the one to the machine itself.
pub(super) struct Network {
    interfaces: Vec<Line>,
}

impl Network {
    pub(super) fn find(tree: &Tree) -> Option<Self> {
        let text = tree.text("proc/net/dev")?;
        let names = text.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
        Some(Self { interfaces: lines(names.filter(|name| *name != "lo").map(str::to_owned).collect())? })
    }
}

impl Probe for Network {
    fn channels(&self) -> Vec<ChannelDecl> {
        let pair = |Line { name, .. }: &Line| {
            [
                gauge(&format!("net.{name}.rx"), format!("Received on {name}"), "B/s", 0),
                gauge(&format!("net.{name}.tx"), format!("Sent on {name}"), "B/s", 0),
            ]
        };
        self.interfaces.iter().flat_map(pair).collect()
    }

    fn read(&mut self, tree: &Tree, readings: &mut Readings<'_>) {
        let text = tree.text("proc/net/dev").unwrap_or_default();
        put(&mut self.interfaces, readings, |name| {
            let rows = text.lines().filter_map(|line| line.split_once(':'));
            let (_, row) = rows.into_iter().find(|(interface, _)| interface.trim() == name)?;
            let mut fields = row.split_whitespace();
            Some([fields.next()?.parse().ok()?, fields.nth(7)?.parse().ok()?])
        });
    }
}

//! Pressure stall information (`/proc/pressure`): the part of the last ten seconds in which some task waited for processor,
//! disk or memory. See the kernel's Documentation/accounting/psi.rst.

use protocol::device::ChannelDecl;

use super::{
    probe::{Probe, Readings, gauge},
    tree::Tree,
};

/// See the module.
pub(super) struct Pressure {
    resources: Vec<&'static str>,
}

impl Pressure {
    pub(super) fn find(tree: &Tree) -> Option<Self> {
        // A kernel may have the files and refuse to read them (psi=0).
        let resources: Vec<_> =
            ["cpu", "io", "memory"].into_iter().filter(|name| some_avg10(tree, name).is_some()).collect();
        (!resources.is_empty()).then_some(Self { resources })
    }
}

impl Probe for Pressure {
    fn channels(&self) -> Vec<ChannelDecl> {
        let channel = |name: &&str| gauge(&format!("psi.{name}"), format!("Tasks waiting for {name}"), "%", 2);
        self.resources.iter().map(channel).collect()
    }

    fn read(&mut self, tree: &Tree, readings: &mut Readings<'_>) {
        for (channel, name) in self.resources.iter().enumerate() {
            readings.put(channel, some_avg10(tree, name));
        }
    }
}

/// From `some avg10=0.12 avg60=…`.
fn some_avg10(tree: &Tree, resource: &str) -> Option<f64> {
    let text = tree.text(&format!("proc/pressure/{resource}"))?;
    let row = text.lines().find_map(|line| line.strip_prefix("some "))?;
    row.split_whitespace().find_map(|field| field.strip_prefix("avg10="))?.parse().ok()
}

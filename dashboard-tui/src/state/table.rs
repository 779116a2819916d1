//! The table's filter, order and selection.

use super::{
    catalogue::{Catalogue, Device},
    filter::Filter,
    sort::Sort,
};

/// What the user made of the table.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Which devices are listed.
    pub filter: Filter,
    /// What they are sorted by.
    pub sort: Sort,
    /// Upside down.
    pub inverted: bool,
    /// The id last selected. It stays selected wherever its row moves; while it is not listed, the first row is.
    pub selected: Option<String>,
    /// The first row on the screen.
    pub offset: usize,
}

impl Table {
    /// The devices that are listed, in order.
    pub fn rows<'a>(&self, catalogue: &'a Catalogue, now_ms: i64) -> Vec<&'a Device> {
        let mut rows: Vec<&Device> = catalogue.devices().iter().filter(|device| self.filter.passes(device)).collect();
        // The catalogue is in this order already.
        if self.sort != Sort::Device {
            rows.sort_by(|a, b| self.sort.compare(a, b, now_ms));
        }
        if self.inverted {
            rows.reverse();
        }
        rows
    }

    /// The index of the selected row among `rows`; 0 when the selected device is not listed.
    pub fn position(&self, rows: &[&Device]) -> usize {
        let selected = self.selected.as_deref();
        rows.iter().position(|device| Some(device.id.as_str()) == selected).unwrap_or(0)
    }

    /// Selects the row `steps` further down (negative: up), as far as there are rows.
    pub fn step(&mut self, rows: &[&Device], steps: isize) {
        let target = self.position(rows).saturating_add_signed(steps);
        self.select(rows, target);
    }

    /// Selects a row by its index, the last one if there are fewer.
    pub fn select(&mut self, rows: &[&Device], index: usize) {
        if let Some(device) = rows.get(index.min(rows.len().saturating_sub(1))) {
            self.selected = Some(device.id.clone());
        }
    }

    /// Moves the rows on the screen so that the selected one of `rows` is among the `visible`, and none is wasted.
    pub fn scroll(&mut self, rows: &[&Device], visible: usize) {
        let position = self.position(rows);
        let lowest = (position + 1).saturating_sub(visible);
        let highest = position.min(rows.len().saturating_sub(visible));
        self.offset = self.offset.clamp(lowest.min(highest), highest);
    }
}

#[cfg(test)]
mod tests {
    use protocol::live::DeviceState;

    use super::*;
    use crate::state::sample;

    fn catalogue() -> Catalogue {
        let rows: Vec<_> = (0..10)
            .map(|n| {
                let state = if n % 3 == 0 { DeviceState::Offline } else { DeviceState::Fresh };
                sample::device_row(&format!("node-{n}"), state, &[])
            })
            .collect();
        let mut catalogue = Catalogue::default();
        catalogue.apply(true, &rows, &[], 0);
        catalogue
    }

    fn selected(table: &Table, catalogue: &Catalogue) -> String {
        let rows = table.rows(catalogue, 0);
        rows[table.position(&rows)].id.clone()
    }

    #[test]
    fn the_selection_follows_the_device_and_not_the_row() {
        let catalogue = catalogue();
        let mut table = Table::default();
        assert_eq!(selected(&table, &catalogue), "node-0");
        table.step(&table.rows(&catalogue, 0), 4);
        assert_eq!(selected(&table, &catalogue), "node-4");
        table.inverted = true;
        assert_eq!(selected(&table, &catalogue), "node-4");
        table.filter = Filter::parse("offline");
        assert_eq!(selected(&table, &catalogue), "node-9", "not listed: the first row");
        table.filter = Filter::default();
        assert_eq!(selected(&table, &catalogue), "node-4");
        table.step(&table.rows(&catalogue, 0), 1_000);
        assert_eq!(selected(&table, &catalogue), "node-0");
        table.step(&table.rows(&catalogue, 0), -1_000);
        assert_eq!(selected(&table, &catalogue), "node-9");
    }

    #[test]
    fn the_selected_row_is_always_on_the_screen() {
        let catalogue = catalogue();
        let mut table = Table::default();
        let mut offset_at = |index: usize, visible: usize| {
            let rows = table.rows(&catalogue, 0);
            table.select(&rows, index);
            table.scroll(&rows, visible);
            table.offset
        };
        assert_eq!([offset_at(0, 4), offset_at(3, 4), offset_at(4, 4), offset_at(9, 4)], [0, 0, 1, 6]);
        assert_eq!([offset_at(7, 4), offset_at(5, 4)], [6, 5]);
        assert_eq!(offset_at(5, 20), 0, "a larger screen wastes no rows");
        assert_eq!(offset_at(5, 0), 5, "no room at all is no reason to fail");
    }
}

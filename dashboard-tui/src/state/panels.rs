//! Which channels of a device are drawn, and which of them share an axis.

use protocol::device::Kind;

use super::catalogue::Channel;

/// Lines that one axis carries and colours can still tell apart.
pub const LINES_MAX: usize = 6;

/// Lines on one axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    /// Series, in the device's order.
    pub series: Vec<u32>,
}

/// Panels, and what had no room.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Panels {
    /// From top to bottom.
    pub panels: Vec<Panel>,
    /// Channels that are not drawn.
    pub left_out: usize,
}

impl Panels {
    /// Puts channels of the same unit and kind on one axis, as many axes as there is room for. A state channel has an
    /// axis of its own (its labels are its states'), and so has every channel when lines cannot be told apart by
    /// colour (`split`).
    pub fn group<'a>(channels: impl Iterator<Item = &'a Channel>, panels_max: usize, split: bool) -> Self {
        let mut grouped: Vec<(&Channel, Panel)> = Vec::new();
        let mut left_out = 0;
        for channel in channels {
            let shares = |(first, panel): &&mut (&Channel, Panel)| {
                !split
                    && channel.kind != Kind::State
                    && (first.kind, &first.unit) == (channel.kind, &channel.unit)
                    && panel.series.len() < LINES_MAX
            };
            if let Some((_, panel)) = grouped.iter_mut().find(shares) {
                panel.series.push(channel.series);
            } else if grouped.len() < panels_max {
                grouped.push((channel, Panel { series: vec![channel.series] }));
            } else {
                left_out += 1;
            }
        }
        Self { panels: grouped.into_iter().map(|(_, panel)| panel).collect(), left_out }
    }

    /// Every series that is drawn.
    pub fn series(&self) -> impl Iterator<Item = u32> {
        self.panels.iter().flat_map(|panel| panel.series.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample;

    fn channels() -> Vec<Channel> {
        let units = [("temp", "°C"), ("hum", "%"), ("outlet", "°C"), ("door", ""), ("window", "")];
        let mut channels: Vec<Channel> = units
            .iter()
            .zip(0..)
            .map(|(&(name, unit), series)| {
                let mut row = sample::series_row("a", name, series);
                row.unit = Some(unit.into());
                Channel::new(&row)
            })
            .collect();
        channels[3].kind = Kind::State;
        channels[4].kind = Kind::State;
        channels
    }

    fn grouped(panels_max: usize, split: bool) -> (Vec<Vec<u32>>, usize) {
        let panels = Panels::group(channels().iter(), panels_max, split);
        (panels.panels.into_iter().map(|panel| panel.series).collect(), panels.left_out)
    }

    #[test]
    fn the_same_unit_shares_an_axis_and_states_do_not() {
        assert_eq!(grouped(9, false), (vec![vec![0, 2], vec![1], vec![3], vec![4]], 0));
        assert_eq!(grouped(2, false), (vec![vec![0, 2], vec![1]], 2));
        assert_eq!(grouped(9, true).0.len(), 5);
    }

    #[test]
    fn an_axis_carries_only_so_many_lines() {
        let many: Vec<Channel> = (0..8).map(|n| Channel::new(&sample::series_row("a", &format!("t{n}"), n))).collect();
        let panels = Panels::group(many.iter(), 9, false);
        assert_eq!(panels.panels.iter().map(|panel| panel.series.len()).collect::<Vec<_>>(), [6, 2]);
    }
}

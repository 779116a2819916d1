//! Which pane stands where. Pure: drawing, the mouse and the subscriptions ask the same question and get the same
//! answer.

use ratatui::layout::Rect;

use crate::state::{Pane, Shape, State};

/// From here on everything is shown.
const FULL: (u16, u16) = (100, 30);
/// From here on both panes are shown.
const BOTH: (u16, u16) = (80, 24);
/// From here on one pane is shown; below is a message.
pub const SMALLEST: (u16, u16) = (40, 12);

/// Rows of a pane that are not its content: rule and headings.
pub const TABLE_EXTRA_ROWS: u16 = 2;
/// Rule and time axis.
const CHART_EXTRA_ROWS: u16 = 2;
/// Least rows of one axis: its legend and what is drawn.
const PANEL_ROWS_MIN: u16 = 4;
/// Rule, two lines about the device, and the heading of its channels.
pub const DETAIL_EXTRA_ROWS: u16 = 4;
/// A chart lower than this says nothing.
const CHART_ROWS_MIN: u16 = 8;

/// The areas of one frame. What is `None` is not shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Panes {
    /// The screen is too small for anything but a message.
    pub too_small: bool,
    /// One line: hub, state, counts.
    pub header: Rect,
    /// One line when the hub is away.
    pub banner: Option<Rect>,
    /// The device table.
    pub devices: Option<Rect>,
    /// The selected device in detail.
    pub detail: Option<Rect>,
    /// The chart.
    pub chart: Option<Rect>,
    /// Instead of all panes while there is no device.
    pub empty: Option<Rect>,
    /// One line: keys, or what is being typed.
    pub footer: Rect,
}

impl Panes {
    /// Divides `area`.
    pub fn split(area: Rect, state: &State) -> Self {
        let at_least = |(width, height): (u16, u16)| area.width >= width && area.height >= height;
        if !at_least(SMALLEST) {
            return Self { too_small: true, ..Self::default() };
        }
        let row = |y: u16| Rect { y, height: 1, ..area };
        let mut panes = Self { header: row(area.y), footer: row(area.bottom() - 1), ..Self::default() };
        let mut body = Rect { y: area.y + 1, height: area.height - 2, ..area };
        // A large screen keeps the line free, so that nothing moves when the hub goes away.
        let away = !state.link.is_live() && state.link.reason.is_some();
        if away || at_least(FULL) {
            panes.banner = away.then(|| row(body.y));
            body = Rect { y: body.y + 1, height: body.height - 1, ..body };
        }
        if state.shown().devices().is_empty() {
            panes.empty = Some(body);
        } else if state.expanded {
            panes.expand(body, state);
        } else if at_least(BOTH) {
            let (above, below) = cut(body, table_rows(body, state));
            panes.devices = Some(above);
            panes.chart = Some(below);
        } else {
            match state.focus {
                Pane::Devices => panes.devices = Some(body),
                Pane::Chart => panes.chart = Some(body),
            }
        }
        panes
    }

    fn expand(&mut self, body: Rect, state: &State) {
        if state.focus == Pane::Chart {
            self.chart = Some(body);
            return;
        }
        let most = state.shown().devices().iter().map(|device| device.channels.len()).max().unwrap_or(0);
        let wanted = DETAIL_EXTRA_ROWS + u16::try_from(most).unwrap_or(u16::MAX).min(body.height) + 1;
        if body.height < DETAIL_EXTRA_ROWS + 2 + CHART_ROWS_MIN {
            self.detail = Some(body);
            return;
        }
        let (above, below) = cut(body, wanted.min(body.height / 2).min(body.height - CHART_ROWS_MIN));
        self.detail = Some(above);
        self.chart = Some(below);
    }

    /// What the state needs to know of it.
    pub fn shape(&self, split: bool) -> Shape {
        let rows = |area: Option<Rect>, extra: u16| area.map_or(0, |area| area.height.saturating_sub(extra));
        Shape {
            table_rows: usize::from(rows(self.devices, TABLE_EXTRA_ROWS)),
            chart_dots: self.chart.map_or(0, |area| u32::from(area.width) * 2),
            chart_panels: usize::from(rows(self.chart, CHART_EXTRA_ROWS) / PANEL_ROWS_MIN).max(1),
            split,
        }
    }
}

/// Rows for the table above the chart: all devices if they leave the chart its half. It depends on how many devices
/// there are and not on how many are listed, so that typing a filter moves nothing.
fn table_rows(body: Rect, state: &State) -> u16 {
    let devices = u16::try_from(state.shown().devices().len()).unwrap_or(u16::MAX / 2);
    (devices + TABLE_EXTRA_ROWS + 1).clamp(6, body.height / 2)
}

fn cut(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    (Rect { height: rows, ..area }, Rect { y: area.y + rows, height: area.height - rows, ..area })
}

#[cfg(test)]
mod tests {
    use protocol::live::DeviceState;

    use super::*;
    use crate::state::sample;

    #[test]
    fn panes_never_overlap_and_never_leave_the_screen() {
        let mut state = State::default();
        for devices in [0_usize, 1, 5, 500] {
            let rows: Vec<_> = (0..devices)
                .map(|n| sample::device_row(&format!("node-{n}"), DeviceState::Fresh, &["temp", "hum"]))
                .collect();
            state.catalogue.apply(true, &rows, &[], 0);
            for (width, height) in [(300, 100), (120, 40), (100, 30), (99, 30), (80, 24), (79, 24), (40, 12), (40, 13)]
            {
                for (expanded, focus) in
                    [(false, Pane::Devices), (false, Pane::Chart), (true, Pane::Devices), (true, Pane::Chart)]
                {
                    for reason in [None, Some("refused".to_owned())] {
                        (state.expanded, state.focus, state.link.reason) = (expanded, focus, reason);
                        let panes = Panes::split(Rect::new(0, 0, width, height), &state);
                        let areas =
                            [panes.banner, panes.devices, panes.detail, panes.chart, panes.empty].into_iter().flatten();
                        let mut next = 1;
                        for area in areas {
                            assert!(area.y >= next && area.height > 0, "{panes:?}");
                            next = area.bottom();
                        }
                        assert!(next < height, "{panes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn each_step_down_leaves_something_of_use() {
        let mut state = State::default();
        state.catalogue.apply(true, &[sample::device_row("a", DeviceState::Fresh, &["temp"])], &[], 0);
        let shown = |width, height| {
            let panes = Panes::split(Rect::new(0, 0, width, height), &state);
            (panes.devices.is_some(), panes.chart.is_some(), panes.too_small)
        };
        assert_eq!(shown(120, 40), (true, true, false));
        assert_eq!(shown(80, 24), (true, true, false));
        assert_eq!(shown(79, 24), (true, false, false));
        assert_eq!(shown(40, 12), (true, false, false));
        assert_eq!(shown(39, 12), (false, false, true));
    }
}

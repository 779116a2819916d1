//! Draws the state: one file a widget. Reads [`State`], changes nothing, keeps nothing between frames.

mod banner;
mod chart;
mod detail;
mod devices;
mod empty;
mod footer;
mod header;
mod help;
pub mod layout;
mod trend;
pub mod wording;

use jiff::tz::TimeZone;
use ratatui::{
    Frame,
    buffer::Buffer,
    layout::{Position, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Block, Borders, Widget},
};

use crate::{keymap::Keymap, state::State, theme::Theme};
use layout::Panes;

/// What drawing needs beside the state.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Colours.
    pub theme: &'a Theme,
    /// Keys, for hints.
    pub keymap: &'a Keymap,
    /// Where the user is.
    pub zone: &'a TimeZone,
    /// The hub's `host:port`.
    pub hub: &'a str,
    /// This machine's clock, milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// Draws one frame.
pub fn draw(frame: &mut Frame<'_>, state: &State, look: Look<'_>) {
    let area = frame.area();
    let buf = frame.buffer_mut();
    buf.set_style(area, look.theme.base);
    let panes = Panes::split(area, state);
    if panes.too_small {
        empty::too_small(buf, area, look);
        return;
    }
    header::draw(buf, panes.header, state, look);
    if let Some(area) = panes.devices {
        devices::draw(buf, area, state, look);
    }
    if let Some(area) = panes.detail {
        detail::draw(buf, area, state, look);
    }
    if let Some(area) = panes.chart {
        chart::draw(buf, area, state, look);
    }
    if let Some(area) = panes.empty {
        empty::no_devices(buf, area, state, look);
    }
    if state.is_stale() {
        for area in [panes.devices, panes.detail, panes.chart].into_iter().flatten() {
            buf.set_style(area, look.theme.stale);
        }
    }
    if let Some(area) = panes.banner {
        banner::draw(buf, area, state, look);
    }
    let cursor = footer::draw(buf, panes.footer, state, look);
    if state.help {
        help::draw(buf, area, look);
    } else if let Some((x, y)) = cursor {
        frame.set_cursor_position(Position { x, y });
    }
}

/// A rule with a title on the left and a remark on the right; gives what is below it.
fn titled(buf: &mut Buffer, area: Rect, title: Line<'_>, remark: Line<'_>, look: Look<'_>) -> Rect {
    let block = Block::new().borders(Borders::TOP).border_style(look.theme.rule);
    let inner = block.inner(area);
    let padded = |mut line: Line<'static>| {
        if line.width() > 0 {
            line.spans.insert(0, Span::raw(" "));
            line.push_span(Span::raw(" "));
        }
        line
    };
    let block = block.title_top(padded(owned(title)));
    block.title_top(padded(owned(remark)).right_aligned()).render(area, buf);
    inner
}

fn owned(line: Line<'_>) -> Line<'static> {
    let style = line.style;
    line.spans.into_iter().map(|span| Span::styled(span.content.into_owned(), style.patch(span.style))).collect()
}

/// The title of a pane: in the focus' style when keys go there.
fn pane_title(text: &str, focused: bool, look: Look<'_>) -> Span<'static> {
    let style = if focused { look.theme.focus } else { look.theme.strong };
    Span::styled(text.to_owned(), style)
}

/// One line of text in the middle of an area.
fn centred(buf: &mut Buffer, area: Rect, text: &str, style: Style) {
    let line = Line::styled(text.to_owned(), style).centered();
    let middle = Rect { y: area.y + area.height / 2, height: area.height.min(1), ..area };
    line.render(middle, buf);
}

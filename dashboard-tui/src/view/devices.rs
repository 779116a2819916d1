//! The device table: state, last seen, rate, trend, latest values.

use protocol::live::DeviceState;
use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Row, Table, Widget},
};
use unicode_width::UnicodeWidthStr;

use super::{Look, centred, layout::TABLE_EXTRA_ROWS, pane_title, titled, trend, wording};
use crate::state::{
    Pane, State,
    catalogue::{ChannelState, Device, state_word},
};

/// From here on there is room for every column.
const WIDE: u16 = 100;
/// From here on there is room for ages and a short trend.
const MEDIUM: u16 = 72;
/// Widest column of names.
const NAME_WIDTH_MAX: usize = 24;
const SPACING: u16 = 2;

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Marker,
    State,
    Name,
    Seen,
    Rate,
    Trend,
    Values,
}

impl Column {
    fn heading(self) -> &'static str {
        match self {
            Self::Marker => "",
            Self::State => "state",
            Self::Name => "device",
            Self::Seen => "seen",
            Self::Rate => "rate",
            Self::Trend => "last 5 m",
            Self::Values => "latest",
        }
    }

    fn is_number(self) -> bool {
        matches!(self, Self::Seen | Self::Rate)
    }
}

/// Draws the table. The first listed row is `state.table.offset`.
pub(super) fn draw(buf: &mut Buffer, area: Rect, state: &State, look: Look<'_>) {
    let rows = state.rows(look.now_ms);
    let inner = titled(buf, area, title(state, rows.len(), look), remark(state, look), look);
    if rows.is_empty() {
        centred(buf, inner, "no device matches the filter", look.theme.dim);
        return;
    }
    let columns = columns(state, inner.width);
    let selected = state.table.position(&rows);
    let visible = usize::from(area.height.saturating_sub(TABLE_EXTRA_ROWS));
    let listed = rows.iter().enumerate().skip(state.table.offset).take(visible);
    let listed = listed.map(|(index, device)| row(device, index == selected, &columns, state, look));
    let headings = columns.iter().map(|(column, _)| {
        let line = Line::styled(column.heading(), look.theme.dim);
        if column.is_number() { line.right_aligned() } else { line }
    });
    let widths = columns.iter().map(|&(_, width)| Constraint::Length(width));
    Table::new(listed, widths).header(Row::new(headings)).column_spacing(SPACING).render(inner, buf);
    let row = selected.checked_sub(state.table.offset).filter(|row| *row < visible);
    select(buf, inner, row, look);
}

/// Lays the selection over a row of a table with one line of headings.
pub(super) fn select(buf: &mut Buffer, table: Rect, row: Option<usize>, look: Look<'_>) {
    if let Some(row) = row {
        let place = Rect { y: table.y + 1 + row as u16, height: 1, ..table };
        buf.set_style(place.intersection(table), look.theme.selection);
    }
}

fn title(state: &State, listed: usize, look: Look<'_>) -> Line<'static> {
    let all = state.shown().devices().len();
    let count = if listed == all { format!(" {all}") } else { format!(" {listed} of {all}") };
    let mut line = Line::from(pane_title("Devices", state.focus == Pane::Devices, look));
    line.push_span(Span::styled(count, look.theme.dim));
    if !state.table.filter.is_empty() {
        line.push_span(Span::styled(format!(" · /{}", state.table.filter.text()), look.theme.key));
    }
    line
}

fn remark(state: &State, look: Look<'_>) -> Line<'static> {
    let arrow = if state.table.inverted { "↑" } else { "↓" };
    Line::styled(format!("by {} {arrow}", state.table.sort.word()), look.theme.dim)
}

/// The columns that fit, with their widths; the last one takes what is left.
fn columns(state: &State, width: u16) -> Vec<(Column, u16)> {
    let names = state.shown().devices().iter().map(|device| device.id.width());
    let name = names.max().unwrap_or(0).clamp(6, NAME_WIDTH_MAX) as u16;
    let mut columns = vec![(Column::Marker, 1), (Column::State, 9)];
    match width {
        WIDE.. => columns.extend([(Column::Name, name), (Column::Seen, 5), (Column::Rate, 8), (Column::Trend, 16)]),
        MEDIUM.. => columns.extend([(Column::Name, name.min(18)), (Column::Seen, 5), (Column::Trend, 10)]),
        _ => columns.push((Column::Name, name.min(12))),
    }
    let used: u16 = columns.iter().map(|(_, width)| width + SPACING).sum();
    columns.push((Column::Values, width.saturating_sub(used)));
    columns
}

fn row<'a>(device: &Device, selected: bool, columns: &[(Column, u16)], state: &State, look: Look<'_>) -> Row<'a> {
    let shown_ms = state.shown_ms(look.now_ms);
    let clock_ms = state.clock_ms(look.now_ms);
    let cells = columns.iter().map(|&(column, width)| {
        let width = usize::from(width);
        match column {
            Column::Marker => Line::styled(if selected { ">" } else { "" }, look.theme.key),
            Column::State => Line::from(verdict(device, state, look)),
            Column::Name => Line::raw(wording::fit(&device.id, width)),
            Column::Seen => Line::styled(seen(device, clock_ms), look.theme.dim).right_aligned(),
            Column::Rate => {
                let rate = match device.rate.rate(shown_ms) {
                    _ if state.is_stale() => "—".to_owned(),
                    rate => rate.map_or_else(|| "…".to_owned(), wording::rate),
                };
                Line::styled(rate, look.theme.dim).right_aligned()
            }
            Column::Trend => {
                let values = lead(device, state).map(|lead| device.trend(lead, shown_ms, width));
                Line::styled(trend::text(&values.unwrap_or_default()), trend_style(device, look))
            }
            Column::Values => values(device, width, state, look),
        }
    });
    Row::new(cells.collect::<Vec<_>>())
}

/// How long ago a device was heard.
pub(super) fn seen(device: &Device, clock_ms: i64) -> String {
    device.last_seen_ms.map_or_else(|| "never".to_owned(), |seen_ms| wording::age(clock_ms - seen_ms))
}

/// Sign and word of a device's state. While the hub is away nobody knows whether one is still fresh.
pub(super) fn verdict(device: &Device, state: &State, look: Look<'_>) -> Span<'static> {
    let (glyph, word, style) = match device.state {
        DeviceState::Fresh if state.is_stale() => (wording::STALE_GLYPH, wording::STALE, look.theme.dim),
        DeviceState::Fresh => (wording::glyph(device.state), state_word(device.state), look.theme.fresh),
        DeviceState::Overdue => (wording::glyph(device.state), state_word(device.state), look.theme.overdue),
        DeviceState::Offline => (wording::glyph(device.state), state_word(device.state), look.theme.offline),
    };
    Span::styled(format!("{glyph} {word}"), style)
}

/// The style of trends: what is not current is dim.
pub(super) fn trend_style(device: &Device, look: Look<'_>) -> Style {
    if device.state == DeviceState::Fresh { look.theme.trend } else { look.theme.dim }
}

/// The channel that speaks for the device: the picked one, or its first.
fn lead<'a>(device: &'a Device, state: &State) -> Option<&'a ChannelState> {
    let picked = state.picked(device).map(|channel| channel.series);
    device.channels.iter().find(|channel| picked.is_none_or(|series| channel.channel.series == series))
}

/// Name and value of each channel, the leading one first, whole ones only; then how many had no room.
fn values(device: &Device, width: usize, state: &State, look: Look<'_>) -> Line<'static> {
    let lead = lead(device, state).map(|lead| lead.channel.series);
    let first = device.channels.iter().filter(|channel| Some(channel.channel.series) == lead);
    let others = device.channels.iter().filter(|channel| Some(channel.channel.series) != lead);
    let named = width >= 36;
    let value_style = if device.state == DeviceState::Fresh { Style::new() } else { look.theme.dim };
    let mut line = Line::default();
    let count = device.channels.len();
    for (index, channel) in first.chain(others).enumerate() {
        let value = channel
            .latest
            .map_or_else(|| "·".to_owned(), |point| wording::value_with_unit(&channel.channel, point.value));
        let name = if named { format!("{} ", channel.channel.name) } else { String::new() };
        let gap = if index == 0 { 0 } else { 2 };
        let rest = count - index - 1;
        let reserve = if rest > 0 { 2 + format!("+{rest}").width() } else { 0 };
        if index > 0 && line.width() + gap + name.width() + value.width() + reserve > width {
            line.push_span(Span::styled(format!("  +{}", rest + 1), look.theme.dim));
            break;
        }
        line.push_span(Span::raw(" ".repeat(gap)));
        line.push_span(Span::styled(name, look.theme.dim));
        let room = width.saturating_sub(line.width());
        line.push_span(Span::styled(wording::fit(&value, room), value_style));
    }
    line
}

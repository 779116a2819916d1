//! The chart: braille lines, one axis above the other for each unit, a common time axis, gaps left open.

mod panel;
mod scale;

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::Widget,
};

use super::{Look, centred, pane_title, titled, wording};
use crate::state::{Pane, State, catalogue::Device, chart, panels::Panels, window::Window};
use panel::Plot;

/// Columns between two time labels, the label included.
const TIME_LABEL_APART: u16 = 16;

/// Draws the chart of the selected device.
pub(super) fn draw(buf: &mut Buffer, area: Rect, state: &State, look: Look<'_>) {
    let Some(device) = state.selected(look.now_ms) else { return };
    let window = state.window(look.now_ms);
    let panels = state.panels(device);
    let title = title(state, device, &panels, look);
    let inner = titled(buf, area, title, remark(state, window, look), look);
    if let Some(problem) = state.chart.problem() {
        return centred(buf, inner, problem, look.theme.overdue);
    }
    if device.channels.is_empty() {
        return centred(buf, inner, "this device has no channels yet", look.theme.dim);
    }
    if state.chart.is_loading() {
        return centred(buf, inner, "loading…", look.theme.dim);
    }
    let has_reading = |line: &chart::Line| line.trace.points().any(|point| window.contains(point.time_ms));
    if !state.chart.lines().iter().any(has_reading) {
        let text = format!("no readings in the last {}", state.range().label);
        return centred(buf, inner, &text, look.theme.dim);
    }
    let above = Rect { height: inner.height - 1, ..inner };
    let plots: Vec<Plot<'_>> = panels
        .panels
        .iter()
        .zip(shares(above, panels.panels.len()))
        .map(|(panel, area)| {
            let lines = state.chart.lines().iter().filter(|line| panel.series.contains(&line.channel.series));
            Plot::new(lines.collect(), area, window)
        })
        .collect();
    // One width for all, so that the same time stands in the same column.
    let gutter = plots.iter().map(Plot::label_width).max().unwrap_or(0).min(inner.width / 3) + 1;
    let alone = panels.series().count() == 1;
    let holds = device.state == protocol::live::DeviceState::Fresh;
    let mut colour = 0;
    for plot in &plots {
        plot.draw(buf, gutter, colour, panel::Marks { alone, holds }, look);
        colour += plot.line_count();
    }
    let axis = Rect { y: inner.bottom() - 1, height: 1, x: inner.x + gutter, width: inner.width - gutter };
    time_axis(buf, axis, window, look);
}

fn title(state: &State, device: &Device, panels: &Panels, look: Look<'_>) -> Line<'static> {
    let focused = state.focus == Pane::Chart;
    let picked = state.picked(device);
    // Below the detail view, which says whose channels these are.
    let mut line = if state.expanded && !focused {
        Line::from(pane_title(picked.map_or("all channels", |channel| &channel.name), focused, look))
    } else {
        let channel = picked.map(|channel| format!(" / {}", channel.name)).unwrap_or_default();
        let title = device.title.as_ref().filter(|_| picked.is_none()).map(|title| format!(" · {title}"));
        let dim = Span::styled(title.unwrap_or_default(), look.theme.dim);
        Line::from(vec![pane_title(&format!("{}{channel}", device.id), focused, look), dim])
    };
    if let Some(title) = picked.and_then(|channel| channel.title.as_ref()) {
        line.push_span(Span::styled(format!(" · {title}"), look.theme.dim));
    }
    if panels.left_out > 0 {
        let key = look.keymap.key(crate::action::Action::NextChannel);
        line.push_span(Span::styled(format!(" · {} more: {key}", panels.left_out), look.theme.dim));
    }
    line
}

fn remark(state: &State, window: Window, look: Look<'_>) -> Line<'static> {
    let label = state.range().label;
    let text = if state.frozen.is_some() || state.link.lost_at_ms.is_some() {
        format!("{label} until {}", wording::time(window.to_ms, "%H:%M:%S", look.zone))
    } else {
        format!("last {label}")
    };
    Line::styled(text, look.theme.dim)
}

/// `count` areas one above the other; the upper ones take the rows that do not divide.
fn shares(area: Rect, count: usize) -> Vec<Rect> {
    let count = (count as u16).max(1);
    let mut y = area.y;
    (0..count)
        .map(|index| {
            let height = area.height / count + u16::from(index < area.height % count);
            let share = Rect { y, height, ..area };
            y += height;
            share
        })
        .collect()
}

fn time_axis(buf: &mut Buffer, area: Rect, window: Window, look: Look<'_>) {
    let (ticks, format) = scale::time_ticks(window, area.width, TIME_LABEL_APART, look.zone);
    let dots = f64::from(area.width * 2 - 1);
    let mut free_from = area.x;
    for tick in ticks {
        let part = (tick - window.from_ms) as f64 / window.span_ms() as f64;
        let column = area.x + (part * dots).round() as u16 / 2;
        let label = wording::time(tick, format, look.zone);
        let width = label.len() as u16;
        let start = column.saturating_sub(width / 2).min(area.right().saturating_sub(width));
        if start >= free_from {
            let place = Rect { x: start, width: width.min(area.right() - start), ..area };
            Line::styled(label, look.theme.dim).render(place, buf);
            free_from = start + width + 1;
        }
    }
}

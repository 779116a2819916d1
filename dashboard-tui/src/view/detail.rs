//! The selected device: who it is, how it reports, and each of its channels.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Rect},
    style::Style,
    text::{Line, Span},
    widgets::{Row, Table, Widget},
};

use super::{Look, devices, pane_title, titled, trend, wording};
use crate::state::{
    State,
    catalogue::{ChannelState, Device},
};

/// Columns of the trend.
const TREND_WIDTH: usize = 16;

/// Draws the device in detail.
pub(super) fn draw(buf: &mut Buffer, area: Rect, state: &State, look: Look<'_>) {
    let Some(device) = state.selected(look.now_ms) else { return };
    let mut title = Line::from(pane_title(&device.id, true, look));
    if let Some(name) = &device.title {
        title.push_span(Span::styled(format!(" · {name}"), look.theme.strong));
    }
    let inner = titled(buf, area, title, Line::default(), look);
    let row = |y: u16| Rect { y: inner.y + y, height: 1, ..inner }.intersection(inner);
    reporting(device, state, look).render(row(0), buf);
    identity(device, look).render(row(1), buf);
    let below = Rect { y: inner.y + 2, height: inner.height.saturating_sub(2), ..inner };
    channels(buf, below, device, state, look);
}

fn reporting(device: &Device, state: &State, look: Look<'_>) -> Line<'static> {
    let mut facts = Vec::new();
    if !state.is_stale() {
        facts.push(if device.connected { "connected".to_owned() } else { "not connected".to_owned() });
    }
    facts.push(match device.last_seen_ms {
        Some(seen_ms) => format!("last seen {} ago", wording::age(state.clock_ms(look.now_ms) - seen_ms)),
        None => "never seen".to_owned(),
    });
    let rate = device.rate.rate(state.shown_ms(look.now_ms)).filter(|_| !state.is_stale());
    facts.extend(rate.map(|rate| format!("readings {}", wording::rate(rate))));
    let facts = format!(" · {}", facts.join(" · "));
    Line::from(vec![Span::raw("   "), devices::verdict(device, state, look), Span::raw(facts)])
}

fn identity(device: &Device, look: Look<'_>) -> Line<'static> {
    let mut facts: Vec<String> = device.model.iter().cloned().collect();
    facts.extend(device.firmware.iter().map(|firmware| format!("firmware {firmware}")));
    facts.extend(device.labels.iter().map(|(key, value)| format!("{key}={value}")));
    Line::styled(format!("   {}", facts.join(" · ")), look.theme.dim)
}

fn channels(buf: &mut Buffer, area: Rect, device: &Device, state: &State, look: Look<'_>) {
    let picked = state.picked(device).map(|channel| channel.series);
    let visible = usize::from(area.height.saturating_sub(1)).max(1);
    let offset = state.channel_offset(device, visible);
    let listed = device.channels.iter().skip(offset).take(visible);
    let trend_style = devices::trend_style(device, look);
    let rows = listed.map(|channel| {
        let marker = if Some(channel.channel.series) == picked { ">" } else { "" };
        row(device, channel, marker, trend_style, state, look)
    });
    let heading = |text: &'static str| Line::styled(text, look.theme.dim);
    let header = Row::new([
        heading(""),
        heading("channel"),
        heading("value").right_aligned(),
        heading("age").right_aligned(),
        heading("every").right_aligned(),
        heading("last 5 m"),
        heading("title"),
    ]);
    let names =
        device.channels.iter().map(|channel| unicode_width::UnicodeWidthStr::width(channel.channel.name.as_str()));
    let widths = [
        Constraint::Length(1),
        Constraint::Length(names.max().unwrap_or(0).clamp(7, 20) as u16),
        Constraint::Length(14),
        Constraint::Length(5),
        Constraint::Length(7),
        Constraint::Length(TREND_WIDTH as u16),
        Constraint::Fill(1),
    ];
    Table::new(rows, widths).header(header).column_spacing(2).render(area, buf);
    let place = device.channels.iter().position(|channel| Some(channel.channel.series) == picked);
    devices::select(buf, area, place.map(|place| place - offset), look);
}

fn row(
    device: &Device,
    measured: &ChannelState,
    marker: &'static str,
    trend_style: Style,
    state: &State,
    look: Look<'_>,
) -> Row<'static> {
    let ChannelState { channel, latest, .. } = measured;
    let value = latest.map_or_else(|| "·".to_owned(), |point| wording::value_with_unit(channel, point.value));
    let age = latest.map_or_else(String::new, |point| wording::age(state.clock_ms(look.now_ms) - point.time_ms));
    let means = device.trend(measured, state.shown_ms(look.now_ms), TREND_WIDTH);
    let cells = [
        Line::styled(marker, look.theme.key),
        Line::raw(wording::fit(&channel.name, 20)),
        Line::styled(value, look.theme.strong).right_aligned(),
        Line::styled(age, look.theme.dim).right_aligned(),
        Line::styled(channel.period_ms.map_or_else(String::new, period), look.theme.dim).right_aligned(),
        Line::styled(trend::text(&means), trend_style),
        Line::styled(channel.title.clone().unwrap_or_default(), look.theme.dim),
    ];
    Row::new(cells)
}

fn period(period_ms: f64) -> String {
    if period_ms < 1_000.0 { format!("{period_ms:.0} ms") } else { wording::age(period_ms as i64) }
}

//! The first line: hub, connection, freeze, and how many devices are in which state.

use protocol::live::DeviceState;
use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::Widget,
};

use super::{Look, wording};
use crate::{
    state::{State, catalogue::state_word, link::Phase},
    theme::Theme,
};

/// Draws the header. What does not fit goes in this order: the program's name, the words of the counts, the hub.
pub(super) fn draw(buf: &mut Buffer, area: Rect, state: &State, look: Look<'_>) {
    let frozen = frozen(state, look);
    let link = link(state, look.theme);
    let name = state.link.hub.as_deref().unwrap_or(look.hub);
    let hub = vec![Span::styled(name.to_owned(), look.theme.strong), Span::raw("  ")];
    let program = vec![Span::styled(" Highwater", look.theme.focus), Span::raw("  ")];
    let room = usize::from(area.width);
    let candidates = [
        ([program, hub.clone()].concat(), true),
        ([vec![Span::raw(" ")], hub.clone()].concat(), true),
        ([vec![Span::raw(" ")], hub].concat(), false),
        (vec![Span::raw(" ")], false),
    ];
    for (start, words) in candidates {
        let left = Line::from([start, link.clone(), frozen.clone()].concat());
        let right = counts(state, look.theme, words);
        let last = !words && left.spans.len() == 1 + link.len() + frozen.len();
        if left.width() + 2 + right.width() <= room || last {
            let right_width = (right.width() as u16).min(area.width);
            left.render(Rect { width: area.width - right_width, ..area }, buf);
            right.render(Rect { x: area.right() - right_width, width: right_width, ..area }, buf);
            return;
        }
    }
}

fn link(state: &State, theme: &Theme) -> Vec<Span<'static>> {
    let (glyph, word, style) = match state.link.phase {
        Phase::Live => ("●", "Live", theme.fresh),
        Phase::Connecting { attempt: 1 } if state.link.reason.is_none() => ("○", "Connecting", theme.dim),
        Phase::Connecting { .. } | Phase::Waiting { .. } => ("○", "Reconnecting", theme.overdue),
    };
    let mut spans = vec![Span::styled(format!("{glyph} {word}"), style)];
    if let Some(round_trip) = state.link.round_trip {
        spans.push(Span::styled(format!(" · {}", wording::latency(round_trip)), theme.dim));
    }
    spans
}

fn frozen(state: &State, look: Look<'_>) -> Vec<Span<'static>> {
    let Some(frozen) = &state.frozen else { return Vec::new() };
    let age = wording::age(state.link.hub_time_ms(look.now_ms) - frozen.at_ms);
    let text = format!(" FROZEN {age} · {} new ", wording::count(frozen.waiting));
    vec![Span::raw("  "), Span::styled(text, look.theme.frozen)]
}

fn counts(state: &State, theme: &Theme, words: bool) -> Line<'static> {
    let counts = state.catalogue.counts();
    let states = [
        (DeviceState::Fresh, counts.fresh, theme.fresh),
        (DeviceState::Overdue, counts.overdue, theme.overdue),
        (DeviceState::Offline, counts.offline, theme.offline),
    ];
    let mut line = Line::default();
    for (state, count, style) in states {
        // What is not there needs no attention.
        let style = if count == 0 { theme.dim } else { style };
        let word = if words { format!(" {}", state_word(state)) } else { String::new() };
        line.push_span(Span::styled(format!("{} {count}{word}", wording::glyph(state)), style));
        line.push_span(Span::raw(if words { "  " } else { " " }));
    }
    line
}

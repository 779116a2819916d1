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

const PROGRAM: &str = "Highwater";

/// Draws the header. What does not fit goes in this order: the program's name, the words of the counts, the hub.
pub(super) fn draw(buf: &mut Buffer, area: Rect, state: &State, look: Look<'_>) {
    let frozen = frozen(state, look);
    let link = link(state, look.theme);
    // A hub that nobody named is called like the program: its address says more.
    let named = state.link.hub.as_deref().filter(|name| !name.eq_ignore_ascii_case(PROGRAM));
    let name = named.unwrap_or(look.hub);
    let hub = vec![Span::styled(name.to_owned(), look.theme.strong), Span::raw("  ")];
    let program = vec![Span::styled(format!(" {PROGRAM}"), look.theme.focus), Span::raw("  ")];
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
    let by_state = [
        (DeviceState::Fresh, counts.fresh, theme.fresh),
        (DeviceState::Overdue, counts.overdue, theme.overdue),
        (DeviceState::Offline, counts.offline, theme.offline),
    ];
    let mut line = Line::default();
    for (of, count, style) in by_state {
        let unknown = of == DeviceState::Fresh && state.is_stale();
        // What is not there needs no attention.
        let style = if count == 0 || unknown { theme.dim } else { style };
        let glyph = if unknown { wording::STALE_GLYPH } else { wording::glyph(of) };
        let word = if unknown { wording::STALE } else { state_word(of) };
        let word = if words { format!(" {word}") } else { String::new() };
        line.push_span(Span::styled(format!("{glyph} {count}{word}"), style));
        line.push_span(Span::raw(if words { "  " } else { " " }));
    }
    line
}

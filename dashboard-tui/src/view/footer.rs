//! The last line: what is being typed, something to read once, or the keys.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Span},
    widgets::Widget,
};
use unicode_width::UnicodeWidthStr;

use super::{Look, wording};
use crate::state::State;

/// Draws the footer; gives where the cursor stands while something is typed.
pub(super) fn draw(buf: &mut Buffer, area: Rect, state: &State, look: Look<'_>) -> Option<(u16, u16)> {
    if let Some(input) = &state.filter_input {
        return Some(filter(buf, area, input, look));
    }
    let mut line = Line::from(" ");
    if let Some(notice) = state.notice.as_ref().filter(|notice| notice.until_ms > look.now_ms) {
        line.push_span(Span::styled(wording::fit(&notice.text, usize::from(area.width) - 1), look.theme.overdue));
    } else {
        for (binding, keys) in look.keymap.rows().filter(|(binding, _)| !binding.hint.is_empty()) {
            let key = keys.first().map(ToString::to_string).unwrap_or_default();
            if line.width() + key.width() + binding.hint.width() + 3 > usize::from(area.width) {
                break;
            }
            line.push_span(Span::styled(key, look.theme.key));
            line.push_span(Span::styled(format!(" {}  ", binding.hint), look.theme.dim));
        }
    }
    line.render(area, buf);
    None
}

fn filter(buf: &mut Buffer, area: Rect, input: &str, look: Look<'_>) -> (u16, u16) {
    let remark = "  enter keeps, esc cancels, !word: without it";
    // The end is where the cursor is: what does not fit goes at the front.
    let room = usize::from(area.width) - 3;
    let mut shown = input;
    while shown.width() > room {
        let mut characters = shown.chars();
        characters.next();
        shown = characters.as_str();
    }
    let mut line =
        Line::from(vec![Span::styled(" /", look.theme.key), Span::styled(shown.to_owned(), look.theme.strong)]);
    let cursor_x = area.x + line.width() as u16;
    if line.width() + remark.width() <= usize::from(area.width) {
        line.push_span(Span::styled(remark, look.theme.dim));
    }
    line.render(area, buf);
    (cursor_x, area.y)
}

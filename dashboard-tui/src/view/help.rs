//! The key overlay, printed from the key table.

use ratatui::{
    buffer::Buffer,
    layout::{Constraint, Rect},
    text::{Line, Span},
    widgets::{Block, BorderType, Clear, Row, Table, Widget},
};

use super::Look;
use crate::keymap::Key;

const WIDTH: u16 = 76;

/// Draws the overlay in the middle of `area`, as large as there is room.
pub(super) fn draw(buf: &mut Buffer, area: Rect, look: Look<'_>) {
    let keys = |keys: &[Key]| keys.iter().map(ToString::to_string).collect::<Vec<_>>().join("  ");
    let rows: Vec<Row<'_>> = look
        .keymap
        .rows()
        .map(|(binding, bound)| {
            Row::new([
                Line::styled(keys(bound), look.theme.key).right_aligned(),
                Line::styled(binding.help, look.theme.base),
            ])
        })
        .collect();
    let height = (rows.len() as u16 + 4).min(area.height);
    let width = WIDTH.min(area.width);
    let window = Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height };
    Clear.render(window, buf);
    buf.set_style(window, look.theme.base);
    let block = Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(look.theme.rule)
        .title_top(Span::styled(" Keys ", look.theme.focus))
        .title_bottom(
            Line::styled(" mouse: click selects, wheel scrolls the table and changes the range ", look.theme.dim)
                .centered(),
        );
    let mut inner = block.inner(window);
    block.render(window, buf);
    // Air above, where there is some to spare.
    if inner.height > rows.len() as u16 {
        inner.y += 1;
        inner.height -= 1;
    }
    let table = Table::new(rows, [Constraint::Length(12), Constraint::Fill(1)]).column_spacing(2);
    ratatui::widgets::Widget::render(table, inner, buf);
}

//! What stands there when there is nothing to show yet, and when there is no room.

use ratatui::{
    buffer::Buffer,
    layout::Rect,
    text::{Line, Text},
    widgets::{Paragraph, Widget, Wrap},
};

use super::{Look, layout::SMALLEST};
use crate::{action::Action, state::State};

/// With fewer rows than this nothing is spent on empty lines.
const ROOMY: u16 = 12;

/// A message for a screen on which nothing else fits.
pub(super) fn too_small(buf: &mut Buffer, area: Rect, look: Look<'_>) {
    let (width, height) = SMALLEST;
    let text = format!("{}×{} is too small: at least {width}×{height}", area.width, area.height);
    Paragraph::new(text).style(look.theme.base).centered().wrap(Wrap { trim: true }).render(area, buf);
}

/// Before the first device: how to send the first reading to this very hub.
pub(super) fn no_devices(buf: &mut Buffer, area: Rect, state: &State, look: Look<'_>) {
    let mut lines: Vec<Line<'_>> = if state.link.is_live() {
        let command = format!("cargo run --release -p device-sim -- --hub {} --devices 3", look.hub);
        let url = format!("http://{}/api/v1/readings", look.hub);
        vec![
            Line::styled("No devices yet", look.theme.strong),
            Line::default(),
            Line::styled("Simulated ones:", look.theme.dim),
            Line::styled(command, look.theme.key),
            Line::default(),
            Line::styled("Your first reading:", look.theme.dim),
            Line::styled(format!("curl {url} \\"), look.theme.key),
            Line::styled(r"  -H 'content-type: application/json' \", look.theme.key),
            Line::styled(r#"  -d '{"device": "shed", "readings": {"temp": 21.5}}'"#, look.theme.key),
        ]
    } else {
        let quit = look.keymap.key(Action::Quit);
        let reconnect = look.keymap.key(Action::Reconnect);
        vec![
            Line::styled(format!("Connecting to {}", look.hub), look.theme.strong),
            Line::default(),
            Line::styled(format!("{reconnect} connects at once, {quit} leaves"), look.theme.dim),
        ]
    };
    if area.height < ROOMY {
        lines.retain(|line| line.width() > 0);
    }
    let height = lines.len() as u16;
    let width = (lines.iter().map(Line::width).max().unwrap_or(0) as u16).min(area.width);
    let top = area.height.saturating_sub(height) / 3;
    let middle = Rect { x: area.x + (area.width - width) / 2, y: area.y + top, width, height: area.height - top };
    Paragraph::new(Text::from(lines)).wrap(Wrap { trim: false }).render(middle, buf);
}

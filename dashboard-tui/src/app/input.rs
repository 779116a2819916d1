//! What keys and the mouse do.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::App;
use crate::{
    action::Action,
    keymap::Key,
    state::{Pane, filter::Filter},
    theme::Theme,
    view::layout::{DETAIL_EXTRA_ROWS, Panes, TABLE_EXTRA_ROWS},
};

/// Longest text for the filter, characters.
const FILTER_CHARS_MAX: usize = 200;

impl App {
    pub(super) fn on_input(&mut self, input: &Event, now_ms: i64) {
        match input {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.on_key(*key, now_ms),
            Event::Mouse(mouse) => self.on_mouse(*mouse, now_ms),
            Event::Resize(width, height) => self.area = Rect::new(0, 0, *width, *height),
            Event::Key(_) | Event::Paste(_) | Event::FocusGained | Event::FocusLost => {}
        }
    }

    fn on_key(&mut self, key: KeyEvent, now_ms: i64) {
        let action = self.keymap.action(Key::from(key));
        let types = !key.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT);
        match self.state.filter_input.take() {
            // What is typed is text; only keys with ctrl or alt keep their meaning.
            Some(input) if types => self.on_typing(input, key.code),
            input => {
                self.state.filter_input = input;
                if let Some(action) = action {
                    self.act(action, now_ms);
                }
            }
        }
    }

    fn on_typing(&mut self, mut input: String, code: KeyCode) {
        match code {
            KeyCode::Enter => return self.state.table.filter = Filter::parse(&input),
            KeyCode::Esc => {
                let kept = std::mem::take(&mut self.filter_before);
                return self.state.table.filter = kept;
            }
            KeyCode::Backspace => _ = input.pop(),
            KeyCode::Char(character) if !character.is_control() && input.chars().count() < FILTER_CHARS_MAX => {
                input.push(character);
            }
            _ => {}
        }
        self.state.table.filter = Filter::parse(&input);
        self.state.filter_input = Some(input);
    }

    fn act(&mut self, action: Action, now_ms: i64) {
        let state = &mut self.state;
        if state.help && !matches!(action, Action::Help | Action::Close | Action::Quit) {
            return;
        }
        match action {
            Action::Quit => self.quit = true,
            Action::Help => state.help = !state.help,
            Action::Close => self.close(),
            Action::NextPane => {
                state.focus = if state.focus == Pane::Devices { Pane::Chart } else { Pane::Devices };
            }
            Action::Up => self.step(-1, now_ms),
            Action::Down => self.step(1, now_ms),
            Action::PageUp => self.step(-(self.page()), now_ms),
            Action::PageDown => self.step(self.page(), now_ms),
            Action::First => self.step(-isize::MAX, now_ms),
            Action::Last => self.step(isize::MAX, now_ms),
            Action::PreviousChannel => state.step_channel(-1, now_ms),
            Action::NextChannel => state.step_channel(1, now_ms),
            Action::Filter => {
                state.expanded = false;
                state.focus = Pane::Devices;
                state.filter_input = Some(state.table.filter.text().to_owned());
                self.filter_before = state.table.filter.clone();
            }
            Action::Sort => state.table.sort = state.table.sort.next(),
            Action::Invert => state.table.inverted = !state.table.inverted,
            Action::Expand => state.expanded = !state.expanded,
            Action::Freeze => state.toggle_freeze(now_ms),
            Action::ZoomIn => state.step_range(-1),
            Action::ZoomOut => state.step_range(1),
            Action::Theme => {
                let name = self.theme.name.next();
                self.theme = Theme::new(name);
                state.notify(format!("theme: {}", name.word()), now_ms);
            }
            Action::Reconnect => self.reconnect = true,
        }
    }

    /// Closes the topmost layer.
    fn close(&mut self) {
        let state = &mut self.state;
        if state.help {
            state.help = false;
        } else if state.expanded {
            state.expanded = false;
        } else if !state.table.filter.is_empty() {
            state.table.filter = Filter::default();
        } else {
            state.pick = None;
        }
    }

    /// Moves the selection of the focused pane: devices in the table, else channels.
    fn step(&mut self, steps: isize, now_ms: i64) {
        let state = &mut self.state;
        if state.focus == Pane::Devices && !state.expanded {
            let mut table = state.table.clone();
            table.step(&state.rows(now_ms), steps);
            state.table = table;
        } else {
            state.step_channel(steps, now_ms);
        }
    }

    fn page(&self) -> isize {
        isize::try_from(self.state.shape.table_rows.max(1)).unwrap_or(isize::MAX)
    }

    fn on_mouse(&mut self, mouse: MouseEvent, now_ms: i64) {
        if self.state.help {
            return;
        }
        let panes = Panes::split(self.area, &self.state);
        let at = Position { x: mouse.column, y: mouse.row };
        let hit = |area: Option<Rect>| area.filter(|area| area.contains(at));
        if let Some(area) = hit(panes.devices) {
            match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => self.click_device(area, at, now_ms),
                MouseEventKind::ScrollUp => self.wheel(Pane::Devices, -1, now_ms),
                MouseEventKind::ScrollDown => self.wheel(Pane::Devices, 1, now_ms),
                _ => {}
            }
        } else if let Some(area) = hit(panes.detail) {
            match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) => self.click_channel(area, at, now_ms),
                MouseEventKind::ScrollUp => self.step(-1, now_ms),
                MouseEventKind::ScrollDown => self.step(1, now_ms),
                _ => {}
            }
        } else if hit(panes.chart).is_some() {
            match mouse.kind {
                MouseEventKind::Down(MouseButton::Left) if !self.state.expanded => self.state.focus = Pane::Chart,
                MouseEventKind::ScrollUp => self.state.step_range(-1),
                MouseEventKind::ScrollDown => self.state.step_range(1),
                _ => {}
            }
        }
    }

    fn wheel(&mut self, pane: Pane, steps: isize, now_ms: i64) {
        self.state.focus = pane;
        self.step(steps, now_ms);
    }

    fn click_device(&mut self, area: Rect, at: Position, now_ms: i64) {
        self.state.focus = Pane::Devices;
        if let Some(row) = (at.y - area.y).checked_sub(TABLE_EXTRA_ROWS) {
            let mut table = self.state.table.clone();
            let rows = self.state.rows(now_ms);
            let index = table.offset + usize::from(row);
            if index < rows.len() {
                table.select(&rows, index);
                self.state.table = table;
            }
        }
    }

    fn click_channel(&mut self, area: Rect, at: Position, now_ms: i64) {
        let Some(row) = (at.y - area.y).checked_sub(DETAIL_EXTRA_ROWS) else { return };
        let visible = usize::from(area.height.saturating_sub(DETAIL_EXTRA_ROWS)).max(1);
        let Some(device) = self.state.selected(now_ms) else { return };
        let index = self.state.channel_offset(device, visible) + usize::from(row);
        let name = device.channels.get(index).map(|state| state.channel.name.clone());
        if name.is_some() {
            self.state.pick = name;
        }
    }
}

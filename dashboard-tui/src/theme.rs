//! Colours, and what stands in for them where there are none.
//!
//! No meaning hangs on colour alone: every state has a glyph and a word, the selection a `>`.

use clap::ValueEnum;
use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

/// Which colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum ThemeName {
    /// The terminal's own sixteen colours on its own background
    #[default]
    Default,
    /// Light on dark, paints its background
    Dark,
    /// Dark on light, paints its background
    Light,
    /// Blue and orange instead of green and red, on the terminal's own background
    ColourBlind,
    /// No colours
    Plain,
}

impl ThemeName {
    /// The next one in turn.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Default => Self::Dark,
            Self::Dark => Self::Light,
            Self::Light => Self::ColourBlind,
            Self::ColourBlind => Self::Plain,
            Self::Plain => Self::Default,
        }
    }

    /// As in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Dark => "dark",
            Self::Light => "light",
            Self::ColourBlind => "colour-blind",
            Self::Plain => "plain",
        }
    }
}

/// How each kind of thing looks.
#[derive(Debug, Clone, PartialEq)]
pub struct Theme {
    /// Which one this is.
    pub name: ThemeName,
    /// Everything, before anything else.
    pub base: Style,
    /// What is read second.
    pub dim: Style,
    /// Names of panes, the hub, values in the detail view.
    pub strong: Style,
    /// Rules between panes and grid lines.
    pub rule: Style,
    /// The title of the pane that keys go to.
    pub focus: Style,
    /// Laid over the selected row.
    pub selection: Style,
    /// Fresh devices, a live connection.
    pub fresh: Style,
    /// Overdue devices.
    pub overdue: Style,
    /// Offline devices.
    pub offline: Style,
    /// Trends of fresh devices.
    pub trend: Style,
    /// The line that says that the hub is away.
    pub banner: Style,
    /// The sign that the view stands still.
    pub frozen: Style,
    /// Laid over data that is not current.
    pub stale: Style,
    /// Keys in the footer and in the overlay.
    pub key: Style,
    /// Lines of the chart in turn; empty: lines cannot be told apart by colour.
    pub lines: &'static [Color],
}

const fn indexed(colour: u8) -> Style {
    Style::new().fg(Color::Indexed(colour))
}

impl Theme {
    /// The theme of that name.
    pub const fn new(name: ThemeName) -> Self {
        match name {
            ThemeName::Default => Self::terminal(),
            ThemeName::Dark => Self::dark(),
            ThemeName::Light => Self::light(),
            ThemeName::ColourBlind => Self::colour_blind(),
            ThemeName::Plain => Self::plain(),
        }
    }

    /// The colour of the line at `index`.
    pub fn line(&self, index: usize) -> Color {
        match self.lines {
            [] => Color::Reset,
            lines => lines[index % lines.len()],
        }
    }

    const fn plain() -> Self {
        let none = Style::new();
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let dim = Style::new().add_modifier(Modifier::DIM);
        let reversed = Style::new().add_modifier(Modifier::REVERSED);
        Self {
            name: ThemeName::Plain,
            base: none,
            dim,
            strong: bold,
            rule: dim,
            focus: Style::new().add_modifier(Modifier::BOLD.union(Modifier::UNDERLINED)),
            selection: bold,
            fresh: none,
            overdue: bold,
            offline: dim,
            trend: none,
            banner: reversed,
            frozen: reversed,
            stale: Style::new().add_modifier(Modifier::DIM).remove_modifier(Modifier::BOLD),
            key: bold,
            lines: &[],
        }
    }

    const fn terminal() -> Self {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        Self {
            name: ThemeName::Default,
            focus: bold.fg(Color::Cyan),
            // One bar, whatever colours the row has: reversed, each of them would be a patch.
            selection: Style::new()
                .fg(Color::Reset)
                .add_modifier(Modifier::REVERSED)
                .remove_modifier(Modifier::DIM.union(Modifier::BOLD)),
            fresh: Style::new().fg(Color::Green),
            trend: Style::new().fg(Color::Cyan),
            overdue: bold.fg(Color::Yellow),
            banner: bold.fg(Color::Black).bg(Color::Yellow),
            frozen: bold.fg(Color::Black).bg(Color::Cyan),
            key: Style::new().fg(Color::Cyan),
            lines: &[Color::Cyan, Color::Magenta, Color::Green, Color::Yellow, Color::Blue, Color::Red],
            ..Self::plain()
        }
    }

    const fn dark() -> Self {
        Self {
            name: ThemeName::Dark,
            base: Style::new().fg(Color::Indexed(252)).bg(Color::Indexed(233)),
            dim: indexed(245),
            strong: indexed(231).add_modifier(Modifier::BOLD),
            rule: indexed(239),
            focus: indexed(75).add_modifier(Modifier::BOLD),
            selection: Style::new().bg(Color::Indexed(237)).add_modifier(Modifier::BOLD),
            fresh: indexed(78),
            overdue: indexed(214).add_modifier(Modifier::BOLD),
            offline: indexed(246),
            trend: indexed(67),
            banner: indexed(16).bg(Color::Indexed(214)).add_modifier(Modifier::BOLD),
            frozen: indexed(16).bg(Color::Indexed(75)).add_modifier(Modifier::BOLD),
            stale: indexed(242).remove_modifier(Modifier::BOLD),
            key: indexed(75),
            lines: LINES_ON_DARK,
        }
    }

    const fn light() -> Self {
        Self {
            name: ThemeName::Light,
            base: Style::new().fg(Color::Indexed(236)).bg(Color::Indexed(231)),
            dim: indexed(242),
            strong: indexed(16).add_modifier(Modifier::BOLD),
            rule: indexed(250),
            focus: indexed(25).add_modifier(Modifier::BOLD),
            selection: Style::new().bg(Color::Indexed(254)).add_modifier(Modifier::BOLD),
            fresh: indexed(28),
            overdue: indexed(130).add_modifier(Modifier::BOLD),
            offline: indexed(241),
            trend: indexed(67),
            banner: indexed(231).bg(Color::Indexed(130)).add_modifier(Modifier::BOLD),
            frozen: indexed(231).bg(Color::Indexed(25)).add_modifier(Modifier::BOLD),
            stale: indexed(246).remove_modifier(Modifier::BOLD),
            key: indexed(25),
            // Darker than on dark: plain orange and sky blue have less than 3:1 on white.
            lines: &[
                Color::Indexed(25),
                Color::Indexed(130),
                Color::Indexed(29),
                Color::Indexed(126),
                Color::Indexed(94),
                Color::Indexed(160),
            ],
        }
    }

    const fn colour_blind() -> Self {
        Self {
            name: ThemeName::ColourBlind,
            focus: indexed(74).add_modifier(Modifier::BOLD),
            fresh: indexed(74),
            overdue: indexed(214).add_modifier(Modifier::BOLD),
            trend: indexed(74),
            banner: indexed(16).bg(Color::Indexed(214)).add_modifier(Modifier::BOLD),
            frozen: indexed(16).bg(Color::Indexed(74)).add_modifier(Modifier::BOLD),
            key: indexed(74),
            lines: LINES_ON_DARK,
            ..Self::terminal()
        }
    }
}

/// Okabe and Ito's palette (2008), told apart with every kind of colour vision, in the 256 colours that any
/// terminal has: sky blue, orange, bluish green, reddish purple, yellow, vermilion.
const LINES_ON_DARK: &[Color] = &[
    Color::Indexed(74),
    Color::Indexed(214),
    Color::Indexed(36),
    Color::Indexed(175),
    Color::Indexed(227),
    Color::Indexed(166),
];

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [ThemeName; 5] =
        [ThemeName::Default, ThemeName::Dark, ThemeName::Light, ThemeName::ColourBlind, ThemeName::Plain];

    #[test]
    fn all_themes_come_in_turn_and_only_two_paint_a_background() {
        let mut name = ThemeName::Default;
        for expected in ALL {
            assert_eq!(name, expected);
            assert_eq!(Theme::new(name).name, name);
            name = name.next();
        }
        assert_eq!(name, ThemeName::Default);
        let painted = ALL.map(|name| Theme::new(name).base.bg.is_some());
        assert_eq!(painted, [false, true, true, false, false]);
    }

    #[test]
    fn plain_has_no_colour_and_nobodys_states_look_alike() {
        let plain = Theme::new(ThemeName::Plain);
        for style in [plain.base, plain.dim, plain.selection, plain.banner, plain.frozen, plain.stale, plain.overdue] {
            assert_eq!((style.fg, style.bg), (None, None));
        }
        for theme in ALL.map(Theme::new) {
            assert!(theme.fresh != theme.overdue && theme.overdue != theme.offline && theme.fresh != theme.offline);
            assert!(theme.lines.iter().enumerate().all(|(index, line)| !theme.lines[..index].contains(line)));
        }
    }
}

//! What text pictures do not show: colours.

use dashboard_tui::theme::{Theme, ThemeName};
use ratatui::{
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};

use crate::{farm, screen::Screen};

fn themed(theme: &str) -> Screen {
    let mut screen = Screen::new(120, 40, &["--theme", theme]);
    screen.connect(farm::devices());
    screen
}

/// The first cell of `text` on the screen.
fn cell_of<'a>(buffer: &'a Buffer, text: &str) -> &'a Cell {
    let width = buffer.area.width;
    for y in 0..buffer.area.height {
        let line: Vec<&str> = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        for x in 0..line.len() {
            if line[x..].concat().starts_with(text) {
                return &buffer[(x as u16, y)];
            }
        }
    }
    panic!("{text:?} is not on the screen");
}

#[test]
fn states_and_the_selection_have_their_styles() {
    let mut screen = themed("dark");
    let theme = Theme::new(ThemeName::Dark);
    let buffer = screen.picture();
    assert_eq!(Some(cell_of(buffer, "○ overdue").fg), theme.overdue.fg);
    assert_eq!(Some(cell_of(buffer, "■ offline").fg), theme.offline.fg);
    assert_eq!(Some(cell_of(buffer, "boiler-1 ").bg), theme.selection.bg);
    assert_eq!(Some(cell_of(buffer, "boiler-10").bg), theme.base.bg);
}

#[test]
fn lines_of_one_chart_differ_and_match_their_legend() {
    let mut screen = themed("colour-blind");
    screen.keys("jjj");
    screen.settle();
    let buffer = screen.picture();
    let colours: Vec<Color> = ["━ temp", "━ soil", "━ hum", "━ vent"].map(|text| cell_of(buffer, text).fg).into();
    assert!((0..4).all(|index| !colours[..index].contains(&colours[index])), "{colours:?}");
    let drawn = |colour: &Color| {
        let braille = |cell: &&Cell| cell.symbol().chars().all(|c| ('\u{2801}'..='\u{28ff}').contains(&c));
        buffer.content().iter().filter(braille).any(|cell| cell.fg == *colour)
    };
    assert!(colours.iter().all(drawn));
}

#[test]
fn without_colours_there_are_none_and_nothing_is_lost() {
    let mut screen = themed("plain");
    screen.keys("jjj");
    screen.settle();
    let buffer = screen.picture();
    assert!(buffer.content().iter().all(|cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset)));
    let text = screen.text();
    assert!(text.contains("> ") && text.contains("○ overdue"));
    let series = |screen: &Screen| screen.app.state().panels(screen.app.state().selected(0).expect("one")).panels;
    assert!(series(&screen).iter().all(|panel| panel.series.len() == 1), "no colours: one line an axis");
}

#[test]
fn only_dark_and_light_paint_the_background() {
    for (theme, painted) in [("default", false), ("dark", true), ("light", true), ("colour-blind", false)] {
        let mut screen = themed(theme);
        let buffer = screen.picture();
        let corner = &buffer[(119, 20)];
        assert_eq!(corner.bg != Color::Reset, painted, "{theme}");
    }
    let mut screen = themed("default");
    screen.keys("tt");
    assert_ne!(screen.picture()[(119, 20)].bg, Color::Reset, "t goes on to light");
}

#[test]
fn data_that_is_not_current_is_dimmed() {
    let mut screen = themed("default");
    let is_dim = |screen: &mut Screen| cell_of(screen.picture(), "boiler-10").modifier.contains(Modifier::DIM);
    assert!(!is_dim(&mut screen));
    screen.lose();
    assert!(is_dim(&mut screen));
}

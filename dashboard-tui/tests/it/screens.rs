//! Pictures: every size in every situation, and what each key changes.

use std::time::Duration;

use client::live::LiveEvent;
use crossterm::event::{KeyCode, KeyModifiers, MouseEventKind};
use dashboard_tui::{
    action::Action,
    keymap::{BINDINGS, Key},
    state::{Pane, sort::Sort},
};
use protocol::live::HubMessage;

use crate::{farm, screen::Screen};

const SIZES: [(u16, u16); 4] = [(120, 40), (80, 24), (40, 12), (20, 5)];

#[test]
fn live() {
    for (width, height) in SIZES {
        let mut screen = Screen::live(width, height, farm::devices());
        insta::assert_snapshot!(format!("live_{width}x{height}"), screen.text());
    }
}

#[test]
fn frozen() {
    for (width, height) in SIZES {
        let mut screen = Screen::live(width, height, farm::devices());
        screen.keys(" ");
        screen.now_ms += 12_000;
        screen.readings(1, 99.9, 1_203);
        insta::assert_snapshot!(format!("frozen_{width}x{height}"), screen.text());
    }
}

#[test]
fn reconnecting() {
    for (width, height) in SIZES {
        let mut screen = Screen::live(width, height, farm::devices());
        screen.lose();
        insta::assert_snapshot!(format!("reconnecting_{width}x{height}"), screen.text());
    }
}

#[test]
fn while_the_hub_is_away_ages_grow_and_nothing_looks_fresh() {
    let mut screen = Screen::live(120, 40, farm::devices());
    assert!(screen.text().contains("● fresh"));
    screen.lose();
    screen.now_ms += 48_000;
    let text = screen.text();
    let boiler = text.lines().find(|line| line.contains("boiler-2")).expect("listed");
    assert!(boiler.contains("? stale") && boiler.contains("1 m"), "{boiler}");
    assert!(!text.contains("fresh"), "{text}");
    screen.keys("e");
    assert!(screen.text().contains("? stale · last seen 1 m ago"), "{}", screen.text());
    screen.connect(farm::devices());
    assert!(screen.text().contains("● fresh"));
}

#[test]
fn a_hub_that_nobody_named_goes_by_its_address() {
    let mut screen = Screen::new(80, 24, &["--hub", "hub.local:9000"]);
    screen.hub(LiveEvent::Connected);
    let [mut welcome, catalogue] = farm::greeting(farm::devices(), screen.now_ms);
    if let HubMessage::Welcome { hub, .. } = &mut welcome {
        "highwater".clone_into(hub);
    }
    screen.hub(LiveEvent::Message(welcome));
    screen.hub(LiveEvent::Message(catalogue));
    let header = screen.text().lines().next().expect("a header").to_owned();
    assert!(header.contains("Highwater  hub.local:9000  ● Live") && !header.contains("highwater"), "{header}");
}

#[test]
fn empty() {
    for (width, height) in SIZES {
        let mut screen = Screen::live(width, height, Vec::new());
        insta::assert_snapshot!(format!("empty_{width}x{height}"), screen.text());
    }
}

#[test]
fn before_the_first_connection() {
    let mut screen = Screen::new(80, 24, &["--hub", "hub.local:9000"]);
    insta::assert_snapshot!("connecting_80x24", screen.text());
}

#[test]
fn a_device_in_detail_and_one_channel_of_it() {
    let mut screen = Screen::live(100, 30, farm::devices());
    screen.keys("Ge");
    assert_eq!(screen.selected(), "old-pi");
    screen.keys("ekkke");
    screen.settle();
    insta::assert_snapshot!("detail_100x30", screen.text());
    screen.keys("l");
    screen.settle();
    insta::assert_snapshot!("detail_of_a_channel_100x30", screen.text());
    screen.key(KeyCode::Esc);
    screen.key(KeyCode::Tab);
    screen.key(KeyCode::Enter);
    screen.settle();
    insta::assert_snapshot!("expanded_chart_100x30", screen.text());
}

#[test]
fn the_key_overlay_lists_every_action() {
    let mut screen = Screen::live(100, 30, farm::devices());
    screen.keys("?");
    let text = screen.text();
    for binding in &BINDINGS {
        assert!(text.contains(binding.help), "{}", binding.name);
    }
    insta::assert_snapshot!("help_100x30", text);
    screen.keys("s");
    assert_eq!(screen.app.state().table.sort, Sort::Device, "keys below the overlay do nothing");
    screen.key(KeyCode::Esc);
    assert!(!screen.app.state().help);
}

#[test]
fn a_filter_is_typed_kept_inverted_and_cancelled() {
    let mut screen = Screen::live(80, 24, farm::devices());
    screen.keys("/boiler !süd");
    insta::assert_snapshot!("filter_80x24", screen.text());
    screen.key(KeyCode::Enter);
    assert_eq!(screen.app.state().rows(screen.now_ms).len(), 2);
    screen.keys("/");
    screen.key(KeyCode::Backspace);
    screen.keys(" xyz");
    assert!(screen.text().contains("no device matches the filter"));
    screen.key(KeyCode::Esc);
    assert_eq!(screen.app.state().table.filter.text(), "boiler !süd", "cancelled: as before");
    screen.key(KeyCode::Esc);
    assert_eq!(screen.app.state().rows(screen.now_ms).len(), 7);
    screen.keys("/q");
    assert!(!screen.app.has_quit(), "what is typed is text");
}

#[test]
fn every_action_is_reached_by_its_key_and_does_something() {
    for binding in &BINDINGS {
        for key in binding.keys {
            let mut screen = Screen::live(100, 30, farm::devices());
            // A state in which there is something to do in every direction.
            screen.keys("jjl?");
            if !matches!(binding.action, Action::Help | Action::Close | Action::Quit) {
                screen.keys("?");
            }
            screen.settle();
            let before = screen.picture().clone();
            screen.input(event_of(key));
            screen.settle();
            let happened = screen.app.has_quit() || screen.reconnects > 0 || *screen.picture() != before;
            assert!(happened, "{key}");
        }
    }
}

/// The event of a key as the configuration writes it.
fn event_of(text: &str) -> crossterm::event::Event {
    let wanted: Key = text.parse().expect("a key");
    let named = [KeyCode::Enter, KeyCode::Esc, KeyCode::Tab, KeyCode::Up, KeyCode::Down, KeyCode::Left, KeyCode::Right];
    let more = [KeyCode::Home, KeyCode::End, KeyCode::PageUp, KeyCode::PageDown];
    let characters = (' '..='~').map(KeyCode::Char);
    for code in named.into_iter().chain(more).chain(characters) {
        for modifiers in [KeyModifiers::NONE, KeyModifiers::CONTROL] {
            let event = crossterm::event::KeyEvent::new(code, modifiers);
            if Key::from(event) == wanted {
                return crossterm::event::Event::Key(event);
            }
        }
    }
    panic!("no event for {text}");
}

#[test]
fn the_mouse_selects_scrolls_and_changes_the_range() {
    let mut screen = Screen::live(120, 40, farm::devices());
    assert_eq!(screen.selected(), "boiler-1");
    screen.click(5, 6);
    assert_eq!(screen.selected(), "boiler-10");
    screen.mouse(MouseEventKind::ScrollDown, 5, 6);
    assert_eq!(screen.selected(), "greenhouse-1");
    screen.click(5, 30);
    assert_eq!(screen.app.state().focus, Pane::Chart);
    screen.mouse(MouseEventKind::ScrollDown, 5, 30);
    assert_eq!(screen.app.state().range().label, "15m");
    let line = |screen: &mut Screen, y: u16| -> String {
        let buffer = screen.picture();
        (0..buffer.area.width).map(|x| buffer[(x, y)].symbol().to_owned()).collect()
    };
    assert!(line(&mut screen, 7).contains("greenhouse-1") && line(&mut screen, 7).starts_with('>'));
}

#[test]
fn frames_are_drawn_at_once_for_input_seldom_for_data_and_never_for_nothing() {
    let mut screen = Screen::live(80, 24, Vec::new());
    screen.picture();
    assert_eq!(screen.app.wake_ms(), None, "nothing on the screen depends on time");
    screen.hub(LiveEvent::Message(HubMessage::Heartbeat { now: screen.now_ms as u64 }));
    screen.hub(LiveEvent::RoundTrip(Duration::from_micros(18_200)));
    assert_eq!(screen.app.wake_ms(), None, "the same latency as shown");

    let mut screen = Screen::live(80, 24, farm::devices());
    screen.picture();
    assert_eq!(screen.app.wake_ms(), Some(screen.now_ms + 1_000), "ages change each second");
    screen.readings(1, 1.0, 0);
    assert!(!screen.app.must_draw(screen.now_ms + 99));
    assert!(screen.app.must_draw(screen.now_ms + 100));
    screen.keys("j");
    assert!(screen.app.must_draw(screen.now_ms));
}

#[test]
fn the_hub_is_asked_to_come_back_by_a_key_and_the_picture_stays() {
    let mut screen = Screen::live(80, 24, farm::devices());
    let boiler = "pressure";
    assert!(screen.text().contains(boiler));
    screen.lose();
    assert!(screen.text().contains(boiler) && screen.text().contains("RECONNECTING in 4 s (attempt 3)"));
    screen.input(event_of("ctrl-r"));
    screen.settle();
    assert_eq!(screen.reconnects, 1);
    screen.connect(farm::devices());
    assert!(!screen.text().contains("RECONNECTING"));
}

#[test]
fn a_device_named_on_the_command_line_is_selected_when_it_appears() {
    let mut screen = Screen::new(80, 24, &["--device", "meter-1"]);
    screen.connect(farm::devices());
    assert_eq!(screen.selected(), "meter-1");
}

#[test]
fn no_size_makes_it_fail() {
    for width in (1..=130).step_by(3) {
        for height in 1..=42 {
            let mut screen = Screen::live(width, height, farm::devices());
            for keys in ["", " ", "e", "l", "?"] {
                screen.keys(keys);
                screen.picture();
            }
        }
    }
}

use super::*;

fn keymap(overrides: &[(&str, &[&str])]) -> Result<Keymap, KeymapError> {
    let overrides = overrides.iter().map(|(name, keys)| ((*name).into(), keys.iter().map(|&key| key.into()).collect()));
    Keymap::new(&overrides.collect())
}

#[test]
fn the_default_table_has_no_duplicates_and_reaches_every_action() {
    let keymap = keymap(&[]).expect("no duplicates");
    for (index, binding) in BINDINGS.iter().enumerate() {
        assert!(BINDINGS[..index].iter().all(|other| other.name != binding.name && other.action != binding.action));
        for key in binding.keys {
            assert_eq!(keymap.action(key.parse().expect("a key")), Some(binding.action));
            assert_eq!(key.parse::<Key>().expect("a key").to_string(), *key);
        }
    }
    assert_eq!(BINDINGS.len(), Action::Reconnect as usize + 1, "an action without a row");
}

#[test]
fn a_key_can_be_moved_but_not_bound_twice() {
    let moved = keymap(&[("quit", &["ctrl-q", "f10"])]).expect("fits");
    assert_eq!(moved.action("f10".parse().expect("a key")), Some(Action::Quit));
    assert_eq!(moved.action("q".parse().expect("a key")), None);
    assert_eq!(moved.key(Action::Quit), "ctrl-q");
    let error = keymap(&[("sort", &["t"])]).expect_err("t is theme");
    assert_eq!(error, KeymapError::Duplicate { key: "t".into(), first: "sort", second: "theme" });
}

#[test]
fn what_is_no_key_and_no_action_is_named() {
    assert_eq!(keymap(&[("dance", &["d"])]), Err(KeymapError::Action("dance".into())));
    assert_eq!(keymap(&[("quit", &[])]), Err(KeymapError::Unreachable("quit")));
    for text in ["", "ctrl-", "shift-a", "f13", "\u{1b}", "ab", " "] {
        assert_eq!(text.parse::<Key>(), Err(KeymapError::Key(text.into())));
    }
}

#[test]
fn terminals_may_say_shift_beside_the_character() {
    let shifted = KeyEvent::new(KeyCode::Char('G'), KeyModifiers::SHIFT);
    assert_eq!(Key::from(shifted), "G".parse().expect("a key"));
    let control = KeyEvent::new(KeyCode::Char('r'), KeyModifiers::CONTROL);
    assert_eq!(Key::from(control), "ctrl-r".parse().expect("a key"));
}

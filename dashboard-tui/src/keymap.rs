//! The one table of keys: the footer, the help overlay, the configuration's key section and what a key does all
//! follow from it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::action::Action;

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Binding {
    /// What the keys do.
    pub action: Action,
    /// Its name in the configuration.
    pub name: &'static str,
    /// Its keys, unless the configuration says otherwise.
    pub keys: &'static [&'static str],
    /// One line for the help overlay.
    pub help: &'static str,
    /// A word or two for the footer; empty: not there.
    pub hint: &'static str,
}

const fn row(
    action: Action,
    name: &'static str,
    keys: &'static [&'static str],
    hint: &'static str,
    help: &'static str,
) -> Binding {
    Binding { action, name, keys, help, hint }
}

/// Every action. The footer shows those with a hint, in this order, as far as there is room.
pub const BINDINGS: [Binding; 21] = [
    row(Action::Quit, "quit", &["q", "ctrl-c"], "quit", "leave"),
    row(Action::Help, "help", &["?"], "help", "open or close this list"),
    row(Action::Expand, "expand", &["enter", "e"], "expand", "fill the screen with this pane, or return"),
    row(Action::Freeze, "freeze", &["space"], "freeze", "let the view stand still while data keeps flowing"),
    row(Action::Filter, "filter", &["/"], "filter", "list only devices with these words; !word: without it"),
    row(Action::ZoomIn, "zoom-in", &["+", "="], "shorter", "shorter time range"),
    row(Action::ZoomOut, "zoom-out", &["-"], "longer", "longer time range"),
    row(Action::NextPane, "next-pane", &["tab"], "pane", "go to the other pane"),
    row(Action::Sort, "sort", &["s"], "sort", "sort by the next column"),
    row(Action::Invert, "invert", &["I"], "", "turn the order round"),
    row(Action::Theme, "theme", &["t"], "theme", "next theme"),
    row(Action::Close, "close", &["esc"], "", "close what lies on top, clear the filter"),
    row(Action::Up, "up", &["up", "k"], "", "up one row"),
    row(Action::Down, "down", &["down", "j"], "", "down one row"),
    row(
        Action::PreviousChannel,
        "previous-channel",
        &["left", "h"],
        "",
        "the channel before; before the first: all of them",
    ),
    row(Action::NextChannel, "next-channel", &["right", "l"], "", "look at the next channel alone"),
    row(Action::First, "first", &["g", "home"], "", "first row"),
    row(Action::Last, "last", &["G", "end"], "", "last row"),
    row(Action::PageUp, "page-up", &["pageup"], "", "a screen up"),
    row(Action::PageDown, "page-down", &["pagedown"], "", "a screen down"),
    row(Action::Reconnect, "reconnect", &["ctrl-r"], "", "connect at once"),
];

/// A key with its modifiers, written like `q`, `G`, `ctrl-r`, `space`, `f5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd)]
pub struct Key {
    code: KeyCode,
    modifiers: KeyModifiers,
}

/// Why the keys of a configuration are not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// No such action.
    #[error("[keys] has no action {0:?}: the actions are {names}", names = BINDINGS.map(|binding| binding.name).join(", "))]
    Action(String),
    /// Not a key.
    #[error("{0:?} is not a key: write one character, or one of {KEY_NAMES}, f1 to f12; before it ctrl- or alt-")]
    Key(String),
    /// Two actions on one key.
    #[error("key {key:?} is bound to {first:?} and to {second:?} in [keys]: give one of them another key")]
    Duplicate {
        /// The key.
        key: String,
        /// One action.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// An action that could not be reached.
    #[error("action {0:?} has no key in [keys]: give it one, or leave the line out to have its default")]
    Unreachable(&'static str),
}

const KEY_NAMES: &str =
    "space, enter, esc, tab, backspace, delete, insert, up, down, left, right, home, end, pageup, pagedown";

const NAMED_KEYS: [(&str, KeyCode); 15] = [
    ("space", KeyCode::Char(' ')),
    ("enter", KeyCode::Enter),
    ("esc", KeyCode::Esc),
    ("tab", KeyCode::Tab),
    ("backspace", KeyCode::Backspace),
    ("delete", KeyCode::Delete),
    ("insert", KeyCode::Insert),
    ("up", KeyCode::Up),
    ("down", KeyCode::Down),
    ("left", KeyCode::Left),
    ("right", KeyCode::Right),
    ("home", KeyCode::Home),
    ("end", KeyCode::End),
    ("pageup", KeyCode::PageUp),
    ("pagedown", KeyCode::PageDown),
];

impl From<KeyEvent> for Key {
    /// Shift is part of the character; terminals differ in whether they say it beside.
    fn from(event: KeyEvent) -> Self {
        Self { code: event.code, modifiers: event.modifiers & (KeyModifiers::CONTROL | KeyModifiers::ALT) }
    }
}

impl FromStr for Key {
    type Err = KeymapError;

    fn from_str(text: &str) -> Result<Self, KeymapError> {
        let error = || KeymapError::Key(text.to_owned());
        let mut modifiers = KeyModifiers::NONE;
        let mut rest = text;
        loop {
            if let Some(after) = rest.strip_prefix("ctrl-").filter(|after| !after.is_empty()) {
                modifiers |= KeyModifiers::CONTROL;
                rest = after;
            } else if let Some(after) = rest.strip_prefix("alt-").filter(|after| !after.is_empty()) {
                modifiers |= KeyModifiers::ALT;
                rest = after;
            } else {
                break;
            }
        }
        let named = NAMED_KEYS.iter().find(|(name, _)| *name == rest).map(|&(_, code)| code);
        let function = || rest.strip_prefix('f')?.parse().ok().filter(|n| (1..=12).contains(n)).map(KeyCode::F);
        let mut characters = rest.chars();
        let character = match (characters.next(), characters.next()) {
            (Some(character), None) if !character.is_control() && character != ' ' => Some(KeyCode::Char(character)),
            _ => None,
        };
        let code = named.or_else(function).or(character).ok_or_else(error)?;
        Ok(Self { code, modifiers })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.modifiers.contains(KeyModifiers::CONTROL) {
            f.write_str("ctrl-")?;
        }
        if self.modifiers.contains(KeyModifiers::ALT) {
            f.write_str("alt-")?;
        }
        if let Some((name, _)) = NAMED_KEYS.iter().find(|(_, code)| *code == self.code) {
            return f.write_str(name);
        }
        match self.code {
            KeyCode::Char(character) => write!(f, "{character}"),
            KeyCode::F(number) => write!(f, "f{number}"),
            other => write!(f, "{other}"),
        }
    }
}

/// What every key does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    /// The keys of each row of [`BINDINGS`], in its order.
    keys: Vec<Vec<Key>>,
}

impl Keymap {
    /// The table with what the configuration says instead, by action name.
    pub fn new(overrides: &BTreeMap<String, Vec<String>>) -> Result<Self, KeymapError> {
        if let Some(name) = overrides.keys().find(|name| BINDINGS.iter().all(|binding| binding.name != name.as_str())) {
            return Err(KeymapError::Action(name.clone()));
        }
        let mut keymap = Self { keys: Vec::new() };
        for binding in &BINDINGS {
            let keys: Vec<Key> = match overrides.get(binding.name) {
                Some(keys) => keys.iter().map(|key| key.parse()).collect::<Result<_, _>>()?,
                None => binding.keys.iter().map(|key| key.parse()).collect::<Result<_, _>>()?,
            };
            if keys.is_empty() {
                return Err(KeymapError::Unreachable(binding.name));
            }
            for key in &keys {
                let earlier = keymap.keys.iter().zip(&BINDINGS).find(|(known, _)| known.contains(key));
                if let Some((_, first)) = earlier {
                    let (first, second) = (first.name, binding.name);
                    return Err(KeymapError::Duplicate { key: key.to_string(), first, second });
                }
            }
            keymap.keys.push(keys);
        }
        Ok(keymap)
    }

    /// What `key` does.
    pub fn action(&self, key: Key) -> Option<Action> {
        let bound = self.keys.iter().zip(&BINDINGS).find(|(keys, _)| keys.contains(&key));
        bound.map(|(_, binding)| binding.action)
    }

    /// Every row with its keys.
    pub fn rows(&self) -> impl Iterator<Item = (&'static Binding, &[Key])> {
        BINDINGS.iter().zip(&self.keys).map(|(binding, keys)| (binding, keys.as_slice()))
    }

    /// The first key of an action, for a hint.
    pub fn key(&self, action: Action) -> String {
        let row = self.rows().find(|(binding, _)| binding.action == action);
        row.and_then(|(_, keys)| keys.first()).map(ToString::to_string).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;

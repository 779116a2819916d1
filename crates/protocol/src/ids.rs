//! Ids of devices and channels: stable names that are safe in a path, a selector, a file name and a log line.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::ID_BYTES_MAX;

/// `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, checked when made.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Box<str>);

/// Why a text is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing there.
    #[error("an id must not be empty")]
    Empty,
    /// More than [`ID_BYTES_MAX`] bytes.
    #[error("an id has at most {ID_BYTES_MAX} characters, this one has {0}")]
    TooLong(usize),
    /// A character outside the set, with its place.
    #[error("character {character:?} at position {position} is not allowed in an id: use A-Z a-z 0-9, then also . _ -")]
    Character {
        /// The first offending character.
        character: char,
        /// Its place, counted from 1.
        position: usize,
    },
}

impl Id {
    /// Checks `text` and keeps it.
    pub fn new(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        for (index, character) in text.chars().enumerate() {
            let fits = character.is_ascii_alphanumeric() || (index > 0 && matches!(character, '.' | '_' | '-'));
            if !fits {
                return Err(IdError::Character { character, position: index + 1 });
            }
        }
        if text.len() > ID_BYTES_MAX {
            return Err(IdError::TooLong(text.len()));
        }
        Ok(Self(text.into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_pattern() {
        for good in ["a", "greenhouse-1", "0.temp_in", &"x".repeat(64)] {
            assert_eq!(Id::new(good).expect("valid").as_str(), good);
        }
        assert_eq!(Id::new(""), Err(IdError::Empty));
        assert_eq!(Id::new(&"x".repeat(65)), Err(IdError::TooLong(65)));
        for (bad, position) in [("-a", 1), ("a b", 2), ("a/b", 2), ("tür", 2), ("a\u{1b}[2J", 2), (".", 1)] {
            assert!(matches!(Id::new(bad), Err(IdError::Character { position: p, .. }) if p == position), "{bad:?}");
        }
    }
}

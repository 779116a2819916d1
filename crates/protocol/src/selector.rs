//! Which series someone asks for: comma-separated `device/channel`, with `*` for any run of characters in either part.

use crate::limits::SELECTOR_BYTES_MAX;

/// A parsed selector; matching allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector {
    terms: Vec<(Box<str>, Box<str>)>,
}

/// Why a text is not a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Nothing there.
    #[error("the selector is empty: ask for device/channel, for example greenhouse-1/temp or */temp or */*")]
    Empty,
    /// More than [`SELECTOR_BYTES_MAX`] bytes.
    #[error("the selector has {0} bytes, at most {SELECTOR_BYTES_MAX} are read: use a pattern with *")]
    TooLong(usize),
    /// A term that is not `device/channel`.
    #[error("{0:?} is not device/channel: for example greenhouse-1/temp or */temp")]
    Term(String),
}

impl Selector {
    /// Parses `a/b,c/*`.
    pub fn parse(text: &str) -> Result<Self, SelectorError> {
        if text.len() > SELECTOR_BYTES_MAX {
            return Err(SelectorError::TooLong(text.len()));
        }
        let mut terms = Vec::new();
        for term in text.split(',').map(str::trim).filter(|term| !term.is_empty()) {
            let part_fits = |part: &str| {
                !part.is_empty()
                    && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*'))
            };
            match term.split_once('/') {
                Some((device, channel)) if part_fits(device) && part_fits(channel) => {
                    terms.push((device.into(), channel.into()));
                }
                _ => return Err(SelectorError::Term(crate::text::excerpt(term, 80))),
            }
        }
        if terms.is_empty() {
            return Err(SelectorError::Empty);
        }
        Ok(Self { terms })
    }

    /// True when some term matches both names.
    pub fn matches(&self, device: &str, channel: &str) -> bool {
        self.terms.iter().any(|(d, c)| glob(d.as_bytes(), device.as_bytes()) && glob(c.as_bytes(), channel.as_bytes()))
    }

    /// True when some term could match a channel of this device.
    pub fn matches_device(&self, device: &str) -> bool {
        self.terms.iter().any(|(d, _)| glob(d.as_bytes(), device.as_bytes()))
    }
}

/// `*` matches any run of bytes. Remembers only the last star, so the cost is at most pattern × text.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            star = Some((p, t));
            p += 1;
        } else if p < pattern.len() && pattern[p] == text[t] {
            p += 1;
            t += 1;
        } else if let Some((star_p, star_t)) = star {
            p = star_p + 1;
            t = star_t + 1;
            star = Some((star_p, star_t + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_run_in_either_part() {
        let selector = Selector::parse("greenhouse-*/temp, */door ,a*b*c/x").expect("valid");
        assert!(selector.matches("greenhouse-1", "temp"));
        assert!(selector.matches("hall", "door"));
        assert!(selector.matches("a--b-b-c", "x"));
        assert!(!selector.matches("hall", "temp"));
        assert!(!selector.matches("a--b-b", "x"));
        assert!(Selector::parse("*/*").expect("valid").matches("any", "thing"));
    }

    #[test]
    fn what_is_no_selector_is_named() {
        assert_eq!(Selector::parse(" , "), Err(SelectorError::Empty));
        assert!(matches!(Selector::parse("temp"), Err(SelectorError::Term(_))));
        assert!(matches!(Selector::parse("a/b/c"), Err(SelectorError::Term(_))));
        assert!(matches!(Selector::parse(&"a/b,".repeat(2000)), Err(SelectorError::TooLong(8000))));
    }

    #[test]
    fn a_pattern_of_many_stars_stays_cheap() {
        let selector = Selector::parse(&format!("{}b/*", "*a".repeat(1000))).expect("valid");
        assert!(!selector.matches(&"a".repeat(64), "x"));
    }
}

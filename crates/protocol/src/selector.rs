//! Which series someone asks for: comma-separated `device/channel`, with `*` for any run of characters in either part.

use crate::limits::{ID_BYTES_MAX, SELECTOR_BYTES_MAX, SELECTOR_TERMS_MAX};

/// A parsed selector; matching allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Selector {
    terms: Vec<(Box<str>, Box<str>)>,
}

/// The terms of a selector that fit one device, to be held against its channels.
#[derive(Debug, Clone, Copy)]
pub struct DeviceTerms<'a> {
    selector: &'a Selector,
    /// One bit a term.
    fitting: u128,
}

const _: () = assert!(SELECTOR_TERMS_MAX <= u128::BITS as usize, "each term has its bit");

/// Why a text is not a selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// Nothing there.
    #[error("the selector is empty: ask for device/channel, for example greenhouse-1/temp or */temp or */*")]
    Empty,
    /// More than [`SELECTOR_BYTES_MAX`] bytes.
    #[error("the selector has {0} bytes, at most {SELECTOR_BYTES_MAX} are read: use a pattern with *")]
    TooLong(usize),
    /// More than [`SELECTOR_TERMS_MAX`] terms.
    #[error("the selector has more than {SELECTOR_TERMS_MAX} terms: use a pattern with *, or several subscriptions")]
    TooManyTerms,
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
            match term.split_once('/') {
                Some((device, channel)) if part_fits(device) && part_fits(channel) => {
                    terms.push((device.into(), channel.into()));
                }
                _ => return Err(SelectorError::Term(crate::text::excerpt(term, 80))),
            }
            if terms.len() > SELECTOR_TERMS_MAX {
                return Err(SelectorError::TooManyTerms);
            }
        }
        if terms.is_empty() {
            return Err(SelectorError::Empty);
        }
        Ok(Self { terms })
    }

    /// True when some term matches both names.
    pub fn matches(&self, device: &str, channel: &str) -> bool {
        self.of_device(device).is_some_and(|terms| terms.matches(channel))
    }

    /// The terms that fit a device, found once for all its channels; none when no channel of it can match.
    pub fn of_device(&self, device: &str) -> Option<DeviceTerms<'_>> {
        let fits = self.terms.iter().map(|(pattern, _)| glob(pattern.as_bytes(), device.as_bytes()));
        let fitting = fits.enumerate().fold(0, |bits, (i, fits)| bits | u128::from(fits) << i);
        (fitting != 0).then_some(DeviceTerms { selector: self, fitting })
    }
}

impl DeviceTerms<'_> {
    /// True when a term that fits the device matches this channel of it.
    pub fn matches(self, channel: &str) -> bool {
        let mut rest = self.fitting;
        while rest != 0 {
            let (_, pattern) = &self.selector.terms[rest.trailing_zeros() as usize];
            if glob(pattern.as_bytes(), channel.as_bytes()) {
                return true;
            }
            rest &= rest - 1;
        }
        false
    }
}

/// Whether a part of a term could be, or stand for, an id.
fn part_fits(part: &str) -> bool {
    let literal_bytes = part.bytes().filter(|&b| b != b'*').count();
    !part.is_empty()
        && literal_bytes <= ID_BYTES_MAX
        && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'*'))
}

/// `*` matches any run of bytes. Remembers only the last star, so the cost is at most text × the longest run between
/// two stars.
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
        assert!(Selector::parse(&"a/b,".repeat(SELECTOR_TERMS_MAX)).is_ok());
        assert_eq!(Selector::parse(&"a/b,".repeat(SELECTOR_TERMS_MAX + 1)), Err(SelectorError::TooManyTerms));
        assert!(matches!(Selector::parse(&format!("{}*/b", "a".repeat(65))), Err(SelectorError::Term(_))));
    }

    #[test]
    fn a_channel_is_held_only_against_the_terms_of_its_device() {
        let many: Vec<_> = (0..SELECTOR_TERMS_MAX).map(|i| format!("device-{i}/channel-{i}")).collect();
        let selector = Selector::parse(&many.join(",")).expect("valid");
        for i in 0..SELECTOR_TERMS_MAX {
            let terms = selector.of_device(&format!("device-{i}")).expect("one term fits");
            assert!(terms.matches(&format!("channel-{i}")) && !terms.matches(&format!("channel-{}", i + 1)));
        }
        assert!(selector.of_device("device-128").is_none());
    }

    #[test]
    fn a_pattern_of_many_stars_stays_cheap() {
        let selector = Selector::parse(&format!("{}b{}/*", "*a".repeat(63), "*".repeat(3_900))).expect("valid");
        assert!(!selector.matches(&"a".repeat(64), "x"));
    }
}

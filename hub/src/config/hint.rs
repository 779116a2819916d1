//! What a mistake in the file was probably meant to be.
//!
//! Takes the text and what the TOML reader says, and gives a sentence to put below it. Changes nothing.

/// The most letters that a slip of the pen has wrong.
const SLIP_MAX: usize = 2;

/// A sentence for a person, if the mistake is one that people often make.
pub fn of(text: &str, error: &toml::de::Error) -> Option<String> {
    meant_key(error.message()).or_else(|| quotes(text, error.span()?.start))
}

/// ``unknown field `creditt`, expected one of `credit`, …`` names what is known.
fn meant_key(message: &str) -> Option<String> {
    let mut names = message.strip_prefix("unknown field ")?.split('`').skip(1).step_by(2);
    let unknown = names.next()?;
    let nearest = names.min_by_key(|known| distance(unknown, known))?;
    (distance(unknown, nearest) <= SLIP_MAX).then(|| format!("did you mean {nearest}?"))
}

/// `listen = 127.0.0.1:8080` is no TOML at all.
fn quotes(text: &str, place: usize) -> Option<String> {
    let begin = text.get(..place)?.rfind('\n').map_or(0, |end| end + 1);
    let line = text[begin..].lines().next()?;
    let (key, value) = line.split_once('=')?;
    let (key, value) = (key.trim(), value.split('#').next()?.trim());
    let is_bare_text = !value.is_empty() && !value.contains(['"', '\'', '[', '{']) && toml_value(value).is_none();
    is_bare_text.then(|| format!("text needs quotes: {key} = \"{value}\""))
}

fn toml_value(value: &str) -> Option<toml::Table> {
    format!("value = {value}").parse().ok()
}

/// How many letters must be added, left out or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (above, from) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], above + 1);
        for (place, to) in other.chars().enumerate() {
            let changed = diagonal + usize::from(from != to);
            diagonal = row[place + 1];
            row[place + 1] = changed.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_mistake_is_told_with_what_was_meant() {
        for (text, hint) in [
            ("[ingest]\ncreditt = 5", Some("did you mean credit?")),
            ("lisen = \"127.0.0.1:1\"", Some("did you mean listen?")),
            ("colour = 5", None),
            ("name = \"x\"\nlisten = 127.0.0.1:8080 # here\n", Some("text needs quotes: listen = \"127.0.0.1:8080\"")),
            ("data = /var/lib/hub", Some("text needs quotes: data = \"/var/lib/hub\"")),
            ("[ingest]\nhello_timeout = 5s", Some("text needs quotes: hello_timeout = \"5s\"")),
            ("name = \"x", None),
            ("insecure = 5", None),
        ] {
            let error = toml::from_str::<Config>(text).expect_err(text);
            assert_eq!(of(text, &error).as_deref(), hint, "{text}: {error}");
        }
    }

    #[test]
    fn the_distance_counts_letters() {
        for (one, other, letters) in [("", "", 0), ("credit", "creditt", 1), ("lisetn", "listen", 2), ("a", "xyz", 3)] {
            assert_eq!((distance(one, other), distance(other, one)), (letters, letters), "{one} {other}");
        }
    }
}

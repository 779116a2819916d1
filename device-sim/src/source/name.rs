//! Channel names made from what sensors, kernels and column headers are called.
//!
//! Takes any text and gives an [`Id`]. Never makes a name unique by itself except through [`distinct`].

use protocol::{device::ChannelDecl, ids::Id, limits::ID_BYTES_MAX};

/// The id nearest to `text`: every stretch of characters that an id may not have becomes one `-`.
/// `None` when nothing of it is left.
pub fn channel_id(text: &str) -> Option<Id> {
    let mut name = String::with_capacity(text.len().min(ID_BYTES_MAX));
    for character in text.chars() {
        let fits = character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-');
        match character {
            // An id starts with a letter or a digit, and a stretch leaves one dash only.
            _ if !fits && (name.is_empty() || name.ends_with('-')) => {}
            _ if !fits => name.push('-'),
            '.' | '_' | '-' if name.is_empty() => {}
            _ => name.push(character),
        }
        if name.len() == ID_BYTES_MAX {
            break;
        }
    }
    Id::new(name.trim_end_matches('-')).ok()
}

/// `id`, or the first of `id-2`, `id-3` … that no channel in `taken` has.
pub fn distinct(id: Id, taken: &[ChannelDecl]) -> Id {
    let is_free = |candidate: &Id| taken.iter().all(|channel| channel.name != *candidate);
    if is_free(&id) {
        return id;
    }
    // One of as many numbers as there are channels, and one more, is free.
    (2..taken.len() + 3)
        .filter_map(|number| {
            let suffix = format!("-{number}");
            let stem = &id.as_str()[..id.as_str().len().min(ID_BYTES_MAX - suffix.len())];
            Id::new(&format!("{stem}{suffix}")).ok()
        })
        .find(is_free)
        .expect("fewer channels than numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Option<String> {
        channel_id(text).map(|id| id.to_string())
    }

    #[test]
    fn any_text_becomes_an_id_or_nothing() {
        for (text, expected) in [
            ("temp", "temp"),
            ("bme280.temp", "bme280.temp"),
            ("Temperature (°C)", "Temperature-C"),
            ("  -- x  y ", "x-y"),
            ("eth0@if5", "eth0-if5"),
            (".hidden", "hidden"),
        ] {
            assert_eq!(id(text).as_deref(), Some(expected), "{text:?}");
        }
        assert_eq!(id("温度"), None);
        assert_eq!(id(""), None);
        assert_eq!(id(&"x".repeat(200)).map(|id| id.len()), Some(ID_BYTES_MAX));
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        let decl = |text: &str| ChannelDecl::gauge(Id::new(text).unwrap());
        let taken = [decl("nvme.temp1"), decl("nvme.temp1-2")];
        assert_eq!(distinct(Id::new("nvme.temp1").unwrap(), &taken).as_str(), "nvme.temp1-3");
        assert_eq!(distinct(Id::new("nvme.temp2").unwrap(), &taken).as_str(), "nvme.temp2");
        let long = "x".repeat(ID_BYTES_MAX);
        assert_eq!(distinct(Id::new(&long).unwrap(), &[decl(&long)]).as_str().len(), ID_BYTES_MAX);
    }
}

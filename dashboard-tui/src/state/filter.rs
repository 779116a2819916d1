//! Which devices the table lists.

use super::catalogue::Device;

/// Words that must all hold for a device; `!word` must not. A word holds when the id, the title, the state's word,
/// a label's value or a channel's name contains it; upper and lower case are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    text: String,
    words: Vec<Word>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    lowercase: String,
    inverse: bool,
}

impl Filter {
    /// Reads what was typed. A lone `!` says nothing yet.
    pub fn parse(text: &str) -> Self {
        let words = text.split_whitespace().filter_map(|word| {
            let (word, inverse) = word.strip_prefix('!').map_or((word, false), |rest| (rest, true));
            (!word.is_empty()).then(|| Word { lowercase: word.to_lowercase(), inverse })
        });
        Self { text: text.to_owned(), words: words.collect() }
    }

    /// As it was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// True when every device passes.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// True when `device` is to be listed.
    pub fn passes(&self, device: &Device) -> bool {
        self.words.iter().all(|word| {
            let found = device.searchable().any(|text| text.to_lowercase().contains(&word.lowercase));
            found != word.inverse
        })
    }
}

#[cfg(test)]
mod tests {
    use protocol::live::DeviceState;

    use super::*;
    use crate::state::sample;

    fn passes(filter: &str) -> bool {
        let mut row = sample::device_row("boiler-2", DeviceState::Overdue, &["temp", "pressure"]);
        row.title = Some("Kesselraum Süd".into());
        row.labels.insert("site".into(), "Graz".into());
        Filter::parse(filter).passes(&Device::new(&row, 0))
    }

    #[test]
    fn every_word_must_hold_and_a_bang_inverts() {
        for filter in ["", "boil", "BOILER overdue", "süd", "graz press", "!fresh", "boiler !fresh", "!", "  "] {
            assert!(passes(filter), "{filter:?}");
        }
        for filter in ["boiler-3", "boiler fresh", "!boiler", "boiler !overdue", "vibration"] {
            assert!(!passes(filter), "{filter:?}");
        }
    }
}

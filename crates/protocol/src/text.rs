//! Free text from devices is hostile: it ends up in logs, in a terminal and on a page.

use crate::limits::TEXT_CHARS_MAX;

/// True for characters that may change how text around them is shown: control and escape characters, and those
/// that steer bidirectional text (Unicode UAX #9) or hide (zero width, line and paragraph separators, BOM, tags).
fn is_hostile(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` without hostile characters and without surrounding white space. Borrowing would save little: titles
/// are read once a hello.
pub fn clean(text: &str) -> String {
    let kept: String = text.chars().filter(|&character| !is_hostile(character)).collect();
    kept.trim().to_owned()
}

/// [`clean`]ed text, or how many characters it has where that is more than [`TEXT_CHARS_MAX`].
pub fn clean_short(text: &str) -> Result<String, usize> {
    let cleaned = clean(text);
    let chars = cleaned.chars().count();
    if chars > TEXT_CHARS_MAX { Err(chars) } else { Ok(cleaned) }
}

/// `text` for a log line or an error message: cleaned, and cut to `chars_max` characters.
pub fn excerpt(text: &str, chars_max: usize) -> String {
    let cleaned = clean(text);
    match cleaned.char_indices().nth(chars_max) {
        Some((end, _)) => format!("{}…", &cleaned[..end]),
        None => cleaned,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_or_a_line_of_text_is_taken_out() {
        assert_eq!(clean(" boiler\u{1b}[2J\u{7} \u{202e}evil\u{2066}\n "), "boiler[2J evil");
        assert_eq!(clean("Küche 温度 🌡"), "Küche 温度 🌡");
    }

    #[test]
    fn long_text_is_refused_or_cut_at_a_character() {
        assert_eq!(clean_short(&"é".repeat(129)), Err(129));
        assert_eq!(clean_short(&"é".repeat(128)).expect("fits").chars().count(), 128);
        assert_eq!(excerpt("ééé", 2), "éé…");
    }
}

//! Which commands may be given to the application: each once, and none that has expired.

use std::collections::VecDeque;

/// Ids remembered. The hub sends a command again only until it is answered or expires, so the newest suffice.
const REMEMBERED: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Commands {
    seen: VecDeque<Box<str>>,
}

impl Commands {
    /// Whether the command is new and still valid at `now_ms` (milliseconds since the Unix epoch).
    pub(super) fn admit(&mut self, id: &str, expires_ms: u64, now_ms: u64) -> bool {
        if now_ms >= expires_ms || self.seen.iter().any(|seen| **seen == *id) {
            return false;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(id.into());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_given_once_and_not_after_it_expired() {
        let mut commands = Commands::default();
        assert!(commands.admit("a", 1_000, 999));
        assert!(!commands.admit("a", 1_000, 999), "twice");
        assert!(!commands.admit("b", 1_000, 1_000), "expired");
        assert!(commands.admit("b", 2_000, 1_000), "an expired one was not run");
    }
}

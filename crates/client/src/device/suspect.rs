//! Which message makes the hub close the connection.

/// A message is taken out when the hub closed over it so many times.
const STRIKES: u32 = 3;

/// The oldest message at the last closes with 1007, and how often it was.
#[derive(Debug, Default)]
pub(super) struct Suspect {
    /// Spool and number.
    message: Option<(u64, u64)>,
    strikes: u32,
}

impl Suspect {
    /// The hub closed while `seq` of `spool` was the oldest message. True when it is to be taken out.
    pub(super) fn strike(&mut self, spool: u64, seq: u64) -> bool {
        if self.message != Some((spool, seq)) {
            *self = Self { message: Some((spool, seq)), strikes: 0 };
        }
        self.strikes += 1;
        if self.strikes < STRIKES {
            return false;
        }
        *self = Self::default();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_oldest_message_adds_up() {
        let mut suspect = Suspect::default();
        assert!(!suspect.strike(7, 1) && !suspect.strike(7, 1));
        // The hub went on meanwhile: another message is the oldest now.
        assert!(!suspect.strike(7, 2) && !suspect.strike(7, 2));
        assert!(!suspect.strike(8, 2), "the same number of another spool");
        assert!(!suspect.strike(8, 2) && suspect.strike(8, 2));
        assert!(!suspect.strike(8, 2), "it starts again");
    }
}

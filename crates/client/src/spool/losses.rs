//! Which numbers of a spool will never come, and why.

/// A stretch of lost numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) from: u64,
    /// Included.
    pub(crate) to: u64,
    pub(crate) reason: &'static str,
}

/// Stretches in rising order without overlap. Adjacent ones with the same reason are one, so a spool that overflows
/// for days holds a single entry.
#[derive(Debug, Clone, Default)]
pub(crate) struct Losses(Vec<Lost>);

impl Losses {
    /// Notes `from..=to`; what is known already keeps its reason.
    pub(crate) fn add(&mut self, from: u64, to: u64, reason: &'static str) {
        debug_assert!(from <= to, "a stretch is not empty");
        let index = self.0.partition_point(|lost| lost.from < from);
        if index > 0 {
            let before = &mut self.0[index - 1];
            if before.reason == reason && before.to + 1 == from {
                before.to = to;
                return;
            }
        }
        self.0.insert(index, Lost { from, to, reason });
    }

    /// The stretch that holds `seq`.
    pub(crate) fn at(&self, seq: u64) -> Option<&Lost> {
        self.0.iter().find(|lost| (lost.from..=lost.to).contains(&seq))
    }

    /// The last number before the next stretch that begins above `seq`.
    pub(crate) fn before_next(&self, seq: u64) -> u64 {
        self.0.iter().map(|lost| lost.from).find(|&from| from > seq).map_or(u64::MAX, |from| from - 1)
    }

    /// Forgets what is at or below `acked`.
    pub(crate) fn trim(&mut self, acked: u64) {
        self.0.retain(|lost| lost.to > acked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_with_one_reason_are_one_stretch() {
        let mut losses = Losses::default();
        losses.add(3, 5, "a");
        losses.add(6, 6, "a");
        losses.add(7, 9, "b");
        losses.add(1, 1, "a");
        assert_eq!(losses.at(4).map(|lost| (lost.from, lost.to)), Some((3, 6)));
        assert_eq!(losses.at(8).map(|lost| lost.reason), Some("b"));
        assert_eq!((losses.at(2), losses.before_next(2), losses.before_next(7)), (None, 2, u64::MAX));
        losses.trim(6);
        assert_eq!((losses.0.len(), losses.at(6)), (1, None));
    }
}

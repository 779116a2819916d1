//! What is said about input that cannot be used.
//!
//! Takes problems and writes them to the log, with the line they stand in; a flood of them is cut to a number a minute.

use std::fmt::Display;

/// Complaints a minute that are written; the rest is counted.
const COMPLAINTS_A_MINUTE_MAX: u32 = 20;
const MINUTE_US: i64 = 60_000_000;

/// The count of complaints, all and in the present minute.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    minute: i64,
    in_minute: u32,
    unsaid: u64,
    total: u64,
}

impl Complaints {
    /// Line `line` is left out because of `problem`.
    pub(super) fn line_skipped(&mut self, now_us: i64, line: u64, problem: &dyn Display) {
        self.total += 1;
        if self.may_say(now_us) {
            tracing::warn!(line, %problem, "input line skipped");
        }
    }

    /// Field `field` of line `line`, and of those that follow, is left out because of `problem`.
    pub(super) fn field_ignored(&mut self, now_us: i64, line: u64, field: &str, problem: &str) {
        if self.may_say(now_us) {
            tracing::warn!(line, field, problem, "input field ignored");
        }
    }

    /// Lines left out so far.
    pub(super) fn lines_skipped(&self) -> u64 {
        self.total
    }

    fn may_say(&mut self, now_us: i64) -> bool {
        let minute = now_us.div_euclid(MINUTE_US);
        if minute != self.minute {
            if self.unsaid > 0 {
                tracing::warn!(count = self.unsaid, "more problems with the input were not logged");
            }
            *self = Self { minute, in_minute: 0, unsaid: 0, total: self.total };
        }
        self.in_minute += 1;
        let may = self.in_minute <= COMPLAINTS_A_MINUTE_MAX;
        self.unsaid += u64::from(!may);
        may
    }
}

//! What may become a record: the clock rules. Pure: the arrival is an argument.
//!
//! Shape and limits are the decoder's, duplicates and marks the pipeline's. Here times that cannot be true are
//! anchored on arrival and flagged, never silently changed (delivery rules 7).

use protocol::{
    device::{Batch, Clock, Hello},
    flags,
};

/// A live reading may be this far ahead of the hub, microseconds.
pub const AHEAD_US_MAX: i64 = 5 * 60 * 1_000_000;
/// 2020-01-01T00:00:00Z, microseconds: a live device before it has never seen a clock.
pub const PLAUSIBLE_FROM_US: i64 = 1_577_836_800 * 1_000_000;

/// What is known of one session's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionClock {
    /// Times are kept as they come: an import.
    Import,
    /// Times are Unix times and believed as long as they are plausible.
    Unix,
    /// Times count from somewhere else; this is added to each, with these flags.
    Shifted {
        /// Microseconds to add.
        shift_us: i64,
        /// Flags of every reading.
        flags: u8,
    },
    /// Times count from a boot that is over; the shift is settled by the first message.
    LostBoot {
        /// Messages that the device still holds behind the first one.
        waiting: u64,
    },
}

/// What admission decided about a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Microseconds to add to every time in it.
    pub shift_us: i64,
    /// Flags of every reading in it.
    pub flags: u8,
    /// Oldest and newest time in it after the shift; none without readings.
    pub span_us: Option<(i64, i64)>,
}

impl SessionClock {
    /// Judges a hello's clock at its arrival; an untrusted hub clock judges nobody's.
    pub fn of_hello(hello: &Hello, arrival_us: i64, hub_clock_trusted: bool) -> Self {
        if hello.import {
            return Self::Import;
        }
        match (hello.clock, hello.now_us) {
            (Clock::Unix, Some(now_us)) if hub_clock_trusted && !is_plausible(now_us, now_us, arrival_us) => {
                // The device knows only the spacing of its readings; one offset keeps it.
                Self::Shifted { shift_us: arrival_us.saturating_sub(now_us), flags: flags::SKEWED }
            }
            (Clock::Unix, _) => Self::Unix,
            (Clock::Boot, Some(now_us)) => Self::Shifted { shift_us: arrival_us.saturating_sub(now_us), flags: 0 },
            (Clock::Boot, None) => Self::LostBoot { waiting: hello.next.saturating_sub(hello.first + 1) },
        }
    }

    /// Decides about one message. `hub_clock_trusted` is false while the hub's own clock is behind its last arrival:
    /// then times are flagged, never replaced.
    pub fn admit(&mut self, batch: &Batch, arrival_us: i64, hub_clock_trusted: bool) -> Admitted {
        let Some((oldest_us, newest_us)) = span(&batch.times_us) else {
            return Admitted { shift_us: 0, flags: 0, span_us: None };
        };
        let admitted = |shift_us: i64, flags| {
            let span_us = (oldest_us.saturating_add(shift_us), newest_us.saturating_add(shift_us));
            Admitted { shift_us, flags, span_us: Some(span_us) }
        };
        let (shift_us, flags) = match *self {
            Self::Import => return admitted(0, 0),
            Self::Unix => (0, 0),
            Self::Shifted { shift_us, flags } => (shift_us, flags),
            Self::LostBoot { waiting } => {
                // The spool's last reading belongs at arrival. How much time the waiting messages cover is not known
                // yet; that each covers as much as this one is the best guess there is.
                let covered_us = (newest_us - oldest_us).saturating_mul(waiting.try_into().unwrap_or(i64::MAX));
                let shift_us = arrival_us.saturating_sub(newest_us).saturating_sub(covered_us);
                *self = Self::Shifted { shift_us, flags: flags::ESTIMATED };
                (shift_us, flags::ESTIMATED)
            }
        };
        if is_plausible(oldest_us.saturating_add(shift_us), newest_us.saturating_add(shift_us), arrival_us) {
            return admitted(shift_us, flags);
        }
        if !hub_clock_trusted {
            return admitted(shift_us, flags | flags::SKEWED);
        }
        admitted(arrival_us.saturating_sub(newest_us), flags | flags::SKEWED)
    }
}

fn is_plausible(oldest_us: i64, newest_us: i64, arrival_us: i64) -> bool {
    oldest_us >= PLAUSIBLE_FROM_US && newest_us <= arrival_us.saturating_add(AHEAD_US_MAX)
}

/// Oldest and newest time, microseconds; none without readings.
pub fn span(times_us: &[i64]) -> Option<(i64, i64)> {
    let (&first, rest) = times_us.split_first()?;
    Some(rest.iter().fold((first, first), |(low, high), &time| (low.min(time), high.max(time))))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use protocol::ids::Id;

    use super::*;

    const NOW_US: i64 = 1_790_000_000_000_000;
    const SECOND_US: i64 = 1_000_000;

    fn hello(clock: Clock, now_us: Option<i64>, first: u64, next: u64) -> Hello {
        Hello {
            device: Id::new("d").expect("valid"),
            spool: 1,
            first,
            next,
            clock,
            now_us,
            import: false,
            features: vec![],
            channels: vec![],
            title: None,
            model: None,
            firmware: None,
            labels: BTreeMap::new(),
        }
    }

    fn batch(times_us: &[i64]) -> Batch {
        Batch { seq: 1, times_us: times_us.to_vec(), values: vec![0.0; times_us.len()], runs: vec![] }
    }

    fn admit(clock: &mut SessionClock, times_us: &[i64]) -> (i64, u8) {
        let admitted = clock.admit(&batch(times_us), NOW_US, true);
        (admitted.shift_us, admitted.flags)
    }

    #[test]
    fn plausible_times_are_kept() {
        let mut clock = SessionClock::of_hello(&hello(Clock::Unix, Some(NOW_US), 1, 1), NOW_US, true);
        assert_eq!(admit(&mut clock, &[NOW_US - 3600 * SECOND_US, NOW_US + AHEAD_US_MAX]), (0, 0));
        assert_eq!(admit(&mut clock, &[]), (0, 0));
    }

    #[test]
    fn a_clock_in_1970_keeps_its_spacing_and_is_flagged() {
        let mut clock = SessionClock::of_hello(&hello(Clock::Unix, Some(60 * SECOND_US), 1, 1), NOW_US, true);
        let shift_us = NOW_US - 60 * SECOND_US;
        assert_eq!(admit(&mut clock, &[50 * SECOND_US, 55 * SECOND_US]), (shift_us, flags::SKEWED));
    }

    #[test]
    fn without_now_an_impossible_message_ends_at_its_arrival() {
        let mut clock = SessionClock::of_hello(&hello(Clock::Unix, None, 1, 1), NOW_US, true);
        assert_eq!(admit(&mut clock, &[10 * SECOND_US, 20 * SECOND_US]), (NOW_US - 20 * SECOND_US, flags::SKEWED));
        let ahead_us = NOW_US + AHEAD_US_MAX + 1;
        assert_eq!(admit(&mut clock, &[ahead_us]), (NOW_US - ahead_us, flags::SKEWED));
    }

    #[test]
    fn an_untrusted_hub_clock_flags_and_never_replaces() {
        let mut clock = SessionClock::Unix;
        let admitted = clock.admit(&batch(&[NOW_US + 2 * AHEAD_US_MAX]), NOW_US, false);
        assert_eq!((admitted.shift_us, admitted.flags), (0, flags::SKEWED));
    }

    #[test]
    fn a_hub_that_booted_an_hour_behind_leaves_good_clocks_alone() {
        let device_now_us = NOW_US + 3600 * SECOND_US;
        let mut clock = SessionClock::of_hello(&hello(Clock::Unix, Some(device_now_us), 1, 1), NOW_US, false);
        let admitted = clock.admit(&batch(&[device_now_us]), NOW_US, false);
        assert_eq!((admitted.shift_us, admitted.flags), (0, flags::SKEWED));
    }

    #[test]
    fn a_boot_clock_gets_one_offset_for_the_whole_hello() {
        let mut clock = SessionClock::of_hello(&hello(Clock::Boot, Some(90 * SECOND_US), 1, 1), NOW_US, true);
        let shift_us = NOW_US - 90 * SECOND_US;
        assert_eq!(admit(&mut clock, &[80 * SECOND_US]), (shift_us, 0));
        assert_eq!(admit(&mut clock, &[89 * SECOND_US]), (shift_us, 0));
    }

    #[test]
    fn an_old_boots_spool_is_placed_before_its_arrival_and_flagged() {
        let mut clock = SessionClock::of_hello(&hello(Clock::Boot, None, 1, 4), NOW_US, true);
        let (shift_us, flags) = admit(&mut clock, &[0, 10 * SECOND_US]);
        assert_eq!((shift_us, flags), (NOW_US - 10 * SECOND_US - 2 * 10 * SECOND_US, flags::ESTIMATED));
        assert_eq!(admit(&mut clock, &[10 * SECOND_US, 20 * SECOND_US]), (shift_us, flags::ESTIMATED));
        assert_eq!(admit(&mut clock, &[20 * SECOND_US, 30 * SECOND_US]), (shift_us, flags::ESTIMATED));
    }

    #[test]
    fn an_import_keeps_its_times_whatever_they_are() {
        let mut import = hello(Clock::Unix, None, 1, 1);
        import.import = true;
        let mut clock = SessionClock::of_hello(&import, NOW_US, true);
        assert_eq!(admit(&mut clock, &[-5, NOW_US * 2]), (0, 0));
    }
}

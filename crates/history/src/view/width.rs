//! Bucket widths that people read easily: 1, 2, 5, 10, … of a unit of time.

use crate::rollup::bucket_start;

const MS: i64 = 1_000;
const SECOND: i64 = 1_000 * MS;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The round widths in microseconds; above the last one each is twice the one before.
const WIDTHS_US: [i64; 30] = [
    MS,
    2 * MS,
    5 * MS,
    10 * MS,
    20 * MS,
    50 * MS,
    100 * MS,
    200 * MS,
    500 * MS,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    14 * DAY,
];

/// A bucket for 2 points or more is never wider than this many times the range (and one millisecond): neighbouring widths
/// are at most 3.5 apart.
pub(super) const REACH: i64 = 4;

/// The least round width that covers `[from_us, to_us)` with at most `points` (2 or more) whole buckets.
pub(super) fn nice(from_us: i64, to_us: i64, points: usize) -> i64 {
    let doubled = std::iter::successors(WIDTHS_US.last().copied(), |width| width.checked_mul(2)).skip(1);
    let mut widths = WIDTHS_US.into_iter().chain(doubled);
    widths.find(|&width_us| buckets(from_us, to_us, width_us) <= points as i128).unwrap_or(i64::MAX)
}

/// The range that the whole buckets cover.
pub(super) fn whole(from_us: i64, to_us: i64, width_us: i64) -> (i64, i64) {
    (bucket_start(from_us, width_us), bucket_start(to_us.saturating_sub(1), width_us).saturating_add(width_us))
}

fn buckets(from_us: i64, to_us: i64, width_us: i64) -> i128 {
    let index = |time_us: i64| i128::from(time_us.div_euclid(width_us));
    index(to_us.saturating_sub(1)) - index(from_us) + 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_day_at_800_points_has_2_minutes_a_point_and_30_days_an_hour() {
        let now_us = 1_760_000_000 * SECOND;
        assert_eq!(nice(now_us - HOUR, now_us, 800), 5 * SECOND);
        assert_eq!(nice(now_us - DAY, now_us, 800), 2 * MINUTE);
        assert_eq!(nice(now_us - 30 * DAY, now_us, 800), HOUR);
    }

    proptest! {
        #[test]
        fn buckets_cover_the_range_and_are_no_more_than_asked(
            from_us in -1_i64 << 56..1 << 56,
            span_us in 1_i64..1 << 56,
            points in 2_usize..5_000,
        ) {
            let to_us = from_us + span_us;
            let width_us = nice(from_us, to_us, points);
            let (start_us, end_us) = whole(from_us, to_us, width_us);
            prop_assert!(start_us <= from_us && to_us <= end_us);
            prop_assert!((end_us - start_us) / width_us <= points as i64);
            prop_assert!(width_us <= MS.max(span_us.saturating_mul(REACH)));
            prop_assert_eq!(start_us.rem_euclid(width_us), 0);
        }
    }
}

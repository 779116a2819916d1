//! The axes: which numbers and which times have a label.

use jiff::{Timestamp, tz::TimeZone};

use crate::state::window::Window;

/// More labels than this make a tall chart harder to read, not easier.
const LABELS_MAX: u16 = 6;

/// Steps between time labels, milliseconds, with the format that tells neighbours apart.
const TIME_STEPS: [(i64, &str); 20] = [
    (1_000, "%H:%M:%S"),
    (2_000, "%H:%M:%S"),
    (5_000, "%H:%M:%S"),
    (10_000, "%H:%M:%S"),
    (15_000, "%H:%M:%S"),
    (30_000, "%H:%M:%S"),
    (60_000, "%H:%M"),
    (120_000, "%H:%M"),
    (300_000, "%H:%M"),
    (600_000, "%H:%M"),
    (900_000, "%H:%M"),
    (1_800_000, "%H:%M"),
    (3_600_000, "%H:%M"),
    (7_200_000, "%H:%M"),
    (10_800_000, "%H:%M"),
    (21_600_000, "%H:%M"),
    (43_200_000, "%b %d %H:%M"),
    (86_400_000, "%b %d"),
    (172_800_000, "%b %d"),
    (604_800_000, "%b %d"),
];

/// The vertical axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Scale {
    /// The value at the bottom.
    pub low: f64,
    /// The value at the top.
    pub high: f64,
    /// Values that have a label, lowest first.
    pub ticks: Vec<f64>,
    /// Digits behind the point that tell the labels apart.
    pub decimals: u8,
}

impl Scale {
    /// An axis on which the values from `least` to `greatest` have a little air, with round labels on about every
    /// fourth of `rows`, but not more than [`LABELS_MAX`].
    pub fn fit(least: f64, greatest: f64, rows: u16) -> Self {
        // Half of each, so that the span of two huge numbers is still one.
        let half_span = greatest / 2.0 - least / 2.0;
        let air = if half_span > 0.0 { half_span * 0.1 } else { least.abs().mul_add(0.01, 0.01) };
        let (low, high) = ((least - air).max(f64::MIN), (greatest + air).min(f64::MAX));
        let labels = f64::from((rows / 4).clamp(1, LABELS_MAX));
        let least_step = (high / 2.0 - low / 2.0) / labels * 2.0;
        // One label says little: rather closer ones, where the rows suffice.
        let finer = [1.0, 0.4, 0.2].into_iter().map(|part| round_step(least_step * part));
        let mut candidates = finer.map(|step| (step, ticks(low, high, step, rows)));
        let coarsest = candidates.next().unwrap_or_default();
        let is_enough = |(_, ticks): &(f64, Vec<f64>)| ticks.len() >= 2 || rows < 3;
        let (step, ticks) =
            if is_enough(&coarsest) { coarsest } else { candidates.find(is_enough).unwrap_or(coarsest) };
        let decimals = (-step.log10().floor()).clamp(0.0, 6.0) as u8;
        Self { low, high, ticks, decimals }
    }

    /// An axis of so many named states.
    pub fn states(count: usize) -> Self {
        let last = count.saturating_sub(1).max(1) as f64;
        Self { low: -0.2 * last, high: 1.2 * last, ticks: (0..count).map(|state| state as f64).collect(), decimals: 0 }
    }

    /// The row of a value, from the top, among `rows` of four dots each: the same rounding as the canvas'.
    pub fn row(&self, value: f64, rows: u16) -> u16 {
        let dots = f64::from(rows * 4 - 1);
        let part = (self.high - value) / (self.high - self.low);
        ((part * dots).round() as u16).min(rows * 4 - 1) / 4
    }
}

/// The multiples of `step` from `low` to `high`, at most one a row.
fn ticks(low: f64, high: f64, step: f64, rows: u16) -> Vec<f64> {
    let first = (low / step).ceil();
    let count = ((high / step).floor() - first).clamp(-1.0, f64::from(rows) - 1.0) as i32;
    (0..=count).map(|index| (first + f64::from(index)) * step).filter(|tick| (low..=high).contains(tick)).collect()
}

/// The smallest of 1, 2, 5 times a power of ten that is at least `step`.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= step * 0.999).unwrap_or(10.0);
    let step = factor * power;
    if step.is_finite() && step > 0.0 { step } else { f64::MAX }
}

/// Times with a label and the labels' format: round in the user's zone, at least `apart` columns from one another.
pub fn time_ticks(window: Window, columns: u16, apart: u16, zone: &TimeZone) -> (Vec<i64>, &'static str) {
    let least_ms = window.span_ms() / i64::from((columns / apart).max(1));
    let longest = TIME_STEPS[TIME_STEPS.len() - 1];
    let (step_ms, format) = TIME_STEPS.into_iter().find(|&(step_ms, _)| step_ms >= least_ms).unwrap_or(longest);
    let offset_ms = Timestamp::from_millisecond(window.to_ms)
        .map_or(0, |timestamp| i64::from(zone.to_offset(timestamp).seconds()) * 1_000);
    let first = (window.from_ms + offset_ms).div_euclid(step_ms) + 1;
    let last = (window.to_ms + offset_ms).div_euclid(step_ms);
    let ticks = (first..=last).map(|index| index * step_ms - offset_ms).collect();
    (ticks, format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_round_and_inside() {
        let scale = Scale::fit(20.3, 24.9, 12);
        assert_eq!((scale.ticks.clone(), scale.decimals), (vec![22.0, 24.0], 0));
        assert_eq!(Scale::fit(10.9, 12.6, 3).ticks, [11.0, 12.0]);
        let flat = Scale::fit(5.0, 5.0, 6);
        assert!(flat.low < 5.0 && flat.high > 5.0 && !flat.ticks.is_empty(), "{flat:?}");
        let fine = Scale::fit(0.001, 0.004, 9);
        assert_eq!(fine.decimals, 3);
    }

    #[test]
    fn no_number_is_too_large_or_too_small_for_an_axis() {
        let numbers = [0.0, -0.0, 1.0, -1.0, 1e-300, f64::MIN_POSITIVE, 1e300, f64::MAX, f64::MIN, 5e-324];
        for least in numbers {
            for greatest in numbers.into_iter().filter(|greatest| *greatest >= least) {
                for rows in [1, 3, 50] {
                    let scale = Scale::fit(least, greatest, rows);
                    assert!(scale.low < scale.high && scale.ticks.len() <= usize::from(rows), "{least} {greatest}");
                    assert!(scale.ticks.iter().all(|&tick| scale.row(tick, rows) < rows));
                }
            }
        }
    }

    #[test]
    fn a_state_has_a_label_each() {
        let scale = Scale::states(2);
        assert_eq!(scale.ticks, [0.0, 1.0]);
        assert_eq!([scale.row(1.0, 3), scale.row(0.0, 3)], [0, 2]);
        assert!(Scale::states(1).low < Scale::states(1).high);
    }

    #[test]
    fn times_are_round_where_the_user_is() {
        let hour = 3_600_000;
        let zone = TimeZone::fixed(jiff::tz::offset(5).saturating_add(jiff::Span::new().minutes(30)));
        let window = Window { from_ms: 1_770_000_000_000, to_ms: 1_770_000_000_000 + 24 * hour };
        let (ticks, format) = time_ticks(window, 100, 12, &zone);
        assert_eq!(format, "%H:%M");
        assert_eq!(ticks.len(), 8);
        let half_hours = ticks.iter().map(|tick| (tick + 5 * hour + hour / 2) % (3 * hour)).max();
        assert_eq!(half_hours, Some(0));
    }
}

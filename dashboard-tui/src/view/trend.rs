//! A small picture of the last minutes in one row of text.

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One character a value, between the least and the greatest of them; a space where nothing was measured. Values that
/// do not differ lie low, so that a calm row looks calm.
pub(super) fn text(values: &[f64]) -> String {
    let measured = || values.iter().copied().filter(|value| value.is_finite());
    let least = measured().fold(f64::INFINITY, f64::min);
    let greatest = measured().fold(f64::NEG_INFINITY, f64::max);
    let span = greatest - least;
    let level = |value: f64| {
        let part = if span > 0.0 { (value - least) / span } else { 0.0 };
        LEVELS[((part * 8.0) as usize).min(7)]
    };
    values.iter().map(|&value| if value.is_finite() { level(value) } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_is_low_the_greatest_high_and_a_gap_is_a_gap() {
        assert_eq!(text(&[0.0, 1.0, f64::NAN, 2.0, 4.0]), "▁▃ ▅█");
        assert_eq!(text(&[5.0, 5.0]), "▁▁");
        assert_eq!(text(&[f64::NAN]), " ");
        assert_eq!(text(&[-1e308, 1e308]), "▁▁", "a span beyond all numbers is drawn flat, not wrong");
        assert_eq!(text(&[]), "");
    }
}

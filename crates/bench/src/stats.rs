//! Medians and percentiles.

use std::time::Duration;

/// Latencies of one run.
#[derive(Debug, Default)]
pub struct Latencies {
    micros: Vec<u32>,
    is_sorted: bool,
}

impl Latencies {
    /// Adds one.
    pub fn add(&mut self, latency: Duration) {
        self.micros.push(latency.as_micros().min(u128::from(u32::MAX)) as u32);
        self.is_sorted = false;
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.micros.len()
    }

    /// The value that this share of all is at or below, milliseconds; NaN without any.
    pub fn percentile_ms(&mut self, share: f64) -> f64 {
        if !self.is_sorted {
            self.micros.sort_unstable();
            self.is_sorted = true;
        }
        let Some(last) = self.micros.len().checked_sub(1) else { return f64::NAN };
        let place = (share * self.micros.len() as f64).ceil() as usize;
        f64::from(self.micros[place.saturating_sub(1).min(last)]) / 1000.0
    }
}

/// The middle one; of an even number the lower of both.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Takes each figure of a run `repeat` times and gives the median of each.
pub fn medians<const N: usize>(
    repeat: usize,
    mut run: impl FnMut() -> anyhow::Result<[f64; N]>,
) -> anyhow::Result<[f64; N]> {
    let runs = (0..repeat.max(1)).map(|_| run()).collect::<Result<Vec<_>, _>>()?;
    Ok(std::array::from_fn(|i| median(&mut runs.iter().map(|run| run[i]).collect::<Vec<_>>())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut latencies = Latencies::default();
        for ms in (1..=100).rev() {
            latencies.add(Duration::from_millis(ms));
        }
        let percentiles = [0.5, 0.99, 1.0].map(|share| latencies.percentile_ms(share) as u32);
        assert_eq!(percentiles, [50, 99, 100]);
        assert!(Latencies::default().percentile_ms(0.5).is_nan());
        assert_eq!(median(&mut [3.0, 1.0, 2.0, 9.0]) as u32, 2);
    }
}

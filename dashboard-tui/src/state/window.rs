//! The stretch of time on the screen.

/// How far back the chart looks, shortest first: what `+` and `−` step through.
pub const RANGES: [Range; 8] = [
    Range { label: "1m", ms: 60_000 },
    Range { label: "5m", ms: 300_000 },
    Range { label: "15m", ms: 900_000 },
    Range { label: "1h", ms: 3_600_000 },
    Range { label: "6h", ms: 21_600_000 },
    Range { label: "24h", ms: 86_400_000 },
    Range { label: "7d", ms: 604_800_000 },
    Range { label: "30d", ms: 2_592_000_000 },
];

/// Index into [`RANGES`] at the start: five minutes.
pub const RANGE_DEFAULT: usize = 1;

/// A choice of how far back to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// As on the screen.
    pub label: &'static str,
    /// Milliseconds.
    pub ms: i64,
}

/// A window of time, hub's clock, milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Begin.
    pub from_ms: i64,
    /// End.
    pub to_ms: i64,
}

impl Window {
    /// Milliseconds from begin to end.
    pub fn span_ms(self) -> i64 {
        self.to_ms - self.from_ms
    }

    /// True for a time inside.
    pub fn contains(self, time_ms: i64) -> bool {
        (self.from_ms..=self.to_ms).contains(&time_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_grow_and_stay_inside_what_a_hub_answers() {
        assert!(RANGES.windows(2).all(|pair| pair[0].ms < pair[1].ms));
        assert!(RANGES.iter().all(|range| range.ms as u64 <= protocol::limits::WINDOW_MS_MAX));
        assert_eq!(RANGES[RANGE_DEFAULT].label, "5m");
    }
}

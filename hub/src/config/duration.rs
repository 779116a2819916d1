//! Times in configuration files: "10ms", "5s", "90days". Read leniently, written in the largest unit that fits.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serializer, de};

/// For `#[serde(with = …)]`.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*duration))
}

/// For `#[serde(with = …)]`.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        de::Error::custom(format_args!("{text:?} is no time like \"10ms\", \"5s\" or \"90days\": {error}"))
    })
}

/// As it stands in a file.
pub fn text(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [(86_400_000, "days"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
    match units.into_iter().find(|(unit_ms, _)| ms >= *unit_ms && ms.is_multiple_of(*unit_ms)) {
        Some((unit_ms, unit)) => format!("{}{unit}", ms / unit_ms),
        None => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for ms in [0, 1, 10, 1_500, 5_000, 60_000, 5_400_000, 7_200_000, 90 * 86_400_000] {
            let duration = Duration::from_millis(ms);
            assert_eq!(humantime::parse_duration(&text(duration)), Ok(duration), "{}", text(duration));
        }
        assert_eq!(text(Duration::from_hours(90 * 24)), "90days");
    }
}

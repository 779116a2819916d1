//! Times as people and instruments write them.
//!
//! Takes text or a number and gives microseconds since the Unix epoch. A time without a zone is UTC.

use jiff::{Timestamp, civil::DateTime, tz::Offset};

/// Why something is not a time.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(super) enum TimeError {
    /// A number out of range.
    #[error("{0} is no time: neither epoch seconds nor epoch milliseconds after March 1973")]
    Number(f64),
    /// Any other text.
    #[error("{0:?} is no time: write 2026-01-31T12:00:00Z, 2026-01-31 12:00:00 (UTC) or epoch milliseconds")]
    Text(String),
}

/// Reads epoch seconds or milliseconds, RFC 3339, or a date and time in UTC.
pub(super) fn parse(text: &str) -> Result<i64, TimeError> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        return from_number(number);
    }
    let zoned = text.parse::<Timestamp>().ok();
    let civil = || text.parse::<DateTime>().ok().and_then(|civil| Offset::UTC.to_timestamp(civil).ok());
    let timestamp = zoned.or_else(civil).ok_or_else(|| TimeError::Text(protocol::text::excerpt(text, 40)))?;
    Ok(timestamp.as_microsecond())
}

/// Epoch seconds or milliseconds by their size: the two do not meet between 1973 and 5138.
pub(super) fn from_number(number: f64) -> Result<i64, TimeError> {
    const SECONDS_MIN: f64 = 1e8;
    const SECONDS_END: f64 = 1e11;
    const MILLISECONDS_END: f64 = 1e14;
    if (SECONDS_MIN..SECONDS_END).contains(&number) {
        Ok((number * 1e6).round() as i64)
    } else if (SECONDS_END..MILLISECONDS_END).contains(&number) {
        Ok((number * 1e3).round() as i64)
    } else {
        Err(TimeError::Number(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_US: i64 = 1_767_268_800_000_000;

    #[test]
    fn every_way_of_writing_gives_the_same_instant() {
        for text in [
            "2026-01-01T12:00:00Z",
            "2026-01-01T13:00:00+01:00",
            "2026-01-01 12:00:00",
            "2026-01-01 12:00",
            " 1767268800 ",
            "1767268800000",
            "1767268800.000",
        ] {
            assert_eq!(parse(text), Ok(NOON_US), "{text:?}");
        }
        assert_eq!(parse("2026-01-01 12:00:00.000250"), Ok(NOON_US + 250));
        assert_eq!(parse("1767268800000.5"), Ok(NOON_US + 500));
    }

    #[test]
    fn what_is_no_time_is_refused_with_advice() {
        for text in ["", "yesterday", "12:00", "2026-13-01 00:00:00", "21.5", "nan", "inf", "-1767268800"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse("soon").unwrap_err().to_string().contains("2026-01-31T12:00:00Z"));
        assert!(parse("21.5").unwrap_err().to_string().contains("epoch seconds"));
    }
}

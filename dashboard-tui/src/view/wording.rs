//! Numbers, ages and states in words: the same words as on the web page.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};
use protocol::{device::Kind, live::DeviceState};

use crate::state::{catalogue::Channel, rate::Rate};

/// Digits behind the point that a screen has room for.
const DECIMALS_MAX: u8 = 6;
/// From here on thousands are set apart.
const GROUPED_FROM: f64 = 10_000.0;

/// The sign of a device that was fresh when the hub was last heard.
pub const STALE_GLYPH: &str = "?";
/// The word for it.
pub const STALE: &str = "stale";

/// The sign of a device's state: told apart by shape, not only by colour.
pub fn glyph(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Fresh => "●",
        DeviceState::Overdue => "○",
        DeviceState::Offline => "■",
    }
}

/// `12 s`, `3 m`, `5 h`, `4 d`; whole units, so that it does not flicker.
pub fn age(ms: i64) -> String {
    match ms.max(0) / 1_000 {
        seconds @ ..60 => format!("{seconds} s"),
        seconds @ ..3_600 => format!("{} m", seconds / 60),
        seconds @ ..86_400 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// `1 204`.
pub fn count(number: u64) -> String {
    grouped(&number.to_string())
}

fn grouped(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `40/s`, `3/m` for what is rarer than one a second; `~` before an estimate.
pub fn rate(rate: Rate) -> String {
    let about = if rate.estimated { "~" } else { "" };
    if rate.per_second >= 0.95 {
        return format!("{about}{}/s", count(rate.per_second.round() as u64));
    }
    let per_minute = rate.per_second * 60.0;
    if per_minute > 0.0 && per_minute < 1.0 { "<1/m".to_owned() } else { format!("{about}{per_minute:.0}/m") }
}

/// `18 ms`.
pub fn latency(duration: Duration) -> String {
    match duration.as_secs_f64() * 1_000.0 {
        ms if ms < 1.0 => "<1 ms".to_owned(),
        ms => format!("{ms:.0} ms"),
    }
}

/// A number with so many digits behind the point, thousands set apart, never `-0`.
pub fn number(value: f64, decimals: u8) -> String {
    let decimals = usize::from(decimals.min(DECIMALS_MAX));
    let mut text = format!("{value:.decimals$}");
    if text.starts_with('-') && !text.bytes().any(|byte| matches!(byte, b'1'..=b'9')) {
        text.remove(0);
    }
    if value.abs() < GROUPED_FROM {
        return text;
    }
    let (sign, rest) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, fraction) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
    format!("{sign}{}{fraction}", grouped(whole))
}

/// A value of a channel without its unit; `—` is a missing measurement.
pub fn value(channel: &Channel, value: f64) -> String {
    if value.is_nan() {
        return "—".to_owned();
    }
    if channel.kind == Kind::State
        && value >= 0.0
        && let Some(state) = channel.states.get(value.round() as usize)
    {
        return state.clone();
    }
    if let Some(decimals) = channel.decimals {
        return number(value, decimals);
    }
    match value.abs() {
        magnitude if magnitude >= 1e9 || (magnitude > 0.0 && magnitude < 1e-3) => format!("{value:.2e}"),
        _ if value.fract() == 0.0 => number(value, 0),
        magnitude if magnitude >= 1_000.0 => number(value, 0),
        magnitude if magnitude >= 100.0 => number(value, 1),
        magnitude if magnitude >= 1.0 => number(value, 2),
        _ => number(value, 3),
    }
}

/// The scales of bytes, the largest first.
const BYTE_SCALES: [(f64, &str); 5] = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")];

/// What follows the bytes in a unit (`""` or `"/s"`); `None`: it is no unit of bytes. `By` is UCUM's name.
fn bytes_per(unit: &str) -> Option<&str> {
    let (name, per) = unit.strip_suffix("/s").map_or((unit, ""), |name| (name, "/s"));
    matches!(name, "B" | "By" | "byte" | "bytes").then_some(per)
}

/// The scale on which `largest` bytes are short and steps of `step` differ within three decimals, with its name;
/// `None`: the channel measures no bytes.
pub fn byte_scale(channel: &Channel, largest: f64, step: f64) -> Option<(f64, &'static str)> {
    bytes_per(&channel.unit)?;
    BYTE_SCALES.into_iter().find(|(least, _)| largest >= *least && step >= least / 1e3).or(Some((1.0, "B")))
}

/// A value of a channel with its unit; bytes as three digits of kB, MB, GB or TB.
pub fn value_with_unit(channel: &Channel, measured: f64) -> String {
    if let (Some(per), false) = (bytes_per(&channel.unit), measured.is_nan()) {
        // From 999.5 on a number of three digits is rounded up to the next scale.
        let fits = |(least, _): &(f64, &str)| measured.abs() >= 0.9995 * least;
        let (scale, name) = BYTE_SCALES.into_iter().find(fits).unwrap_or((1.0, "B"));
        let decimals = match (measured / scale).abs() {
            _ if scale <= 1.0 => 0,
            digits if digits >= 99.95 => 0,
            digits if digits >= 9.995 => 1,
            _ => 2,
        };
        return format!("{} {name}{per}", number(measured / scale, decimals));
    }
    let text = value(channel, measured);
    if channel.unit.is_empty() || measured.is_nan() { text } else { format!("{text} {}", channel.unit) }
}

/// A time of day or date in the user's zone, by a `strftime` format. Times that no calendar holds are `?`.
pub fn time(time_ms: i64, format: &str, zone: &TimeZone) -> String {
    match Timestamp::from_millisecond(time_ms) {
        Ok(timestamp) => timestamp.to_zoned(zone.clone()).strftime(format).to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// `text`, or as much of it as fits into `width` columns with `…` at its end.
pub fn fit(text: &str, width: usize) -> String {
    use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let fits = |character: &char| {
        used += character.width().unwrap_or(0);
        used < width
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    if width > 0 {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;
    use crate::state::sample;

    #[test]
    fn ages_counts_and_rates_are_short() {
        let ages = [-5, 999, 59_999, 60_000, 3_600_000, 90_000_000].map(age);
        assert_eq!(ages, ["0 s", "0 s", "59 s", "1 m", "1 h", "1 d"]);
        assert_eq!([0, 999, 1_204, 1_234_567].map(count), ["0", "999", "1 204", "1 234 567"]);
        let rates = [0.0, 0.01, 0.05, 0.97, 1_234.4].map(|per_second| rate(Rate { per_second, estimated: false }));
        assert_eq!(rates, ["0/m", "<1/m", "3/m", "1/s", "1 234/s"]);
        assert_eq!(rate(Rate { per_second: 10.0, estimated: true }), "~10/s");
        assert_eq!([300, 18_400].map(|us| latency(Duration::from_micros(us))), ["<1 ms", "18 ms"]);
    }

    #[test]
    fn values_have_their_decimals_their_unit_or_their_state() {
        let mut channel = Channel::new(&sample::series_row("a", "temp", 0));
        assert_eq!(value_with_unit(&channel, 21.44), "21.4 °C");
        assert_eq!(value_with_unit(&channel, -0.04), "0.0 °C");
        assert_eq!(value_with_unit(&channel, f64::NAN), "—");
        channel.decimals = None;
        let values = [0.0, 5.0, 21.437, 101_325.5, -12_345_678.0, 0.000_12, 2.5e12, 0.125].map(|v| value(&channel, v));
        assert_eq!(values, ["0", "5", "21.44", "101 326", "-12 345 678", "1.20e-4", "2.50e12", "0.125"]);
        channel.kind = Kind::State;
        channel.states = vec!["closed".into(), "open".into()];
        assert_eq!([1.0, 7.0].map(|v| value(&channel, v)), ["open", "7"]);
    }

    #[test]
    fn bytes_are_shortened_to_three_digits() {
        let mut channel = Channel::new(&sample::series_row("a", "mem", 0));
        channel.unit = "B".into();
        let texts = [0.0, 999.0, 999.6, 12_345.0, 99_960.0, 999_500.0, 7_421_000_000.0, -2_048.0]
            .map(|bytes| value_with_unit(&channel, bytes));
        assert_eq!(texts, ["0 B", "999 B", "1.00 kB", "12.3 kB", "100 kB", "1.00 MB", "7.42 GB", "-2.05 kB"]);
        assert_eq!(byte_scale(&channel, 7.44e9, 2e7), Some((1e9, "GB")));
        assert_eq!(byte_scale(&channel, 7.44e9, 2e5), Some((1e6, "MB")));
        channel.unit = "By/s".into();
        assert_eq!(value_with_unit(&channel, 1_500.0), "1.50 kB/s");
        assert_eq!(value_with_unit(&channel, f64::NAN), "—");
        channel.unit = "Bq".into();
        assert_eq!(byte_scale(&channel, 1.0, 1.0), None);
    }

    #[test]
    fn text_is_cut_by_its_width_on_the_screen() {
        assert_eq!(fit("greenhouse", 20), "greenhouse");
        assert_eq!(fit("greenhouse", 6), "green…");
        assert_eq!(fit("温度センサー", 6), "温度…");
        assert_eq!(fit("温度センサー", 6).width(), 5);
        assert_eq!((fit("ab", 1).as_str(), fit("ab", 0).as_str()), ("…", ""));
    }
}

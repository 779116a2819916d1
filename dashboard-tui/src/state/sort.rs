//! The order of the table.

use std::cmp::Ordering;

use protocol::live::DeviceState;

use super::catalogue::Device;

/// What the table is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// By id, numbers inside it by their value.
    #[default]
    Device,
    /// The worst state first.
    State,
    /// The longest silence first.
    LastSeen,
    /// The busiest first.
    Rate,
}

impl Sort {
    /// The next one in turn.
    #[must_use]
    pub fn next(self) -> Self {
        match self {
            Self::Device => Self::State,
            Self::State => Self::LastSeen,
            Self::LastSeen => Self::Rate,
            Self::Rate => Self::Device,
        }
    }

    /// As on the screen.
    pub fn word(self) -> &'static str {
        match self {
            Self::Device => "device",
            Self::State => "state",
            Self::LastSeen => "last seen",
            Self::Rate => "rate",
        }
    }

    /// The order of two devices at `now_ms`; never equal for two different ids, so that rows do not dance.
    pub fn compare(self, a: &Device, b: &Device, now_ms: i64) -> Ordering {
        let primary = match self {
            Self::Device => Ordering::Equal,
            Self::State => severity(b.state).cmp(&severity(a.state)),
            Self::LastSeen => a.last_seen_ms.cmp(&b.last_seen_ms),
            Self::Rate => per_second(b, now_ms).total_cmp(&per_second(a, now_ms)),
        };
        primary.then_with(|| natural(&a.id, &b.id))
    }
}

fn severity(state: DeviceState) -> u8 {
    match state {
        DeviceState::Fresh => 0,
        DeviceState::Overdue => 1,
        DeviceState::Offline => 2,
    }
}

fn per_second(device: &Device, now_ms: i64) -> f64 {
    device.rate.rate(now_ms).map_or(0.0, |rate| rate.per_second)
}

/// Compares runs of digits by their value: `node-9` before `node-10`.
pub fn natural(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    while !left.is_empty() && !right.is_empty() {
        let (left_part, right_part) = (part(left), part(right));
        (left, right) = (&left[left_part.len()..], &right[right_part.len()..]);
        let numbers = left_part[0].is_ascii_digit() && right_part[0].is_ascii_digit();
        let ordering = if numbers {
            let (left_number, right_number) = (without_zeros(left_part), without_zeros(right_part));
            left_number.len().cmp(&right_number.len()).then_with(|| left_number.cmp(right_number))
        } else {
            left_part[0].cmp(&right_part[0])
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
    // "node-09" and "node-9" are the same number; the order must not call them the same id.
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// The run of digits at the start of `text`, or its first byte.
fn part(text: &[u8]) -> &[u8] {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    &text[..digits.max(1)]
}

fn without_zeros(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    &digits[zeros..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::sample;

    #[test]
    fn numbers_in_names_count_as_numbers() {
        let mut names = ["node-10", "node-9", "node-09", "node", "hall", "node-9b", "node-100000000000000000000000"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["hall", "node", "node-09", "node-9", "node-9b", "node-10", "node-100000000000000000000000"]);
    }

    #[test]
    fn each_order_puts_first_what_it_says_and_breaks_ties_by_id() {
        let mut devices: Vec<Device> = [
            ("c", DeviceState::Fresh, Some(30)),
            ("b", DeviceState::Offline, None),
            ("a", DeviceState::Overdue, Some(10)),
            ("d", DeviceState::Fresh, Some(30)),
        ]
        .map(|(id, state, seen)| {
            let mut row = sample::device_row(id, state, &[]);
            row.last_seen = seen;
            Device::new(&row, 0)
        })
        .into();
        devices[0].rate.add(1_000, 50, 0);
        let mut order = |sort: Sort| {
            devices.sort_by(|a, b| sort.compare(a, b, 5_000));
            devices.iter().map(|device| device.id.as_str()).collect::<Vec<_>>().concat()
        };
        assert_eq!(order(Sort::State), "bacd");
        assert_eq!(order(Sort::LastSeen), "bacd");
        assert_eq!(order(Sort::Device), "abcd");
        assert_eq!(order(Sort::Rate), "cabd");
    }
}

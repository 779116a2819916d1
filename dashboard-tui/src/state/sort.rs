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
    loop {
        let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (m, n) = (digits(left), digits(right));
        let ordering = if m > 0 && n > 0 {
            let significant = |run: &[u8]| run.iter().take_while(|&&byte| byte == b'0').count();
            let (x, y) = (&left[significant(&left[..m])..m], &right[significant(&right[..n])..n]);
            (left, right) = (&left[m..], &right[n..]);
            x.len().cmp(&y.len()).then_with(|| x.cmp(y))
        } else {
            match (left.split_first(), right.split_first()) {
                (Some((x, rest_x)), Some((y, rest_y))) => {
                    (left, right) = (rest_x, rest_y);
                    x.cmp(y)
                }
                (None, None) => return a.cmp(b),
                (x, y) => return x.is_some().cmp(&y.is_some()),
            }
        };
        if ordering.is_ne() {
            return ordering;
        }
    }
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

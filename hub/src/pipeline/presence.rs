//! Presence: which devices report as expected, judged by their cadence and not by their socket.

use std::{sync::Arc, time::Duration};

use protocol::live::DeviceState;
use tokio::sync::watch;

use crate::state::State;

/// Overdue after so many periods without a message …
const OVERDUE_PERIODS: i64 = 3;
/// … but never before this, so that a fast device's hiccup is no event.
const OVERDUE_US_MIN: i64 = 5_000_000;
/// Offline after so many periods …
const OFFLINE_PERIODS: i64 = 10;
/// … but never before this.
const OFFLINE_US_MIN: i64 = 30_000_000;
/// Cadence of a device that declares none and has not been watched long enough to learn one.
const UNKNOWN_PERIOD_US: i64 = 60_000_000;

/// One device's vital signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vital {
    /// Fresh, overdue or offline.
    pub state: DeviceState,
    /// When its last message arrived, microseconds; 0 is never.
    pub last_seen_us: i64,
    /// Whether it holds a connection.
    pub is_connected: bool,
    /// Messages that came twice, since the hub started.
    pub duplicates: u64,
}

/// Vital signs of all devices by number, as of the last tick.
pub type Vitals = watch::Receiver<Arc<Vec<Vital>>>;

#[derive(Debug)]
struct Watched {
    vital: Vital,
    declared_us: Option<i64>,
    learned_us: Option<i64>,
    has_changed: bool,
}

/// The owner of all vital signs.
#[derive(Debug)]
pub(super) struct Presence {
    watched: Vec<Watched>,
    published: watch::Sender<Arc<Vec<Vital>>>,
}

impl Presence {
    pub(super) fn new(state: &State) -> (Self, Vitals) {
        let (published, vitals) = watch::channel(Arc::default());
        let mut presence = Self { watched: Vec::new(), published };
        for device in 0..state.devices.len() {
            presence.declared(state, device as u32);
            let (watched, known) = (&mut presence.watched[device], &state.devices[device]);
            watched.vital.last_seen_us = known.last_arrival_us;
            watched.learned_us = known.cadence_us;
        }
        (presence, vitals)
    }

    /// A device's channels are new or changed.
    pub(super) fn declared(&mut self, state: &State, device: u32) {
        let period = |series: &u32| state.series[*series as usize].decl.period_ms;
        let shortest_ms = state.devices[device as usize].series.iter().filter_map(period).reduce(f64::min);
        let watched = self.watched_mut(device);
        watched.declared_us = shortest_ms.map(|period_ms| (period_ms * 1000.0) as i64);
        watched.has_changed = true;
    }

    /// A message or a greeting arrived.
    pub(super) fn touch(&mut self, state: &State, device: u32, arrival_us: i64) {
        let watched = self.watched_mut(device);
        watched.learned_us = state.devices[device as usize].cadence_us;
        watched.vital.last_seen_us = arrival_us;
        if watched.vital.state != DeviceState::Fresh {
            watched.vital.state = DeviceState::Fresh;
            watched.has_changed = true;
        }
    }

    /// A message arrived that was there already.
    pub(super) fn duplicate(&mut self, device: u32, arrival_us: i64) {
        let vital = &mut self.watched_mut(device).vital;
        vital.duplicates += 1;
        vital.last_seen_us = arrival_us;
    }

    /// The device connected or disconnected.
    pub(super) fn changed(&mut self, device: u32) {
        self.watched_mut(device).has_changed = true;
    }

    fn watched_mut(&mut self, device: u32) -> &mut Watched {
        while self.watched.len() <= device as usize {
            self.watched.push(Watched {
                vital: Vital { state: DeviceState::Offline, last_seen_us: 0, is_connected: false, duplicates: 0 },
                declared_us: None,
                learned_us: None,
                has_changed: true,
            });
        }
        &mut self.watched[device as usize]
    }

    /// Judges all devices; gives the numbers of those whose state or connection changed, and publishes the rest.
    pub(super) fn judge(&mut self, now_us: i64, is_connected: impl Fn(u32) -> bool) -> Vec<u32> {
        let mut changed = Vec::new();
        for (number, watched) in self.watched.iter_mut().enumerate() {
            let state = watched.judge(now_us);
            let connected = is_connected(number as u32);
            if state != watched.vital.state || connected != watched.vital.is_connected || watched.has_changed {
                watched.vital.state = state;
                watched.vital.is_connected = connected;
                watched.has_changed = false;
                changed.push(number as u32);
            }
        }
        let is_same = |old: &Vec<Vital>| old.iter().eq(self.watched.iter().map(|watched| &watched.vital));
        if !is_same(&self.published.borrow()) {
            self.published.send_replace(Arc::new(self.watched.iter().map(|watched| watched.vital).collect()));
        }
        changed
    }

    pub(super) fn vital(&self, device: u32) -> Vital {
        self.watched[device as usize].vital
    }

    pub(super) fn len(&self) -> usize {
        self.watched.len()
    }
}

impl Watched {
    fn judge(&self, now_us: i64) -> DeviceState {
        if self.vital.last_seen_us == 0 {
            return DeviceState::Offline;
        }
        let period_us = self.declared_us.or(self.learned_us).unwrap_or(UNKNOWN_PERIOD_US);
        let age_us = now_us - self.vital.last_seen_us;
        if age_us > period_us.saturating_mul(OFFLINE_PERIODS).max(OFFLINE_US_MIN) {
            DeviceState::Offline
        } else if age_us > period_us.saturating_mul(OVERDUE_PERIODS).max(OVERDUE_US_MIN) {
            DeviceState::Overdue
        } else {
            DeviceState::Fresh
        }
    }
}

/// Refreshes of `last_seen` for viewers come at least this far apart; with many devices less often.
pub(super) fn refresh_interval(devices: usize) -> Duration {
    Duration::from_secs(if devices <= 200 { 1 } else { 5 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::fold::Device;

    fn state_after(period_ms: Option<f64>, age_us: i64) -> DeviceState {
        let watched = Watched {
            vital: Vital { state: DeviceState::Fresh, last_seen_us: 1, is_connected: false, duplicates: 0 },
            declared_us: period_ms.map(|period_ms| (period_ms * 1000.0) as i64),
            learned_us: None,
            has_changed: false,
        };
        watched.judge(1 + age_us)
    }

    #[test]
    fn a_device_is_judged_by_its_cadence() {
        assert_eq!(state_after(Some(1_000.0), 4_000_000), DeviceState::Fresh);
        assert_eq!(state_after(Some(1_000.0), 6_000_000), DeviceState::Overdue);
        assert_eq!(state_after(Some(1_000.0), 31_000_000), DeviceState::Offline);
        // It sleeps for ten minutes between readings and is fresh as long as it reports in time.
        assert_eq!(state_after(Some(600_000.0), 1_700_000_000), DeviceState::Fresh);
        assert_eq!(state_after(Some(600_000.0), 1_900_000_000), DeviceState::Overdue);
        assert_eq!(state_after(None, 170_000_000), DeviceState::Fresh);
    }

    #[test]
    fn at_the_start_a_device_is_judged_by_what_is_stored_of_it() {
        let mut state = State::default();
        for (id, cadence_us) in [("known", Some(1_000_000)), ("seen-once", None)] {
            let mut device = Device::new(id);
            (device.last_arrival_us, device.cadence_us) = (1, cadence_us);
            state.devices.push(device);
        }
        let (mut presence, vitals) = Presence::new(&state);
        assert_eq!(presence.judge(200_000_000, |_| false), [0, 1]);
        let states: Vec<DeviceState> = vitals.borrow().iter().map(|vital| vital.state).collect();
        assert_eq!(states, [DeviceState::Offline, DeviceState::Overdue]);
    }
}

//! The connection as people see it, and the hub's clock.

use std::time::Duration;

/// Where the connection stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// An attempt is under way.
    Connecting {
        /// Counts from 1 since the last useful connection.
        attempt: u32,
    },
    /// The hub has welcomed us and is heard.
    Live,
    /// The next attempt waits for its time.
    Waiting {
        /// Which attempt that will be.
        attempt: u32,
        /// When, this machine's clock.
        until_ms: i64,
    },
}

/// The connection to the hub.
#[derive(Debug, Clone)]
pub struct Link {
    /// Where it stands.
    pub phase: Phase,
    /// The hub's name, once it was heard.
    pub hub: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// To the hub and back, as measured last on this connection.
    pub round_trip: Option<Duration>,
    /// Why the last connection ended or did not come about.
    pub reason: Option<String>,
    /// When what is on the screen stopped being current, hub's clock; `None` while it is.
    pub lost_at_ms: Option<i64>,
    /// The hub's clock minus this machine's, milliseconds.
    offset_ms: i64,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            phase: Phase::Connecting { attempt: 1 },
            hub: None,
            version: None,
            round_trip: None,
            reason: None,
            lost_at_ms: None,
            offset_ms: 0,
        }
    }
}

impl Link {
    /// The hub's clock at `now_ms` of this machine. Before the first connection the two are taken as equal.
    pub fn hub_time_ms(&self, now_ms: i64) -> i64 {
        now_ms + self.offset_ms
    }

    /// The hub has said what time it is.
    pub fn set_clock(&mut self, hub_ms: u64, now_ms: i64) {
        self.offset_ms = hub_ms as i64 - now_ms;
    }

    /// The hub has introduced itself.
    pub fn welcome(&mut self, hub: &str, version: &str, hub_ms: u64, now_ms: i64) {
        self.set_clock(hub_ms, now_ms);
        self.hub = Some(protocol::text::clean(hub));
        self.version = Some(protocol::text::clean(version));
        self.phase = Phase::Live;
        self.reason = None;
        self.lost_at_ms = None;
    }

    /// The connection is gone, or did not come about.
    pub fn lose(&mut self, reason: &str, retry_in: Duration, attempt: u32, now_ms: i64) {
        if self.phase == Phase::Live {
            self.lost_at_ms = Some(self.hub_time_ms(now_ms));
        }
        let retry_ms = i64::try_from(retry_in.as_millis()).unwrap_or(i64::MAX / 2);
        self.phase = Phase::Waiting { attempt, until_ms: now_ms.saturating_add(retry_ms) };
        self.reason = Some(protocol::text::clean(reason));
        self.round_trip = None;
    }

    /// True while the hub is heard.
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hubs_clock_goes_on_while_it_is_away_and_the_age_counts_from_the_loss() {
        let mut link = Link::default();
        link.lose("refused", Duration::from_secs(1), 2, 500);
        assert_eq!(link.lost_at_ms, None, "nothing was on the screen yet");
        link.welcome("demo", "0.1.0", 11_000, 1_000);
        assert!(link.is_live());
        link.lose("gone", Duration::from_secs(4), 2, 3_000);
        link.phase = Phase::Connecting { attempt: 2 };
        link.lose("gone", Duration::from_secs(4), 3, 4_000);
        assert_eq!(link.lost_at_ms, Some(13_000));
        assert_eq!(link.hub_time_ms(5_000), 15_000);
        assert_eq!(link.phase, Phase::Waiting { attempt: 3, until_ms: 8_000 });
    }
}

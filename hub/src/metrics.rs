//! Counters and gauges, in the Prometheus text format at `/metrics`. Base units; no label grows with the number of
//! devices or series.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU64, Ordering},
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use protocol::device::Refusal;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: u32,
}

macro_rules! metrics {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ty = $metric:literal,)+) => {
        /// All of them. Cheap to count with: one atomic addition.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            refused: Family<Reason, Counter>,
            closed: Family<Code, Counter>,
            live: [Counter; 3],
            live_seen: [AtomicU64; 3],
            $($(#[doc = $help])+ pub $name: $kind,)+
        }

        impl Default for Metrics {
            fn default() -> Self {
                let mut registry = Registry::with_prefix("highwater");
                $(
                    let $name = <$kind>::default();
                    registry.register($metric, concat!($($help),+).trim().trim_end_matches('.'), $name.clone());
                )+
                let refused = Family::<Reason, Counter>::default();
                registry.register("messages_refused", "Messages whose content was refused", refused.clone());
                let closed = Family::<Code, Counter>::default();
                registry.register(
                    "device_connections_closed",
                    "Devices' connections that the hub closed, by close code",
                    closed.clone(),
                );
                let live = [Counter::default(), Counter::default(), Counter::default()];
                registry.register("live_frames", "Live frames encoded, once for all who watch", live[0].clone());
                registry.register("live_points", "Points in live frames", live[1].clone());
                registry.register("live_points_merged", "Points left out of live frames by conflation", live[2].clone());
                Self { registry, refused, closed, live, live_seen: Default::default(), $($name,)+ }
            }
        }
    };
}

metrics! {
    /// Messages stored.
    messages_stored: Counter = "messages_stored",
    /// Messages that were there already.
    messages_duplicate: Counter = "messages_duplicate",
    /// Messages that will never come.
    messages_lost: Counter = "messages_lost",
    /// Messages that were held back because their device sends faster than it may.
    messages_slowed: Counter = "messages_slowed",
    /// Messages that could not be read, not even their number.
    unreadable: Counter = "messages_unreadable",
    /// Messages over the size limit.
    too_big: Counter = "messages_too_big",
    /// Warnings about devices that were not logged because there were too many.
    warnings_suppressed: Counter = "warnings_suppressed",
    /// Connections that broke the WebSocket protocol.
    broken_frames: Counter = "websocket_violations",
    /// Control messages that were refused.
    control_refused: Counter = "control_refused",
    /// Readings stored.
    readings_stored: Counter = "readings_stored",
    /// Readings left out because the device or the hub had too many series.
    readings_dropped: Counter = "readings_dropped",
    /// Readings whose time could not be true and was anchored on arrival.
    readings_skewed: Counter = "readings_skewed",
    /// Requests to the HTTP door that were refused.
    posts_refused: Counter = "posts_refused",
    /// New devices refused because there are as many as may be.
    devices_refused: Counter = "devices_refused",
    /// Spools that were rolled back.
    stale_spools: Counter = "spools_stale",
    /// Devices that another connection took over.
    takeovers: Counter = "takeovers",
    /// Connections accepted.
    connections_accepted: Counter = "connections_accepted",
    /// Connections refused because one address had too many.
    connections_refused: Counter = "connections_refused",
    /// Upgrades refused: wrong subprotocol, or no place.
    handshakes_refused: Counter = "handshakes_refused",
    /// Requests under a foreign name or from a foreign page.
    foreign_refused: Counter = "foreign_requests_refused",
    /// Devices connected by WebSocket.
    device_connections: Gauge = "device_connections",
    /// Viewers connected.
    viewers: Gauge = "viewers",
    /// Streams of live frames that somebody watches.
    live_streams: Gauge = "live_streams",
    /// Series known.
    series: Gauge = "series",
    /// 1 while the disk is full and nothing is acknowledged.
    disk_full: Gauge = "disk_full",
    /// The last journal record that is on disk.
    journal_durable: Gauge = "journal_durable_record",
    /// The last journal record that history has applied.
    history_applied: Gauge = "history_applied_record",
    /// Bytes that the journal's segments take.
    journal_bytes: Gauge = "journal_bytes",
}

impl Metrics {
    /// Counts a refused message.
    pub fn refused(&self, refusal: Refusal) {
        self.refused.get_or_create(&Reason { reason: refusal.code() }).inc();
    }

    /// Counts a device's connection that the hub closes with this code.
    pub fn closed(&self, code: u16) {
        self.closed.get_or_create(&Code { code: code.into() }).inc();
    }

    /// Takes over the fan-out's totals: frames, points, points merged.
    pub fn live(&self, frames: u64, points: u64, merged: u64) {
        for ((counter, seen), now) in self.live.iter().zip(&self.live_seen).zip([frames, points, merged]) {
            counter.inc_by(now - seen.swap(now, Ordering::Relaxed));
        }
    }

    /// The text for `/metrics`, in the format that every scraper reads (version 0.0.4).
    pub fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).expect("writing to a string does not fail");
        classic(&text)
    }
}

/// `OpenMetrics` as the older text format: there help and type of a counter bear the name of its samples, and no end is
/// marked.
fn classic(open_metrics: &str) -> String {
    let counters: HashSet<&str> =
        open_metrics.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines().filter(|line| *line != "# EOF") {
        let comment = ["# HELP ", "# TYPE "].into_iter().find_map(|kind| Some((kind, line.strip_prefix(kind)?)));
        match comment.and_then(|(kind, rest)| Some((kind, rest.split_once(' ')?))) {
            Some((kind, (name, rest))) if counters.contains(name) => {
                text.extend([kind, name, "_total ", rest]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_help_type_and_value() {
        let metrics = Metrics::default();
        metrics.readings_stored.inc_by(3);
        metrics.refused(Refusal::BadValue);
        metrics.live(5, 10, 0);
        metrics.live(7, 10, 0);
        let text = metrics.text();
        for line in [
            "# HELP highwater_readings_stored_total Readings stored.",
            "# TYPE highwater_readings_stored_total counter",
            "highwater_readings_stored_total 3",
            "highwater_messages_refused_total{reason=\"bad_value\"} 1",
            "highwater_live_frames_total 7",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}

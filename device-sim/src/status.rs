//! Says on one line each how a fleet begins, how it is doing, and how it has ended.

use std::{
    collections::VecDeque,
    fmt::Write as _,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rustix::termios::tcgetwinsize;

use protocol::ids::Id;

use crate::{
    fleet::{Fleet, FleetConfig, SHUTDOWN_PATIENCE, Snapshot, SourceConfig, Summary},
    source::{Span, replay::Pace},
};

/// How often the line is rewritten on a terminal.
const TERMINAL_EVERY: Duration = Duration::from_millis(500);
/// What the rate is measured over: a device of 1 Hz is not to flicker.
const RATE_OVER: Duration = Duration::from_secs(5);
/// How often a line is written where nobody watches.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Writes the status of a fleet to standard error, until `stop` or until every device has ended by itself. On a
/// terminal it is one line that is rewritten, elsewhere a line when something changes and every 10 s.
pub async fn watch(fleet: &mut Fleet, is_terminal: bool, stop: impl Future<Output = ()>) {
    let mut printer = Printer::new(is_terminal);
    let mut ticks = tokio::time::interval(TERMINAL_EVERY);
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            () = fleet.ended() => break,
            _ = ticks.tick() => printer.tick(&fleet.snapshot()),
        }
    }
    let mut stderr = io::stderr();
    if is_terminal {
        let _ = clear(&mut stderr);
    }
    let Snapshot { trouble, waiting_messages: waiting @ 1.., .. } = fleet.snapshot() else { return };
    if trouble.is_some_and(|trouble| trouble.again_at <= Instant::now() + SHUTDOWN_PATIENCE) {
        let (patience_s, waiting) = (SHUTDOWN_PATIENCE.as_secs(), counted(waiting, "message"));
        let _ = writeln!(
            stderr,
            "device-sim: waiting up to {patience_s} s for the hub to take {waiting}; Ctrl-C ends it now"
        );
    }
}

struct Printer {
    is_terminal: bool,
    /// When how many readings had been counted, over the last few seconds.
    counts: VecDeque<(Instant, u64)>,
    written: Option<Instant>,
    was_connected: bool,
}

impl Printer {
    fn new(is_terminal: bool) -> Self {
        Self { is_terminal, counts: VecDeque::new(), written: None, was_connected: false }
    }

    fn tick(&mut self, snapshot: &Snapshot) {
        let rate = self.rate(snapshot.readings);
        let is_connected = snapshot.connected == snapshot.devices;
        // A first line when there is something to tell.
        let has_changed = match self.written {
            None => is_connected || snapshot.trouble.is_some(),
            Some(written) => is_connected != self.was_connected || written.elapsed() >= LOG_EVERY,
        };
        if !self.is_terminal && !has_changed {
            return;
        }
        (self.written, self.was_connected) = (Some(Instant::now()), is_connected);
        let mut line = line(snapshot, rate);
        let mut stderr = io::stderr().lock();
        // A status that cannot be written is no reason to stop measuring.
        let _ = if self.is_terminal {
            let width = tcgetwinsize(&stderr).map_or(80, |size| usize::from(size.ws_col));
            cut(&mut line, width);
            clear(&mut stderr).and_then(|()| write!(stderr, "{line}")).and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{line}")
        };
    }

    /// Readings a second over the last [`RATE_OVER`].
    fn rate(&mut self, readings: u64) -> f64 {
        let now = Instant::now();
        while self.counts.len() > 1 && self.counts[0].0 + RATE_OVER < now {
            self.counts.pop_front();
        }
        self.counts.push_back((now, readings));
        let (since, before) = self.counts[0];
        let elapsed_s = (now - since).as_secs_f64();
        if elapsed_s > 0.0 { (readings - before) as f64 / elapsed_s } else { 0.0 }
    }
}

/// Cuts a line so that it does not wrap: a wrapped one could not be taken back.
fn cut(line: &mut String, width: usize) {
    if line.chars().count() >= width
        && let Some((end, _)) = line.char_indices().nth(width.saturating_sub(2))
    {
        line.truncate(end);
        line.push('…');
    }
}

/// Takes the status line off a terminal, so that something else can stand there.
pub fn clear(out: &mut impl io::Write) -> io::Result<()> {
    out.write_all(b"\r\x1b[K")
}

/// What to say at the start: who is it, where do its readings go, and where are they until then. `left` is how many
/// messages an earlier run has left.
pub fn greeting(ids: &[Id], config: &FleetConfig, left: u64) -> String {
    let who = match ids {
        [first, .., last] => format!("{} devices, {first} … {last},", number(ids.len() as u64)),
        [one] => one.to_string(),
        [] => "nobody".to_owned(),
    };
    let bound = bytes(config.spool_bytes);
    let mut text = format!("{who} → {} · what it has not acknowledged is kept in ", config.hub);
    let _ = match &config.spool {
        Some(folder) => write!(text, "{} (up to {bound})", folder.display()),
        None => write!(text, "memory (up to {bound}; --spool DIR keeps it on disk)"),
    };
    if left > 0 {
        let _ = write!(text, " · {} of an earlier run first", counted(left, "message"));
    }
    text
}

/// What to say of a recording that is sent faster than it was made: how long that takes, and where its readings will be.
pub fn about_replay(recorded: Span, config: &FleetConfig) -> Option<String> {
    /// The ranges that the web page and the terminal both have, seconds.
    const RANGES: [(u64, &str); 4] = [(60, "1m"), (300, "5m"), (3_600, "1h"), (86_400, "24h")];
    let SourceConfig::Replay { pace: Pace::Live { speed: speed @ 1.000_001.. }, .. } = config.source else {
        return None;
    };
    let span_s = (recorded.last_us - recorded.first_us).cast_unsigned().div_ceil(1_000_000);
    let (takes, fills) = (time(span_s as f64 / speed), time(span_s as f64));
    let look_at = RANGES.into_iter().find(|(range_s, _)| span_s <= *range_s);
    let look_at = look_at.map(|(_, name)| format!(": look at the {name} range")).unwrap_or_default();
    Some(format!("the replay takes {takes} and fills the last {fills}{look_at}"))
}

/// In the largest unit that leaves two or more of it.
fn time(time_s: f64) -> String {
    let units = [(86_400.0, "days"), (3_600.0, "h"), (60.0, "min")];
    let (seconds, unit) = units.into_iter().find(|(seconds, _)| time_s >= 2.0 * seconds).unwrap_or((1.0, "s"));
    format!("{:.0} {unit}", (time_s / seconds).ceil())
}

/// `2025-11-19 09:29 … 09:59 UTC`; the second date only where it is another one.
fn from_to(span: Span) -> String {
    let text = |time_us: i64, format: &str| {
        Timestamp::from_microsecond(time_us).map_or_else(|_| "?".to_owned(), |time| time.strftime(format).to_string())
    };
    let dates = [span.first_us, span.last_us].map(|time_us| text(time_us, "%Y-%m-%d"));
    let format = if dates[0] == dates[1] { "%H:%M" } else { "%Y-%m-%d %H:%M" };
    format!("{} … {} UTC", text(span.first_us, "%Y-%m-%d %H:%M"), text(span.last_us, format))
}

/// One line without its end; `rate` is readings a second.
fn line(snapshot: &Snapshot, rate: f64) -> String {
    let Snapshot { devices, connected, .. } = snapshot;
    let mut line = match (devices, connected) {
        (1, 1) => "connected".to_owned(),
        (1, _) if snapshot.trouble.is_none() => "connecting".to_owned(),
        (1, _) => "not connected".to_owned(),
        _ => format!("{} of {} connected", number(*connected as u64), number(*devices as u64)),
    };
    if let Some(trouble) = &snapshot.trouble {
        // The time first: the reason may be longer than the terminal is wide.
        let wait_s = trouble.again_at.saturating_duration_since(Instant::now()).as_secs();
        line.push_str(" · next try ");
        let _ = if wait_s > 0 { write!(line, "in {wait_s} s") } else { write!(line, "now") };
        let _ = write!(line, " · {}", trouble.reason);
    }
    let _ = write!(line, " · {} readings/s · {} acked", number(rate.round() as u64), number(snapshot.acked));
    let _ = write!(line, " · {} waiting", number(snapshot.waiting_messages));
    if connected < devices {
        let _ = write!(line, " ({})", bytes(snapshot.waiting_bytes));
    } else if let Some(round_trip_us) = snapshot.ack_round_trip_us {
        let _ = write!(line, " · ack {:.1} ms", round_trip_us as f64 / 1e3);
    }
    for lost in lost(snapshot) {
        let _ = write!(line, " · {lost}");
    }
    line
}

/// What did not become a reading at the hub, and why.
fn lost(snapshot: &Snapshot) -> impl Iterator<Item = String> {
    let Snapshot { dropped, refused, lines_skipped, .. } = *snapshot;
    let dropped = (dropped > 0).then(|| format!("{} dropped", number(dropped)));
    let refused = (refused > 0).then(|| format!("{} refused", number(refused)));
    let skipped = (lines_skipped > 0).then(|| format!("{} skipped", counted(lines_skipped, "input line")));
    [dropped, refused, skipped].into_iter().flatten()
}

/// What to say at the end; `spool` names the folder where messages are kept, `imported` the times of a recording that was
/// sent with the times it has.
pub fn farewell(summary: &Summary, spool: Option<&str>, imported: Option<Span>) -> String {
    let Snapshot { readings, sent, acked, waiting_messages, waiting_bytes, trouble, .. } = &summary.last;
    let (readings, sent) = (counted(*readings, "reading"), counted(*sent, "message"));
    let of = imported.map_or_else(
        || "measured".to_owned(),
        |span| format!("of {}, with the times they were recorded at", from_to(span)),
    );
    let mut text = format!("{readings} {of} · {sent} sent, {} acknowledged", number(*acked));
    for lost in lost(&summary.last) {
        let _ = write!(text, ", {lost}");
    }
    if *waiting_messages == 0 {
        text.push_str(", none waiting");
        return text;
    }
    let _ = write!(text, " · {} ({}) waiting", number(*waiting_messages), bytes(*waiting_bytes));
    if let Some(trouble) = trouble {
        let _ = write!(text, " ({})", trouble.reason);
    }
    let _ = match spool {
        Some(folder) => write!(text, ": kept in {folder} and sent at the next start"),
        None => write!(text, ": they were in memory and are lost; --spool DIR would keep them"),
    };
    text
}

/// What to say when nobody waits for the end.
pub fn cut_short(waiting: u64, spool: Option<&str>) -> String {
    let waiting = counted(waiting, "message");
    match spool {
        Some(folder) => format!("stopped at once; {waiting} in {folder} will be sent at the next start"),
        None => format!("stopped at once; {waiting} may not have arrived"),
    }
}

fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", number(count), if count == 1 { "" } else { "s" })
}

/// With a thin space between thousands.
fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{2009}');
        }
        text.push(digit);
    }
    text
}

fn bytes(value: u64) -> String {
    match value {
        0..1_024 => format!("{value} B"),
        1_024..1_048_576 => format!("{} KiB", value / 1_024),
        _ if value.is_multiple_of(1_048_576) => format!("{} MiB", value / 1_048_576),
        _ => format!("{:.1} MiB", value as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Trouble;

    fn snapshot() -> Snapshot {
        Snapshot {
            devices: 1,
            connected: 1,
            readings: 12,
            sent: 1_234_570,
            acked: 1_234_567,
            waiting_messages: 3,
            waiting_bytes: 2_048,
            ack_round_trip_us: Some(6_240),
            ..Snapshot::default()
        }
    }

    #[test]
    fn the_line_says_what_matters_now() {
        let plain = |snapshot: &Snapshot| line(snapshot, 1_000.4).replace('\u{2009}', "'");
        assert_eq!(plain(&snapshot()), "connected · 1'000 readings/s · 1'234'567 acked · 3 waiting · ack 6.2 ms");
        let trouble =
            |wait| Trouble { reason: "cannot reach hub:8080: refused".into(), again_at: Instant::now() + wait };
        let away = Snapshot {
            devices: 2_000,
            connected: 1_999,
            dropped: 5,
            lines_skipped: 2,
            trouble: Some(trouble(Duration::ZERO)),
            ..snapshot()
        };
        assert_eq!(
            plain(&away),
            "1'999 of 2'000 connected · next try now · cannot reach hub:8080: refused · 1'000 readings/s · \
             1'234'567 acked · 3 waiting (2 KiB) · 5 dropped · 2 input lines skipped"
        );
        let later = Snapshot { connected: 0, trouble: Some(trouble(Duration::from_secs_f64(60.5))), ..snapshot() };
        assert!(plain(&later).starts_with("not connected · next try in 60 s · cannot reach hub:8080: refused · "));
        assert!(plain(&Snapshot { connected: 0, ..snapshot() }).starts_with("connecting · "));
        let mut line = "1 · 2 · 3".to_owned();
        cut(&mut line, 10);
        assert_eq!(line, "1 · 2 · 3");
        cut(&mut line, 9);
        assert_eq!(line, "1 · 2 ·…");
    }

    #[test]
    fn the_farewell_says_where_the_rest_is() {
        let summary = Summary { last: snapshot(), is_drained: false, failures: Vec::new() };
        assert!(
            farewell(&summary, Some("/var/spool/x"), None).ends_with("kept in /var/spool/x and sent at the next start")
        );
        assert!(farewell(&summary, None, None).contains("3 (2 KiB) waiting: they were in memory"));
        let last = Snapshot { waiting_messages: 0, ..snapshot() };
        let summary = Summary { last, is_drained: true, failures: Vec::new() };
        let text = farewell(&summary, None, None).replace('\u{2009}', "'");
        assert_eq!(text, "12 readings measured · 1'234'570 messages sent, 1'234'567 acknowledged, none waiting");
    }

    #[test]
    fn a_replay_says_where_its_readings_are() {
        let fast = |speed| {
            let source = SourceConfig::Replay { path: "x.csv".into(), pace: Pace::Live { speed } };
            FleetConfig { source, ..FleetConfig::demo("hub".parse().unwrap(), 1) }
        };
        let span = |span_s: i64| {
            let first_us = 1_763_544_540_000_000;
            Span { first_us, last_us: first_us + span_s * 1_000_000 }
        };
        let said = |speed, span_s| about_replay(span(span_s), &fast(speed));
        assert_eq!(said(60.0, 3_600).unwrap(), "the replay takes 60 s and fills the last 60 min: look at the 1h range");
        assert_eq!(said(600.0, 7 * 86_400).unwrap(), "the replay takes 17 min and fills the last 7 days");
        assert_eq!(said(1.0, 3_600), None, "then every reading is of the moment at which it is sent");
        let last = Snapshot { waiting_messages: 0, readings: 5_400, ..snapshot() };
        let summary = Summary { last, is_drained: true, failures: Vec::new() };
        let text = farewell(&summary, None, Some(span(1_800))).replace('\u{2009}', "'");
        let begins = "5'400 readings of 2025-11-19 09:29 … 09:59 UTC, with the times they were recorded at · ";
        assert!(text.starts_with(begins), "{text}");
        assert_eq!(from_to(span(86_400)), "2025-11-19 09:29 … 2025-11-20 09:29 UTC");
    }

    #[test]
    fn the_greeting_says_who_where_and_what_holds_the_readings_until_then() {
        let ids: Vec<Id> = (1..=3).map(|number| Id::new(&format!("lab-{number}")).unwrap()).collect();
        let config = FleetConfig::demo("hub.local:8080".parse().unwrap(), 3);
        assert_eq!(
            greeting(&ids, &config, 0),
            "3 devices, lab-1 … lab-3, → ws://hub.local:8080 · what it has not acknowledged is kept in memory \
             (up to 64 MiB; --spool DIR keeps it on disk)"
        );
        let config = FleetConfig { spool: Some("/var/spool/x".into()), ..config };
        assert_eq!(
            greeting(&ids[..1], &config, 1),
            "lab-1 → ws://hub.local:8080 · what it has not acknowledged is kept in /var/spool/x (up to 64 MiB) · 1 message of \
             an earlier run first"
        );
    }
}

//! Says on one line how a fleet is doing.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use crate::fleet::{Fleet, Snapshot, Summary};

/// How often the line is rewritten on a terminal.
const TERMINAL_EVERY: Duration = Duration::from_millis(500);
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
    if is_terminal {
        let _ = clear(&mut io::stderr());
    }
}

struct Printer {
    is_terminal: bool,
    counted_at: Instant,
    readings: u64,
    written: Option<Instant>,
    was_connected: bool,
}

impl Printer {
    fn new(is_terminal: bool) -> Self {
        Self { is_terminal, counted_at: Instant::now(), readings: 0, written: None, was_connected: false }
    }

    fn tick(&mut self, snapshot: &Snapshot) {
        let is_connected = snapshot.connected == snapshot.devices;
        // A first line when there is something to tell.
        let has_changed = match self.written {
            None => is_connected || snapshot.trouble.is_some(),
            Some(written) => is_connected != self.was_connected || written.elapsed() >= LOG_EVERY,
        };
        if !self.is_terminal && !has_changed {
            return;
        }
        let elapsed_s = self.counted_at.elapsed().as_secs_f64();
        let rate = (snapshot.readings - self.readings) as f64 / elapsed_s.max(1e-3);
        (self.counted_at, self.readings) = (Instant::now(), snapshot.readings);
        (self.written, self.was_connected) = (Some(Instant::now()), is_connected);
        let line = line(snapshot, rate);
        let mut stderr = io::stderr().lock();
        // A status that cannot be written is no reason to stop measuring.
        let _ = if self.is_terminal {
            clear(&mut stderr).and_then(|()| write!(stderr, "{line}")).and_then(|()| stderr.flush())
        } else {
            writeln!(stderr, "{line}")
        };
    }
}

/// Takes the status line off a terminal, so that something else can stand there.
pub fn clear(out: &mut impl io::Write) -> io::Result<()> {
    out.write_all(b"\r\x1b[K")
}

/// One line without its end; `rate` is readings a second.
fn line(snapshot: &Snapshot, rate: f64) -> String {
    let Snapshot { devices, connected, .. } = snapshot;
    let mut line = match (devices, connected) {
        (1, 1) => "connected".to_owned(),
        (1, _) => "not connected".to_owned(),
        _ => format!("{} of {} connected", number(*connected as u64), number(*devices as u64)),
    };
    let _ = write!(line, " · {} readings/s · {} acked", number(rate.round() as u64), number(snapshot.acked));
    let _ = write!(line, " · {} waiting", number(snapshot.waiting_messages));
    if connected < devices {
        let _ = write!(line, " ({})", bytes(snapshot.waiting_bytes));
    } else if let Some(round_trip_us) = snapshot.ack_round_trip_us {
        let _ = write!(line, " · ack {:.1} ms", round_trip_us as f64 / 1e3);
    }
    for (count, what) in [(snapshot.dropped, "dropped"), (snapshot.refused, "refused")] {
        if count > 0 {
            let _ = write!(line, " · {} {what}", number(count));
        }
    }
    if let Some(trouble) = &snapshot.trouble {
        let _ = write!(line, " · {trouble} · trying again");
    }
    line
}

/// What to say at the end; `spool` names the folder where messages are kept.
pub fn farewell(summary: &Summary, spool: Option<&str>) -> String {
    let Snapshot { readings, acked, waiting_messages, trouble, .. } = &summary.last;
    let mut text = format!("{} readings measured, {} messages acknowledged", number(*readings), number(*acked));
    if summary.last.dropped > 0 {
        let _ = write!(text, ", {} dropped", number(summary.last.dropped));
    }
    if summary.last.refused > 0 {
        let _ = write!(text, ", {} refused", number(summary.last.refused));
    }
    if *waiting_messages > 0 {
        let _ = write!(text, ", {} not", number(*waiting_messages));
        if let Some(trouble) = trouble {
            let _ = write!(text, " ({trouble})");
        }
        let _ = match spool {
            Some(folder) => write!(text, ": they are kept in {folder} and sent at the next start"),
            None => write!(text, ": they were in memory and are lost; --spool DIR would keep them"),
        };
    }
    text
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
        _ => format!("{:.1} MiB", value as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            devices: 1,
            connected: 1,
            readings: 12,
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
        let trouble = Some("cannot reach hub:8080: refused".to_owned());
        let away = Snapshot { devices: 2_000, connected: 1_999, dropped: 5, trouble, ..snapshot() };
        assert_eq!(
            plain(&away),
            "1'999 of 2'000 connected · 1'000 readings/s · 1'234'567 acked · 3 waiting (2 KiB) · 5 dropped · \
             cannot reach hub:8080: refused · trying again"
        );
    }

    #[test]
    fn the_farewell_says_where_the_rest_is() {
        let summary = Summary { last: snapshot(), is_drained: false, failures: Vec::new() };
        assert!(farewell(&summary, Some("/var/spool/x")).ends_with("kept in /var/spool/x and sent at the next start"));
        assert!(farewell(&summary, None).contains("3 not: they were in memory"));
        let last = Snapshot { waiting_messages: 0, ..snapshot() };
        let summary = Summary { last, is_drained: true, failures: Vec::new() };
        let text = farewell(&summary, None).replace('\u{2009}', "'");
        assert_eq!(text, "12 readings measured, 1'234'567 messages acknowledged");
    }
}

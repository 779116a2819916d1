//! The readings behind the chart: one subscription, replaced as a whole by each snapshot.

use protocol::live::{SeriesRow, control::GapRow};

use super::{
    catalogue::Channel,
    trace::{Point, Trace},
};

/// What the chart shows; a different one needs a new snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The device.
    pub device: String,
    /// Its series that have room.
    pub selector: String,
    /// How far back, milliseconds.
    pub range_ms: i64,
    /// Dots from left to right.
    pub points: u32,
    /// Rises when the same thing is wanted anew.
    pub generation: u32,
}

/// A stretch without readings, as the hub knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Begin, hub's clock.
    pub from_ms: i64,
    /// End.
    pub to_ms: i64,
    /// Why.
    pub reason: String,
}

/// One line of the chart.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// What it measures.
    pub channel: Channel,
    /// Its readings.
    pub trace: Trace,
    /// Where the hub knows that readings are missing.
    pub gaps: Vec<Gap>,
}

impl Line {
    /// How long the line may be drawn without a reading, milliseconds; `None` is for ever.
    pub fn silence_max_ms(&self) -> Option<i64> {
        // Of three dots the hub keeps three points, wherever inside.
        self.channel.silence_max_ms(&self.trace).map(|expected| expected.max(4 * self.trace.bucket_ms()))
    }

    /// True when nothing is known to be missing between two neighbouring points.
    pub fn connects(&self, a: Point, b: Point, silence_max_ms: Option<i64>) -> bool {
        !a.value.is_nan()
            && !b.value.is_nan()
            && silence_max_ms.is_none_or(|max| b.time_ms - a.time_ms <= max)
            && !self.gaps.iter().any(|gap| gap.from_ms < b.time_ms && gap.to_ms > a.time_ms)
    }
}

/// A snapshot that is arriving, or the chart that it became.
#[derive(Debug, Clone, Default)]
struct Stream {
    /// The hub's number; `None` once the connection that gave it is gone.
    number: Option<u64>,
    lines: Vec<Line>,
}

impl Stream {
    fn line_mut(&mut self, series: u32) -> Option<&mut Line> {
        self.lines.iter_mut().find(|line| line.channel.series == series)
    }
}

/// The chart's lines and where they come from.
#[derive(Debug, Clone, Default)]
pub struct Chart {
    target: Option<Target>,
    shown: Option<Stream>,
    arriving: Option<Stream>,
    /// Why the hub refused.
    problem: Option<String>,
    /// True: what is shown answers the target and must not be replaced (the view is frozen).
    held: bool,
}

impl Chart {
    /// What is shown, or was asked for.
    pub fn target(&self) -> Option<&Target> {
        self.target.as_ref()
    }

    /// Turns to something else. Lines of the same device stay until the snapshot is complete.
    pub fn aim(&mut self, target: Option<Target>) {
        let device = |target: &Option<Target>| target.as_ref().map(|target| target.device.clone());
        if device(&target) != device(&self.target) {
            self.shown = None;
        }
        self.target = target;
        self.arriving = None;
        self.problem = None;
        self.held = false;
    }

    /// Keeps what is shown, whatever snapshots arrive, until it is aimed again.
    pub fn hold(&mut self) {
        self.held = self.shown.is_some();
        self.arriving = self.arriving.take().filter(|_| !self.held);
    }

    /// The connection is gone, and with it the meaning of stream numbers. What is shown stays.
    pub fn cut(&mut self) {
        self.arriving = None;
        if let Some(stream) = &mut self.shown {
            stream.number = None;
        }
    }

    /// A snapshot begins.
    pub fn begin(&mut self, number: u64, span_ms: i64, points: u32, rows: &[SeriesRow]) {
        if self.held {
            return;
        }
        let bucket_ms = span_ms / i64::from(points.max(1));
        let line = |row| Line { channel: Channel::new(row), trace: Trace::new(bucket_ms), gaps: Vec::new() };
        self.arriving = Some(Stream { number: Some(number), lines: rows.iter().map(line).collect() });
    }

    /// A snapshot is complete: it replaces what was shown.
    pub fn complete(&mut self, number: u64, gaps: &[GapRow]) {
        let Some(mut stream) = self.arriving.take_if(|stream| stream.number == Some(number)) else { return };
        for gap in gaps {
            if let Some(line) = stream.line_mut(gap.series) {
                let reason = protocol::text::clean(&gap.reason);
                line.gaps.push(Gap { from_ms: gap.from as i64, to_ms: gap.to as i64, reason });
            }
        }
        self.shown = Some(stream);
        self.problem = None;
    }

    /// Takes a reading of stream `number`; false when it is not the chart's.
    pub fn receive(&mut self, number: u64, series: u32, point: Point) -> bool {
        let streams = [&mut self.arriving, &mut self.shown].into_iter().flatten();
        for stream in streams.filter(|stream| stream.number == Some(number)) {
            if let Some(line) = stream.line_mut(series) {
                line.trace.push(point);
                return true;
            }
        }
        false
    }

    /// Forgets what lies before the window.
    pub fn trim_before(&mut self, from_ms: i64) {
        for line in self.shown.iter_mut().flat_map(|stream| &mut stream.lines) {
            line.trace.trim_before(from_ms);
            line.gaps.retain(|gap| gap.to_ms > from_ms);
        }
    }

    /// The hub refused what was asked for.
    pub fn refuse(&mut self, message: &str) {
        self.problem = Some(protocol::text::clean(message));
    }

    /// The lines, in the hub's order; empty while nothing has arrived.
    pub fn lines(&self) -> &[Line] {
        self.shown.as_ref().map_or(&[], |stream| &stream.lines)
    }

    /// True until the first snapshot of a device is complete.
    pub fn is_loading(&self) -> bool {
        self.target.is_some() && self.shown.is_none() && self.problem.is_none()
    }

    /// Why there is nothing to see.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }
}

#[cfg(test)]
mod tests;

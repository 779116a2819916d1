//! Fan-out: readings in, one encoded frame a stream out. Owned by the pipeline, so it needs no lock to be fed.
//!
//! A stream is what identical subscriptions share: one selector and one rate. It is flushed on the leading edge, then
//! at most once an interval; its viewers are woken once a flush and each writes what is behind its own cursor.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use protocol::{limits::SERIES_PER_VIEWER_MAX, live::LiveData, selector::Selector};

use super::{
    conflate::{Keep, Pending, Point},
    frames::{Span, encode_rows},
    log::StreamLog,
    snapshot::SharedSnapshot,
    viewer::ViewerLink,
};
use crate::number_map::NumberMap;

/// Points of a series in one frame of a stream that wants every change.
const EVERY_CHANGE_POINTS: usize = 1024;
/// What a flush may cost: one write call of about 5 µs a viewer, at most a third of the time.
const FLUSH_COST_A_VIEWER: Duration = Duration::from_micros(15);
/// A stream is never flushed less often than this for the sake of the hub's load.
const FLUSH_INTERVAL_MAX: Duration = Duration::from_millis(50);
/// An identical snapshot is shared for so long.
const SNAPSHOT_SHARED_FOR: Duration = Duration::from_secs(1);

/// Streams in all: distinct subscriptions of everybody.
const STREAMS_MAX: usize = 8_192;
/// Series of all streams together; each costs memory, and time for each of its readings.
const WATCHED_MAX: usize = 1 << 18;

/// What makes two subscriptions the same stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// Which series.
    pub selector: Selector,
    /// Frames a second; 0 is every change.
    pub max_hz: u32,
}

impl StreamKey {
    /// At most three points in each stretch between two frames; every point when every change is wanted.
    fn keep(&self) -> Keep {
        let stretch_us = if self.max_hz == 0 { 0 } else { 1_000_000 / i64::from(self.max_hz) };
        Keep { stretch_us, points_max: EVERY_CHANGE_POINTS }
    }
}

/// How far back a snapshot reaches and how fine it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Milliseconds back from now.
    pub window_ms: u64,
    /// Points a series.
    pub points: u32,
}

/// All streams that somebody watches.
#[derive(Debug)]
pub struct Fanout {
    flush_interval: Duration,
    streams: NumberMap<u64, Stream>,
    by_key: HashMap<StreamKey, u64>,
    /// Which streams want a series: stream number and slot, by series number.
    by_series: Vec<Vec<(u64, u32)>>,
    next_number: u64,
    /// Series of all streams.
    watched: usize,
    /// The hub's clock at the last tick, microseconds; none while it is not believed.
    present_us: Option<i64>,
    /// Streams with something to send, and when.
    due: Vec<(u64, Instant)>,
    scratch: Scratch,
    /// Frames and points sent and merged since the start.
    pub totals: Totals,
}

/// Counters of the fan-out.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    /// Frames encoded.
    pub frames: u64,
    /// Points in them.
    pub points: u64,
    /// Points left out by conflation.
    pub merged: u64,
}

#[derive(Debug)]
struct Stream {
    key: StreamKey,
    log: Arc<StreamLog>,
    ids: Vec<u32>,
    slots: Vec<Pending>,
    dirty: Vec<u32>,
    last_flush: Option<Instant>,
    viewers: Vec<Arc<ViewerLink>>,
    snapshots: Vec<KeptSnapshot>,
    /// Points left out that no frame has told of yet.
    untold: u64,
}

#[derive(Debug)]
struct KeptSnapshot {
    window: Window,
    cursor: u64,
    made: Instant,
    snapshot: SharedSnapshot,
}

#[derive(Debug, Default)]
struct Scratch {
    data: LiveData,
    rows: Vec<(u32, Point)>,
}

/// A place in a stream from which live frames follow a snapshot without gap or duplicate.
#[derive(Debug, Clone)]
pub struct Joined {
    /// Where the frames are.
    pub log: Arc<StreamLog>,
    /// The first frame behind the snapshot.
    pub cursor: u64,
    /// What was before.
    pub snapshot: SharedSnapshot,
}

/// Why a viewer cannot join a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The viewer has as much as one may have.
    #[error(
        "the subscriptions of a connection have at most {SERIES_PER_VIEWER_MAX} series together: end one first, or ask for fewer"
    )]
    ViewerFull,
    /// All viewers together have as much as the hub can do.
    #[error("the hub already shows as many different subscriptions as it can: ask for what others have, or later")]
    HubFull,
}

impl Fanout {
    /// Without streams; `flush_interval` is the shortest time between two frames of one.
    pub fn new(flush_interval: Duration) -> Self {
        Self {
            flush_interval,
            streams: NumberMap::default(),
            by_key: HashMap::new(),
            by_series: Vec::new(),
            next_number: 1,
            watched: 0,
            present_us: None,
            due: Vec::new(),
            scratch: Scratch::default(),
            totals: Totals::default(),
        }
    }

    /// Takes readings of one series; `shift_us` is added to their times. Costs a look-up when nobody watches it.
    pub fn push(&mut self, now: Instant, series: u32, times_us: &[i64], shift_us: i64, values: &[f64]) {
        for place in 0..self.by_series.get(series as usize).map_or(0, Vec::len) {
            let (number, slot) = self.by_series[series as usize][place];
            let Some(stream) = self.streams.get_mut(&number) else { continue };
            if stream.has_room(slot, values.len()) {
                if stream.add(slot, times_us, shift_us, values) {
                    self.due.push((number, stream.next_flush(now, self.flush_interval)));
                }
                continue;
            }
            // A burst takes as many frames as it needs, however soon: every change was asked for.
            for (times_us, values) in times_us.chunks(EVERY_CHANGE_POINTS).zip(values.chunks(EVERY_CHANGE_POINTS)) {
                self.due.retain(|&(due, _)| due != number);
                self.flush(number, now);
                let Some(stream) = self.streams.get_mut(&number) else { continue };
                if stream.add(slot, times_us, shift_us, values) {
                    self.due.push((number, stream.next_flush(now, self.flush_interval)));
                }
            }
        }
    }

    /// When the next flush is due.
    pub fn next_due(&self) -> Option<Instant> {
        self.due.iter().map(|&(_, at)| at).min()
    }

    /// Encodes and hands out what is due.
    pub fn flush_due(&mut self, now: Instant) {
        while let Some(place) = self.due.iter().position(|&(_, at)| at <= now) {
            let (number, _) = self.due.swap_remove(place);
            self.flush(number, now);
        }
    }

    fn flush(&mut self, number: u64, now: Instant) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        if stream.dirty.is_empty() {
            return;
        }
        stream.last_flush = Some(now);
        let totals = stream.encode(&mut self.scratch, self.present_us);
        self.totals.frames += totals.frames;
        self.totals.points += totals.points;
        self.totals.merged += totals.merged;
        for viewer in &stream.viewers {
            viewer.wake();
        }
    }

    /// Looks at the clocks: forgets snapshots that are too old to be shared. `present_us` is what times of readings are
    /// held against, microseconds; none while the hub's clock is not believed.
    pub fn tick(&mut self, now: Instant, present_us: Option<i64>) {
        self.present_us = present_us;
        for stream in self.streams.values_mut() {
            stream.snapshots.retain(|kept| now.duration_since(kept.made) < SNAPSHOT_SHARED_FOR);
        }
    }

    /// Joins a viewer to the stream of this key, which is made when it is new. What waits is flushed first, so that
    /// the returned cursor is exactly the present; `take_snapshot` is asked for what was before it, unless an
    /// identical snapshot of the last second can be shared.
    pub fn join(
        &mut self,
        now: Instant,
        key: StreamKey,
        series: Vec<u32>,
        window: Window,
        viewer: Arc<ViewerLink>,
        take_snapshot: impl FnOnce(u64) -> SharedSnapshot,
    ) -> Result<Joined, JoinError> {
        if viewer.watched() + series.len() > SERIES_PER_VIEWER_MAX {
            return Err(JoinError::ViewerFull);
        }
        let number = match self.by_key.get(&key) {
            // A viewer has each stream once: it could not tell two subscriptions by their frames otherwise.
            Some(&number) if self.streams[&number].is_for(&series, &viewer) => number,
            _ if self.streams.len() >= STREAMS_MAX || self.watched + series.len() > WATCHED_MAX => {
                return Err(JoinError::HubFull);
            }
            _ => self.create(key, series),
        };
        self.due.retain(|&(due, _)| due != number);
        self.flush(number, now);
        let stream = self.streams.get_mut(&number).expect("found or created above");
        viewer.watch(stream.ids.len());
        stream.viewers.push(viewer);
        stream.snapshots.retain(|kept| {
            now.duration_since(kept.made) < SNAPSHOT_SHARED_FOR
                && !stream.log.is_long_behind(kept.cursor)
                && !kept.snapshot.has_failed()
        });
        let shared = stream.snapshots.iter().find(|kept| kept.window == window);
        let (cursor, snapshot) = if let Some(kept) = shared {
            (kept.cursor, kept.snapshot.clone())
        } else {
            let (cursor, snapshot) = (stream.log.end(), take_snapshot(number));
            let kept = KeptSnapshot { window, cursor, made: now, snapshot: snapshot.clone() };
            stream.snapshots.push(kept);
            (cursor, snapshot)
        };
        Ok(Joined { log: Arc::clone(&stream.log), cursor, snapshot })
    }

    fn create(&mut self, key: StreamKey, series: Vec<u32>) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        self.watched += series.len();
        for (slot, &id) in series.iter().enumerate() {
            let id = id as usize;
            if self.by_series.len() <= id {
                self.by_series.resize_with(id + 1, Vec::new);
            }
            self.by_series[id].push((number, slot as u32));
        }
        let stream = Stream {
            key: key.clone(),
            log: Arc::new(StreamLog::new(number)),
            slots: vec![Pending::default(); series.len()],
            ids: series,
            dirty: Vec::new(),
            last_flush: None,
            viewers: Vec::new(),
            snapshots: Vec::new(),
            untold: 0,
        };
        self.streams.insert(number, stream);
        // A stream of the same key with an older set of series lives on under its number until its viewers have left.
        self.by_key.insert(key, number);
        number
    }

    /// Takes a viewer off a stream; the stream ends with its last viewer.
    pub fn leave(&mut self, number: u64, viewer: &Arc<ViewerLink>) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let Some(place) = stream.viewers.iter().position(|other| Arc::ptr_eq(other, viewer)) else { return };
        stream.viewers.swap_remove(place);
        viewer.unwatch(stream.ids.len());
        if !stream.viewers.is_empty() {
            return;
        }
        let Some(stream) = self.streams.remove(&number) else { return };
        self.watched -= stream.ids.len();
        self.due.retain(|&(due, _)| due != number);
        for &id in &stream.ids {
            self.by_series[id as usize].retain(|&(other, _)| other != number);
        }
        if self.by_key.get(&stream.key) == Some(&number) {
            self.by_key.remove(&stream.key);
        }
    }

    /// Takes a viewer off all streams.
    pub fn leave_all(&mut self, viewer: &Arc<ViewerLink>) {
        let joined = self.streams.values().filter(|stream| stream.has(viewer));
        for number in joined.map(|stream| stream.log.number).collect::<Vec<_>>() {
            self.leave(number, viewer);
        }
    }

    /// Tells the viewers of every stream that lacks a series by now: `lacks` is given its selector and its series, in the
    /// order of their numbers.
    pub fn catalogue_changed(&self, mut lacks: impl FnMut(&Selector, &[u32]) -> bool) {
        for stream in self.streams.values().filter(|stream| lacks(&stream.key.selector, &stream.ids)) {
            stream.tell_changed();
        }
    }

    /// Asks every viewer to begin afresh: what was sent or shared so far may lack something.
    pub fn all_changed(&mut self) {
        for stream in self.streams.values_mut() {
            stream.snapshots.clear();
            stream.tell_changed();
        }
    }

    /// Streams that somebody watches.
    pub fn stream_count(&self) -> usize {
        self.streams.len()
    }
}

impl Stream {
    /// Whether so many more points of a series fit into the next frame; a stream that conflates takes any number.
    fn has_room(&self, slot: u32, points: usize) -> bool {
        self.key.max_hz > 0 || self.slots[slot as usize].points().len() + points <= EVERY_CHANGE_POINTS
    }

    /// Takes readings of one series; true when nothing waited before.
    fn add(&mut self, slot: u32, times_us: &[i64], shift_us: i64, values: &[f64]) -> bool {
        let keep = self.key.keep();
        let was_idle = self.dirty.is_empty();
        let pending = &mut self.slots[slot as usize];
        if pending.is_empty() {
            self.dirty.push(slot);
        }
        pending.extend(times_us, shift_us, values, keep);
        was_idle
    }

    /// When what has begun to wait now is to be sent.
    fn next_flush(&self, now: Instant, flush_interval: Duration) -> Instant {
        let interval = interval(flush_interval, &self.key, self.viewers.len());
        self.last_flush.map_or(now, |last| now.max(last + interval))
    }

    fn is_for(&self, series: &[u32], viewer: &Arc<ViewerLink>) -> bool {
        self.ids == series && !self.has(viewer)
    }

    fn has(&self, viewer: &Arc<ViewerLink>) -> bool {
        self.viewers.iter().any(|known| Arc::ptr_eq(known, viewer))
    }

    fn tell_changed(&self) {
        for viewer in &self.viewers {
            viewer.stream_changed(self.log.number);
        }
    }

    /// Puts what waits into the log, as few frames as fit.
    fn encode(&mut self, scratch: &mut Scratch, present_us: Option<i64>) -> Totals {
        let mut totals = Totals::default();
        scratch.rows.clear();
        self.dirty.sort_unstable();
        let keep = self.key.keep();
        for slot in self.dirty.drain(..) {
            let pending = &mut self.slots[slot as usize];
            pending.settle(keep);
            let id = self.ids[slot as usize];
            scratch.rows.extend(pending.points().iter().map(|&point| (id, point)));
            totals.merged += pending.clear();
        }
        let span = present_us.map_or_else(|| Span::behind(&scratch.rows), Span::around);
        totals.merged += span.cut(&mut scratch.rows);
        totals.points = scratch.rows.len() as u64;
        self.untold += totals.merged;
        if !scratch.rows.is_empty() {
            let merged = std::mem::take(&mut self.untold);
            encode_rows(self.log.number, &scratch.rows, merged, &mut scratch.data, |frame| {
                totals.frames += 1;
                self.log.push(frame);
            });
        }
        totals
    }
}

/// Time between two flushes. However fast a subscription wants to be, its viewers together may cost only so much.
fn interval(shortest: Duration, key: &StreamKey, viewers: usize) -> Duration {
    let affordable = (FLUSH_COST_A_VIEWER * viewers as u32).clamp(shortest, FLUSH_INTERVAL_MAX.max(shortest));
    if key.max_hz == 0 { affordable } else { affordable.max(Duration::from_secs(1) / key.max_hz) }
}

#[cfg(test)]
mod tests;

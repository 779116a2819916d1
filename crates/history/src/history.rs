//! The writer: heads in memory, and the one transaction that seals them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::SeriesId;
use crate::config::Config;
use crate::error::{CommitError, OpenError, RetainError, ViewError};
use crate::events::{self, Event};
use crate::head::Head;
use crate::retention::{self, Retained, Sweep};
use crate::seal;
use crate::store::{self, Meta};
use crate::view::{Readers, View};

/// Full heads that may wait for a commit before [`History::must_commit`] asks for one.
const FULL_WAITING_MAX: usize = 1_024;
/// Events that may wait for a commit before [`History::must_commit`] asks for one.
const EVENTS_WAITING_MAX: usize = 1_024;

/// The stored past of all series, and the heads that are not stored yet. Owned by one thread.
pub struct History {
    config: Config,
    conn: Connection,
    readers: Arc<Readers>,
    meta: Meta,
    series: HashMap<SeriesId, Series>,
    /// Series with enough readings for a chunk, each once.
    full: Vec<SeriesId>,
    /// Bytes that all heads take.
    head_bytes: usize,
    /// Series appended to since the last complete record.
    open_record: Vec<SeriesId>,
    /// The last complete record.
    last_seq: u64,
    /// Heads that begin below this are to be stored at the next commit.
    release_below: u64,
    events: Vec<Event>,
    sweep: Option<Sweep>,
}

/// What is known of a series without asking the database.
#[derive(Debug)]
struct Series {
    /// Records up to here are stored.
    sealed_seq: u64,
    /// The newest time that the series has had, unsealed readings included.
    newest_us: i64,
    /// Readings in its spilled row.
    spilled: u32,
    /// It waits in [`History::full`].
    is_full: bool,
    head: Option<Box<Head>>,
}

/// What a commit stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// Series whose readings became chunks.
    pub sealed: usize,
    /// Series whose readings were all spilled.
    pub spilled: usize,
    /// Bytes of these chunks and spills.
    pub bytes: usize,
}

impl History {
    /// Opens the database at `path`, or creates it. A file of a newer format, or of another program, is refused and left
    /// as it is.
    pub fn open(path: &Path, config: Config) -> Result<History, OpenError> {
        if let Some(problem) = config.problem() {
            return Err(OpenError::Config(problem));
        }
        let mut conn = Connection::open(path).map_err(OpenError::Open)?;
        store::set_up_writer(&mut conn, config.writer_cache_bytes)?;
        let meta = store::meta(&conn).map_err(OpenError::ReadState)?;
        let mut series = HashMap::new();
        store::each_state(&conn, |id, sealed_seq, newest_us, spilled| {
            series.insert(id, Series { sealed_seq, newest_us, spilled, is_full: false, head: None });
        })
        .map_err(OpenError::ReadState)?;
        let readers = Readers::new(path.to_owned(), config.readers_max, config.reader_cache_bytes);
        Ok(History {
            config,
            conn,
            readers: Arc::new(readers),
            meta,
            series,
            full: Vec::new(),
            head_bytes: 0,
            open_record: Vec::new(),
            last_seq: meta.applied_seq,
            release_below: 0,
            events: Vec::new(),
            sweep: None,
        })
    }

    /// The last journal sequence included in the stored state; 0 when nothing is stored.
    pub fn applied_seq(&self) -> u64 {
        self.meta.applied_seq
    }

    /// The first journal sequence that is still needed after a crash now: that of the oldest unsealed reading, or the one
    /// after [`applied_seq`](Self::applied_seq) when all are sealed. Moves at a commit.
    pub fn replay_from(&self) -> u64 {
        self.meta.replay_from
    }

    /// The writer's connection. The caller keeps tables of its own in the same database and loads them here at the start;
    /// it changes them in the `extra` of a [`commit`](Self::commit).
    pub fn connection(&self) -> &Connection {
        &self.conn
    }

    /// Bytes of memory that all heads take.
    pub fn head_bytes(&self) -> usize {
        self.head_bytes
    }

    /// Takes the readings of one record for one series, in the order they were sent. `times_us` (microseconds since the
    /// Unix epoch) and `values` have the same length; NaN is a missing measurement. `arrival_us` and `flags` hold for all.
    /// Readings of a record that the series already has stored (an exact replay) are ignored.
    pub fn append(&mut self, seq: u64, arrival_us: i64, series: SeriesId, flags: u8, times_us: &[i64], values: &[f64]) {
        debug_assert_eq!(times_us.len(), values.len());
        let known = self.series.entry(series).or_insert_with(Series::new);
        if seq <= known.sealed_seq || times_us.is_empty() {
            return;
        }
        let head = known.head.get_or_insert_with(|| {
            self.head_bytes += size_of::<Head>();
            Box::new(Head::new(seq))
        });
        let before = head.bytes();
        let tick_s = arrival_us.div_euclid(1_000_000).clamp(0, u32::MAX.into()) as u32;
        head.push(seq, tick_s, flags, times_us, values, &mut known.newest_us);
        self.head_bytes += head.bytes() - before;
        self.open_record.push(series);
    }

    /// Takes an event of the record `seq`, at most one a record; stored at the next commit. One that is stored already (a
    /// replay) is ignored.
    pub fn append_event(&mut self, seq: u64, at_us: i64, kind: u8, payload: &[u8]) {
        if seq > self.meta.applied_seq {
            self.events.push(Event { seq, at_us, kind, payload: payload.to_vec() });
        }
    }

    /// The record is complete: heads that are full now are queued for sealing.
    pub fn end_record(&mut self, seq: u64) {
        self.last_seq = self.last_seq.max(seq);
        for id in self.open_record.drain(..) {
            let Some(known) = self.series.get_mut(&id) else { continue };
            let unsealed = known.spilled as usize + known.head.as_ref().map_or(0, |head| head.len());
            if !known.is_full && unsealed >= self.config.chunk_readings {
                known.is_full = true;
                self.full.push(id);
            }
        }
    }

    /// Whether something waits for a commit. Full heads can wait some seconds: many at once share pages of the database.
    pub fn wants_commit(&self) -> bool {
        !self.full.is_empty() || self.must_commit()
    }

    /// Whether a commit should not wait: many full heads, heads over the memory limit, heads to be released, many events.
    pub fn must_commit(&self) -> bool {
        self.full.len() >= FULL_WAITING_MAX
            || self.head_bytes > self.config.head_bytes_max
            || self.meta.replay_from < self.release_below.min(self.last_seq + 1)
            || self.events.len() >= EVENTS_WAITING_MAX
    }

    /// Asks that every head whose first record is below `seq` be stored at the next commit, so that the journal can
    /// recycle that segment: afterwards [`replay_from`](Self::replay_from) is at least `seq`, or the next sequence if that
    /// is lower.
    pub fn release_below(&mut self, seq: u64) {
        self.release_below = self.release_below.max(seq);
    }

    /// One transaction: stores the full heads, those to be released, and the largest ones if memory is short; runs the
    /// caller's `extra` part; stores `applied_seq`, which covers all records completed so far. When it fails nothing is
    /// stored and everything is still in memory.
    pub fn commit<E>(
        &mut self,
        applied_seq: u64,
        extra: impl FnOnce(&Transaction<'_>) -> Result<(), E>,
    ) -> Result<Committed, CommitError<E>> {
        if !self.open_record.is_empty() {
            return Err(CommitError::RecordOpen);
        }
        let chosen = self.heads_to_store();
        let raw_floor_us = self.meta.floors_us[0];
        let transaction =
            self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(CommitError::Begin)?;
        let mut done = Vec::with_capacity(chosen.len());
        let mut committed = Committed::default();
        for &id in &chosen {
            let Some((newest_us, head)) = self.series.get(&id).and_then(|s| Some((s.newest_us, s.head.as_deref()?)))
            else {
                continue;
            };
            let sealed = seal::seal(&transaction, id, head, newest_us, self.config.chunk_readings, raw_floor_us)
                .map_err(|source| CommitError::Seal { series: id, source })?;
            committed.bytes += sealed.bytes;
            committed.sealed += usize::from(sealed.chunked > 0);
            committed.spilled += usize::from(sealed.chunked == 0);
            done.push((id, sealed.spilled as u32));
        }
        for event in &self.events {
            events::put(&transaction, event).map_err(CommitError::StoreEvent)?;
        }
        extra(&transaction).map_err(CommitError::Extra)?;
        let applied_seq = applied_seq.max(self.meta.applied_seq);
        let meta = Meta { applied_seq, replay_from: first_needed(&self.series, &chosen, applied_seq), ..self.meta };
        store::put_meta(&transaction, &meta).map_err(CommitError::StoreState)?;
        transaction.commit().map_err(CommitError::Commit)?;
        self.meta = meta;
        self.events.clear();
        self.full.clear();
        for (id, spilled) in done {
            self.drop_head(id, spilled);
        }
        Ok(committed)
    }

    /// Deletes what is older than it is kept, a bounded step at a time. `now_us` is the wall clock.
    pub fn retain(&mut self, now_us: i64) -> Result<Retained, RetainError> {
        retention::step(&mut self.conn, &self.config, &mut self.meta, &mut self.sweep, now_us)
    }

    /// A consistent view of these series as they are now, for queries within `[from_us, to_us)` on any thread. Cheap: it
    /// copies the packed heads and begins a read transaction, which ends when the view is dropped. Keep it no longer than
    /// the query: the log of writes cannot be recycled meanwhile.
    pub fn view(&mut self, series: &[SeriesId], from_us: i64, to_us: i64) -> Result<View, ViewError> {
        let heads = series.iter().map(|id| {
            let head = self.series.get(id).and_then(|known| known.head.as_deref());
            (*id, head.filter(|head| View::needs(head, from_us, to_us)).cloned().unwrap_or_default())
        });
        View::begin(&self.readers, heads.collect(), from_us, to_us)
    }

    /// The series whose heads the next commit stores, in the order of their rows in the database.
    fn heads_to_store(&self) -> Vec<SeriesId> {
        let mut chosen = self.full.clone();
        let is_over = self.head_bytes > self.config.head_bytes_max;
        if is_over || self.release_below > self.meta.replay_from {
            let heads = self.series.iter().filter(|(_, known)| !known.is_full);
            let mut rest: Vec<(usize, u64, SeriesId)> =
                heads.filter_map(|(&id, known)| known.head.as_ref().map(|h| (h.bytes(), h.first_seq, id))).collect();
            chosen.extend(rest.iter().filter(|head| head.1 < self.release_below).map(|head| head.2));
            rest.retain(|head| head.1 >= self.release_below);
            let staying: usize = rest.iter().map(|head| head.0).sum();
            // Often the full ones are enough. Else down to half, so that spills come seldom and many at a time: neighbours
            // then share a page.
            if is_over && staying > self.config.head_bytes_max / 4 * 3 {
                rest.sort_unstable_by_key(|head| std::cmp::Reverse(head.0));
                let mut excess = staying.saturating_sub(self.config.head_bytes_max / 2);
                for (bytes, _, id) in rest {
                    if excess == 0 {
                        break;
                    }
                    excess = excess.saturating_sub(bytes);
                    chosen.push(id);
                }
            }
        }
        chosen.sort_unstable();
        chosen
    }

    /// The head is stored: forgets it.
    fn drop_head(&mut self, id: SeriesId, spilled: u32) {
        let Some(known) = self.series.get_mut(&id) else { return };
        if let Some(head) = known.head.take() {
            self.head_bytes -= head.bytes();
            known.sealed_seq = head.last_seq;
        }
        known.spilled = spilled;
        known.is_full = false;
    }
}

impl Series {
    fn new() -> Self {
        Self { sealed_seq: 0, newest_us: i64::MIN, spilled: 0, is_full: false, head: None }
    }
}

/// The first record that a replay needs when the heads of `stored` (sorted) are stored.
fn first_needed(series: &HashMap<SeriesId, Series>, stored: &[SeriesId], applied_seq: u64) -> u64 {
    let heads = series.iter().filter(|(id, _)| stored.binary_search(id).is_err());
    heads.filter_map(|(_, known)| known.head.as_ref().map(|head| head.first_seq)).min().unwrap_or(applied_seq + 1)
}

#[cfg(test)]
mod tests;

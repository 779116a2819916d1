//! Raw readings of one series in time order, from every place where they are: chunks in order, late chunks, and what is
//! not sealed yet.
//!
//! Of several readings with one time the last that came wins. A reading in order is above all times before it, so it can
//! only be the first of its time: late beats in order, a later late chunk an earlier one, unsealed late all of them.

use std::cell::Cell;
use std::ops::ControlFlow;

use rusqlite::Connection;

use crate::SeriesId;
use crate::codec;
use crate::head::Unsealed;
use crate::readings::Readings;
use crate::store::{self, ChunkRef, LATE_LANE};

/// Chunk references fetched at a time.
const PAGE_CHUNKS: usize = 256;
/// Readings handed over at a time where several sources are merged.
const MERGED_READINGS: usize = 1_024;

/// Reads one series. A chunk that cannot be decoded is skipped, logged and counted: damage costs its own readings only.
pub(crate) struct RawReader<'a> {
    pub(crate) conn: &'a Connection,
    pub(crate) series: SeriesId,
    /// What is in no chunk yet.
    pub(crate) unsealed: &'a Unsealed,
    /// Older chunks may be deleted already, so nothing older is answered from chunks.
    pub(crate) floor_us: i64,
    /// Chunks found damaged so far.
    pub(crate) damaged: &'a Cell<u64>,
}

/// One source of a merge that has been opened: the readings of a chunk, or unsealed ones.
struct Source {
    readings: Readings,
    /// The next reading and the end of those asked for.
    at: usize,
    end: usize,
    /// Of equal times the source with the highest rank wins; 0 is in order.
    rank: i64,
}

impl Source {
    fn time_us(&self) -> i64 {
        self.readings.times_us[self.at]
    }
}

/// A source that has not been opened, known by its first time.
enum Waiting<'a> {
    Chunk(ChunkRef),
    Memory(&'a Readings),
}

impl RawReader<'_> {
    /// Calls `each` with the readings in `[from_us, to_us)`, in time order and one a time, some hundreds in one call.
    pub(crate) fn stream(
        &self,
        from_us: i64,
        to_us: i64,
        mut each: impl FnMut(&Readings) -> ControlFlow<()>,
    ) -> rusqlite::Result<()> {
        if from_us >= to_us {
            return Ok(());
        }
        let mut waiting = WaitingSources::new(self, from_us, to_us)?;
        let mut open: Vec<Source> = Vec::new();
        let mut merged = Readings::default();
        loop {
            let next_us = waiting.next_time_us(self)?;
            let now_us = open.iter().map(Source::time_us).min();
            if let Some(next_us) = next_us
                && now_us.is_none_or(|now_us| next_us <= now_us)
            {
                open.extend(waiting.open(self)?);
                continue;
            }
            if open.is_empty() {
                return Ok(());
            }
            // Nothing that waits holds a time below the horizon.
            let flow = match open.as_mut_slice() {
                [only] if only.rank == 0 => each_of_one(only, next_us, &mut merged, &mut each),
                several => {
                    merge(several, next_us, &mut merged);
                    each(&merged)
                }
            };
            if flow.is_break() {
                return Ok(());
            }
            open.retain(|source| source.at < source.end);
        }
    }

    /// The times of unsealed late readings that a stored reading already has, sorted.
    pub(crate) fn collisions(&self) -> rusqlite::Result<Vec<i64>> {
        let late = &self.unsealed.late.times_us;
        let (Some(&first_us), Some(&last_us)) = (late.first(), late.last()) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for chunk in store::late_chunks(self.conn, LATE_LANE, self.series, first_us, last_us.saturating_add(1))? {
            self.collide(chunk, &mut found)?;
        }
        // From late time to late time, so that a wide gap between two of them costs one seek.
        let mut at = 0;
        while at < late.len() {
            let Some(&chunk) = store::chunks_from(self.conn, 0, self.series, late[at], 1)?.first() else {
                break;
            };
            self.collide(chunk, &mut found)?;
            at = late.partition_point(|&time| time <= chunk.t1_us).max(at + 1);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Adds the times that unsealed late readings have in common with one chunk.
    fn collide(&self, chunk: ChunkRef, found: &mut Vec<i64>) -> rusqlite::Result<()> {
        let late = &self.unsealed.late;
        let span = late.span(chunk.t0_us, chunk.t1_us.saturating_add(1));
        if span.is_empty() {
            return Ok(());
        }
        if let Some(stored) = self.decode(chunk)? {
            let times = &late.times_us[span];
            found.extend(times.iter().copied().filter(|time| stored.times_us.binary_search(time).is_ok()));
        }
        Ok(())
    }

    fn decode(&self, chunk: ChunkRef) -> rusqlite::Result<Option<Readings>> {
        let decoded = store::with_blob(self.conn, chunk.blob, codec::readings::decode)?;
        match decoded {
            Some(Ok(readings)) => Ok(Some(readings)),
            damage => {
                self.damaged.set(self.damaged.get() + 1);
                let error = damage.and_then(Result::err);
                tracing::warn!(series = self.series, blob = chunk.blob, ?error, "skipping a damaged chunk");
                Ok(None)
            }
        }
    }
}

/// What is still to be opened for one range.
struct WaitingSources<'a> {
    from_us: i64,
    to_us: i64,
    /// A page of chunks in order, the next one last, and whether more may follow it.
    page: Vec<ChunkRef>,
    page_from_us: Option<i64>,
    /// Late chunks and unsealed readings with their rank, the earliest last.
    others: Vec<(i64, i64, Waiting<'a>)>,
}

impl<'a> WaitingSources<'a> {
    fn new(reader: &RawReader<'a>, from_us: i64, to_us: i64) -> rusqlite::Result<Self> {
        let chunks_from_us = from_us.max(reader.floor_us);
        let mut others = Vec::new();
        if chunks_from_us < to_us {
            let late = store::late_chunks(reader.conn, LATE_LANE, reader.series, chunks_from_us, to_us);
            for chunk in late? {
                others.push((chunk.t0_us, chunk.blob, Waiting::Chunk(chunk)));
            }
        }
        for (readings, rank) in [(&reader.unsealed.in_order, 0), (&reader.unsealed.late, i64::MAX)] {
            if let Some(&first_us) = readings.times_us.first() {
                others.push((first_us, rank, Waiting::Memory(readings)));
            }
        }
        others.sort_by_key(|(first_us, ..)| std::cmp::Reverse(*first_us));
        Ok(Self {
            from_us,
            to_us,
            page: Vec::new(),
            page_from_us: (chunks_from_us < to_us).then_some(chunks_from_us),
            others,
        })
    }

    /// The first time of the source to be opened next; `None` when nothing is left below the end of the range.
    fn next_time_us(&mut self, reader: &RawReader<'_>) -> rusqlite::Result<Option<i64>> {
        if self.page.is_empty()
            && let Some(page_from_us) = self.page_from_us.take()
        {
            let page = store::chunks_from(reader.conn, 0, reader.series, page_from_us, PAGE_CHUNKS);
            self.page = page?;
            if self.page.len() == PAGE_CHUNKS {
                self.page_from_us = self.page.last().and_then(|chunk| chunk.t1_us.checked_add(1));
            }
            self.page.reverse();
        }
        let chunk = self.page.last().map(|chunk| chunk.t0_us);
        let other = self.others.last().map(|(first_us, ..)| *first_us);
        let next = [chunk, other].into_iter().flatten().min();
        Ok(next.filter(|&next_us| next_us < self.to_us))
    }

    /// Opens that source; `None` when it is damaged or holds nothing in the range.
    fn open(&mut self, reader: &RawReader<'_>) -> rusqlite::Result<Option<Source>> {
        let chunk_us = self.page.last().map_or(i64::MAX, |chunk| chunk.t0_us);
        let (rank, from_us, readings) = if self.others.last().is_none_or(|(first_us, ..)| chunk_us <= *first_us) {
            let chunk = self.page.pop();
            (0, self.from_us.max(reader.floor_us), chunk.map(|chunk| reader.decode(chunk)).transpose()?.flatten())
        } else {
            match self.others.pop() {
                Some((_, rank, Waiting::Chunk(chunk))) => {
                    (rank, self.from_us.max(reader.floor_us), reader.decode(chunk)?)
                }
                Some((_, rank, Waiting::Memory(readings))) => (rank, self.from_us, Some(readings.clone())),
                None => (0, self.from_us, None),
            }
        };
        Ok(readings.and_then(|readings| {
            let span = readings.span(from_us, self.to_us);
            (!span.is_empty()).then_some(Source { at: span.start, end: span.end, readings, rank })
        }))
    }
}

/// Hands over the readings of the only open source that lie below the horizon; a whole chunk without copying it.
fn each_of_one(
    source: &mut Source,
    horizon_us: Option<i64>,
    copy: &mut Readings,
    each: &mut impl FnMut(&Readings) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let end = horizon_us.map_or(source.end, |horizon_us| {
        source.at + source.readings.times_us[source.at..source.end].partition_point(|&time| time < horizon_us)
    });
    let span = source.at..end;
    source.at = end;
    if span == (0..source.readings.len()) {
        return each(&source.readings);
    }
    copy.clear();
    copy.extend_from(&source.readings, span);
    each(copy)
}

/// Merges open sources below the horizon, as much as one call hands over.
fn merge(open: &mut [Source], horizon_us: Option<i64>, merged: &mut Readings) {
    merged.clear();
    while merged.len() < MERGED_READINGS {
        let live = || open.iter().filter(|source| source.at < source.end);
        let Some(time_us) = live().map(Source::time_us).min().filter(|&time| horizon_us.is_none_or(|end| time < end))
        else {
            return;
        };
        let mut winner: Option<(i64, usize, usize)> = None;
        for (index, source) in open.iter_mut().enumerate() {
            // Within one source the last of equal times came last.
            while source.at < source.end && source.time_us() == time_us {
                winner = winner.max(Some((source.rank, index, source.at)));
                source.at += 1;
            }
        }
        let (_, index, at) = winner.expect("the least time belongs to a source");
        merged.extend_from(&open[index].readings, at..at + 1);
    }
}

//! The engine against a naive twin: one map a series, everything answered from it by brute force.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{HOUR, SECOND, START, commit, small};
use crate::rollup::bucket_start;
use crate::{Bucket, Buckets, Config, History, LATE, Readings, Retention, SeriesId, View};

/// One record as the journal keeps it.
#[derive(Clone)]
struct Record {
    seq: u64,
    arrival_us: i64,
    parts: Vec<Part>,
}

#[derive(Clone)]
struct Part {
    series: SeriesId,
    flags: u8,
    times_us: Vec<i64>,
    values: Vec<f64>,
}

impl Record {
    fn feed(&self, history: &mut History) {
        for part in &self.parts {
            history.append(self.seq, self.arrival_us, part.series, part.flags, &part.times_us, &part.values);
        }
        history.end_record(self.seq);
    }
}

/// (value, flags, arrival) by time: the last that came wins.
type Twin = BTreeMap<i64, (f64, u8, u32)>;

/// History, journal and twin, driven by one seed.
struct Model {
    rng: StdRng,
    dir: tempfile::TempDir,
    generation: u32,
    config: Config,
    history: History,
    journal: Vec<Record>,
    twins: BTreeMap<SeriesId, Twin>,
    newest_us: BTreeMap<SeriesId, i64>,
    clock_us: i64,
    raw_floor_us: i64,
    /// The period of series 0, 1, 2 (and 3, 4 again), microseconds.
    steps_us: [i64; 3],
    /// How late readings may be, microseconds.
    late_max_us: i64,
}

impl Model {
    fn new(seed: u64, config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let history = History::open(&dir.path().join("0.db"), config.clone()).unwrap();
        Self {
            rng: StdRng::seed_from_u64(seed),
            dir,
            generation: 0,
            config,
            history,
            journal: Vec::new(),
            twins: BTreeMap::new(),
            newest_us: BTreeMap::new(),
            clock_us: START,
            raw_floor_us: i64::MIN,
            steps_us: [SECOND, SECOND / 10, 37 * SECOND],
            late_max_us: 3 * HOUR,
        }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(format!("{}.db", self.generation))
    }

    fn seq(&self) -> u64 {
        self.journal.len() as u64
    }

    fn append(&mut self) {
        let mut record = Record { seq: self.seq() + 1, arrival_us: self.clock_us, parts: Vec::new() };
        for _ in 0..self.rng.random_range(1..4) {
            let series = self.rng.random_range(0..5);
            let part = self.part(series);
            self.remember(record.arrival_us, &part);
            record.parts.push(part);
        }
        self.clock_us += self.rng.random_range(0..20) * SECOND;
        record.feed(&mut self.history);
        self.journal.push(record);
    }

    /// Mostly regular readings; some late, some with a time that is taken, some missing.
    fn part(&mut self, series: SeriesId) -> Part {
        let count = *[1, 1, 3, 40, 200].get(self.rng.random_range(0..5_usize)).unwrap();
        let step_us = self.steps_us[series as usize % 3];
        let newest_us = self.newest_us.get(&series).copied().unwrap_or(START);
        let mut time_us = if self.rng.random_bool(0.2) {
            // On a grid, so that times collide often.
            newest_us - self.rng.random_range(0..self.late_max_us / step_us) * step_us
        } else {
            newest_us + step_us
        };
        let mut part =
            Part { series, flags: self.rng.random_range(0..2) * 2, times_us: Vec::new(), values: Vec::new() };
        for _ in 0..count {
            part.times_us.push(time_us);
            part.values.push(match self.rng.random_range(0..20) {
                0 => f64::NAN,
                1 => self.rng.random_range(-1e6..1e6),
                _ => f64::from(self.rng.random_range(-300..300)) / 10.0,
            });
            time_us += match self.rng.random_range(0..20) {
                0 => 0,
                1 => -step_us,
                _ => step_us,
            };
        }
        part
    }

    fn remember(&mut self, arrival_us: i64, part: &Part) {
        let twin = self.twins.entry(part.series).or_default();
        let newest_us = self.newest_us.entry(part.series).or_insert(i64::MIN);
        for (&time_us, &value) in part.times_us.iter().zip(&part.values) {
            let late = if time_us <= *newest_us { LATE } else { 0 };
            *newest_us = time_us.max(*newest_us);
            twin.insert(time_us, (value, part.flags | late, (arrival_us / SECOND) as u32));
        }
    }

    fn commit(&mut self) {
        let seq = self.seq();
        commit(&mut self.history, seq);
        assert_eq!(self.history.applied_seq(), seq);
        assert!(self.history.replay_from() <= seq + 1);
        assert!(!self.history.wants_commit(), "a commit leaves nothing to commit");
    }

    fn release(&mut self) {
        let seq = self.rng.random_range(0..=self.seq()) + 1;
        self.history.release_below(seq);
        self.commit();
        assert!(self.history.replay_from() >= seq);
    }

    /// What is in memory is lost; the files are copied as a power cut would leave them, and the journal is replayed.
    fn kill(&mut self) {
        let old = self.path();
        self.generation += 1;
        for suffix in ["", "-wal"] {
            let from = PathBuf::from(format!("{}{suffix}", old.display()));
            if from.exists() {
                std::fs::copy(&from, format!("{}{suffix}", self.path().display())).unwrap();
            }
        }
        self.history = History::open(&self.path(), self.config.clone()).unwrap();
        let from = self.history.replay_from();
        for record in self.journal.iter().filter(|record| record.seq >= from) {
            record.feed(&mut self.history);
        }
    }

    fn retain(&mut self, max_age_us: i64) {
        self.commit();
        let now_us = self.newest_us.values().copied().min().unwrap_or(START);
        while self.history.retain(now_us).unwrap().more {}
        self.raw_floor_us = self.raw_floor_us.max(bucket_start(now_us - max_age_us, HOUR));
    }

    fn check(&mut self) {
        let series: Vec<SeriesId> = self.twins.keys().copied().collect();
        let (from_us, to_us) = (START - 10 * HOUR, self.clock_us + 100 * HOUR);
        let mut view = self.history.view(&series, from_us, to_us).unwrap();
        for (&series, twin) in &self.twins {
            let from_us = from_us.max(self.raw_floor_us);
            assert_raw(&mut view, series, twin, from_us, to_us);
            for points in [2, 7, 60, 800, 100_000] {
                assert_buckets(&mut view, series, twin, from_us, to_us, points);
            }
            let newest = twin.last_key_value().map(|(&time_us, &(value, ..))| (time_us, value.to_bits()));
            let latest = view.latest(series).unwrap().map(|(time_us, value)| (time_us, value.to_bits()));
            assert_eq!(latest, newest, "series {series}");
            let newest_us = twin.keys().next_back().copied().unwrap_or(START) + 2;
            for _ in 0..20 {
                let (a, b) = (self.rng.random_range(from_us..newest_us), self.rng.random_range(from_us..newest_us));
                assert_raw(&mut view, series, twin, a.min(b), a.max(b));
                assert_buckets(&mut view, series, twin, a.min(b), a.max(b), self.rng.random_range(2..500));
                let before_us = self.rng.random_range(START - 10 * HOUR..newest_us);
                for before_us in [before_us, newest_us, a] {
                    assert_before(&mut view, series, twin, self.raw_floor_us, before_us);
                }
            }
        }
        assert_eq!(view.damaged_chunks(), 0);
    }
}

fn assert_raw(view: &mut View, series: SeriesId, twin: &Twin, from_us: i64, to_us: i64) {
    let mut all = Readings::default();
    view.raw(series, from_us, to_us, |some| {
        assert!(!some.is_empty());
        all.extend_from(some, 0..some.len());
        ControlFlow::Continue(())
    })
    .unwrap();
    let expected: Vec<(i64, u64, u8, u32)> =
        twin.range(from_us..to_us).map(|(&t, &(v, f, a))| (t, v.to_bits(), f, a)).collect();
    let got: Vec<(i64, u64, u8, u32)> =
        (0..all.len()).map(|i| (all.times_us[i], all.values[i].to_bits(), all.flags[i], all.arrivals_s[i])).collect();
    assert_eq!(got.len(), expected.len(), "series {series}");
    for (got, expected) in got.iter().zip(&expected) {
        assert_eq!(got, expected, "series {series}");
    }
}

/// The last reading before a time; where raw is gone, the last measured one of the minutes before.
fn assert_before(view: &mut View, series: SeriesId, twin: &Twin, raw_floor_us: i64, before_us: i64) {
    let raw = twin.range(raw_floor_us.min(before_us)..before_us).next_back();
    let minute_us = bucket_start(before_us.min(raw_floor_us), 60 * SECOND);
    let rolled_up = || twin.range(..minute_us).rfind(|(_, (value, ..))| !value.is_nan());
    let wanted = raw.or_else(rolled_up).map(|(&time_us, &(value, ..))| (time_us, value.to_bits()));
    let got = view.last_before(series, before_us).unwrap().map(|(time_us, value)| (time_us, value.to_bits()));
    assert_eq!(got, wanted, "series {series}, before {before_us}");
}

fn assert_buckets(view: &mut View, series: SeriesId, twin: &Twin, from_us: i64, to_us: i64, points: usize) {
    match view.buckets(series, from_us, to_us, points).unwrap() {
        Buckets::Raw(readings) => {
            let times_us: Vec<i64> = twin.range(from_us..to_us).map(|(&time_us, _)| time_us).collect();
            assert!(times_us.len() <= points);
            assert_eq!(readings.times_us, times_us);
        }
        Buckets::Buckets { width_us, rows } => {
            assert!(rows.len() <= points);
            assert!(twin.range(from_us..to_us).count() > points);
            let start_us = bucket_start(from_us, width_us);
            let end_us = bucket_start(to_us - 1, width_us) + width_us;
            let expected = brute_force(twin, width_us, start_us, end_us);
            assert_same(&rows, &expected, series, width_us);
        }
    }
}

fn brute_force(twin: &Twin, width_us: i64, start_us: i64, end_us: i64) -> Vec<Bucket> {
    let present: Vec<(i64, f64)> = twin
        .range(start_us..end_us)
        .map(|(&time_us, &(value, ..))| (time_us, value))
        .filter(|(_, v)| !v.is_nan())
        .collect();
    let bucket = |inside: &[(i64, f64)]| {
        let low = inside.iter().reduce(|a, b| if b.1 < a.1 { b } else { a }).unwrap();
        let high = inside.iter().reduce(|a, b| if b.1 > a.1 { b } else { a }).unwrap();
        let last = inside.last().unwrap();
        Bucket {
            start_us: last.0.div_euclid(width_us) * width_us,
            count: inside.len() as u64,
            sum: inside.iter().map(|reading| reading.1).sum(),
            min: low.1,
            max: high.1,
            last: last.1,
            min_us: low.0,
            max_us: high.0,
            last_us: last.0,
        }
    };
    present.chunk_by(|a, b| a.0.div_euclid(width_us) == b.0.div_euclid(width_us)).map(bucket).collect()
}

/// Sums are compared within the noise of adding in another order, everything else exactly.
fn assert_same(got: &[Bucket], expected: &[Bucket], series: SeriesId, width_us: i64) {
    let starts = |buckets: &[Bucket]| buckets.iter().map(|bucket| bucket.start_us).collect::<Vec<_>>();
    assert_eq!(starts(got), starts(expected), "series {series}, width {width_us}");
    for (got, expected) in got.iter().zip(expected) {
        let noise = 1e-9 * (expected.min.abs().max(expected.max.abs()) + 1.0) * expected.count as f64;
        assert!((got.sum - expected.sum).abs() <= noise, "series {series}, width {width_us}: {got:?} {expected:?}");
        let without_sum = |bucket: &Bucket| Bucket { sum: 0.0, ..*bucket };
        assert_eq!(without_sum(got), without_sum(expected), "series {series}, width {width_us}");
    }
}

/// `SEED=n cargo test -p history model` repeats one run.
fn seeds() -> Vec<u64> {
    match std::env::var("SEED") {
        Ok(seed) => vec![seed.parse().expect("SEED is a number")],
        Err(_) => (1..=8).collect(),
    }
}

#[test]
fn the_model_and_the_engine_agree_through_commits_spills_and_kills() {
    for seed in seeds() {
        println!("SEED={seed}");
        let config = Config { head_bytes_max: if seed % 2 == 0 { 6_000 } else { 1 << 20 }, ..small() };
        let mut model = Model::new(seed, config);
        for step in 0..400 {
            match model.rng.random_range(0..100) {
                0..80 => model.append(),
                80..92 => model.commit(),
                92..96 => model.release(),
                _ => model.kill(),
            }
            if step % 50 == 49 {
                model.check();
            }
        }
        model.kill();
        model.check();
    }
}

#[test]
fn the_model_and_the_engine_agree_under_retention() {
    for seed in seeds() {
        println!("SEED={seed}");
        let keep = |hours: u64| Retention { max_age: Some(Duration::from_secs(hours * 3_600)) };
        let mut model = Model::new(seed, Config { retention: [keep(2), keep(400), keep(4_000)], ..small() });
        // A late reading is sealed before the raw floor passes it: what would be left to tell that its time was taken is
        // deleted with the floor.
        model.steps_us = [30 * SECOND, 20 * SECOND, 37 * SECOND];
        model.late_max_us = HOUR / 2;
        for step in 0..400 {
            match model.rng.random_range(0..100) {
                0..75 => model.append(),
                75..90 => model.commit(),
                90..95 => model.kill(),
                _ => model.retain(2 * HOUR),
            }
            if step % 50 == 49 {
                model.check();
                model.check_coarse();
            }
        }
        assert!(model.raw_floor_us > START, "the floor has moved over readings");
    }
}

impl Model {
    /// Where raw is gone, minute rows answer: all that was ever measured is still counted.
    fn check_coarse(&mut self) {
        let series: Vec<SeriesId> = self.twins.keys().copied().collect();
        let (from_us, to_us) = (START - 10 * HOUR, self.clock_us + 100 * HOUR);
        let mut view = self.history.view(&series, from_us, to_us).unwrap();
        for (&series, twin) in &self.twins {
            for points in [60, 3_000] {
                let Buckets::Buckets { width_us, rows } = view.buckets(series, from_us, to_us, points).unwrap() else {
                    continue;
                };
                assert_same(&rows, &brute_force(twin, width_us, from_us, to_us), series, width_us);
            }
        }
    }
}

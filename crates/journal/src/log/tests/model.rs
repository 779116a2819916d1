//! Random histories of appends, commits, releases, power cuts, kills, full disks and failed syncs, each checked against a model of
//! what was acknowledged. `SEED=n` repeats one.

use std::collections::BTreeMap;

use super::*;

/// What a history must never show.
#[derive(Debug, thiserror::Error)]
enum Violation {
    #[error("{seq} was acknowledged and is gone")]
    AckedMissing { seq: u64 },
    #[error("{seq} was acknowledged and reads as something else")]
    AckedAltered { seq: u64 },
    #[error("{seq} is read, but was neither acknowledged nor just appended")]
    Invented { seq: u64 },
    #[error("{got} is read where {expected} should be")]
    OutOfOrder { expected: u64, got: u64 },
    #[error("the journal begins with {oldest}, but history has released only up to {released}")]
    HistoryLapped { oldest: u64, released: u64 },
    #[error("a loss is reported that did not happen: {0:?}")]
    FalseLoss(Vec<LostRange>),
}

/// What is wrong on purpose.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sabotage {
    Nothing,
    SyncIgnored,
    AckBeforeSync,
}

/// How often the histories came to what they are meant to test.
#[derive(Debug, Default)]
struct Seen {
    torn_tails: u32,
    /// Found above what was acknowledged, and counted durable.
    promotions: u32,
    recycled: u32,
    laps: u32,
    full_disks: u32,
    failed_openings: u32,
}

impl Seen {
    fn add(&mut self, other: &Self) {
        self.torn_tails += other.torn_tails;
        self.promotions += other.promotions;
        self.recycled += other.recycled;
        self.laps += other.laps;
        self.full_disks += other.full_disks;
        self.failed_openings += other.failed_openings;
    }

    fn assert_everything(&self) {
        let counts =
            [self.torn_tails, self.promotions, self.recycled, self.laps, self.full_disks, self.failed_openings];
        assert!(counts.iter().all(|&count| count > 100), "{self:?}");
    }
}

struct History {
    seen: Seen,
    random: u64,
    sabotage: Sabotage,
    config: Config,
    disk: TestDisk,
    log: Log<TestDisk>,
    block: Block,
    next_seq: u64,
    /// Numbers every record ever made, so that no two are alike.
    made: u64,
    acked: BTreeMap<u64, Made>,
    /// Appended since the last opening, not acknowledged.
    pending: BTreeMap<u64, Made>,
    released_seq: u64,
    follower: Reader,
    records: Records,
}

impl History {
    fn new(seed: u64, sabotage: Sabotage) -> Self {
        let disk = TestDisk::new(seed);
        if sabotage == Sabotage::SyncIgnored {
            disk.ignore_sync();
        }
        let segment_bytes = 4096 << (seed % 3);
        let config = small(segment_bytes, segment_bytes * (2 + seed % 4));
        let (log, _) = Log::open(disk.clone(), config, 0, seed).unwrap();
        let follower = Reader::new(Arc::clone(log.index()), 1).unwrap();
        Self {
            seen: Seen::default(),
            random: seed,
            sabotage,
            config,
            disk,
            log,
            block: Block::new(),
            next_seq: 1,
            made: 0,
            acked: BTreeMap::new(),
            pending: BTreeMap::new(),
            released_seq: 0,
            follower,
            records: Records::new(),
        }
    }

    fn draw(&mut self, below: u64) -> u64 {
        self.random = crate::mix(self.random);
        self.random % below
    }

    fn run(&mut self, steps: u32) -> Result<(), Violation> {
        for _ in 0..steps {
            match self.draw(40) {
                0..=15 => self.append(),
                16..=25 => self.commit()?,
                26..=30 => self.follow()?,
                31..=33 => {
                    let seq = self.draw(self.log.durable_seq() + 1);
                    self.released_seq = self.released_seq.max(seq);
                    self.log.index().release(seq);
                }
                34 => {
                    let operations = self.draw(12) as u32;
                    self.disk.cut_power_after(operations);
                }
                35 => {
                    let syncs = self.draw(3) as u32;
                    self.disk.fail_sync(syncs);
                }
                36 => {
                    let room = self.draw(3 * self.config.segment_bytes);
                    self.disk.set_capacity_bytes(self.disk.used_bytes() + room);
                }
                37 => {
                    self.log.close().ok();
                    self.reopen()?;
                }
                _ => self.reopen()?,
            }
        }
        self.reopen()
    }

    fn append(&mut self) {
        for _ in 0..self.draw(20) {
            let len = match self.draw(60) {
                0 => self.config.segment_bytes + self.draw(2_000),
                1..=4 => self.draw(1_500),
                _ => self.draw(90),
            };
            self.made += 1;
            let made = Made::new(self.made, len as usize);
            made.push_to(&mut self.block, self.next_seq);
            self.pending.insert(self.next_seq, made);
            self.next_seq += 1;
        }
    }

    fn commit(&mut self) -> Result<(), Violation> {
        if self.block.is_empty() {
            return Ok(());
        }
        if self.sabotage == Sabotage::AckBeforeSync {
            self.ack(self.next_seq - 1);
        }
        let mut outcome = self.log.commit(&mut self.block);
        self.ack(self.log.durable_seq());
        if outcome.as_ref().is_err_and(CommitError::is_disk_full) {
            self.seen.full_disks += 1;
            self.disk.set_capacity_bytes(u64::MAX);
            outcome = self.log.commit(&mut self.block);
            self.ack(self.log.durable_seq());
        }
        match outcome {
            Ok(()) => {
                assert!(self.block.is_empty() && self.pending.is_empty(), "a commit takes all");
                Ok(())
            }
            Err(_) => self.reopen(),
        }
    }

    fn ack(&mut self, seq: u64) {
        let later = self.pending.split_off(&(seq + 1));
        self.acked.append(&mut self.pending);
        self.pending = later;
    }

    /// Cuts the power or kills the process, opens again however often that fails, and checks everything.
    fn reopen(&mut self) -> Result<(), Violation> {
        let recovery = loop {
            self.disk = if self.draw(3) == 0 { self.disk.kill() } else { self.disk.crash() };
            self.disk.set_capacity_bytes(u64::MAX);
            if self.draw(4) == 0 {
                let operations = self.draw(20) as u32;
                self.disk.cut_power_after(operations);
            }
            let floor_seq = self.draw(1 + self.acked.last_key_value().map_or(0, |(&seq, _)| seq));
            let run = self.draw(u64::MAX);
            let opened = Log::open(self.disk.clone(), self.config, floor_seq, run);
            let is_cut = self.disk.list().is_err();
            if let Ok((log, recovery)) = opened
                && !is_cut
            {
                self.disk.cut_power_after(u32::MAX);
                self.log = log;
                break recovery;
            }
            self.seen.failed_openings += 1;
        };
        let acked_seq = self.acked.last_key_value().map_or(0, |(&seq, _)| seq);
        if recovery.last_seq < acked_seq {
            return Err(Violation::AckedMissing { seq: acked_seq });
        }
        if !recovery.lost.is_empty() {
            return Err(Violation::FalseLoss(recovery.lost));
        }
        self.seen.torn_tails += u32::from(recovery.torn_bytes > 0);
        self.seen.promotions += u32::from(recovery.last_seq > acked_seq);
        self.seen.recycled += u32::from(recovery.first_seq > 1);
        // What is found above the acknowledged counts as durable from now on.
        self.ack(recovery.last_seq);
        self.pending.clear();
        self.block.clear();
        self.next_seq = recovery.last_seq + 1;
        if recovery.first_seq > self.released_seq + 1 {
            return Err(Violation::HistoryLapped { oldest: recovery.first_seq, released: self.released_seq });
        }
        self.follower = Reader::new(Arc::clone(self.log.index()), recovery.first_seq).expect("it is the oldest");
        while self.follower.next_seq() <= recovery.last_seq {
            self.follow()?;
        }
        let arrival_us = self.acked.last_key_value().map_or(0, |(_, made)| made.arrival_us);
        assert_eq!(recovery.last_arrival_us, arrival_us);
        Ok(())
    }

    /// Reads on and compares.
    fn follow(&mut self) -> Result<(), Violation> {
        let mut expected = self.follower.next_seq();
        let bytes_max = 1 + self.draw(3_000) as usize;
        match self.follower.read(&mut self.records, bytes_max) {
            Ok(()) => {}
            Err(ReadError::Lapped { first_available }) => {
                if first_available > self.released_seq + 1 {
                    return Err(Violation::HistoryLapped { oldest: first_available, released: self.released_seq });
                }
                self.seen.laps += 1;
                self.follower = Reader::new(Arc::clone(self.log.index()), first_available).expect("it is the oldest");
                return Ok(());
            }
            Err(ReadError::Lost { from_seq, .. }) => return Err(Violation::AckedMissing { seq: from_seq }),
            // The power is cut: the next opening reads it.
            Err(ReadError::Read(_)) => return Ok(()),
        }
        for record in self.records.iter() {
            if record.seq != expected {
                return Err(Violation::OutOfOrder { expected, got: record.seq });
            }
            let made = self.acked.get(&record.seq).ok_or(Violation::Invented { seq: record.seq })?;
            let same = (record.arrival_us, record.kind) == (made.arrival_us, made.kind);
            if !same || record.payload != made.payload {
                return Err(Violation::AckedAltered { seq: record.seq });
            }
            expected += 1;
        }
        if self.records.is_empty() && self.acked.contains_key(&expected) {
            return Err(Violation::AckedMissing { seq: expected });
        }
        Ok(())
    }
}

fn seeds(count: u64) -> std::ops::Range<u64> {
    match std::env::var("SEED") {
        Ok(seed) => {
            let seed = seed.parse().expect("SEED is a number");
            seed..seed + 1
        }
        Err(_) => 0..count,
    }
}

#[test]
fn what_is_acknowledged_is_there_once_and_in_order() {
    let mut seen = Seen::default();
    for seed in seeds(3_000) {
        let mut history = History::new(seed, Sabotage::Nothing);
        if let Err(violation) = history.run(200) {
            panic!("SEED={seed}: {violation}");
        }
        seen.add(&history.seen);
    }
    if std::env::var("SEED").is_err() {
        println!("{seen:?}");
        seen.assert_everything();
    }
}

/// How many of the histories are caught losing what they acknowledged.
fn caught(sabotage: Sabotage) -> usize {
    let caught = |seed: &u64| matches!(History::new(*seed, sabotage).run(120), Err(Violation::AckedMissing { .. }));
    (0..100).filter(caught).count()
}

#[test]
fn the_model_notices_a_disk_that_ignores_syncs() {
    assert!(caught(Sabotage::SyncIgnored) > 50);
}

#[test]
fn the_model_notices_an_acknowledgement_before_the_sync() {
    assert!(caught(Sabotage::AckBeforeSync) > 50);
}

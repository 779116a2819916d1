//! Random lives of an outbox: pushes, connections that break anywhere, lost acks, power cuts, restarts.
//!
//! After each life everything is drained, and every message ever pushed must be at the hub once, be covered by a gap
//! there, or have been cut off by a power cut before it was synced (then it was never sent).

use std::{
    collections::{HashMap, HashSet},
    env,
    fs::OpenOptions,
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::*;

/// What the hub holds for one number of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Record {
    Id(u64),
    Gap,
}

#[derive(Debug, Default)]
struct ModelHub {
    /// Each run has no hole: index 0 is number 1.
    runs: HashMap<u64, Vec<Record>>,
    durable: HashMap<u64, u64>,
}

impl ModelHub {
    fn durable(&self, spool: u64) -> u64 {
        self.durable.get(&spool).copied().unwrap_or(0)
    }

    fn appended(&self, spool: u64) -> u64 {
        self.runs.get(&spool).map_or(0, |run| run.len() as u64)
    }

    fn take(&mut self, spool: u64, item: &Outgoing) {
        let appended = self.appended(spool);
        let run = self.runs.entry(spool).or_default();
        match item {
            Outgoing::Gap { from, to, .. } => {
                assert!(*from <= appended + 1, "a gap from {from} leaves a hole behind {appended}");
                run.extend((appended + 1..=*to).map(|_| Record::Gap));
            }
            Outgoing::Message { seq, frame } => {
                assert!(*seq <= appended + 1, "{seq} leaves a hole behind {appended}");
                let (written, id) = carried(frame);
                assert_eq!(written, *seq);
                if *seq > appended {
                    run.push(Record::Id(id));
                }
            }
        }
    }
}

struct Life {
    rng: SmallRng,
    folder: Option<tempfile::TempDir>,
    outbox: Option<Outbox>,
    bytes_max: u64,
    channels: usize,
    hub: ModelHub,
    /// By id: the spool and the number it got.
    pushed: BTreeMap<u64, (u64, u64)>,
    unsynced: HashSet<u64>,
    cut_off: HashSet<u64>,
    /// What may be there after a power cut: the files as of the last sync, and deleted ones whose deletion has not
    /// reached the disk.
    on_disk: BTreeMap<PathBuf, Vec<u8>>,
    gaps_allowed: bool,
    power_was_cut: bool,
}

impl Life {
    fn new(seed: u64, disk: bool) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let gaps_allowed = rng.random_bool(0.5);
        let mut life = Self {
            rng,
            folder: disk.then(|| tempfile::tempdir().unwrap()),
            outbox: None,
            bytes_max: if gaps_allowed { 0 } else { u64::MAX },
            channels: 1,
            hub: ModelHub::default(),
            pushed: BTreeMap::new(),
            unsynced: HashSet::new(),
            cut_off: HashSet::new(),
            on_disk: BTreeMap::new(),
            gaps_allowed,
            power_was_cut: false,
        };
        life.start();
        life
    }

    fn start(&mut self) {
        let hello = hello("d", self.channels);
        self.outbox = Some(match &self.folder {
            Some(folder) => Outbox::on_disk(Folder::open(folder.path()).unwrap(), hello, self.bytes_max).unwrap(),
            None => Outbox::in_memory(hello, self.bytes_max),
        });
    }

    fn outbox(&mut self) -> &mut Outbox {
        self.outbox.as_mut().unwrap()
    }

    fn push(&mut self) {
        let id = self.pushed.len() as u64 + 1;
        let rows = if self.rng.random_bool(0.1) { self.rng.random_range(0..12_000) } else { 3 };
        let outbox = self.outbox();
        let spool = outbox.hello_to_write().spool;
        let seq = push(outbox, id, rows);
        assert!(outbox.byte_len() <= outbox.bytes_max(), "{} bytes", outbox.byte_len());
        self.pushed.insert(id, (spool, seq));
        self.unsynced.insert(id);
    }

    fn sync(&mut self) {
        let files = self.files();
        // A new name takes the whole folder to the disk, earlier deletions included, but none of this sync's own.
        if files.keys().any(|path| !self.on_disk.contains_key(path)) {
            self.on_disk.clear();
        }
        self.on_disk.extend(files);
        sync(self.outbox());
        self.unsynced.clear();
    }

    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let Some(folder) = &self.folder else { return BTreeMap::new() };
        spool_files(folder.path()).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    /// One connection that breaks after a random number of items; acks may get lost with it.
    fn connect(&mut self, items_max: usize, acks_arrive: bool) {
        loop {
            let (outbox, hub) = (self.outbox.as_mut().unwrap(), &mut self.hub);
            let hello = outbox.hello(0);
            if hello.next <= hub.appended(hello.spool) {
                // A power cut brought some files of a drained spool back: the hub has all of it.
                assert!(self.power_was_cut, "the hub calls this stale");
                outbox.discard_front();
                continue;
            }
            outbox.acknowledge(hub.durable(hello.spool)).unwrap();
            let (sent, limit) = (hub.durable(hello.spool), hub.durable(hello.spool) + 40);
            let items = outbox.following(sent, limit, 20_000);
            for item in items.iter().take(items_max) {
                assert!(item.through() <= limit || matches!(item, Outgoing::Gap { .. }));
                if let (true, Outgoing::Message { frame, .. }) = (self.folder.is_some(), item) {
                    assert!(!self.unsynced.contains(&carried(frame).1), "sent before it was synced");
                }
                hub.take(hello.spool, item);
            }
            let appended = hub.appended(hello.spool);
            let durable = self.rng.random_range(hub.durable(hello.spool)..=appended);
            hub.durable.insert(hello.spool, durable);
            if !acks_arrive {
                return;
            }
            outbox.acknowledge(durable).unwrap();
            if !outbox.advance() {
                return;
            }
        }
    }

    /// The power goes: what was synced is there, of the rest anything or nothing; deletions may not have happened.
    fn power_cut(&mut self) {
        let Some(folder) = self.folder.as_ref().map(|folder| folder.path().to_owned()) else { return };
        self.outbox = None;
        self.power_was_cut = true;
        for path in spool_files(&folder) {
            let synced = self.on_disk.get(&path).map_or(0, |bytes| bytes.len() as u64);
            let len = fs::metadata(&path).unwrap().len();
            let kept = self.rng.random_range(synced.min(len)..=len);
            OpenOptions::new().write(true).open(&path).unwrap().set_len(kept).unwrap();
        }
        for (path, bytes) in &self.on_disk {
            if !path.exists() && self.rng.random_bool(0.5) {
                fs::write(path, bytes).unwrap();
            }
        }
        self.on_disk = self.files();
        self.cut_off.extend(self.unsynced.drain());
        self.start();
    }

    fn step(&mut self) {
        match self.rng.random_range(0..100) {
            0..60 => self.push(),
            60..75 => self.sync(),
            75..90 => {
                let (items, acks_arrive) = (self.rng.random_range(0..50), self.rng.random_bool(0.7));
                self.connect(items, acks_arrive);
            }
            90..94 => self.power_cut(),
            94..97 => {
                self.channels = self.rng.random_range(1..4);
                let channels = hello("d", self.channels).channels;
                self.outbox().declare(channels);
            }
            _ if self.gaps_allowed => {
                self.outbox().quarantine_oldest();
            }
            _ => {}
        }
    }

    fn check(mut self) {
        self.sync();
        for _ in 0..10_000 {
            if self.outbox().is_drained() {
                break;
            }
            self.connect(usize::MAX, true);
        }
        assert!(self.outbox().is_drained(), "it does not drain");
        self.outbox().tidy();
        assert_eq!(self.outbox().byte_len(), 0, "what is not held is not counted");
        let mut arrived = 0;
        for (id, (spool, seq)) in &self.pushed {
            let record = self.hub.runs.get(spool).and_then(|run| run.get(*seq as usize - 1));
            match record {
                Some(Record::Id(there)) => {
                    assert_eq!(there, id);
                    arrived += 1;
                }
                // A power cut may keep a newer file and not all of the one before it.
                Some(Record::Gap) => {
                    assert!(self.gaps_allowed || self.cut_off.contains(id), "{id} is a gap without a reason");
                }
                None => assert!(self.cut_off.contains(id), "{id} is lost and nobody says so"),
            }
        }
        let stored = self.hub.runs.values().flatten().filter(|record| matches!(record, Record::Id(_))).count();
        assert_eq!(stored, arrived, "the hub holds something that was not pushed");
    }
}

fn spool_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == "spool")).collect();
    // A life is the same for the same seed.
    files.sort();
    files
}

/// So many lives from a random seed on; `SEED=n` repeats one.
fn lives(count: u64, disk: bool) {
    let given = env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let first = given.unwrap_or_else(|| rand::random::<u32>().into());
    for seed in first..first + if given.is_some() { 1 } else { count } {
        println!("SEED={seed}");
        let mut life = Life::new(seed, disk);
        for _ in 0..300 {
            life.step();
        }
        life.check();
    }
}

#[test]
fn in_memory_everything_arrives_or_is_a_gap() {
    lives(100, false);
}

#[test]
fn on_disk_everything_arrives_or_is_a_gap_through_power_cuts() {
    lives(60, true);
}

//! What the engine costs on this machine: readings a second, bytes a reading in the file and written to the device, memory
//! of the heads, and the time of the three queries that a dashboard asks most.
//!
//! ```text
//! cargo run --release -p history --example measure -- [FOLDER]
//! ```
//! FOLDER must lie on a real disk for the device bytes to mean anything; the default is a folder in `target`.

use std::convert::Infallible;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use history::{Buckets, Config, History, Retention, View};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SECOND_US: i64 = 1_000_000;
const HOUR_US: i64 = 3_600 * SECOND_US;
const START_US: i64 = 1_760_000_000 * SECOND_US;

fn main() -> Outcome<()> {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("target/measure-history"), PathBuf::from);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    for kind in Kind::ALL {
        let size = one_kind(&folder, kind)?;
        println!("{:<12} {size:>6.2} bytes a reading in the file", format!("{kind:?}"));
    }
    ingest(
        &folder,
        "1 000 series, 100 Hz, 100 a record",
        Load { series: 1_000, hz: 100, record: 100, seconds: 300, phase: 1_000 },
    )?;
    ingest(
        &folder,
        "10 000 series, 1 Hz, 1 a record",
        Load { series: 10_000, hz: 1, record: 1, seconds: 2_400, phase: 200 },
    )?;
    queries(&folder)?;
    Ok(std::fs::remove_dir_all(&folder)?)
}

/// What the channels of a realistic site measure.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Temperature,
    Humidity,
    Pressure,
    Vibration,
    Door,
    Energy,
}

impl Kind {
    const ALL: [Kind; 6] =
        [Kind::Temperature, Kind::Humidity, Kind::Pressure, Kind::Vibration, Kind::Door, Kind::Energy];

    /// Of ten channels four are temperatures.
    fn of(series: u32) -> Kind {
        Self::ALL[[0, 0, 0, 0, 1, 1, 2, 3, 4, 5][series as usize % 10]]
    }
}

/// One channel's next readings.
struct Channel {
    kind: Kind,
    rng: StdRng,
    level: f64,
    next_us: i64,
    step_us: i64,
    /// Every other device stamps on the millisecond with a jitter of up to 4 ms, the rest exactly.
    jitters: bool,
}

impl Channel {
    fn new(series: u32, kind: Kind, hz: i64) -> Self {
        let mut rng = StdRng::seed_from_u64(u64::from(series));
        let phase_us = rng.random_range(0..1_000) * 1_000;
        Self { kind, rng, level: 0.0, next_us: START_US + phase_us, step_us: SECOND_US / hz, jitters: series % 2 == 1 }
    }

    fn fill(&mut self, count: usize, times_us: &mut Vec<i64>, values: &mut Vec<f64>) {
        for _ in 0..count {
            let jitter_us = if self.jitters { self.rng.random_range(0..5) * 1_000 } else { 0 };
            times_us.push(self.next_us + jitter_us.min(self.step_us - 1));
            self.next_us += self.step_us;
            values.push(self.value());
        }
    }

    fn value(&mut self) -> f64 {
        let mut noise = |size: f64| self.rng.random_range(-size..size);
        match self.kind {
            Kind::Temperature => {
                self.level += noise(0.02);
                ((21.0 + self.level + noise(0.3) + noise(0.3)) * 10.0).round() / 10.0
            }
            Kind::Humidity => {
                self.level += noise(0.05);
                ((45.0 + self.level + noise(0.5) + noise(0.5)) * 10.0).round() / 10.0
            }
            Kind::Pressure => {
                self.level += noise(0.01);
                ((1_013.0 + self.level + noise(0.05) + noise(0.05)) * 100.0).round() / 100.0
            }
            Kind::Vibration => {
                self.level += 0.3;
                (600.0 * self.level.sin() + noise(40.0)).round() * (16.0 / 32_768.0)
            }
            Kind::Door => {
                if noise(1.0).abs() < 0.002 {
                    self.level = 1.0 - self.level;
                }
                self.level
            }
            Kind::Energy => {
                self.level += if noise(1.0) > 0.5 { 0.001 } else { 0.0 };
                (self.level * 1_000.0).round() / 1_000.0
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Load {
    series: u32,
    hz: i64,
    record: usize,
    seconds: i64,
    /// Readings that the first record of a series has at most.
    phase: usize,
}

/// Records of 100 readings for the size of one kind: enough that the empty tables' pages do not count.
const RECORDS: u64 = 20_000;

fn forever() -> Config {
    Config { retention: [Retention { max_age: None }; 3], ..Config::default() }
}

fn commit(history: &mut History, seq: u64) -> Outcome<()> {
    history.commit(seq, |_| Ok::<_, Infallible>(()))?;
    Ok(())
}

/// Bytes a reading of one kind alone.
fn one_kind(folder: &Path, kind: Kind) -> Outcome<f64> {
    let path = folder.join("kind.db");
    let mut history = History::open(&path, forever())?;
    let mut channel = Channel::new(1, kind, if matches!(kind, Kind::Vibration) { 1_000 } else { 10 });
    let (mut times_us, mut values) = (Vec::new(), Vec::new());
    for seq in 1..=RECORDS {
        times_us.clear();
        values.clear();
        channel.fill(100, &mut times_us, &mut values);
        history.append(seq, channel.next_us, 0, 0, &times_us, &values);
        history.end_record(seq);
        if seq % 50 == 0 {
            commit(&mut history, seq)?;
        }
    }
    drop(history);
    let size = std::fs::metadata(&path)?.len() as f64 / (100 * RECORDS) as f64;
    std::fs::remove_file(path)?;
    Ok(size)
}

/// Feeds a load as fast as it goes, one commit a second of its own time. Rates are of processor time, so that they hold on
/// a machine that does other things too.
fn ingest(folder: &Path, name: &str, load: Load) -> Outcome<()> {
    let path = folder.join("ingest.db");
    let mut history = History::open(&path, forever())?;
    let mut channels: Vec<Channel> =
        (0..load.series).map(|series| Channel::new(series, Kind::of(series), load.hz)).collect();
    // All readings of one second, and where those of each series end.
    let (mut times_us, mut values, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    let mut phase = StdRng::seed_from_u64(1);
    let (mut seq, mut readings, mut head_bytes_max) = (0, 0, 0);
    let (mut appending, mut committing, mut longest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let written_before = proc_number("/proc/self/io", "write_bytes:")?;
    for second in 0..load.seconds {
        times_us.clear();
        values.clear();
        ends.clear();
        for channel in &mut channels {
            // Heads would otherwise fill in step, and share pages as they never do in life.
            let count = if second == 0 { phase.random_range(1..=load.phase) } else { load.record };
            channel.fill(count, &mut times_us, &mut values);
            ends.push(times_us.len());
            readings += count;
        }
        let (started, started_cpu) = (Instant::now(), processor_time()?);
        let mut start = 0;
        for ((series, channel), &end) in (0_u32..).zip(&channels).zip(&ends) {
            seq += 1;
            let arrival_us = channel.next_us + 50_000;
            history.append(seq, arrival_us, series, 0, &times_us[start..end], &values[start..end]);
            history.end_record(seq);
            start = end;
        }
        let appended_cpu = processor_time()?;
        head_bytes_max = history.head_bytes().max(head_bytes_max);
        commit(&mut history, seq)?;
        appending += appended_cpu.saturating_sub(started_cpu);
        committing += processor_time()?.saturating_sub(appended_cpu);
        longest = longest.max(started.elapsed());
    }
    let resident = proc_number("/proc/self/status", "VmRSS:")?;
    let written = (proc_number("/proc/self/io", "write_bytes:")? - written_before) as f64 / readings as f64;
    drop(history);
    let size = std::fs::metadata(&path)?.len() as f64 / readings as f64;
    let rate = readings as f64 / (appending + committing).as_secs_f64() / 1e6;
    println!("\n{name}: {readings} readings");
    println!("  {rate:.2} million readings/s a core: append {appending:.2?}, commit {committing:.2?}");
    println!("  longest second {longest:.2?} on the clock");
    println!("  {size:.2} bytes a reading in the file, {written:.1} written to the device");
    println!("  heads at most {} KiB, resident {resident} KiB", head_bytes_max / 1_024);
    let started = Instant::now();
    let history = History::open(&path, forever())?;
    println!("  opened again in {:.2?}", started.elapsed());
    drop(history);
    Ok(std::fs::remove_file(path)?)
}

/// Processor time of this thread.
fn processor_time() -> Outcome<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().ok_or("schedstat is empty")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

/// The number behind a key of a file in `/proc`.
fn proc_number(path: &str, key: &str) -> Outcome<u64> {
    let text = std::fs::read_to_string(path)?;
    let rest = text.lines().find_map(|line| line.strip_prefix(key)).ok_or("a key is missing in /proc")?;
    Ok(rest.split_whitespace().next().ok_or("a key in /proc has no value")?.parse()?)
}

/// Times the dashboard's questions over 30 days of 10 Hz.
fn queries(folder: &Path) -> Outcome<()> {
    let path = folder.join("queries.db");
    let mut history = History::open(&path, forever())?;
    let mut channels: Vec<Channel> = (0..4).map(|series| Channel::new(series, Kind::of(series * 2), 10)).collect();
    let (mut times_us, mut values) = (Vec::new(), Vec::new());
    let mut seq = 0;
    for minute in 0..30 * 24 * 60 {
        for (series, channel) in (0_u32..).zip(&mut channels) {
            seq += 1;
            times_us.clear();
            values.clear();
            channel.fill(600, &mut times_us, &mut values);
            history.append(seq, channel.next_us, series, 0, &times_us, &values);
            history.end_record(seq);
        }
        if minute % 60 == 59 {
            commit(&mut history, seq)?;
        }
    }
    drop(history);
    println!("\n30 days at 10 Hz, 4 series, 800 points");
    for (name, hours) in [("1 hour", 1), ("1 day", 24), ("30 days", 720)] {
        let end_us = channels[0].next_us;
        let range = (end_us - hours * HOUR_US, end_us);
        forget_pages(&path)?;
        let mut history = History::open(&path, forever())?;
        let (cold, answer) = timed(&mut history, range)?;
        let mut warm: Vec<Duration> =
            (0..41).map(|_| timed(&mut history, range).map(|timed| timed.0)).collect::<Outcome<_>>()?;
        warm.sort_unstable();
        println!("  {name:<8} {answer:<28} warm {:>8.3?} (median of 41), cold {cold:>8.3?}", warm[20]);
    }
    Ok(())
}

fn timed(history: &mut History, (from_us, to_us): (i64, i64)) -> Outcome<(Duration, String)> {
    let started = Instant::now();
    let mut view: View = history.view(&[1], from_us, to_us)?;
    let answer = view.buckets(1, from_us, to_us, 800)?;
    let elapsed = started.elapsed();
    let answer = match answer {
        Buckets::Raw(readings) => format!("{} readings", readings.len()),
        Buckets::Buckets { width_us, rows } => format!("{} buckets of {} s", rows.len(), width_us / SECOND_US),
    };
    Ok((elapsed, answer))
}

/// Has the kernel drop a file's pages, so that the next read comes from the disk.
fn forget_pages(path: &Path) -> Outcome<()> {
    let input = format!("if={}", path.display());
    let status = Command::new("dd").args([&input, "iflag=nocache", "count=0", "status=none"]).status()?;
    if status.success() { Ok(()) } else { Err("dd could not drop the file's pages".into()) }
}

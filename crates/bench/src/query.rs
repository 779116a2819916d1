//! One hour, one day and thirty days of a series measured ten times a second: warm and cold, through REST and through
//! the engine alone.

use std::{fs, ops::ControlFlow, path::Path, time::Instant};

use anyhow::{Context, ensure};
use history::{Buckets, History};
use protocol::device::encode::FrameWriter;
use rustix::fs::{Advice, fadvise};

use crate::{
    Options,
    device::{self, Device},
    http::Http,
    process::{self, HubProcess},
    stats::median,
    swarm::Swarm,
    table::{Table, Target},
};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// Ten readings a second.
const PERIOD_MS: i64 = 100;
/// Readings a frame of the import.
const IMPORT_READINGS: i64 = 10_000;
const POINTS: usize = 800;
/// Questions of each kind; the median counts.
const QUESTIONS: usize = 31;
const DATABASE: &str = "history.db";

/// What is asked: name, span, target warm.
const SPANS: [(&str, i64, f64); 3] = [("1 hour", HOUR_MS, 1.0), ("1 day", DAY_MS, 1.0), ("30 days", 30 * DAY_MS, 7.0)];
/// Cold, whatever the span.
const COLD_MS_MAX: f64 = 50.0;

/// Prints the figures.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let folder = process::folder(options)?;
    let hub = HubProcess::start(options, folder.path(), &[])?;
    let end_ms = import(&hub)?;
    hub.settle()?;
    hub.stop()?;
    let data = folder.path().join("data");
    let mut table = Table::new("Queries: one series at 10 Hz for 30 days, 800 points");
    let hub = HubProcess::start(options, folder.path(), &[])?;
    let mut http = Http::connect(hub.address)?;
    for (name, span_ms, most) in SPANS {
        let warm = rest(&mut http, &path(end_ms, span_ms, POINTS, "json"), QUESTIONS)?;
        table.add(format!("{name}, REST, warm"), warm, "ms", None, Target::AtMost(most));
    }
    for format in ["json", "csv"] {
        let warm = rest(&mut http, &path(end_ms, HOUR_MS, 0, format), QUESTIONS)?;
        table.add(format!("1 hour raw (36 000 readings), REST, {format}"), warm, "ms", None, Target::None);
    }
    hub.stop()?;
    for (name, span_ms, _) in SPANS {
        let mut cold = Vec::new();
        for _ in 0..options.repeat {
            forget(&data)?;
            let hub = HubProcess::start(options, folder.path(), &[])?;
            forget(&data)?;
            let mut http = Http::connect(hub.address)?;
            let before = hub.usage()?.read_bytes;
            cold.push(rest(&mut http, &path(end_ms, span_ms, POINTS, "json"), 1)?);
            ensure!(hub.usage()?.read_bytes > before, "nothing was read from the disk: the question was not cold");
            hub.stop()?;
        }
        table.add(format!("{name}, REST, cold"), median(&mut cold), "ms", None, Target::AtMost(COLD_MS_MAX));
    }
    engine(&data, end_ms, &mut table)?;
    println!("{table}");
    Ok(())
}

/// Thirty days up to an hour ago; gives their end.
fn import(hub: &HubProcess) -> anyhow::Result<i64> {
    let end_ms = device::now_us() / 1000 - HOUR_MS;
    let begin_ms = end_ms - 30 * DAY_MS;
    let mut swarm = Swarm::new()?;
    let hello = device::hello("bench-0", device::gauges(1)?, true)?;
    let mut device = Device::new(swarm.add(device::open(hub.address, &hello)?)?);
    let mut writer = FrameWriter::default();
    let mut noise = 1_u32;
    for first in (0..(end_ms - begin_ms) / PERIOD_MS).step_by(IMPORT_READINGS as usize) {
        let values: Vec<f64> = (first..first + IMPORT_READINGS)
            .map(|i| {
                // A daily curve with the noise of a sensor's last digit (a linear congruential generator will do).
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let curve = (i as f64 * PERIOD_MS as f64 / DAY_MS as f64 * std::f64::consts::TAU).sin() * 6.0;
                ((20.0 + curve) * 100.0).round() / 100.0 + f64::from(noise >> 30) / 100.0
            })
            .collect();
        let values: Vec<f64> = values.iter().map(|value| (value * 100.0).round() / 100.0).collect();
        writer.fixed_rate_f64(0, 0.0, PERIOD_MS as f64, &values);
        device.sent += 1;
        let frame = writer.finish(device.sent, (begin_ms + first * PERIOD_MS) as f64);
        swarm.link(device.link).send(&frame)?;
        device.listen_until(&mut swarm, 15)?;
    }
    device.listen_until(&mut swarm, 0)?;
    Ok(end_ms)
}

fn path(end_ms: i64, span_ms: i64, points: usize, format: &str) -> String {
    let from_ms = end_ms - span_ms;
    format!("/api/v1/query?series=bench-0/c0&from={from_ms}&to={end_ms}&points={points}&format={format}")
}

/// The median time of a question, milliseconds.
fn rest(http: &mut Http, path: &str, questions: usize) -> anyhow::Result<f64> {
    let mut taken = Vec::new();
    for _ in 0..questions {
        let asked = Instant::now();
        let answer = http.get(path)?;
        taken.push(asked.elapsed().as_secs_f64() * 1e3);
        ensure!(answer.status == 200 && answer.body.len() > 1_000, "no answer to {path}: {}", answer.status);
    }
    Ok(median(&mut taken))
}

/// Drops the files of the database from the page cache: what a reader finds after a reboot.
fn forget(data: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(data)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            let file = fs::File::open(entry.path())?;
            // Only clean pages are dropped.
            file.sync_all()?;
            fadvise(&file, 0, None, Advice::DontNeed).context("cannot drop the page cache")?;
        }
    }
    Ok(())
}

/// The same without a hub around it.
fn engine(data: &Path, end_ms: i64, table: &mut Table) -> anyhow::Result<()> {
    let mut history = History::open(&data.join(DATABASE), history::Config::default())?;
    let (series, to_us) = (0, end_ms * 1000);
    for (name, span_ms, most) in SPANS {
        let from_us = to_us - span_ms * 1000;
        let mut taken = Vec::new();
        for _ in 0..QUESTIONS {
            let asked = Instant::now();
            let answer = history.view(&[series], from_us, to_us)?.buckets(series, from_us, to_us, POINTS)?;
            taken.push(asked.elapsed().as_secs_f64() * 1e3);
            ensure!(matches!(&answer, Buckets::Buckets { rows, .. } if rows.len() > POINTS / 4), "too few buckets");
        }
        table.add(format!("{name}, engine, warm"), median(&mut taken), "ms", None, Target::AtMost(most));
    }
    let mut taken = Vec::new();
    for _ in 0..QUESTIONS {
        let (asked, mut count) = (Instant::now(), 0);
        history.view(&[series], to_us - HOUR_MS * 1000, to_us)?.raw(series, i64::MIN, i64::MAX, |readings| {
            count += readings.values.len();
            ControlFlow::Continue(())
        })?;
        taken.push(asked.elapsed().as_secs_f64() * 1e3);
        ensure!(count == 36_000, "{count} readings in an hour");
    }
    table.add("1 hour raw (36 000 readings), engine, warm", median(&mut taken), "ms", None, Target::AtMost(1.0));
    Ok(())
}

//! The hub killed at any instant, again and again: what it acknowledged is there, once, and rollups agree with it.
//!
//! `KILLS` says how often (10 when it does not say); `SEED` repeats a run.

mod generator;
mod spools;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use rand::{RngExt, rngs::SmallRng};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinSet};

use self::generator::{Generator, KINDS, Rollup};
use crate::support::{Device, PATIENCE, RealHub, eventually, now_ms, rng, small_config};

/// Every so often all readings are compared; in between those since the kill before last, and all rollups.
const FULL_CHECK_EVERY: u32 = 10;
/// Starting takes less than a second on a quiet machine; test machines are not.
const READY_MAX: Duration = Duration::from_secs(10);

/// What a device knows, whatever becomes of its connection.
#[derive(Debug, Default)]
struct Memory {
    /// Messages handed to a socket.
    sent: AtomicU64,
    /// The highest number that was acknowledged.
    acked: AtomicU64,
}

/// One device across all lives of the hub.
struct Fleet {
    generators: Vec<Generator>,
    memories: Vec<Arc<Memory>>,
    /// Messages acknowledged, all devices together: what the killer waits for.
    progress: Arc<watch::Sender<u64>>,
}

impl Fleet {
    fn new(t0_ms: u64) -> Self {
        let generators: Vec<_> = KINDS.iter().map(|&kind| Generator::new(kind, t0_ms)).collect();
        let memories = generators.iter().map(|_| Arc::default()).collect();
        Self { generators, memories, progress: Arc::new(watch::Sender::new(0)) }
    }

    /// Lets all devices stream until their connection is gone.
    fn connect(&self, address: SocketAddr) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for (generator, memory) in self.generators.iter().zip(&self.memories) {
            tasks.spawn(stream(address, generator.clone(), Arc::clone(memory), Arc::clone(&self.progress)));
        }
        tasks
    }
}

/// One connection's life: says what it holds, sends again what is not acknowledged, and goes on.
async fn stream(address: SocketAddr, generator: Generator, memory: Arc<Memory>, progress: Arc<watch::Sender<u64>>) {
    let (acked, sent) = (memory.acked.load(SeqCst), memory.sent.load(SeqCst));
    let Some(mut device) = Device::try_connect(address).await else { return };
    let Some(()) = device.try_welcome(&generator.hello(acked + 1, sent + 1)).await else { return };
    assert!(device.acked >= acked, "{}: {acked} was acknowledged, now it is {}", generator.id(), device.acked);
    let mut next = device.acked + 1;
    loop {
        let before = memory.acked.fetch_max(device.acked, SeqCst);
        progress.send_modify(|all| *all += device.acked.saturating_sub(before));
        while next <= device.acked + device.credit {
            memory.sent.fetch_max(next, SeqCst);
            if device.try_send(generator.frame(next)).await.is_err() {
                return;
            }
            next += 1;
        }
        let wanted = device.acked + 1;
        if device.acked_or_end(wanted).await.is_some() {
            return;
        }
    }
}

/// Compares what the hub has with what was sent; gives how many messages of each device are stored.
async fn check(hub: &RealHub, fleet: &Fleet, from: &[u64]) -> Vec<u64> {
    let mut stored = Vec::new();
    for ((generator, memory), &from) in fleet.generators.iter().zip(&fleet.memories).zip(from) {
        let id = generator.id();
        let (acked, sent) = (memory.acked.load(SeqCst), memory.sent.load(SeqCst));
        if sent == 0 {
            stored.push(0);
            continue;
        }
        let Some(delivery) = device_delivery(hub, &id).await else {
            assert_eq!(acked, 0, "{id} is unknown, but was acknowledged");
            stored.push(0);
            continue;
        };
        let mark = delivery["spools"][0]["acked"].as_u64().expect("a mark");
        assert!((acked..=sent).contains(&mark), "{id}: {acked} acknowledged, {mark} there, {sent} sent");
        assert_eq!(
            (&delivery["stored"], &delivery["lost"]),
            (&json!(mark), &json!(0)),
            "{id}: each once, none missing"
        );
        let from = from.min(mark + 1);
        let (from_ms, to_ms) = (generator.begin_ms(from), generator.end_ms(mark));
        let path = format!("/api/v1/query?series={id}/n&from={from_ms}&to={to_ms}&points=0");
        if from <= mark {
            let answer = hub.json(&path).await;
            let readings = answer["series"][0]["readings"].as_array().expect("readings");
            let seen: Vec<(u64, f64)> = readings
                .iter()
                .map(|row| (row[0].as_u64().expect("whole"), row[1].as_f64().expect("a value")))
                .collect();
            generator.assert_readings(&seen, from, mark);
        }
        check_rollups(hub, generator, mark).await;
        stored.push(mark);
    }
    stored
}

async fn device_delivery(hub: &RealHub, id: &str) -> Option<Value> {
    let answer = hub.get(&format!("/api/v1/devices/{id}")).await;
    (answer.status == 200).then(|| answer.json()["delivery"].take())
}

/// Buckets of every width that rollups serve, against the same computed from what was sent.
async fn check_rollups(hub: &RealHub, generator: &Generator, mark: u64) {
    let (from_ms, to_ms) = (generator.begin_ms(1), generator.end_ms(mark));
    for points in [3, 40, 400] {
        let path = format!("/api/v1/query?series={}/n&from={from_ms}&to={to_ms}&points={points}", generator.id());
        let answer = hub.json(&path).await;
        let series = &answer["series"][0];
        let Some(width_ms) = series["bucket_ms"].as_u64() else { continue };
        let wanted = Rollup::of(generator, mark, width_ms);
        let column = |name: &str| series[name].as_array().cloned().unwrap_or_default();
        let (t, min, max, last, count) = (column("t"), column("min"), column("max"), column("last"), column("count"));
        let seen: Vec<Rollup> = (0..t.len())
            .map(|i| Rollup {
                start_ms: t[i].as_u64().expect("whole"),
                min: min[i].as_f64().expect("a value"),
                max: max[i].as_f64().expect("a value"),
                last: last[i].as_f64().expect("a value"),
                count: count[i].as_u64().expect("a count"),
            })
            .collect();
        if let Some(i) = (0..wanted.len().max(seen.len())).find(|&i| wanted.get(i) != seen.get(i)) {
            panic!(
                "{}: bucket {i} of {width_ms} ms differs: seen {:?}, sent {:?}",
                generator.id(),
                seen.get(i),
                wanted.get(i)
            );
        }
    }
}

/// Kills while it starts, now and then: recovery itself may be cut off.
async fn start_after_false_starts(config: &hub::Config, rng: &mut SmallRng) -> RealHub {
    while rng.random_bool(0.2) {
        RealHub::start_and_kill(config, Duration::from_micros(rng.random_range(0..60_000))).await;
    }
    RealHub::start(config).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_every_kill_once() {
    let mut rng = rng("kills");
    let kills: u32 = std::env::var("KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(10);
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = small_config(folder.path());
    config.journal.commit_interval = hub::pipeline::CommitInterval::Fixed(Duration::from_millis(10));
    config.ingest.credit = 16;
    config.history.commit_interval = Duration::from_millis(50);
    // The readings are half a year old, and none is to be deleted for its age.
    config.history.keep_raw = config.history.keep_minutes;
    let fleet = Fleet::new(now_ms() - 200 * 86_400_000);
    let mut slowest = Duration::ZERO;
    // What was stored at the last kill, and at the one before.
    let (mut last, mut before) = (vec![0; KINDS.len()], vec![0; KINDS.len()]);
    for kill in 1..=kills {
        let hub = start_after_false_starts(&config, &mut rng).await;
        assert!(hub.ready_after < READY_MAX, "kill {kill}: ready only after {:?}", hub.ready_after);
        slowest = slowest.max(hub.ready_after);
        let is_full = kill % FULL_CHECK_EVERY == 0;
        let from: Vec<u64> = before.iter().map(|&stored| if is_full { 1 } else { stored + 1 }).collect();
        let stored = check(&hub, &fleet, &from).await;
        (before, last) = (last, stored);
        let mut devices = fleet.connect(hub.address);
        // At a random acknowledgement, and a random instant after it: anywhere in a commit, a seal, a recycling.
        let target = *fleet.progress.borrow() + rng.random_range(0..1_500);
        let mut progress = fleet.progress.subscribe();
        tokio::time::timeout(PATIENCE, progress.wait_for(|all| *all >= target))
            .await
            .unwrap_or_else(|_| panic!("kill {kill}: the devices do not get on:\n{}", hub.log()))
            .expect("the fleet lives");
        tokio::time::sleep(Duration::from_micros(rng.random_range(0..15_000))).await;
        hub.kill();
        while let Some(ended) = devices.join_next().await {
            ended.expect("no device saw its acknowledgements taken back");
        }
    }
    let hub = RealHub::start(&config).await;
    let stored = check(&hub, &fleet, &vec![1; KINDS.len()]).await;
    eventually("it serves on", async || (hub.get("/readyz").await.status == 200).then_some(())).await;
    println!("{kills} kills, messages stored {stored:?}, ready within {slowest:?}");
}

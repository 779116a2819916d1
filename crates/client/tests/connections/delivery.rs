//! Everything arrives, whatever the hub does meanwhile.

use std::{collections::HashMap, env, time::Duration};

use client::device::{DeviceConfig, SpoolConfig, Timing};
use protocol::device::{
    Channel, DeviceControl,
    data::{self, Batch},
};
use rand::{RngExt, SeedableRng, rngs::SmallRng};
use tokio::sync::watch;

use crate::hub::{Heard, Hub, Peer, config, hurried, send, spawn};

/// A hub's memory: the run of each spool without a hole (index 0 is number 1), and how far it is on disk.
#[derive(Debug, Default)]
struct Memory {
    runs: HashMap<u64, Vec<u64>>,
    durable: HashMap<u64, u64>,
    repeated: u64,
}

impl Memory {
    fn append(&mut self, spool: u64, seq: u64, id: u64) {
        let run = self.runs.entry(spool).or_default();
        assert!(seq <= run.len() as u64 + 1, "{seq} leaves a hole behind {}", run.len());
        if seq > run.len() as u64 {
            run.push(id);
        } else {
            assert_eq!(run[seq as usize - 1], id, "a number is used twice");
            self.repeated += 1;
        }
    }

    fn durable(&self, spool: u64) -> u64 {
        self.durable.get(&spool).copied().unwrap_or(0)
    }

    fn appended(&self, spool: u64) -> u64 {
        self.runs.get(&spool).map_or(0, |run| run.len() as u64)
    }

    /// Everything stored, in order within each spool.
    fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.runs.values().flatten().copied().collect();
        ids.sort_unstable();
        ids
    }
}

fn id_of(frame: &[u8]) -> u64 {
    let channel = Channel { scale: 1.0, offset: 0.0, states: Vec::new() };
    let mut batch = Batch::default();
    data::decode(frame, &[channel], &mut batch).unwrap();
    batch.values[0] as u64
}

/// One connection with an accident at a random moment; the hub is as bad as a hub can be without lying.
async fn serve_badly(mut peer: Peer, memory: &mut Memory, rng: &mut SmallRng) {
    let mut until_accident = rng.random_range(0..200);
    let swallow_acks = rng.random_bool(0.3);
    let (mut spool, mut limit) = (0, 0);
    loop {
        // The device's pings keep time here: what is not acknowledged now is at the next one.
        match peer.heard().await {
            Heard::Closed(_) | Heard::Control(DeviceControl::Bye) => return,
            Heard::Control(DeviceControl::Hello(hello)) => {
                spool = hello.spool;
                if rng.random_bool(0.1) {
                    return peer.close(1013, "retry_after_ms=3").await;
                }
                let (durable, credit) = (memory.durable(spool), rng.random_range(1..50));
                limit = durable + credit;
                peer.welcome(&hello, durable, credit).await;
            }
            Heard::Control(other) => panic!("{other:?} without a reason"),
            Heard::Data { seq, frame } => {
                assert!(seq <= limit, "{seq} is beyond the credit of {limit}");
                memory.append(spool, seq, id_of(&frame));
            }
            Heard::Ping | Heard::Pong => {}
        }
        let appended = memory.appended(spool);
        let exhausted = limit <= appended;
        if until_accident == 0 || (exhausted && swallow_acks) {
            return match rng.random_range(0..4) {
                0 => peer.close(1012, "").await,
                1 => peer.close(1011, "").await,
                // Without a word: the socket is reset with what is in it.
                _ => drop(peer),
            };
        }
        until_accident -= 1;
        // A commit that takes its time; but with the credit used up the device waits for it.
        let durable = if exhausted { appended } else { rng.random_range(memory.durable(spool)..=appended) };
        memory.durable.insert(spool, durable);
        if !swallow_acks && (exhausted || rng.random_bool(0.5)) {
            let credit = rng.random_range(1..50);
            limit = limit.max(durable + credit);
            peer.ack(durable, limit - durable).await;
        }
    }
}

async fn is_done(done: &mut watch::Receiver<bool>) {
    done.wait_for(|done| *done).await.expect("the test tells before it ends");
}

/// Takes connections until nothing is left to be delivered.
async fn be_a_bad_hub(hub: Hub, mut rng: SmallRng, mut done: watch::Receiver<bool>) -> Memory {
    let mut memory = Memory::default();
    let address = hub.address();
    let mut hub = Some(hub);
    loop {
        let listening = match hub.take() {
            Some(hub) => hub,
            None => Hub::rebind(&address).await,
        };
        tokio::select! {
            peer = listening.accept() => serve_badly(peer, &mut memory, &mut rng).await,
            () = is_done(&mut done) => return memory,
        }
        match rng.random_range(0..10) {
            // It restarts: for a moment nobody listens.
            0 => drop(listening),
            1 => {
                tokio::select! {
                    () = listening.refuse("503 Service Unavailable\r\nRetry-After: 0") => {}
                    () = is_done(&mut done) => return memory,
                }
                hub = Some(listening);
            }
            _ => hub = Some(listening),
        }
    }
}

/// `SEED=n` repeats one run.
async fn deliver(on_disk: bool, kills: u64) {
    let seed = env::var("SEED").map_or_else(|_| rand::random(), |seed| seed.parse().expect("SEED is a number"));
    println!("SEED={seed}");
    let mut rng = SmallRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub::bind().await;
    let spool = SpoolConfig { folder: on_disk.then(|| folder.path().to_owned()), bytes_max: u64::MAX };
    let timing = Timing { ping_every: Duration::from_millis(5), ..hurried() };
    let config = DeviceConfig { spool, timing, ..config(hub.address()) };
    let (done, told) = watch::channel(false);
    let bad_hub = tokio::spawn(be_a_bad_hub(hub, SmallRng::seed_from_u64(seed.wrapping_add(1)), told));

    let mut id = 0;
    for life in 0..=kills {
        let (device, mut events) = spawn(config.clone());
        for _ in 0..1_000 {
            id += 1;
            send(&device, id, rng.random_range(0..300));
            if rng.random_bool(0.2) {
                tokio::task::yield_now().await;
            }
        }
        // Somewhere on the way, or when all is done.
        let goal = if life == kills { u64::MAX } else { rng.random_range(0..1_000) };
        device.stats().wait_for(|stats| stats.acked >= goal || stats.drained).await.unwrap();
        if life == kills {
            let stats = device.finish(Duration::from_secs(600)).await;
            assert!(stats.drained && stats.dropped == 0 && stats.quarantined == 0, "{stats:?}");
        } else {
            // Killed: no bye, no flush.
            drop(device);
            while events.recv().await.is_some() {}
        }
    }
    done.send_replace(true);
    let memory = bad_hub.await.unwrap();
    assert_eq!(memory.ids(), (1..=id).collect::<Vec<_>>(), "each once");
    assert!(memory.runs.values().all(|run| run.is_sorted()), "in order");
    println!("{} spools, {} messages came twice", memory.runs.len(), memory.repeated);
}

#[tokio::test]
async fn everything_arrives_once_from_memory() {
    deliver(false, 0).await;
}

#[tokio::test]
async fn everything_arrives_once_from_disk() {
    deliver(true, 0).await;
}

#[tokio::test]
async fn everything_arrives_once_though_the_device_is_killed() {
    deliver(true, 4).await;
}

//! Cases by name in which the hub is killed while spools come and go.

use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::support::{Device, RealHub, eventually, hello, now_ms, small_config};

/// Waits until the database has what was learned up to a number of streams.
async fn until_committed(config: &hub::Config, streams: i64) {
    let path = config.data.join("history.db");
    eventually("history has committed", async || {
        let database = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
        let newest: i64 = database.query_row("SELECT max(number) FROM hub_stream", [], |row| row.get(0)).ok()?;
        (newest + 1 >= streams).then_some(())
    })
    .await;
}

#[tokio::test]
async fn readings_of_forgotten_spools_survive_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = small_config(folder.path());
    // So few readings that none is sealed: after the kill all of them come from the journal, although the database
    // has long forgotten the spools that they came on.
    config.history.chunk_readings = 1_024;
    config.history.commit_interval = Duration::from_millis(20);
    let hub = RealHub::start(&config).await;
    let t_ms = now_ms() as f64;
    for spool in 1..=20_u64 {
        // Each start of this device draws a new spool and another order of its channels.
        let names = if spool % 2 == 0 { ["n", "m"] } else { ["m", "n"] };
        let mut device = Device::introduce(hub.address, &hello("restless", spool, &names)).await;
        device.reading(1, t_ms + spool as f64, u16::from(spool % 2 == 1), spool as f64).await;
        device.acked(1).await;
        device.leave().await;
    }
    until_committed(&config, 20).await;
    hub.kill();
    let hub = RealHub::start(&config).await;
    let wanted: Vec<_> = (1..=20).map(|n| (t_ms + f64::from(n), Some(f64::from(n)))).collect();
    assert_eq!(hub.points("restless/n").await, wanted);
    assert_eq!(hub.delivery("restless").await["spools"].as_array().map(Vec::len), Some(8));
}

#[tokio::test]
async fn a_firmware_change_with_a_backlog_survives_a_kill_between_the_spools() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = small_config(folder.path());
    let mut hub = RealHub::start(&config).await;
    let t_ms = now_ms() as f64;
    let mut old = hello("updated", 1, &["a", "b"]);
    old["channels"][0]["scale"] = json!(0.5);
    let mut new = hello("updated", 2, &["b", "a"]);
    new["channels"][1]["scale"] = json!(0.25);
    // Killed after the old spool was drained, after the new one was introduced, and in the middle of it.
    let mut device = Device::introduce(hub.address, &old).await;
    device.reading(1, t_ms, 0, 10.0).await;
    device.reading(2, t_ms + 1.0, 0, 12.0).await;
    device.acked(2).await;
    hub.kill();
    hub = RealHub::start(&config).await;
    (old["first"], old["next"]) = (json!(1), json!(3));
    let mut device = Device::introduce(hub.address, &old).await;
    assert_eq!(device.acked, 2, "the old spool is drained");
    device.welcome(&new).await;
    hub.kill();
    hub = RealHub::start(&config).await;
    let mut device = Device::introduce(hub.address, &new).await;
    device.reading(1, t_ms + 2.0, 1, 28.0).await;
    device.acked(1).await;
    hub.kill();
    hub = RealHub::start(&config).await;
    (new["first"], new["next"]) = (json!(2), json!(2));
    let mut device = Device::introduce(hub.address, &new).await;
    assert_eq!(device.acked, 1);
    device.reading(2, t_ms + 3.0, 1, 32.0).await;
    device.acked(2).await;
    let wanted = [(t_ms, Some(5.0)), (t_ms + 1.0, Some(6.0)), (t_ms + 2.0, Some(7.0)), (t_ms + 3.0, Some(8.0))];
    assert_eq!(hub.points("updated/a").await, wanted);
    // A card restored to before the kills is still recognised.
    (new["first"], new["next"]) = (json!(1), json!(2));
    let mut clone = Device::connect(hub.address).await;
    clone.say(&new).await;
    clone.error("stale_spool").await;
}

#[tokio::test]
async fn what_was_posted_survives_a_kill_and_is_stored_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = small_config(folder.path());
    let mut hub = RealHub::start(&config).await;
    for seq in 1..=5_u64 {
        let body = json!({
            "device": "sleepy", "spool": 9, "seq": seq, "readings": [{ "t": 1_770_000_000_000_u64 + seq, "n": seq }],
        });
        let first = hub.post(&body).await;
        assert_eq!((first.status, &first.json()["stored"]), (200, &json!(1)));
        hub.kill();
        hub = RealHub::start(&config).await;
        // The answer was lost on the way: it asks again.
        let second = hub.post(&body).await;
        assert_eq!(second.json(), json!({ "acked": seq, "stored": 0, "duplicate": 1 }));
    }
    let wanted: Vec<_> = (1..=5).map(|n| (1_770_000_000_000.0 + f64::from(n), Some(f64::from(n)))).collect();
    assert_eq!(hub.points("sleepy/n").await, wanted);
}

//! Spools, marks and the ledger: what is sent twice, not at all, by two, or under another list of channels.

use protocol::close;
use serde_json::{Value, json};

use crate::support::{Bystander, Device, TestHub, cbor, eventually, eventually_equal, hello, now_ms};

/// A hello of a device that has been here before.
fn again(device: &str, spool: u64, channels: &[&str], first: u64, next: u64) -> Value {
    let mut hello = hello(device, spool, channels);
    hello["first"] = json!(first);
    hello["next"] = json!(next);
    hello
}

#[tokio::test]
async fn refused_content_is_named_acknowledged_and_counted() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut introduction = hello("wrong", 1, &["temp", "door"]);
    introduction["channels"][1]["states"] = json!(["closed", "open"]);
    let mut device = Device::introduce(hub.address, &introduction).await;
    let t_ms = now_ms();
    let too_many = json!([9, t_ms, [[0, 0, 1, vec![1; 40_000]], [0, 0, 1, vec![1; 40_000]]]]);
    let refused: [(&str, Vec<u8>); 10] = [
        ("malformed", cbor(&json!([1, t_ms]))),
        ("malformed", cbor(&json!([2, t_ms, [[0, 0]]]))),
        ("unknown_channel", cbor(&json!([3, t_ms, [[0, 0, 1], [2, 0, 1]]]))),
        // [4, a single float, []]
        ("coarse_time", [&[0x83, 0x04, 0xfa][..], &1.7e12_f32.to_be_bytes(), &[0x80]].concat()),
        ("bad_time", cbor(&json!([5, t_ms, [[0, 0, 0, [1, 2]]]]))),
        // [6, 0, [[0, 0, infinity]]]
        ("bad_value", vec![0x83, 0x06, 0x00, 0x81, 0x83, 0x00, 0x00, 0xf9, 0x7c, 0x00]),
        ("unknown_state", cbor(&json!([7, t_ms, [[1, 0, "ajar"]]]))),
        ("length_mismatch", cbor(&json!([8, t_ms, [[0, [0, 1], [1]]]]))),
        ("too_many_readings", cbor(&too_many)),
        ("malformed", [&cbor(&json!([10, t_ms, [[0, 0, 1]]]))[..], &[0]].concat()),
    ];
    for (seq, (code, bytes)) in (1..).zip(&refused) {
        device.send(bytes.clone()).await;
        let (message, named) = device.error(code).await;
        assert_eq!(named, Some(seq), "{code}: {message}");
        device.acked(seq).await;
    }
    device.reading(11, t_ms as f64, 0, 21.5).await;
    device.acked(11).await;
    eventually_equal("only the good one is there", vec![(t_ms as f64, Some(21.5))], async || {
        hub.points("wrong/temp").await
    })
    .await;
    let delivery = hub.delivery("wrong").await;
    assert_eq!((&delivery["received"], &delivery["stored"], &delivery["lost"]), (&json!(11), &json!(1), &json!(0)));
    let counted = json!({
        "bad_time": 1, "bad_value": 1, "coarse_time": 1, "length_mismatch": 1, "malformed": 3, "too_many_readings": 1,
        "unknown_channel": 1, "unknown_state": 1,
    });
    assert_eq!(delivery["refused"], counted);
    let metrics = hub.metrics().await;
    for (reason, count) in counted.as_object().expect("a map") {
        assert_eq!(
            metrics.get(&format!("messages_refused_total{{reason=\"{reason}\"}}")),
            count.as_u64().expect("a count")
        );
    }
    // It counts in the run: after a restart too it is not asked for again.
    let hub = {
        bystander.finish(&hub).await;
        hub.restart().await
    };
    let device = Device::introduce(hub.address, &{
        let mut hello = introduction.clone();
        hello["next"] = json!(12);
        hello
    })
    .await;
    assert_eq!(device.acked, 11);
    assert_eq!(hub.delivery("wrong").await["refused"], counted);
}

#[tokio::test]
async fn a_cloned_device_is_told_and_the_newer_one_goes_on() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut loser = Device::introduce(hub.address, &hello("twin", 1, &["n"])).await;
    loser.reading(1, now_ms() as f64, 0, 1.0).await;
    loser.acked(1).await;
    let mut winner = Device::introduce(hub.address, &again("twin", 1, &["n"], 2, 2)).await;
    assert_eq!(winner.acked, 1);
    assert_eq!(loser.closed(close::TAKEN_OVER).await, "another connection took this device over");
    winner.reading(2, now_ms() as f64 + 1.0, 0, 2.0).await;
    winner.acked(2).await;
    let metrics = hub.metrics().await;
    assert_eq!(metrics.get("takeovers_total"), 1);
    assert_eq!(metrics.get("device_connections_closed_total{code=\"4001\"}"), 1);
    eventually_equal("the winner counts as connected", json!(true), async || {
        hub.device("twin").await["connected"].take()
    })
    .await;
    let delivery = hub.delivery("twin").await;
    assert_eq!((&delivery["stored"], &delivery["duplicate"], &delivery["lost"]), (&json!(2), &json!(0), &json!(0)));
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn a_takeover_in_mid_commit_neither_loses_nor_doubles_nor_stalls() {
    // One commit in 300 ms: the device is back long before its messages are durable.
    let hub = TestHub::with(|config| {
        config.journal.commit_interval = hub::pipeline::CommitInterval::Fixed(std::time::Duration::from_millis(300));
    })
    .await;
    let mut first = Device::introduce(hub.address, &hello("hasty", 1, &["n"])).await;
    // The first commit comes at once; it begins the interval.
    first.reading(1, 1.0 + now_ms() as f64, 0, 1.0).await;
    first.acked(1).await;
    let t_ms = now_ms() as f64 + 1.0;
    for seq in 2..=10_u64 {
        first.reading(seq, t_ms + seq as f64, 0, seq as f64).await;
    }
    eventually("they are appended", async || (hub.metrics().await.get("messages_stored_total") == 10).then_some(()))
        .await;
    let mut second = Device::introduce(hub.address, &again("hasty", 1, &["n"], 1, 11)).await;
    // As any device does it sends what is not acknowledged, and has nothing new that would be acknowledged later.
    for seq in second.acked + 1..=10 {
        second.reading(seq, t_ms + seq as f64, 0, seq as f64).await;
    }
    second.acked(10).await;
    eventually_equal("each is there once", 10, async || hub.points("hasty/n").await.len()).await;
    let delivery = hub.delivery("hasty").await;
    assert_eq!((&delivery["stored"], &delivery["lost"]), (&json!(10), &json!(0)));
    first.closed(close::TAKEN_OVER).await;
}

#[tokio::test]
async fn a_device_that_lost_its_connection_in_mid_commit_is_acknowledged_on_the_next() {
    let hub = TestHub::with(|config| {
        config.journal.commit_interval = hub::pipeline::CommitInterval::Fixed(std::time::Duration::from_millis(300));
    })
    .await;
    let mut first = Device::introduce(hub.address, &hello("cut-off", 1, &["n"])).await;
    first.reading(1, now_ms() as f64, 0, 1.0).await;
    first.acked(1).await;
    first.reading(2, now_ms() as f64 + 1.0, 0, 2.0).await;
    eventually("it is appended", async || (hub.metrics().await.get("messages_stored_total") == 2).then_some(())).await;
    first.vanish();
    let mut second = Device::introduce(hub.address, &again("cut-off", 1, &["n"], 2, 3)).await;
    second.acked(2).await;
}

#[tokio::test]
async fn a_rolled_back_spool_is_stale_and_a_new_one_works_on_the_same_connection() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut device = Device::introduce(hub.address, &hello("restored", 1, &["n"])).await;
    let t_ms = now_ms() as f64;
    for seq in 1..=5_u64 {
        device.reading(seq, t_ms + seq as f64, 0, seq as f64).await;
    }
    device.acked(5).await;
    // The SD card was restored: its image ends with message 2.
    device.say(&again("restored", 1, &["n"], 2, 3)).await;
    let (message, seq) = device.error("stale_spool").await;
    assert!(message.contains("up to 5") && message.contains('3') && seq.is_none(), "{message}");
    // What it sends before it has read the error must not be taken for messages of a spool that goes on.
    device.reading(6, t_ms + 100.0, 0, 100.0).await;
    device.welcome(&hello("restored", 2, &["n"])).await;
    assert_eq!(device.acked, 0);
    device.acked = 0;
    device.reading(1, t_ms + 6.0, 0, 6.0).await;
    device.acked(1).await;
    let sent: Vec<_> = (1..=6).map(|n| (t_ms + f64::from(n), Some(f64::from(n)))).collect();
    eventually_equal("nothing of the rolled back spool is taken", sent, async || hub.points("restored/n").await).await;
    assert_eq!(hub.metrics().await.get("spools_stale_total"), 1);
    let spools = hub.delivery("restored").await["spools"].take();
    assert_eq!(spools, json!([{ "spool": 1, "acked": 5 }, { "spool": 2, "acked": 1 }]));
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn a_channel_list_may_grow_and_nothing_else() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut device = Device::introduce(hub.address, &hello("changing", 1, &["a", "b"])).await;
    let t_ms = now_ms() as f64;
    device.reading(1, t_ms, 1, 1.0).await;
    device.acked(1).await;
    device.welcome(&again("changing", 1, &["a", "b", "c"], 2, 2)).await;
    device.reading(2, t_ms + 1.0, 2, 2.0).await;
    device.acked(2).await;
    let scaled = |key: &str, value: Value| {
        let mut hello = again("changing", 1, &["a", "b", "c"], 3, 3);
        hello["channels"][1][key] = value;
        hello
    };
    let changes = [
        again("changing", 1, &["a", "c", "b"], 3, 3),
        again("changing", 1, &["a", "b"], 3, 3),
        scaled("scale", json!(0.5)),
        scaled("offset", json!(1)),
        scaled("states", json!(["off", "on"])),
        scaled("kind", json!("counter")),
    ];
    for change in &changes {
        let mut device = Device::introduce(hub.address, &again("changing", 1, &["a", "b", "c"], 3, 3)).await;
        device.say(change).await;
        // Sent before the answer is read: it means the new list, so under the old one it would be wrong.
        device.reading(3, t_ms + 2.0, 1, 3.0).await;
        device.error("channels_changed").await;
        assert_eq!(device.closed(close::POLICY).await, "channels_changed");
    }
    assert_eq!(hub.points("changing/b").await, [(t_ms, Some(1.0))]);
    // What only people read may change.
    let mut renamed = again("changing", 1, &["a", "b", "c"], 3, 3);
    renamed["channels"][1]["title"] = json!("Beta");
    renamed["firmware"] = json!("2");
    let mut device = Device::introduce(hub.address, &renamed).await;
    device.reading(3, t_ms + 2.0, 1, 3.0).await;
    device.acked(3).await;
    eventually_equal("the title is taken", json!("Beta"), async || {
        hub.device("changing").await["channels"][1]["title"].take()
    })
    .await;
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn gaps_are_noted_explained_or_not_and_trimmed() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    // A device whose memory was full: it holds 11 and 12 of a spool the hub has never seen.
    let mut device = Device::introduce(hub.address, &again("holey", 1, &["n"], 11, 13)).await;
    device.say(&json!({ "type": "gap", "from": 1, "to": 10, "reason": "memory full" })).await;
    device.acked(10).await;
    let t_ms = now_ms() as f64;
    device.reading(11, t_ms, 0, 11.0).await;
    device.reading(12, t_ms + 1.0, 0, 12.0).await;
    device.acked(12).await;
    // A jump that nobody explains.
    device.reading(20, t_ms + 2.0, 0, 20.0).await;
    device.acked(20).await;
    // Trimmed to what is above the mark …
    device.say(&json!({ "type": "gap", "from": 15, "to": 25, "reason": "flash worn out" })).await;
    device.acked(25).await;
    // … and one that lies below it altogether changes nothing, but is acknowledged.
    device.say(&json!({ "type": "gap", "from": 3, "to": 9 })).await;
    // One that begins behind a hole has the hole noted too.
    device.say(&json!({ "type": "gap", "from": 30, "to": 31, "reason": "spilled" })).await;
    device.acked(31).await;
    eventually_equal("the gaps", 5, async || hub.delivery("holey").await["gaps"].as_array().map_or(0, Vec::len)).await;
    let delivery = hub.delivery("holey").await;
    let gaps: Vec<Value> = delivery["gaps"]
        .as_array()
        .expect("gaps")
        .iter()
        .map(|gap| json!([gap["from"], gap["to"], gap["reason"]]))
        .collect();
    assert_eq!(
        json!(gaps),
        json!([
            [1, 10, "memory full"],
            [13, 19, "unexplained"],
            [21, 25, "flash worn out"],
            [26, 29, "unexplained"],
            [30, 31, "spilled"],
        ])
    );
    assert_eq!((&delivery["stored"], &delivery["lost"]), (&json!(3), &json!(28)));
    assert_eq!(hub.metrics().await.get("messages_lost_total"), 28);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn what_is_sent_again_is_counted_and_acknowledged_but_not_stored_again() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut device = Device::introduce(hub.address, &hello("repeater", 1, &["n"])).await;
    let t_ms = now_ms() as f64;
    for seq in 1..=30_u64 {
        device.reading(seq, t_ms + seq as f64, 0, seq as f64).await;
    }
    device.acked(30).await;
    device.vanish();
    // The acknowledgements were lost on the way; it does not believe the welcome either.
    let mut device = Device::introduce(hub.address, &again("repeater", 1, &["n"], 11, 31)).await;
    assert_eq!(device.acked, 30);
    for seq in 11..=31_u64 {
        device.reading(seq, t_ms + seq as f64, 0, 1_000.0).await;
    }
    device.acked(31).await;
    eventually_equal("counted", json!([51, 31, 20, 0]), async || {
        let delivery = hub.delivery("repeater").await;
        json!([delivery["received"], delivery["stored"], delivery["duplicate"], delivery["lost"]])
    })
    .await;
    assert_eq!(hub.metrics().await.get("messages_duplicate_total"), 20);
    let sent: Vec<_> =
        (1..=31).map(|n| (t_ms + f64::from(n), Some(if n == 31 { 1_000.0 } else { f64::from(n) }))).collect();
    assert_eq!(hub.points("repeater/n").await, sent, "the first copy stands");
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn a_duplicate_alone_is_acknowledged() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("stutter", 1, &["n"])).await;
    device.reading(1, now_ms() as f64, 0, 1.0).await;
    device.acked(1).await;
    device.acked = 0;
    device.reading(1, now_ms() as f64, 0, 1.0).await;
    device.acked(1).await;
}

#[tokio::test]
async fn a_firmware_change_with_a_backlog_keeps_both_meanings() {
    let hub = TestHub::start().await;
    let bystander = Bystander::start(&hub).await;
    let mut old = hello("updated", 1, &["raw", "spare"]);
    old["firmware"] = json!("1.0");
    old["channels"][0]["scale"] = json!(0.1);
    let mut device = Device::introduce(hub.address, &old).await;
    let t_ms = now_ms() as f64;
    device.reading(1, t_ms, 0, 215.0).await;
    device.acked(1).await;
    device.vanish();
    // Back with new firmware: another scale and another order. The backlog goes first, under its own hello.
    let mut backlog = old.clone();
    (backlog["first"], backlog["next"]) = (json!(2), json!(4));
    let mut device = Device::introduce(hub.address, &backlog).await;
    device.reading(2, t_ms + 1.0, 0, 216.0).await;
    device.reading(3, t_ms + 2.0, 0, 217.0).await;
    device.acked(3).await;
    let mut new = hello("updated", 2, &["extra", "raw"]);
    new["firmware"] = json!("2.0");
    new["channels"][1]["scale"] = json!(0.5);
    device.welcome(&new).await;
    device.acked = 0;
    device.reading(1, t_ms + 3.0, 1, 44.0).await;
    device.reading(2, t_ms + 4.0, 0, 7.0).await;
    device.acked(2).await;
    let raw = [21.5, 21.6, 21.7, 22.0];
    let wanted: Vec<_> = (0..).zip(raw).map(|(i, v): (i32, f64)| (t_ms + f64::from(i), Some(v))).collect();
    let rounded = |points: Vec<(f64, Option<f64>)>| -> Vec<_> {
        points.into_iter().map(|(t, v)| (t, v.map(|v| (v * 1e9).round() / 1e9))).collect()
    };
    eventually_equal("one series across the change", wanted.clone(), async || rounded(hub.points("updated/raw").await))
        .await;
    assert_eq!(hub.points("updated/extra").await, [(t_ms + 4.0, Some(7.0))]);
    assert_eq!(hub.device("updated").await["firmware"], "2.0");
    bystander.finish(&hub).await;
    let hub = hub.restart().await;
    assert_eq!(rounded(hub.points("updated/raw").await), wanted);
}

#[tokio::test]
async fn the_credit_is_respected_and_told_in_every_acknowledgement() {
    let hub = TestHub::with(|config| config.ingest.credit = 8).await;
    let bystander = Bystander::start(&hub).await;
    let mut device = Device::introduce(hub.address, &hello("polite", 1, &["n"])).await;
    assert_eq!(device.credit, 8);
    let (mut sent, t_ms) = (0, now_ms() as f64);
    while device.acked < 200 {
        while sent < 200.min(device.acked + device.credit) {
            sent += 1;
            device.reading(sent, t_ms + sent as f64, 0, 1.0).await;
        }
        device.acked(device.acked + 1).await;
        assert_eq!(device.credit, 8);
    }
    assert_eq!(hub.delivery("polite").await["lost"], 0);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn old_spools_are_forgotten_after_eight_and_their_readings_are_not() {
    let hub = TestHub::start().await;
    let t_ms = now_ms() as f64;
    for spool in 1..=12_u64 {
        // Each start of this device draws a new spool and another order of its channels.
        let names = if spool % 2 == 0 { ["n", "m"] } else { ["m", "n"] };
        let mut device = Device::introduce(hub.address, &hello("restless", spool, &names)).await;
        device.reading(1, t_ms + spool as f64, u16::from(spool % 2 == 1), spool as f64).await;
        device.acked(1).await;
        device.leave().await;
    }
    let wanted: Vec<_> = (1..=12).map(|n| (t_ms + f64::from(n), Some(f64::from(n)))).collect();
    eventually_equal("all readings", wanted.clone(), async || hub.points("restless/n").await).await;
    let spools = hub.delivery("restless").await["spools"].as_array().map(Vec::len);
    assert_eq!(spools, Some(8));
    let hub = hub.restart().await;
    assert_eq!(hub.points("restless/n").await, wanted);
}

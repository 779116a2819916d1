//! `/metrics`: held against the rules of the text format, by hand and by Prometheus' own judge where it is installed.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
};

use serde_json::json;

use crate::support::{Device, TestHub, hello};

/// What is wrong with an exposition in the Prometheus text format (the parts of it that a hub uses).
fn complaints(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut kinds, mut helped): (BTreeMap<&str, &str>, BTreeSet<&str>) = (BTreeMap::new(), BTreeSet::new());
    let mut samples = BTreeSet::new();
    let is_name = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    if !text.ends_with('\n') {
        wrong.push("the last line is cut".into());
    }
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').unwrap_or((rest, ""));
            if help.is_empty() || !helped.insert(name) {
                wrong.push(format!("{name} has no help, or two"));
            }
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap_or((rest, ""));
            if !["counter", "gauge"].contains(&kind) || kinds.insert(name, kind).is_some() {
                wrong.push(format!("{name} has the type {kind:?}, or two"));
            }
        } else {
            let Some((sample, value)) = line.rsplit_once(' ') else {
                wrong.push(format!("{line:?} is no sample"));
                continue;
            };
            let (name, labels) = sample.split_once('{').map_or((sample, None), |(name, rest)| (name, Some(rest)));
            if !kinds.contains_key(name) || !helped.contains(name) || !is_name(name) {
                wrong.push(format!("{name} belongs to no family"));
            }
            // By the conventions counters are called so, and nothing else is.
            if name.ends_with("_total") != (kinds.get(name) == Some(&"counter")) {
                wrong.push(format!("{name} has a name of another type"));
            }
            if !name.starts_with("highwater_") {
                wrong.push(format!("{name} is not one of the hub's names"));
            }
            if value.parse::<f64>().is_err() || !samples.insert(sample) {
                wrong.push(format!("{line:?} is no number, or stands there twice"));
            }
            let is_label = |pair: &str| {
                let (key, value) = pair.split_once("=\"").unwrap_or((pair, ""));
                is_name(key) && value.ends_with('"') && !value[..value.len() - 1].contains(['"', '\\'])
            };
            if labels.is_some_and(|labels| !labels.strip_suffix('}').is_some_and(|all| all.split(',').all(is_label))) {
                wrong.push(format!("{line:?} has labels that cannot be read"));
            }
        }
    }
    wrong
}

async fn busy_hub() -> TestHub {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("d\u{2d}1", 1, &["n"])).await;
    device.say(&json!([1, 0])).await;
    device.acked(1).await;
    hub.post(&json!({ "device": "shed", "readings": {} })).await;
    device.leave().await;
    hub
}

#[tokio::test]
async fn the_exposition_keeps_to_the_format() {
    let hub = busy_hub().await;
    let answer = hub.get("/metrics").await;
    assert!(answer.header("content-type").is_some_and(|kind| kind == "text/plain; version=0.0.4; charset=utf-8"));
    let wrong = complaints(&answer.text());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // No label grows with the number of devices or series.
    let before = answer.text().lines().count();
    for number in 0..50 {
        hub.post(&json!({ "device": format!("d-{number}"), "readings": { "a": 1, "b": 2 } })).await;
    }
    assert_eq!(hub.get("/metrics").await.text().lines().count(), before);
}

#[test]
fn the_checker_notices() {
    let good = "# HELP highwater_a_total A.\n# TYPE highwater_a_total counter\nhighwater_a_total{reason=\"x\"} 1\n";
    assert_eq!(complaints(good), [""; 0]);
    for (from, to) in [
        (" 1\n", " 1"),
        ("_total", ""),
        ("counter", "histogram"),
        ("} 1", "} one"),
        ("=\"x\"", "=x"),
        ("# TYPE highwater_a_total counter\n", ""),
        ("# HELP highwater_a_total A.\n", ""),
        ("highwater_a", "other_a"),
    ] {
        assert_ne!(complaints(&good.replace(from, to)), [""; 0], "{from:?} to {to:?}");
    }
}

#[tokio::test]
async fn promtool_has_nothing_to_complain_about() {
    let hub = busy_hub().await;
    let text = hub.get("/metrics").await.text();
    let judge = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut judge) = judge else {
        println!("skipped: promtool is not installed");
        return;
    };
    judge.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let said = judge.wait_with_output().expect("it ends");
    let (out, error) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{out}{error}");
}

//! The questions of `docs/protocol.md`, asked with curl as they stand there: the answers are those that it shows.

use std::{fs, path::Path, process::Command};

use protocol::device::HubControl;
use serde_json::{Value, json};

use crate::support::{Device, TestHub, eventually_equal, in_time};

/// Its code blocks in order: kind and content.
fn blocks() -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/protocol.md");
    let text = fs::read_to_string(path).expect("the document");
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.split_once('\n')).map(|(kind, content)| (kind.into(), content.into())).collect()
}

/// A hub that has had the document's messages up to its gap, and the one that stands behind it.
async fn documents_hub(blocks: &[(String, String)]) -> (TestHub, Device) {
    let hub = TestHub::start().await;
    let mut device = Device::connect(hub.address).await;
    let hex = blocks.iter().filter(|(kind, _)| kind == "hex device-to-hub");
    let said = hex.map(|(_, hex)| {
        let digits: String = hex.lines().filter_map(|line| line.split('#').next()).collect();
        let digits: Vec<&str> = digits.split_whitespace().collect();
        digits.iter().map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect::<Vec<u8>>()
    });
    for message in said {
        let is_named = |name: &[u8]| message.windows(name.len()).any(|part| part == name);
        let (is_hello, is_gap) = (is_named(b"\x65hello"), is_named(b"\x63gap"));
        device.send(message).await;
        if is_hello {
            assert!(matches!(device.hear().await, Ok(HubControl::Welcome { .. })));
        }
        if is_gap {
            break;
        }
    }
    device.say(&json!([91, 1_770_000_009_000_u64, [[0, 0, 22]]])).await;
    device.acked(91).await;
    (hub, device)
}

/// An answer with what differs each time (when something was heard of) taken out.
fn without_arrivals(mut answer: Value) -> Value {
    answer.as_object_mut().map(|answer| answer.remove("last_seen"));
    for gap in answer.pointer_mut("/delivery/gaps").and_then(Value::as_array_mut).into_iter().flatten() {
        gap.as_object_mut().map(|gap| gap.remove("at"));
    }
    answer
}

#[tokio::test]
async fn every_question_of_the_document_is_answered_as_it_says() {
    if Command::new("curl").arg("--version").output().is_err() {
        println!("skipped: curl is not installed");
        return;
    }
    let blocks = blocks();
    let (hub, _device) = documents_hub(&blocks).await;
    eventually_equal("it is seen as connected", json!(true), async || {
        hub.device("greenhouse-1").await["connected"].take()
    })
    .await;
    let mut asked = 0;
    for pair in blocks.windows(2) {
        let [(kind, command), (answered_as, shown)] = pair else { unreachable!("windows of two") };
        if kind != "sh" || !command.starts_with("curl ") {
            continue;
        }
        let mut curl = Command::new("sh");
        curl.arg("-c").arg(command.replace("127.0.0.1:8080", &hub.address.to_string()).replace("curl ", "curl -sS "));
        let run = tokio::task::spawn_blocking(move || curl.output().expect("sh runs"));
        let output = in_time("curl", run).await.expect("no panic");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        let answer = String::from_utf8(output.stdout).expect("UTF-8");
        if answered_as == "json" {
            let read = |text: &str| without_arrivals(serde_json::from_str(text).unwrap_or_else(|_| panic!("{text}")));
            assert_eq!(read(&answer), read(shown), "{command}{answer}");
        } else {
            assert_eq!(&answer, shown, "{command}");
        }
        asked += 1;
    }
    assert!(asked >= 9, "only {asked} questions were found");
}

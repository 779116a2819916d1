//! Who is let in, and what a hub says that cannot start.

use std::net::TcpListener;

use rustix::process::geteuid;
use serde_json::json;

use crate::support::{Bystander, Mount, RealHub, TestHub, request, run_hub, small_config};

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

#[tokio::test]
async fn foreign_pages_and_foreign_names_are_answered_403() {
    let hub = TestHub::with(|config| {
        config.web.allowed_origins = vec!["https://wall.example".into()];
        config.web.allowed_hosts = vec!["hub.example".into()];
    })
    .await;
    let bystander = Bystander::start(&hub).await;
    let own = format!("http://{}", hub.address);
    let reading = json!({ "device": "page", "readings": { "n": 1 } }).to_string();
    let mut refused = 0;
    for (origin, is_own) in [
        (own.as_str(), true),
        ("https://wall.example", true),
        ("null", false),
        ("http://evil.example", false),
        ("http://127.0.0.1", false),
        ("file://", false),
        ("https://wall.example.evil.example", false),
    ] {
        let post = [("Origin", origin), ("Content-Type", "application/json")];
        let posted = request(hub.address, "POST", "/api/v1/readings", &post, reading.as_bytes()).await;
        let mut statuses = vec![posted.status];
        for (path, protocol) in [("/ws/live", "highwater.live.v1"), ("/ws/device", "highwater.device.v1")] {
            let mut upgrade = UPGRADE.to_vec();
            upgrade.extend([("Origin", origin), ("Sec-WebSocket-Protocol", protocol)]);
            statuses.push(request(hub.address, "GET", path, &upgrade, b"").await.status);
        }
        if is_own {
            assert_eq!(statuses, [200, 101, 101], "{origin}");
        } else {
            posted.assert_problem(403, "web.allowed_origins");
            assert_eq!(statuses, [403, 403, 403], "{origin}");
            refused += 3;
        }
    }
    // Reading is harmless: a foreign page cannot see the answer.
    let foreign = [("Origin", "http://evil.example")];
    assert_eq!(request(hub.address, "GET", "/api/v1/devices", &foreign, b"").await.status, 200);
    for (host, status) in [
        ("localhost", 200),
        ("pi.local:8080", 200),
        ("hub.example", 200),
        ("[::1]:8080", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("", 403),
    ] {
        let answer = request(hub.address, "GET", "/api/v1/devices", &[("Host", host)], b"").await;
        if status == 403 {
            answer.assert_problem(403, "web.allowed_hosts");
            refused += 1;
        }
        assert_eq!(answer.status, status, "{host:?}");
    }
    assert_eq!(hub.metrics().await.get("foreign_requests_refused_total"), refused);
    bystander.finish(&hub).await;
}

#[tokio::test]
async fn a_port_in_use_is_named_and_the_data_folder_is_not_touched() {
    let folder = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound").to_string();
    let (status, said) = run_hub(&["--listen", &address, "--data", "data"], &[], folder.path()).await;
    assert_eq!(status.code(), Some(1));
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
    assert!(!folder.path().join("data").exists());
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), "not a folder").expect("written");
    for data in ["file", "file/below"] {
        let (status, said) = run_hub(&["--listen", "127.0.0.1:0", "--data", data], &[], folder.path()).await;
        assert_eq!(status.code(), Some(1));
        assert!(said.contains(data) && said.contains("--data"), "{said}");
    }
    let config = small_config(folder.path());
    let hub = RealHub::start(&config).await;
    let (status, said) = run_hub(&["--listen", "127.0.0.1:0", "--data", "data"], &[], folder.path()).await;
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("another hub is using the data folder"), "{said}");
    assert_eq!(hub.get("/readyz").await.status, 200, "the first is not disturbed");
}

#[tokio::test]
async fn a_data_folder_that_is_read_only_is_named() {
    if !geteuid().is_root() {
        println!("skipped: a read-only mount needs root");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    std::fs::create_dir(&data).expect("made");
    let Some(_mounted) = Mount::tmpfs(&data, "ro,size=1m") else { return };
    let (status, said) = run_hub(&["--listen", "127.0.0.1:0", "--data", "data"], &[], folder.path()).await;
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("cannot write to the data folder") && said.contains("Read-only"), "{said}");
}

#[tokio::test]
async fn what_is_wrong_in_a_configuration_is_named_with_file_line_and_key() {
    let folder = tempfile::tempdir().expect("a folder");
    for (text, parts) in [
        ("name = \"shed\"\n[ingest]\ncredits = 5\n", &["hub.toml", "line 3", "credits", "credit"][..]),
        ("[journal]\ncommit_interval = \"soon\"\n", &["hub.toml", "line 2", "soon", "10ms"]),
        ("[web]\nconnections_max = -1\n", &["hub.toml", "line 2", "connections_max"]),
        ("[journal\n", &["hub.toml", "line 1"]),
        ("[ingest]\ncredit = 0\n", &["ingest.credit"]),
        ("listen = \"0.0.0.0:0\"\n", &["insecure = true", "--insecure"]),
    ] {
        std::fs::write(folder.path().join("hub.toml"), text).expect("written");
        for command in [&["check-config"][..], &[]] {
            let arguments = [command, &["--config", "hub.toml", "--data", "data"]].concat();
            let (status, said) = run_hub(&arguments, &[], folder.path()).await;
            assert_eq!(status.code(), Some(1), "{text}");
            for part in parts {
                assert!(said.contains(part), "{part} is not in {said}");
            }
        }
    }
    assert!(!folder.path().join("data").exists());
    let (status, said) = run_hub(&["--config", "nowhere.toml"], &[], folder.path()).await;
    assert!(status.code() == Some(1) && said.contains("nowhere.toml"), "{said}");
    for (key, value) in [("HUB__INGEST__CREDITS", "5"), ("HUB__INGEST__CREDIT", "many")] {
        let (status, said) = run_hub(&["check-config"], &[(key, value)], folder.path()).await;
        assert!(status.code() == Some(1) && said.to_lowercase().contains("credit"), "{key}={value}: {said}");
    }
    let (status, _) = run_hub(&["check-config"], &[("HUB__INGEST__CREDIT", "5")], folder.path()).await;
    assert_eq!(status.code(), Some(0));
    let (status, _) = run_hub(&["--no-such-flag"], &[], folder.path()).await;
    assert_eq!(status.code(), Some(2));
}

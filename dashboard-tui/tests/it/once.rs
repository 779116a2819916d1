//! `--once` and the flags of the real program.

use std::process::{Command, Output};

use crate::{fake_hub::FakeHub, farm};

async fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dashboard-tui"));
    command.args(arguments).env_remove("NO_COLOR");
    tokio::task::spawn_blocking(move || command.output().expect("started")).await.expect("ran")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[tokio::test]
async fn once_prints_a_line_for_each_channel_and_ends() {
    let hub = FakeHub::start(farm::devices()).await;
    let output = run(&["--once", "--hub", &hub.address.to_string()]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert_eq!(table.lines().count(), 1 + 4 * 2 + 2 * 5);
    let old_pi: Vec<&str> = table.lines().filter(|line| line.starts_with("old-pi")).collect();
    assert!(old_pi[0].contains("offline") && old_pi[0].ends_with(" bar"), "{table}");
}

#[tokio::test]
async fn once_of_an_empty_hub_is_the_headings() {
    let hub = FakeHub::start(Vec::new()).await;
    let output = run(&["--once", "--hub", &hub.address.to_string()]).await;
    assert_eq!(text(&output.stdout), "DEVICE  STATE  SEEN  CHANNEL  TIME  VALUE\n");
}

#[tokio::test]
async fn what_cannot_start_says_what_to_do() {
    let no_terminal = run(&[]).await;
    assert!(!no_terminal.status.success());
    assert!(text(&no_terminal.stderr).contains("--once"));
    let wrong_hub = run(&["--hub", "ftp://hub"]).await;
    assert!(text(&wrong_hub.stderr).contains("ws://"), "{}", text(&wrong_hub.stderr));
    let help = text(&run(&["--help"]).await.stdout);
    for flag in ["--hub", "--token-file", "--theme", "--device", "--config", "--log-file", "--once"] {
        assert!(help.contains(flag), "{help}");
    }
}

//! The fleet as a library, as `hub demo` uses it.

use std::{future::pending, path::Path, time::Duration};

use client::address::HubAddress;
use device_sim::{
    fleet::{self, Fleet, FleetConfig, FleetError, SourceConfig},
    source::{host, replay::Pace},
};
use protocol::{device::DeviceControl, ids::Id};

use crate::hub::Hub;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

fn config(hub: &Hub, devices: u32) -> FleetConfig {
    FleetConfig::demo(HubAddress::parse(&hub.address).unwrap(), devices)
}

/// Quick enough that nobody waits.
fn fast() -> SourceConfig {
    SourceConfig::Waveform { profile: None, rate_hz: 50.0, vibration: true }
}

#[tokio::test]
async fn a_fleet_measures_until_it_is_shut_down_and_leaves_nothing_behind() {
    let mut hub = Hub::start().await;
    let config = FleetConfig { source: fast(), ..config(&hub, 8) };
    let store = hub.store.clone();
    let enough = async {
        hub.until(|store| store.readings.len() == 8 && store.readings.values().all(|of| of.len() > 50)).await;
    };
    let summary = fleet::run(&config, enough).await.unwrap();
    assert!(summary.is_drained && summary.failures.is_empty(), "{summary:?}");
    let store = store.lock().unwrap();
    assert_eq!(store.count() as u64, summary.last.readings, "what was measured is what arrived");
    let press = &store.hellos["press-1"];
    assert_eq!((press.title.as_deref(), press.import), (Some("Press 1"), false));
    assert!(press.model.as_deref().unwrap().starts_with("simulated") && press.firmware.is_some());
    let vibration = store.values("press-1", "vibration");
    assert!(vibration.len() >= 100 && vibration.iter().all(|g| g.abs() < 200.0), "scaled once: {vibration:?}");
}

#[tokio::test]
async fn a_hub_that_restarts_gets_everything_that_was_measured_meanwhile() {
    let mut hub = Hub::start().await;
    let config = FleetConfig { source: fast(), ..config(&hub, 3) };
    let fleet = Fleet::start(&config).unwrap();
    hub.until(|store| store.readings.len() == 3).await;
    let (address, store) = (hub.address.clone(), hub.store.clone());
    drop(hub);
    let readings = fleet.snapshot().readings;
    while fleet.snapshot().readings < readings + 500 {
        tokio::task::yield_now().await;
    }
    let away = fleet.snapshot();
    assert!(away.waiting_messages > 0 && away.connected == 0, "{away:?}");
    let hub = Hub::start_at(&address, store).await;
    let summary = fleet.finish(Duration::from_secs(600)).await;
    assert!(summary.is_drained, "{summary:?}");
    assert_eq!(hub.store.lock().unwrap().count() as u64, summary.last.readings);
}

#[tokio::test]
async fn a_recording_is_imported_with_its_own_times_and_the_fleet_ends() {
    let hub = Hub::start().await;
    let path = Path::new(FIXTURES).join("recordings/pump-bearing.csv");
    let rows = std::fs::read_to_string(&path).unwrap().lines().count() - 1;
    let source = SourceConfig::Replay { path, pace: Pace::AsRecorded };
    let config = FleetConfig { source, ..config(&hub, 1) };
    let summary = fleet::run(&config, pending()).await.unwrap();
    assert!(summary.is_drained);
    let store = hub.store.lock().unwrap();
    let hello = &store.hellos["pump-bearing"];
    assert!(hello.import);
    for channel in &hello.channels {
        assert_eq!(store.values("pump-bearing", channel.name.as_str()).len(), rows);
    }
    let times: Vec<i64> = store.readings["pump-bearing"].iter().map(|reading| reading.time_us).collect();
    assert!(times.is_sorted() && times[0] < times[times.len() - 1]);
}

#[tokio::test]
async fn a_machine_is_named_after_itself_and_refuses_commands_in_words() {
    let mut hub = Hub::start().await;
    let root = Path::new(FIXTURES).join("pi");
    let source = SourceConfig::Host(host::Config { root, rate_hz: 20.0, per_core: false });
    let config = FleetConfig { source, ..config(&hub, 1) };
    let store = hub.store.clone();
    let enough = async { hub.until(|store| store.count() > 20 && !store.answers.is_empty()).await };
    assert!(fleet::run(&config, enough).await.unwrap().is_drained);
    let store = store.lock().unwrap();
    let (name, hello) = store.hellos.first_key_value().unwrap();
    assert_eq!((name.as_str(), hello.model.as_deref()), ("pi-garden", Some("Raspberry Pi 4 Model B Rev 1.4")));
    assert!(hello.channels.len() > 5, "{:?}", hello.channels);
    let DeviceControl::Result { ok: false, message: Some(message), .. } = &store.answers[0] else { panic!() };
    assert!(message.contains("no commands"), "{message}");
}

#[tokio::test]
async fn a_fleet_that_makes_no_sense_says_why() {
    let hub = Hub::start().await;
    let two = FleetConfig { source: SourceConfig::Stdin, ..config(&hub, 2) };
    assert!(matches!(Fleet::start(&two), Err(FleetError::OneOnly("standard input"))));
    let fault = FleetConfig { faults: vec!["stuck:nothing".parse().unwrap()], ..config(&hub, 1) };
    assert!(matches!(Fleet::start(&fault), Err(FleetError::Fault { .. })));
    let long = FleetConfig { device: Some(Id::new(&"x".repeat(64)).unwrap()), ..config(&hub, 2) };
    assert!(matches!(Fleet::start(&long), Err(FleetError::Id { .. })));
    let long = FleetConfig { site: Some(Id::new(&"x".repeat(64)).unwrap()), ..config(&hub, 1) };
    assert_eq!(Fleet::start(&long).unwrap().ids()[0].as_str(), format!("{}-greenhouse-1", "x".repeat(51)));
    let path = Path::new(FIXTURES).join("no such recording");
    let none = FleetConfig { source: SourceConfig::Replay { path, pace: Pace::AsRecorded }, ..config(&hub, 1) };
    assert!(matches!(Fleet::start(&none), Err(FleetError::Source { .. })));
}

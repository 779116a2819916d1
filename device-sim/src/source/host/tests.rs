#![expect(clippy::float_cmp, reason = "these values are exact")]

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::*;

const NOW_US: i64 = 1_800_000_000_000_000;
const SECOND_US: i64 = 1_000_000;

/// A copy of the fake Pi that a test may change. A colon cannot stand in every checkout, so the copy puts it in.
fn pi() -> TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap().replace("iio-device", "iio:device");
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to.join(name));
            } else {
                fs::copy(entry.path(), to.join(name)).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pi"), folder.path());
    folder
}

fn open(root: &Path, per_core: bool) -> Host {
    Host::open(&Config { root: root.to_owned(), rate_hz: 1.0, per_core }).unwrap()
}

fn edit(root: &Path, path: &str, edit: impl Fn(&str) -> String) {
    let path = root.join(path);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, edit(&text)).unwrap();
}

/// Polls at `now_us`, and on until slow sensors have answered; gives the values by channel name.
fn read(host: &mut Host, now_us: i64) -> BTreeMap<String, f64> {
    let mut out = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(20);
    host.poll(now_us, &mut out).unwrap();
    while host.probes.iter().any(|(_, probe)| probe.is_busy()) {
        assert!(Instant::now() < deadline, "the 1-wire round ends");
        std::thread::yield_now();
        // The same instant again: nothing is due, what is ready is collected.
        host.poll(now_us, &mut out).unwrap();
    }
    let named = out.into_iter().map(|sample| match sample {
        Sample::Point { channel, time_us, value } => {
            assert_eq!(time_us, now_us);
            (host.channels()[channel].name.to_string(), value)
        }
        Sample::Run { .. } => panic!("a host has points only"),
    });
    named.collect()
}

#[test]
fn a_pi_is_found_whole() {
    let folder = pi();
    let host = open(folder.path(), true);
    let channels: Vec<String> = host
        .channels()
        .iter()
        .map(|channel| format!("{} {}", channel.name, channel.unit.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        channels,
        [
            "cpu.busy %",
            "cpu.0.busy %",
            "cpu.1.busy %",
            "cpu.2.busy %",
            "cpu.3.busy %",
            "load1 /",
            "mem.used B",
            "mem.available B",
            "mem.used-percent %",
            "psi.cpu %",
            "psi.io %",
            "psi.memory %",
            "disk.mmcblk0.read B/s",
            "disk.mmcblk0.write B/s",
            "net.eth0.rx B/s",
            "net.eth0.tx B/s",
            "net.wlan0.rx B/s",
            "net.wlan0.tx B/s",
            "thermal.cpu-thermal Cel",
            "hwmon.cpu_thermal.temp1 Cel",
            "hwmon.pwmfan.fan1 1/min",
            "w1.28-01143bd7a1aa Cel",
            "w1.28-0316a2795fff Cel",
            "iio.bme280.humidityrelative %RH",
            "iio.bme280.pressure Pa",
            "iio.bme280.temp Cel",
            "iio.ads1015.voltage0 V",
            "iio.ads1015.voltage1 V",
            "iio.lsm6ds3.accel_x m/s2",
            "iio.lsm6ds3.accel_z m/s2",
            "iio.lsm6ds3.temp Cel",
        ]
    );
}

#[test]
fn values_are_in_their_units() {
    let folder = pi();
    let values = read(&mut open(folder.path(), false), NOW_US);
    for (name, expected) in [
        ("load1", 0.42),
        ("mem.available", 710_811.0 * 1_024.0),
        ("mem.used", (947_748.0 - 710_811.0) * 1_024.0),
        ("mem.used-percent", 25.0),
        ("psi.io", 1.25),
        ("thermal.cpu-thermal", 48.312),
        ("hwmon.pwmfan.fan1", 2_410.0),
        ("w1.28-0316a2795fff", 21.437),
        ("w1.28-01143bd7a1aa", 23.125),
        ("iio.bme280.temp", 21.87),
        ("iio.bme280.pressure", 101_325.0),
        ("iio.bme280.humidityrelative", 44.512),
        ("iio.ads1015.voltage0", 3.3),
        ("iio.ads1015.voltage1", 0.2),
        ("iio.lsm6ds3.accel_z", 9.8072),
        ("iio.lsm6ds3.temp", 24.023_437_5),
    ] {
        let value = values[name];
        assert!((value - expected).abs() <= expected.abs() * 1e-3, "{name}: {value}, not {expected}");
    }
    assert!(!values.contains_key("cpu.busy") && !values.contains_key("net.eth0.rx"), "a first count has no rate");
}

#[test]
fn counters_become_rates() {
    let folder = pi();
    let mut host = open(folder.path(), true);
    read(&mut host, NOW_US);
    // In two seconds: 200 ticks of which 150 idle, 100 sectors read and 40 written, 3000 bytes in and 1000 out.
    edit(folder.path(), "proc/stat", |text| text.replace("4000 200 1000 40000 800", "4040 200 1010 40140 810"));
    edit(folder.path(), "proc/diskstats", |text| {
        text.replace(" 2000000 ", " 2000100 ").replace(" 1000000 ", " 1000040 ")
    });
    edit(folder.path(), "proc/net/dev", |text| text.replace("50000000", "50003000").replace("10000000", "10001000"));
    let values = read(&mut host, NOW_US + 2 * SECOND_US);
    assert!((values["cpu.busy"] - 25.0).abs() < 1e-9, "{}", values["cpu.busy"]);
    assert!(values["cpu.0.busy"].is_nan(), "no tick passed");
    assert_eq!((values["disk.mmcblk0.read"], values["disk.mmcblk0.write"]), (25_600.0, 10_240.0));
    assert_eq!((values["net.wlan0.rx"], values["net.wlan0.tx"], values["net.eth0.rx"]), (1_500.0, 500.0, 0.0));
    // A counter that starts again says nothing about the time before.
    edit(folder.path(), "proc/net/dev", |text| text.replace("50003000", "7"));
    let values = read(&mut host, NOW_US + 3 * SECOND_US);
    assert!(values["net.wlan0.rx"].is_nan() && values["net.wlan0.tx"] == 0.0);
}

#[test]
fn an_unplugged_sensor_is_missing_and_comes_back() {
    let folder = pi();
    let mut host = open(folder.path(), false);
    let (sensor, elsewhere) = (folder.path().join("sys/bus/w1/devices/28-0316a2795fff"), folder.path().join("drawer"));
    let before = read(&mut host, NOW_US);
    fs::rename(&sensor, &elsewhere).unwrap();
    fs::remove_dir_all(folder.path().join("sys/bus/iio")).unwrap();
    edit(folder.path(), "proc/net/dev", |text| {
        text.lines().filter(|line| !line.contains("wlan0")).collect::<Vec<_>>().join("\n")
    });
    edit(folder.path(), "sys/bus/w1/devices/28-01143bd7a1aa/w1_slave", |text| text.replace("YES", "NO"));
    let without = read(&mut host, NOW_US + SECOND_US);
    for name in ["w1.28-0316a2795fff", "w1.28-01143bd7a1aa", "iio.bme280.temp", "net.wlan0.rx"] {
        assert!(without[name].is_nan(), "{name}");
    }
    assert_eq!(without["load1"], before["load1"], "the rest goes on");
    fs::rename(&elsewhere, &sensor).unwrap();
    let again = read(&mut host, NOW_US + 2 * SECOND_US);
    assert_eq!(again["w1.28-0316a2795fff"], before["w1.28-0316a2795fff"]);
}

#[test]
fn sensors_of_the_same_kind_are_told_apart() {
    let folder = pi();
    let zone = folder.path().join("sys/class/thermal/thermal_zone1");
    fs::create_dir(&zone).unwrap();
    fs::write(zone.join("type"), "cpu-thermal\n").unwrap();
    fs::write(zone.join("temp"), "51000\n").unwrap();
    let values = read(&mut open(folder.path(), false), NOW_US);
    assert_eq!((values["thermal.cpu-thermal"], values["thermal.cpu-thermal-2"]), (48.312, 51.0));
}

#[test]
fn late_polls_read_once() {
    let folder = pi();
    let mut host = open(folder.path(), false);
    let mut out = Vec::new();
    host.poll(NOW_US, &mut out).unwrap();
    out.clear();
    let now_us = NOW_US + 10 * SECOND_US + 250_400;
    let next_us = host.poll(now_us, &mut out).unwrap().unwrap();
    let loads: Vec<&Sample> = out.iter().filter(|sample| matches!(sample, Sample::Point { channel: 1, .. })).collect();
    let [Sample::Point { time_us, .. }] = loads[..] else { panic!("{loads:?}") };
    assert_eq!(*time_us, NOW_US + 10 * SECOND_US + 250_000, "when it was read, in whole milliseconds");
    assert!(next_us <= NOW_US + 11 * SECOND_US);
}

#[test]
fn an_empty_root_is_told_and_so_is_a_wrong_rate() {
    let folder = tempfile::tempdir().unwrap();
    let config = |rate_hz| Config { root: folder.path().to_owned(), rate_hz, per_core: false };
    assert!(matches!(Host::open(&config(1.0)), Err(SourceError::NothingToMeasure { .. })));
    assert!(matches!(Host::open(&config(0.0)), Err(SourceError::Rate { .. })));
}

/// Whatever machine runs the tests: on Linux its processor and memory can be measured.
#[test]
#[cfg(target_os = "linux")]
fn this_machine_can_be_measured() {
    let mut host = open(Path::new("/"), false);
    let values = read(&mut host, NOW_US);
    let memory = values["mem.used"] + values["mem.available"];
    assert!(memory > 1e6, "{memory} bytes");
    assert!((0.0..=100.0).contains(&values["mem.used-percent"]));
    assert!(values["load1"] >= 0.0);
    assert!(host.channels().iter().any(|channel| channel.name.as_str() == "cpu.busy"));
}

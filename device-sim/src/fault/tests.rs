#![expect(clippy::float_cmp, reason = "these values are exact")]

use std::env;

use super::*;

const SECOND_US: i64 = 1_000_000;

/// Counts 0, 1, 2 … once a second on `points`, and gives runs of ten millisecond counts of 100 on `runs`.
struct Steady {
    channels: Vec<ChannelDecl>,
    second: i64,
}

impl Steady {
    fn boxed() -> Box<dyn Source> {
        let decl = |name: &str| ChannelDecl::gauge(Id::new(name).unwrap());
        let runs = ChannelDecl { scale: Some(0.01), ..decl("runs") };
        Box::new(Self { channels: vec![decl("points"), runs], second: 0 })
    }
}

impl Source for Steady {
    fn channels(&self) -> &[ChannelDecl] {
        &self.channels
    }

    fn poll(&mut self, now_us: i64, out: &mut Vec<Sample>) -> Result<Option<i64>, SourceError> {
        while self.second * SECOND_US <= now_us {
            let time_us = self.second * SECOND_US;
            out.push(Sample::Point { channel: 0, time_us, value: self.second as f64 });
            let values = RunValues::I16(vec![100; 10]);
            out.push(Sample::Run { channel: 1, start_us: time_us, period_us: 1_000, values });
            self.second += 1;
        }
        Ok(Some(self.second * SECOND_US))
    }
}

fn seed() -> u64 {
    let seed = env::var("SEED").map_or(42, |text| text.parse().unwrap());
    eprintln!("SEED={seed}");
    seed
}

/// `seconds` of the steady source with these faults, polled every `step_s`.
fn run(faults: &[&str], seed: u64, seconds: i64, step_s: i64) -> Vec<Sample> {
    let faults = faults.iter().map(|text| text.parse().unwrap()).collect();
    let mut source = Faulty::new(Steady::boxed(), faults, seed).unwrap();
    let mut out = Vec::new();
    for now_s in (0..seconds).step_by(step_s as usize) {
        source.poll((now_s + step_s - 1) * SECOND_US, &mut out).unwrap();
    }
    out
}

/// (second, value) of the channel of points.
fn points(samples: &[Sample]) -> Vec<(i64, f64)> {
    let point = |sample: &Sample| match sample {
        Sample::Point { time_us, value, .. } => Some((time_us / SECOND_US, *value)),
        Sample::Run { .. } => None,
    };
    samples.iter().filter_map(point).collect()
}

#[test]
fn without_a_fault_nothing_changes() {
    let samples = run(&[], 1, 3, 1);
    let (mut plain, mut source) = (Vec::new(), Steady::boxed());
    source.poll(2 * SECOND_US, &mut plain).unwrap();
    assert_eq!(samples, plain);
}

#[test]
fn a_drift_grows_from_the_first_value() {
    let values = points(&run(&["drift:points,per-hour=3600"], 1, 10, 1));
    assert_eq!(values[0], (0, 0.0));
    assert!(values.iter().all(|(second, value)| (value - 2.0 * *second as f64).abs() < 1e-9), "{values:?}");
}

#[test]
fn spikes_are_single_and_as_many_as_asked_for() {
    let values = points(&run(&["spike:points,size=1000,every=50"], seed(), 20_000, 100));
    let spikes: Vec<f64> =
        values.iter().map(|(second, value)| value - *second as f64).filter(|off| *off != 0.0).collect();
    assert!((320..480).contains(&spikes.len()), "{} spikes, about 400 expected", spikes.len());
    assert!(spikes.iter().all(|off| off.abs() == 1_000.0));
    assert!(spikes.contains(&1_000.0) && spikes.contains(&-1_000.0), "both up and down");
}

#[test]
fn a_stuck_sensor_stays_at_one_value_and_comes_back() {
    let values = points(&run(&["stuck:points,every=100,for=20"], seed(), 10_000, 100));
    assert_eq!(values.len(), 10_000, "it goes on sending");
    let stuck = values.iter().filter(|(second, value)| *value != *second as f64).count();
    // 20 of 120 seconds, less the value that each spell starts with.
    assert!((900..2_300).contains(&stuck), "{stuck}");
    let longest_s = values.iter().map(|(second, value)| second - *value as i64).max().unwrap();
    assert_eq!(longest_s, 19);
}

#[test]
fn a_dropout_is_nan_or_silence() {
    let seed = seed();
    let nan = points(&run(&["dropout:points,every=100,for=20"], seed, 10_000, 100));
    let silent = points(&run(&["dropout:points,every=100,for=20,as=silence"], seed, 10_000, 100));
    assert_eq!(nan.len(), 10_000);
    assert!((7_500..9_200).contains(&silent.len()), "{}", silent.len());
    let measured: Vec<(i64, f64)> = nan.into_iter().filter(|(_, value)| !value.is_nan()).collect();
    assert_eq!(measured, silent, "both leave out the same seconds");
}

#[test]
fn a_counter_starts_again_and_goes_on() {
    let values = points(&run(&["reset:points,every=1000"], seed(), 20_000, 100));
    let resets = values.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
    assert!((8..36).contains(&resets), "{resets}");
    assert!(values.windows(2).all(|pair| pair[1].1 == pair[0].1 + 1.0 || pair[1].1 == 0.0));
}

#[test]
fn a_run_stays_raw_where_it_can_and_breaks_where_it_is_silent() {
    let nth = |samples: &[Sample], second: i64| -> Vec<(i64, RunValues)> {
        let of_second = |sample: &Sample| match sample {
            Sample::Run { start_us, values, .. } if start_us / SECOND_US == second => Some((*start_us, values.clone())),
            _ => None,
        };
        samples.iter().filter_map(of_second).collect()
    };
    let drifted = run(&["drift:runs,per-hour=3600"], 1, 5, 1);
    let [(start_us, RunValues::I16(counts))] = &nth(&drifted, 2)[..] else { panic!("one raw run a second") };
    // One unit a second is a tenth of a count a millisecond; 100 counts at first, 300 after two seconds.
    assert!(*start_us == 2 * SECOND_US && counts.len() == 10 && counts[0] == 300 && counts[9] == 301, "{counts:?}");
    // A dropout that is on most of the time and short enough to end within a run.
    let broken = run(&["dropout:runs,every=0.01,for=0.01,as=silence"], seed(), 200, 1);
    let pieces: Vec<(i64, RunValues)> = (0..200).flat_map(|second| nth(&broken, second)).collect();
    let sent: usize = pieces.iter().map(|(_, values)| values.len()).sum();
    assert!((400..1_600).contains(&sent), "{sent} of 2000");
    assert!(pieces.iter().any(|(start_us, _)| start_us % SECOND_US != 0), "a piece starts within a run");
    assert!(pieces.iter().all(|(start_us, values)| start_us % SECOND_US / 1_000 + values.len() as i64 <= 10));
    let missing = run(&["dropout:runs,every=0.01,for=0.01"], seed(), 200, 1);
    let with_nan =
        (0..200).flat_map(|second| nth(&missing, second)).find(|(_, values)| matches!(values, RunValues::F64(_)));
    let Some((_, RunValues::F64(values))) = with_nan else { panic!("counts cannot be missing") };
    assert!(values.len() == 10 && values.iter().any(|value| value.is_nan()));
}

#[test]
fn a_seed_gives_the_same_faults_however_polls_are_spread() {
    let faults = ["spike:*,every=20", "dropout:points,every=30,for=5,as=silence"];
    let seed = seed();
    assert_eq!(run(&faults, seed, 1_000, 1), run(&faults, seed, 1_000, 100));
    assert_ne!(points(&run(&faults, seed, 1_000, 1)), points(&run(&faults, seed + 1, 1_000, 1)));
}

#[test]
fn a_channel_that_is_not_there_is_told() {
    let fault = "spike:tmep".parse().unwrap();
    let error = Faulty::new(Steady::boxed(), vec![fault], 1).err().unwrap().to_string();
    assert_eq!(error, "no channel tmep to put a fault on: there are points, runs");
}

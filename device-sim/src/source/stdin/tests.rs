use std::{
    io::{Cursor, Write as _, pipe},
    time::{Duration, Instant},
};

use super::*;

const NOW_US: i64 = 1_800_000_000_000_000;

/// Polls until the input ends; gives the channels' names and (channel, time, value) of every sample.
fn read(input: impl Read + Send + 'static) -> (Vec<String>, Vec<(usize, i64, f64)>, u64) {
    let mut stdin = Stdin::new(input).unwrap();
    let mut out = Vec::new();
    while stdin.poll(NOW_US, &mut out).unwrap().is_some() {
        std::thread::yield_now();
    }
    let points = out.into_iter().map(|sample| match sample {
        Sample::Point { channel, time_us, value } => (channel, time_us, value),
        Sample::Run { .. } => panic!("lines have points only"),
    });
    let names = stdin.channels().iter().map(|channel| channel.name.to_string()).collect();
    (names, points.collect(), stdin.lines_skipped())
}

fn read_text(text: &str) -> (Vec<String>, Vec<(usize, i64, f64)>, u64) {
    read(Cursor::new(text.to_owned().into_bytes()))
}

#[test]
fn json_lines_make_channels_as_they_come() {
    let (names, points, skipped) = read_text(
        "{\"temp\":21.5,\"hum\":40}\n\n{\"temp\":22,\"bme\":{\"pressure\":101325},\"ok\":true}\n{\"hum\":null}",
    );
    assert_eq!(names, ["hum", "temp", "bme.pressure", "ok"]);
    assert_eq!(points[..2], [(0, NOW_US, 40.0), (1, NOW_US, 21.5)]);
    assert_eq!(points[2..5], [(2, NOW_US, 101_325.0), (3, NOW_US, 1.0), (1, NOW_US, 22.0)]);
    assert!(points[5].0 == 0 && points[5].2.is_nan(), "null is a missing measurement");
    assert_eq!((points.len(), skipped), (6, 0));
}

#[test]
fn json_lines_may_carry_their_time() {
    let (_, points, skipped) = read_text(
        "{\"t\":1767268800000,\"v\":1}\n{\"t\":\"2026-01-01T12:00:00Z\",\"v\":2}\n{\"t\":21.5,\"v\":3}\n{\"t\":[1],\"v\":4}\n",
    );
    assert_eq!(points, [(0, 1_767_268_800_000_000, 1.0), (0, 1_767_268_800_000_000, 2.0)]);
    assert_eq!(skipped, 2, "what is no time is not silently now");
}

#[test]
fn csv_lines_with_and_without_a_time() {
    let (names, points, _) = read_text("\u{feff}temp [Cel],hum\r\n21.5,40\r\n22,\r\n");
    assert_eq!(names, ["temp", "hum"]);
    assert_eq!(points[..3], [(0, NOW_US, 21.5), (1, NOW_US, 40.0), (0, NOW_US, 22.0)]);
    assert!(points[3].2.is_nan());
    let (names, points, _) = read_text("time,\"a, quoted\"\n2026-01-01T12:00:00Z,\"1.5\"\n");
    assert_eq!((names, points), (vec!["a-quoted".to_owned()], vec![(0, 1_767_268_800_000_000, 1.5)]));
}

#[test]
fn a_bad_line_is_left_out_and_reading_goes_on() {
    let (_, points, skipped) = read_text("{\"v\":1}\nnonsense\n{\"v\":\n[1,2]\n{\"state\":\"on\"}\n{}\n{\"v\":2}\n");
    assert_eq!(points, [(0, NOW_US, 1.0), (0, NOW_US, 2.0)]);
    assert_eq!(skipped, 5);
    let (_, points, skipped) = read_text("v,w\n1,2\n1\nx,2\n1,2,3\n3,4\n");
    assert_eq!(points.iter().map(|point| point.2).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!(skipped, 3);
    let (_, points, skipped) = read(Cursor::new(b"v\n\xff\n7\n".to_vec()));
    assert_eq!((points, skipped), (vec![(0, NOW_US, 7.0)], 1));
}

#[test]
fn what_a_program_says_first_costs_nothing_but_its_own_lines() {
    for (text, skipped_lines) in [
        ("Starting sensor...\n{\"v\":1}\n{\"v\":2}\n", 1),
        ("[INFO] bus, address 0x76\n{not yet\n\n{\"v\":1}\n{\"v\":2}\n", 2),
        ("Starting sensor...\nv\n1\n2\n", 1),
        ("Firmware 1.2, ready\nopening port 3\nt,v\n1767268800,1\n1767268801,2\n", 2),
        ("t,v\nready\n1767268800,err\n1767268800,1\n1767268801,2\n", 2),
    ] {
        let (names, points, skipped) = read_text(text);
        let values: Vec<f64> = points.iter().map(|point| point.2).collect();
        assert_eq!(
            (names.as_slice(), values, skipped),
            (&["v".to_owned()][..], vec![1.0, 2.0], skipped_lines),
            "{text}"
        );
    }
}

#[test]
fn an_input_without_a_reading_is_an_error_that_says_what_is_expected() {
    for (text, begins) in [
        ("", "the input is empty: print"),
        ("Traceback (most recent call last):\nModuleNotFoundError: no smbus\n", "the input has ended after 2 lines"),
        ("t,v\n", "the input has ended after one line"),
    ] {
        let mut stdin = Stdin::new(Cursor::new(text.as_bytes().to_vec())).unwrap();
        let error = loop {
            match stdin.poll(NOW_US, &mut Vec::new()) {
                Ok(Some(_)) => std::thread::yield_now(),
                Ok(None) => panic!("{text:?} held no reading"),
                Err(error) => break error.to_string(),
            }
        };
        assert!(error.starts_with(begins) && error.contains("{\"temp\": 21.5}"), "{error}");
        assert_eq!(stdin.lines_skipped() as usize, text.lines().count());
    }
}

#[test]
fn problems_are_told_in_words_that_help() {
    let mut stdin = Stdin::new(Cursor::new(Vec::new())).unwrap();
    let mut problem = |line: &[u8]| stdin.take(NOW_US, 1, line, &mut Vec::new()).unwrap_err().to_string();
    assert!(problem(b"21.5,40").contains("must name the columns"));
    assert!(problem(b"{\"v\":").contains("not a JSON object such as {\"temp\": 21.5}"));
    assert!(problem(b"{\"v\":\"high\"}").contains("no number"));
    assert!(problem(b"{\"t\":5,\"v\":1}").contains("epoch milliseconds"));
}

#[test]
fn a_text_field_does_not_cost_the_line() {
    let (names, points, skipped) = read_text(
        "{\"battery\":\"unavailable\",\"temp\":1}\n{\"battery\":80,\"temp\":2}\n{\"battery\":\"?\",\"temp\":3}\n",
    );
    assert_eq!(names, ["temp", "battery"], "a field becomes a channel with its first number");
    assert_eq!((points.len(), skipped), (4, 0));
}

#[test]
fn channels_and_fields_are_bounded() {
    let lines: Vec<String> = (0..3_000).map(|field| format!("{{\"f{field}\":{field}}}")).collect();
    let (names, points, skipped) = read_text(&lines.join("\n"));
    assert_eq!((names.len(), points.len()), (CHANNELS_PER_DEVICE_MAX, CHANNELS_PER_DEVICE_MAX));
    assert_eq!(skipped, 3_000 - CHANNELS_PER_DEVICE_MAX as u64);
}

#[test]
fn a_line_without_an_end_is_bounded() {
    let text = format!("{{\"v\":1}}\n{}\n{{\"v\":2}}\n", "x".repeat(3 * LINE_BYTES_MAX));
    let (_, points, skipped) = read_text(&text);
    assert_eq!((points.len(), skipped), (2, 1));
}

#[test]
fn an_open_pipe_is_looked_at_again() {
    let (reader, mut writer) = pipe().unwrap();
    let mut stdin = Stdin::new(reader).unwrap();
    let mut out = Vec::new();
    assert_eq!(stdin.poll(NOW_US, &mut out).unwrap(), Some(NOW_US + LOOK_AGAIN_US));
    writer.write_all(b"{\"v\":1}\n").unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while out.is_empty() {
        assert!(stdin.poll(NOW_US, &mut out).unwrap().is_some(), "the pipe is open");
        assert!(Instant::now() < deadline, "the line arrives");
        std::thread::yield_now();
    }
    drop(writer);
    while stdin.poll(NOW_US, &mut out).unwrap().is_some() {
        assert!(Instant::now() < deadline, "the end arrives");
        std::thread::yield_now();
    }
    assert_eq!(out.len(), 1);
}

#[test]
fn a_failing_input_is_an_error_with_its_place() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("unplugged"))
        }
    }
    let mut stdin = Stdin::new(Cursor::new(b"v\n1\n".to_vec()).chain(Broken)).unwrap();
    let mut out = Vec::new();
    let error = loop {
        match stdin.poll(NOW_US, &mut out) {
            Ok(Some(_)) => std::thread::yield_now(),
            Ok(None) => panic!("an input that breaks does not end well"),
            Err(error) => break error,
        }
    };
    assert_eq!(error.to_string(), "cannot read the input after line 2");
    assert_eq!(out.len(), 1);
}

//! Nanoseconds a reading to decode data frames: `cargo run --release -p protocol --example decode`.
//!
//! Each line is the best of many rounds over frames with different content; nothing is asserted.

use std::{hint::black_box, time::Instant};

use protocol::device::{Batch, Channel, data, encode::FrameWriter};

const ROUNDS: usize = 200;
const FRAMES_PER_ROUND: usize = 200;

/// Best time to decode one frame of `frames`, nanoseconds.
fn best_ns(frames: &[Vec<u8>], channels: &[Channel]) -> f64 {
    let mut batch = Batch::default();
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for frame in frames {
            data::decode(black_box(frame), channels, &mut batch).expect("a good frame");
            black_box(&batch);
        }
        best = best.min(begin.elapsed().as_nanos() as f64 / frames.len() as f64);
    }
    best
}

/// A name, readings a frame, and what writes the items of the frame with this number.
type Shape = (&'static str, usize, fn(&mut FrameWriter, u32));

fn main() {
    let channels = vec![Channel { scale: 0.01, offset: 0.0, states: Vec::new() }; 16];
    let shapes: [Shape; 6] = [
        ("one reading a frame", 1, |writer, seed| writer.scalar(3, 0.0, 21.0 + f64::from(seed) / 8.0)),
        ("rows, integers", 100, |writer, seed| {
            (0..100).for_each(|row| writer.scalar(row % 16, f64::from(row) * 10.0, f64::from(seed + u32::from(row))));
        }),
        ("rows, doubles", 100, |writer, seed| {
            (0..100)
                .for_each(|row| writer.scalar(row % 16, f64::from(row) * 10.0, f64::from(seed + u32::from(row)) / 3.0));
        }),
        ("columns u32 + f64", 100, |writer, seed| {
            let dts: Vec<u32> = (0..100).map(|row| row * 10).collect();
            let values: Vec<f64> = dts.iter().map(|&dt| f64::from(dt + seed) / 3.0).collect();
            writer.column(3, &dts, &values);
        }),
        ("fixed rate i16", 100, |writer, seed| {
            let values: Vec<i16> = (0..100).map(|row| (row * 37 + seed) as i16).collect();
            writer.fixed_rate_i16(3, 0.0, 2.5, &values);
        }),
        ("fixed rate i16", 10_000, |writer, seed| {
            let values: Vec<i16> = (0..10_000).map(|row| (row * 37 + seed) as i16).collect();
            writer.fixed_rate_i16(3, 0.0, 2.5, &values);
        }),
    ];
    println!("{:<22} {:>9} {:>12} {:>12} {:>14}", "shape", "readings", "bytes/rdg", "ns/frame", "ns/reading");
    for (name, readings, write) in shapes {
        let mut writer = FrameWriter::default();
        let frames: Vec<Vec<u8>> = (0..FRAMES_PER_ROUND)
            .map(|seed| {
                write(&mut writer, seed as u32);
                writer.finish(1000 + seed as u64, 1.77e12 + seed as f64)
            })
            .collect();
        let ns = best_ns(&frames, &channels);
        let bytes = frames[0].len() as f64 / readings as f64;
        println!("{name:<22} {readings:>9} {bytes:>12.1} {ns:>12.0} {:>14.1}", ns / readings as f64);
    }
}

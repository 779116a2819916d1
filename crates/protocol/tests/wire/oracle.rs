//! Random frames, and random damage to them, against the second decoder: every item shape, every width of number,
//! definite and indefinite lengths. `SEED=n` repeats a run.

use std::cell::Cell;

use proptest::{
    collection::vec,
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};

use crate::{columns::agree, frames};

fn runner(cases: u32) -> TestRunner {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_202);
    println!("SEED={seed}");
    TestRunner::new(Config { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..Config::default() })
}

/// A head of at least `width` bytes behind the first (0, 1, 2, 4 or 8): encoders need not choose the shortest.
fn head(major: u8, value: u64, width: usize) -> Vec<u8> {
    let needed = match value {
        0..=23 => 0,
        24..=0xff => 1,
        0x100..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    };
    let width = width.max(needed);
    let first = major << 5 | if width == 0 { value as u8 } else { 24 + width.trailing_zeros() as u8 };
    [&[first][..], &value.to_be_bytes()[8 - width..]].concat()
}

fn width() -> impl Strategy<Value = usize> + Clone {
    prop_oneof![4 => Just(0_usize), 1 => Just(1), 1 => Just(2), 1 => Just(4), 1 => Just(8)]
}

fn whole(range: std::ops::Range<u64>) -> impl Strategy<Value = Vec<u8>> + Clone {
    prop_oneof![
        8 => (range.clone(), width()).prop_map(|(value, width)| head(0, value, width)),
        1 => range.prop_map(|value| [&[0xfb][..], &(value as f64).to_be_bytes()].concat()),
    ]
}

/// A number of any width; most are harmless, some are out of range, infinite or NaN.
fn number() -> impl Strategy<Value = Vec<u8>> + Clone {
    prop_oneof![
        8 => (0_u64..100_000, width()).prop_map(|(value, width)| head(0, value, width)),
        4 => (0_u64..100_000, width()).prop_map(|(value, width)| head(1, value, width)),
        4 => (-1e6_f64..1e6).prop_map(|value| [&[0xfb][..], &value.to_be_bytes()].concat()),
        4 => (-1e6_f32..1e6).prop_map(|value| [&[0xfa][..], &value.to_be_bytes()].concat()),
        4 => (0_u16..0x7c00).prop_map(|bits| [&[0xf9][..], &bits.to_be_bytes()].concat()),
    ]
}

fn wild_number() -> impl Strategy<Value = Vec<u8>> + Clone {
    prop_oneof![
        any::<u64>().prop_map(|value| head(0, value, 0)),
        any::<u64>().prop_map(|value| head(1, value, 0)),
        any::<u64>().prop_map(|bits| [&[0xfb][..], &bits.to_be_bytes()].concat()),
        any::<u32>().prop_map(|bits| [&[0xfa][..], &bits.to_be_bytes()].concat()),
        any::<u16>().prop_map(|bits| [&[0xf9][..], &bits.to_be_bytes()].concat()),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> + Clone {
    prop_oneof![Just("closed"), Just("open"), Just("ajar")].prop_flat_map(|text| {
        prop_oneof![
            2 => Just([&head(3, text.len() as u64, 0)[..], text.as_bytes()].concat()),
            1 => Just([&[0x7f, 0x61][..], &text.as_bytes()[..1], &head(3, text.len() as u64 - 1, 0), &text.as_bytes()[1..], &[0xff]].concat()),
        ]
    })
}

fn scalar() -> impl Strategy<Value = Vec<u8>> + Clone {
    prop_oneof![
        30 => number(),
        1 => wild_number(),
        3 => prop_oneof![Just(vec![0xf4]), Just(vec![0xf5]), Just(vec![0xf6]), Just(vec![0xf7])],
        1 => text(),
    ]
}

fn array(items: &[Vec<u8>], indefinite: bool) -> Vec<u8> {
    if indefinite {
        [vec![0x9f], items.concat(), vec![0xff]].concat()
    } else {
        [head(4, items.len() as u64, 0), items.concat()].concat()
    }
}

/// A typed array of `len` elements, now and then in two chunks.
fn typed(len: usize) -> impl Strategy<Value = Vec<u8>> {
    let element = prop_oneof![
        Just((64_u64, 1_usize)),
        Just((69, 2)),
        Just((70, 4)),
        Just((72, 1)),
        Just((77, 2)),
        Just((78, 4)),
        Just((86, 8)),
        Just((85, 4))
    ];
    (element, vec(0_u8..0x7c, len * 8), any::<bool>()).prop_map(move |((tag, bytes_each), content, chunked)| {
        let content = &content[..len * bytes_each];
        let string = |bytes: &[u8]| [&head(2, bytes.len() as u64, 0)[..], bytes].concat();
        let bytes = if chunked && !content.is_empty() {
            [vec![0x5f], string(&content[..1]), string(&content[1..]), vec![0xff]].concat()
        } else {
            string(content)
        };
        [head(6, tag, 0), bytes].concat()
    })
}

fn column(len: usize, entry: impl Strategy<Value = Vec<u8>> + Clone + 'static) -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        1 => typed(len),
        1 => (vec(entry, len), any::<bool>()).prop_map(|(entries, indefinite)| array(&entries, indefinite)),
    ]
    .boxed()
}

fn item() -> impl Strategy<Value = Vec<u8>> {
    let channel = || prop_oneof![20 => whole(0..5), 1 => whole(5..300)];
    let elements = prop_oneof![
        4 => (channel(), number(), scalar()).prop_map(|(a, b, c)| vec![a, b, c]),
        4 => (0_usize..5).prop_flat_map(move |len| (channel(), column(len, number()), column(len, scalar())))
            .prop_map(|(a, b, c)| vec![a, b, c]),
        4 => (0_usize..5).prop_flat_map(move |len| (channel(), number(), number(), column(len, scalar())))
            .prop_map(|(a, b, c, d)| vec![a, b, c, d]),
        // Shapes that nobody should send.
        1 => (0_usize..4).prop_flat_map(|len| vec(prop_oneof![scalar().boxed(), column(len, scalar())], 0..6)),
    ];
    (elements, any::<bool>()).prop_map(|(elements, indefinite)| array(&elements, indefinite))
}

fn frame() -> impl Strategy<Value = Vec<u8>> {
    let t0 = prop_oneof![
        6 => whole(1_769_000_000_000..1_771_000_000_000),
        1 => (0.0..1e12_f64).prop_map(|ms| [&[0xfb][..], &ms.to_be_bytes()].concat()),
        1 => number(),
    ];
    (whole(1..1 << 50), t0, vec(item(), 0..4), any::<[bool; 2]>())
        .prop_map(|(seq, t0, items, [inner, outer])| array(&[seq, t0, array(&items, inner)], outer))
}

#[test]
fn random_frames_mean_the_same_to_both_decoders() {
    let channels = frames::channels();
    let (taken, seen) = (Cell::new(0), Cell::new(0));
    runner(4000)
        .run(&frame(), |bytes| {
            seen.set(seen.get() + 1);
            taken.set(taken.get() + u32::from(agree(&bytes, &channels)));
            Ok(())
        })
        .expect("both decoders agree");
    let (taken, seen) = (taken.get(), seen.get());
    assert!(taken * 4 > seen, "only {taken} of {seen} frames were taken: the generator has drifted");
}

#[test]
fn damaged_frames_mean_the_same_to_both_decoders_or_are_refused_by_both() {
    let channels = frames::channels();
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0_u8..4);
    runner(12_000)
        .run(&(frame(), vec(change, 1..4)), |(mut bytes, changes)| {
            for (place, byte, kind) in changes {
                if bytes.is_empty() {
                    break;
                }
                let place = place.index(bytes.len());
                match kind {
                    0 => bytes[place] = byte,
                    1 => bytes[place] ^= 1 << (byte & 7),
                    2 => bytes.truncate(place),
                    _ => bytes.insert(place, byte),
                }
            }
            agree(&bytes, &channels);
            Ok(())
        })
        .expect("both decoders agree");
}

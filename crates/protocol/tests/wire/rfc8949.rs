//! The examples of RFC 8949: appendix A for the types this wire uses, appendix F for what is not well-formed.

use std::collections::BTreeMap;

use protocol::codec::{
    from_slice,
    number::{Number, Whole},
};
use serde::{Deserialize, de::IgnoredAny};

use crate::golden::from_hex;

#[test]
fn numbers() {
    for (hex, value) in [
        ("00", 0.0),
        ("01", 1.0),
        ("0a", 10.0),
        ("17", 23.0),
        ("1818", 24.0),
        ("1819", 25.0),
        ("1864", 100.0),
        ("1903e8", 1000.0),
        ("1a000f4240", 1_000_000.0),
        ("1b000000e8d4a51000", 1_000_000_000_000.0),
        ("1bffffffffffffffff", 18_446_744_073_709_551_615.0),
        ("3bffffffffffffffff", -18_446_744_073_709_551_616.0),
        ("20", -1.0),
        ("29", -10.0),
        ("3863", -100.0),
        ("3903e7", -1000.0),
        ("f90000", 0.0),
        ("f98000", -0.0),
        ("f93c00", 1.0),
        ("fb3ff199999999999a", 1.1),
        ("f93e00", 1.5),
        ("f97bff", 65_504.0),
        ("fa47c35000", 100_000.0),
        ("fa7f7fffff", 3.402_823_466_385_288_6e38),
        ("fb7e37e43c8800759c", 1.0e300),
        ("f90001", 5.960_464_477_539_063e-8),
        ("f90400", 0.000_061_035_156_25),
        ("f9c400", -4.0),
        ("fbc010666666666666", -4.1),
        ("f97c00", f64::INFINITY),
        ("f9fc00", f64::NEG_INFINITY),
        ("fa7f800000", f64::INFINITY),
        ("faff800000", f64::NEG_INFINITY),
        ("fb7ff0000000000000", f64::INFINITY),
        ("fbfff0000000000000", f64::NEG_INFINITY),
    ] {
        let number: Number = from_slice(&from_hex(hex)).unwrap_or_else(|error| panic!("{hex}: {error}"));
        assert_eq!(number.value.to_bits(), f64::to_bits(value), "{hex}");
        assert_eq!(number.coarse, hex.starts_with("f9") || hex.starts_with("fa"), "{hex}");
        let is_whole = value.fract() == 0.0 && (0.0..9_007_199_254_740_992.0).contains(&value);
        assert_eq!(from_slice::<Whole>(&from_hex(hex)).is_ok(), is_whole, "{hex}");
    }
    for hex in ["f97e00", "fa7fc00000", "fb7ff8000000000000"] {
        assert!(from_slice::<Number>(&from_hex(hex)).expect("NaN").value.is_nan(), "{hex}");
    }
    // Big numbers, dates, and simple values are no numbers here.
    for hex in ["c249010000000000000000", "c349010000000000000000", "c11a514b67b0", "f4", "f6", "f7", "f0", "f8ff"] {
        assert!(from_slice::<Number>(&from_hex(hex)).is_err(), "{hex}");
    }
}

#[test]
fn booleans_and_nothing() {
    assert_eq!(from_slice::<bool>(&from_hex("f4")), Ok(false));
    assert_eq!(from_slice::<bool>(&from_hex("f5")), Ok(true));
    assert_eq!(from_slice::<Option<bool>>(&from_hex("f6")), Ok(None));
}

#[test]
fn texts() {
    for (hex, text) in [
        ("60", ""),
        ("6161", "a"),
        ("6449455446", "IETF"),
        ("62225c", "\"\\"),
        ("62c3bc", "\u{fc}"),
        ("63e6b0b4", "\u{6c34}"),
        ("64f0908591", "\u{10151}"),
        ("7f657374726561646d696e67ff", "streaming"),
    ] {
        assert_eq!(from_slice::<String>(&from_hex(hex)).as_deref(), Ok(text), "{hex}");
    }
    assert!(from_slice::<String>(&from_hex("62ff00")).is_err(), "not UTF-8");
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fun {
    fun: bool,
    amt: Number,
}

#[test]
fn arrays_and_maps() {
    let wholes = |hex: &str| {
        from_slice::<Vec<Whole>>(&from_hex(hex)).map(|items| items.iter().map(|whole| whole.0).collect::<Vec<_>>())
    };
    let to_25: Vec<u64> = (1..=25).collect();
    assert_eq!(wholes("80"), Ok(vec![]));
    assert_eq!(wholes("9fff"), Ok(vec![]));
    assert_eq!(wholes("83010203"), Ok(vec![1, 2, 3]));
    for head in ["9819", "9f"] {
        let end = if head == "9f" { "ff" } else { "" };
        let hex = format!("{head}0102030405060708090a0b0c0d0e0f101112131415161718181819{end}");
        assert_eq!(wholes(&hex), Ok(to_25.clone()));
    }
    for hex in
        ["8301820203820405", "83018202039f0405ff", "83019f0203ff820405", "9f01820203820405ff", "9f018202039f0405ffff"]
    {
        let (one, two, three): (Whole, Vec<Whole>, Vec<Whole>) = from_slice(&from_hex(hex)).expect(hex);
        assert_eq!((one.0, two[1].0, three[1].0), (1, 3, 5), "{hex}");
    }
    let map: BTreeMap<String, String> =
        from_slice(&from_hex("a56161614161626142616361436164614461656145")).expect("a map of texts");
    assert_eq!(map.iter().map(|(key, value)| key.clone() + value).collect::<String>(), "aAbBcCdDeE");
    let fun: Fun = from_slice(&from_hex("bf6346756ef563416d7421ff")).expect("an indefinite map");
    assert!(fun.fun && fun.amt == Number::exact(-2.0));
}

#[test]
fn what_is_not_well_formed_is_refused_even_where_it_would_be_ignored() {
    let groups = [
        // The end of input in a head, in a string, in an array or a map, in a tag.
        "18 19 1a 1b 1901 1a0102 1b01020304050607 38 58 78 98 9a01ff00 b8 d8 f8 f900 fa0000 fb000000",
        "41 61 5affffffff00 5bffffffffffffffff010203 7affffffff00 7b7fffffffffffffff010203",
        "81 818181818181818181 8200 a1 a20102 a100 a2000000 c0",
        "5f4100 7f6100 9f 9f0102 bf bf01020102 819f 9f8000 9f9f9f9f9fffffffff 9f819f819f9fffffff",
        // Reserved additional information, and two-byte simple values that should have been one.
        "1c 1d 1e 3c 3d 3e 5c 5d 5e 7c 7d 7e 9c 9d 9e bc bd be dc dd de fc fd fe f800 f801 f818 f81f",
        // Chunks of the wrong type, chunks of chunks.
        "5f00ff 5f21ff 5f6100ff 5f80ff 5fa0ff 5fc000ff 5fe0ff 7f4100ff 5f5f4100ffff 7f7f6100ffff",
        // A break where none may be, and the odd one.
        "ff 81ff 8200ff a1ff a1ff00 a100ff a20000ff 9f81ff 9f829f819f9fffffffff bf00ff bf000000ff 1f 3f df",
        // Trailing bytes.
        "0000 f600 80ff",
    ];
    for hex in groups.iter().flat_map(|group| group.split(' ')) {
        assert!(from_slice::<IgnoredAny>(&from_hex(hex)).is_err(), "{hex}");
    }
}

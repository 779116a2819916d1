//! Control messages from devices: every reason to refuse one, and everything that must not matter.

use protocol::{
    codec,
    device::{ChannelDecl, Clock, DeviceControl, Hello, HelloError, control::ControlError},
    ids::Id,
    limits::{CHANNELS_PER_DEVICE_MAX, FEATURES_MAX, LABELS_MAX, STATES_MAX, TEXT_CHARS_MAX},
};
use serde_json::{Value, json};

fn id(text: &str) -> Id {
    Id::new(text).expect("a valid id")
}

/// A good hello as JSON, changed by `change`, as CBOR. The encoder shrinks floats as canonical encoders do.
fn hello_with(change: impl FnOnce(&mut Value)) -> Result<Hello, ControlError> {
    let mut hello = json!({
        "type": "hello", "device": "shed", "spool": 7, "first": 1, "next": 1, "clock": "unix",
        "channels": [{"name": "temp"}, {"name": "door", "kind": "state", "states": ["closed", "open"]}],
    });
    change(&mut hello);
    match DeviceControl::decode(&codec::to_vec(&hello))? {
        DeviceControl::Hello(hello) => Ok(*hello),
        other => panic!("not a hello: {other:?}"),
    }
}

fn refused(change: impl FnOnce(&mut Value)) -> HelloError {
    match hello_with(change) {
        Err(ControlError::Hello(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn unreadable(change: impl FnOnce(&mut Value)) -> String {
    match hello_with(change) {
        Err(ControlError::Hello(HelloError::Unreadable(error))) => error.to_string(),
        other => panic!("expected it to be unreadable, got {other:?}"),
    }
}

#[test]
fn a_hello_lacks_nothing_that_it_needs() {
    for key in ["device", "spool", "first", "next", "clock", "channels"] {
        let error = refused(|hello| {
            hello.as_object_mut().expect("a map").remove(key);
        });
        assert_eq!(error, HelloError::Missing(key));
    }
    let hello = hello_with(|_| ()).expect("a good hello");
    assert_eq!((hello.clock, hello.import, hello.now_us, hello.features.len()), (Clock::Unix, false, None, 0));
    assert_eq!(hello.channels[0], ChannelDecl::gauge(id("temp")));
}

#[test]
fn numbers_of_a_hello_stay_in_their_ranges() {
    assert_eq!(refused(|hello| hello["spool"] = json!(0)), HelloError::Spool);
    assert_eq!(refused(|hello| hello["first"] = json!(0)), HelloError::Range { first: 0, next: 1 });
    assert_eq!(refused(|hello| hello["first"] = json!(2)), HelloError::Range { first: 2, next: 1 });
    // 0.5 becomes a half float on the wire, 1e300 is a double out of range.
    assert_eq!(refused(|hello| hello["now"] = json!(0.5)), HelloError::Now);
    assert_eq!(refused(|hello| hello["now"] = json!(1e300)), HelloError::Now);
    for (key, value) in [("scale", 0.0), ("period_ms", 0.0), ("period_ms", -1.0)] {
        let error = refused(|hello| hello["channels"][0][key] = json!(value));
        assert_eq!(error, HelloError::ChannelNumber { channel: id("temp"), key });
    }
    let mut hello = hello_with(|_| ()).expect("a good hello");
    for (key, change) in [
        ("scale", (|channel, value| channel.scale = value) as fn(&mut ChannelDecl, Option<f64>)),
        ("offset", |channel, value| channel.offset = value),
        ("period_ms", |channel, value| channel.period_ms = value),
    ] {
        for value in [f64::NAN, f64::INFINITY] {
            change(&mut hello.channels[1], Some(value));
            let error = DeviceControl::decode(&DeviceControl::Hello(Box::new(hello.clone())).encode());
            let expected = HelloError::ChannelNumber { channel: id("door"), key };
            assert_eq!(error, Err(ControlError::Hello(expected)));
        }
        change(&mut hello.channels[1], None);
    }
    assert!(hello_with(|hello| hello["channels"][0]["scale"] = json!(-0.5)).is_ok());
}

#[test]
fn lists_of_a_hello_have_their_limits() {
    let channels = |count: usize| (0..count).map(|i| json!({"name": format!("c{i}")})).collect::<Vec<_>>();
    let error = refused(|hello| hello["channels"] = json!(channels(CHANNELS_PER_DEVICE_MAX + 1)));
    assert_eq!(error, HelloError::TooManyChannels(CHANNELS_PER_DEVICE_MAX + 1));
    assert!(hello_with(|hello| hello["channels"] = json!(channels(CHANNELS_PER_DEVICE_MAX))).is_ok());
    assert_eq!(refused(|hello| hello["channels"][1]["name"] = json!("temp")), HelloError::DuplicateChannel(id("temp")));

    let names = |count: usize| json!((0..count).map(|i| format!("n{i}")).collect::<Vec<_>>());
    let labels = |count: usize| (0..count).map(|i| (format!("n{i}"), json!("x"))).collect::<serde_json::Map<_, _>>();
    let too_many = |what, max| HelloError::TooMany { what, count: max + 1, max };
    let error = refused(|hello| hello["features"] = names(FEATURES_MAX + 1));
    assert_eq!(error, too_many("features", FEATURES_MAX));
    let error = refused(|hello| hello["channels"][1]["states"] = names(STATES_MAX + 1));
    assert_eq!(error, too_many("states", STATES_MAX));
    let error = refused(|hello| hello["labels"] = Value::Object(labels(LABELS_MAX + 1)));
    assert_eq!(error, too_many("labels", LABELS_MAX));
    let full = hello_with(|hello| {
        hello["features"] = names(FEATURES_MAX);
        hello["channels"][1]["states"] = names(STATES_MAX);
        hello["labels"] = Value::Object(labels(LABELS_MAX));
    });
    assert!(full.is_ok(), "{full:?}");
}

#[test]
fn texts_of_a_hello_are_cleaned_and_have_a_limit() {
    let long = "é".repeat(TEXT_CHARS_MAX + 1);
    for (what, change) in [
        ("title", json!({"title": long})),
        ("model", json!({"model": long})),
        ("firmware", json!({"firmware": long})),
        ("a feature", json!({"features": [long]})),
        ("a label's name", json!({"labels": {long.as_str(): "x"}})),
        ("label site", json!({"labels": {"site": long}})),
        ("title of channel t", json!({"channels": [{"name": "t", "title": long}]})),
        ("unit of channel t", json!({"channels": [{"name": "t", "unit": long}]})),
        ("a state of channel t", json!({"channels": [{"name": "t", "states": [long]}]})),
    ] {
        let error = refused(|hello| {
            for (key, value) in change.as_object().expect("a map") {
                hello[key] = value.clone();
            }
        });
        assert_eq!(error, HelloError::TooLong { what: what.into(), chars: TEXT_CHARS_MAX + 1 });
    }
    let hello = hello_with(|hello| {
        hello["title"] = json!(" Shed\u{1b}[2J \u{202e}x\n");
        hello["model"] = json!("\u{7}");
        hello["labels"] = json!({"site\u{0}": "nor\u{200b}th"});
    })
    .expect("a good hello");
    assert_eq!(hello.title.as_deref(), Some("Shed[2J x"));
    assert_eq!(hello.model, None, "nothing is left of it");
    assert_eq!(hello.labels.get("site").map(String::as_str), Some("north"));
}

#[test]
fn what_a_hello_says_does_not_depend_on_how_numbers_are_written() {
    let whole = hello_with(|hello| hello["channels"][0]["decimals"] = json!(2)).expect("a good hello");
    let floats = hello_with(|hello| {
        for key in ["spool", "first", "next"] {
            hello[key] = json!(hello[key].as_f64());
        }
        hello["channels"][0]["decimals"] = json!(2.0);
    });
    assert_eq!(floats.expect("a good hello"), whole);
    assert!(unreadable(|hello| hello["spool"] = json!(1_u64 << 53)).contains("larger than 2^53-1"));
    assert!(unreadable(|hello| hello["spool"] = json!(-7)).contains("negative"));
    assert!(unreadable(|hello| hello["next"] = json!(1.5)).contains("not a whole number"));
}

#[test]
fn what_is_unknown_is_ignored_and_what_is_wrong_is_named() {
    let with_more = hello_with(|hello| {
        hello["later"] = json!([1, {"deep": [null, true, 1.5, "x"]}]);
        hello["channels"][0]["later"] = json!({"a": []});
        for key in ["title", "now", "import", "features", "labels"] {
            hello[key] = Value::Null;
        }
        for key in ["title", "unit", "kind", "scale", "offset", "decimals", "period_ms", "states"] {
            hello["channels"][0][key] = Value::Null;
        }
    });
    assert_eq!(with_more.expect("a good hello"), hello_with(|_| ()).expect("a good hello"));
    assert!(unreadable(|hello| hello["device"] = json!("a/b")).contains("position 2"));
    assert!(unreadable(|hello| hello["clock"] = json!("gps")).contains("gps"));
    assert!(unreadable(|hello| hello["channels"][0]["kind"] = json!("thing")).contains("thing"));
    assert!(unreadable(|hello| hello["channels"] = json!("temp")).contains("sequence"));
}

#[test]
fn gaps_results_and_the_rest() {
    let decode = |message: Value| DeviceControl::decode(&codec::to_vec(&message));
    for (from, to) in [(0, 3), (4, 3)] {
        let error = decode(json!({"type": "gap", "from": from, "to": to}));
        assert_eq!(error, Err(ControlError::GapRange { from, to }));
    }
    for key in ["from", "to"] {
        let mut gap = json!({"type": "gap", "from": 1, "to": 3});
        gap.as_object_mut().expect("a map").remove(key);
        assert_eq!(decode(gap), Err(ControlError::Missing("gap", key)));
    }
    let gap = decode(json!({"type": "gap", "from": 1, "to": 3}));
    assert_eq!(gap, Ok(DeviceControl::Gap { from: 1, to: 3, reason: "unexplained".into() }));
    assert!(matches!(decode(json!({"type": "gap", "from": 1, "to": 1_u64 << 53})), Err(ControlError::Unreadable(_))));

    assert_eq!(decode(json!({"type": "result", "ok": true})), Err(ControlError::Missing("result", "id")));
    assert_eq!(decode(json!({"type": "result", "id": "c"})), Err(ControlError::Missing("result", "ok")));
    for (value, text) in [
        (json!(true), Some("true")),
        (json!(-3), Some("-3")),
        (json!(21.0), Some("21")),
        (json!(21.5), Some("21.5")),
        (json!(1e300), Some("1e300")),
        (json!("set\u{1b}"), Some("set")),
        (Value::Null, None),
    ] {
        let result = decode(json!({"type": "result", "id": "c", "ok": true, "value": value}));
        let value = text.map(str::to_owned);
        assert_eq!(result, Ok(DeviceControl::Result { id: "c".into(), ok: true, value, message: None }));
    }

    assert_eq!(decode(json!({"type": "dance", "id": 7})), Ok(DeviceControl::Unknown("dance".into())));
    assert_eq!(decode(json!({"from": 1})), Err(ControlError::Missing("the message", "type")));
    assert!(matches!(decode(json!([1])), Err(ControlError::Unreadable(_))));
    let trailing = [DeviceControl::Bye.encode(), vec![0]].concat();
    assert!(matches!(DeviceControl::decode(&trailing), Err(ControlError::Unreadable(_))));
}

#[test]
fn a_time_that_is_half_a_millisecond_off_the_boot_is_not_written_too_coarsely() {
    let hello = hello_with(|hello| hello["clock"] = json!("boot")).expect("a good hello");
    let hello = Hello { now_us: Some(4_096_500), ..hello };
    let DeviceControl::Hello(back) =
        DeviceControl::decode(&DeviceControl::Hello(Box::new(hello)).encode()).expect("readable")
    else {
        panic!("not a hello")
    };
    assert_eq!(back.now_us, Some(4_097_000));
}

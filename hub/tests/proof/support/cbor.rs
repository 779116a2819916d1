//! JSON as CBOR, the way a plain encoder writes it: whole numbers as integers, all others as doubles.

use protocol::codec::writer;
use serde_json::Value;

/// The bytes of one item.
pub fn cbor(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, value);
    out
}

fn put(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => writer::null(out),
        Value::Bool(value) => out.push(if *value { 0xf5 } else { 0xf4 }),
        Value::String(text) => writer::text(out, text),
        Value::Number(number) => {
            let double = number.as_f64().expect("a number");
            if let Some(number) = number.as_u64() {
                writer::unsigned(out, number);
            } else {
                out.push(0xfb);
                out.extend(double.to_be_bytes());
            }
        }
        Value::Array(items) => {
            writer::array(out, items.len());
            for item in items {
                put(out, item);
            }
        }
        Value::Object(entries) => {
            writer::map(out, entries.len());
            for (key, value) in entries {
                writer::text(out, key);
                put(out, value);
            }
        }
    }
}

//! `/api/v1/openapi.json` against the router and against real answers.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::support::{Device, TestHub, hello, now_ms};

fn document() -> Value {
    serde_json::from_str(hub::api::openapi::DOCUMENT).expect("JSON")
}

/// Method and path of every route that the router's source names.
fn routes() -> BTreeSet<(String, String)> {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web.rs")).expect("the router");
    let routes = source.split(".route(\"").skip(1).map(|rest| {
        let (path, rest) = rest.split_once("\", ").expect("a path and its handlers");
        let (method, _) = rest.split_once('(').expect("a method");
        (method.to_owned(), path.replace("{*", "{"))
    });
    routes.collect()
}

#[test]
fn the_document_lists_exactly_the_routers_paths() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut listed = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            listed.insert((method.clone(), path.clone()));
            let operation = resolved(&document, operation);
            assert!(operation["summary"].is_string(), "{method} {path} has a summary");
            // Every part in braces is a parameter.
            let named: BTreeSet<&str> = path.split('{').skip(1).filter_map(|part| part.split('}').next()).collect();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let declared: BTreeSet<&str> =
                parameters.iter().filter(|p| p["in"] == "path").filter_map(|p| p["name"].as_str()).collect();
            assert_eq!(declared, named, "{method} {path}");
        }
    }
    let routes = routes();
    assert!(routes.len() > 10, "the router's source is understood: {routes:?}");
    assert_eq!(listed, routes);
}

#[test]
fn every_reference_in_the_document_leads_somewhere() {
    fn walk(document: &Value, value: &Value) {
        match value {
            Value::Object(entries) => {
                if let Some(reference) = entries.get("$ref") {
                    assert!(resolved(document, value).is_object(), "{reference}");
                }
                entries.values().for_each(|value| walk(document, value));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(document, value)),
            _ => {}
        }
    }
    let document = document();
    walk(&document, &document);
}

/// What a reference stands for.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => {
            document.pointer(reference.strip_prefix('#').expect("inside the document")).unwrap_or(&Value::Null)
        }
        None => value,
    }
}

/// What is wrong with `value` by `schema`. An object with declared properties may have no others: a key that nobody
/// wrote down is a mistake in the document.
fn violations(document: &Value, schema: &Value, value: &Value, place: &str, out: &mut Vec<String>) {
    let schema = resolved(document, schema);
    for part in schema["allOf"].as_array().into_iter().flatten() {
        violations(document, part, value, place, out);
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => vec![],
    };
    let fits = |kind: &&str| match *kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    };
    if !kinds.is_empty() && !kinds.iter().any(fits) {
        out.push(format!("{place}: {value} is none of {kinds:?}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        out.push(format!("{place}: {value} is none of {allowed:?}"));
    }
    for (i, item) in value.as_array().into_iter().flatten().enumerate() {
        violations(document, &schema["items"], item, &format!("{place}[{i}]"), out);
    }
    let Some(entries) = value.as_object() else { return };
    let Some(properties) = schema["properties"].as_object() else {
        for (key, value) in entries {
            violations(document, &schema["additionalProperties"], value, &format!("{place}.{key}"), out);
        }
        return;
    };
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !entries.contains_key(required) {
            out.push(format!("{place} lacks {required:?}"));
        }
    }
    for (key, value) in entries {
        match properties.get(key) {
            Some(property) => violations(document, property, value, &format!("{place}.{key}"), out),
            None => out.push(format!("{place} has {key:?}, which the document does not know")),
        }
    }
}

#[tokio::test]
async fn real_answers_are_as_the_document_says() {
    let hub = TestHub::start().await;
    let mut introduction = hello("full", 1, &["temp", "door"]);
    introduction["title"] = json!("All there is to say");
    introduction["model"] = json!("M");
    introduction["firmware"] = json!("F");
    introduction["labels"] = json!({ "room": "north" });
    introduction["channels"] = json!([
        { "name": "temp", "title": "T", "unit": "Cel", "decimals": 1, "period_ms": 500 },
        { "name": "door", "kind": "state", "states": ["closed", "open"] },
    ]);
    let mut device = Device::introduce(hub.address, &introduction).await;
    let t_ms = now_ms() - 60_000;
    for seq in 1..=100_u64 {
        device.reading(seq, (t_ms + seq * 100) as f64 + 0.5, 0, f64::NAN).await;
    }
    device.say(&json!([101, t_ms, [[0, 0, 1.5], [1, 0, "open"]]])).await;
    device.say(&json!([102, t_ms])).await;
    device.say(&json!({ "type": "gap", "from": 103, "to": 105, "reason": "lost" })).await;
    device.acked(105).await;
    let document = document();
    let ok = |method: &str, path: &str| {
        let path = path.replace('~', "~0").replace('/', "~1");
        let pointer = format!("/paths/{path}/{method}/responses/200/content/application~1json/schema");
        document.pointer(&pointer).unwrap_or_else(|| panic!("{pointer} is not documented")).clone()
    };
    let posted = hub.post(&json!({ "device": "shed", "readings": [{ "t": 5, "n": 1 }] })).await.json();
    let answers = [
        (ok("get", "/api/v1/devices"), hub.json("/api/v1/devices").await),
        (ok("get", "/api/v1/devices/{id}"), hub.json("/api/v1/devices/full").await),
        (ok("get", "/api/v1/series"), hub.json("/api/v1/series").await),
        (ok("get", "/api/v1/series"), hub.json("/api/v1/series?limit=1").await),
        (ok("get", "/api/v1/query"), hub.json("/api/v1/query?series=full/*").await),
        (ok("get", "/api/v1/query"), hub.json("/api/v1/query?series=full/*&points=10").await),
        (ok("get", "/api/v1/query"), hub.json("/api/v1/query?series=full/*&points=0").await),
        (ok("post", "/api/v1/readings"), posted),
        (document.pointer("/components/schemas/Problem").expect("known").clone(), hub.get("/nowhere").await.json()),
    ];
    let mut wrong = Vec::new();
    for (schema, answer) in &answers {
        violations(&document, schema, answer, "answer", &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(hub.json("/api/v1/openapi.json").await, document, "it is served as it is");
}

#[test]
fn the_checker_notices() {
    let schema = json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "integer" } } });
    let wrong = |value: &Value| {
        let mut out = Vec::new();
        violations(&Value::Null, &schema, value, "x", &mut out);
        out.len()
    };
    assert_eq!(wrong(&json!({ "a": 1 })), 0);
    assert_eq!(wrong(&json!({ "a": "1" })), 1);
    assert_eq!(wrong(&json!({ "b": 1 })), 2);
    assert_eq!(wrong(&json!(7)), 1);
}

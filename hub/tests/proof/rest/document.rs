//! `/api/v1/openapi.json` against the router and against real answers.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::Path,
};

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

/// Holds answers against the document.
struct Checker<'a> {
    document: &'a Value,
    wrong: Vec<String>,
    /// Declared properties that some answer had.
    seen: HashSet<*const Value>,
}

impl<'a> Checker<'a> {
    fn new(document: &'a Value) -> Self {
        Self { document, wrong: Vec::new(), seen: HashSet::new() }
    }

    /// Notes what is wrong with `value` by `schema`. An object with declared properties may have no others: a key that
    /// nobody wrote down is a mistake in the document.
    fn check(&mut self, schema: &'a Value, value: &Value, place: &str) {
        let schema = resolved(self.document, schema);
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
            self.wrong.push(format!("{place}: {value} is none of {kinds:?}"));
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            self.wrong.push(format!("{place}: {value} is none of {allowed:?}"));
        }
        for (i, item) in value.as_array().into_iter().flatten().enumerate() {
            self.check(&schema["items"], item, &format!("{place}[{i}]"));
        }
        for (key, value) in value.as_object().into_iter().flatten() {
            self.check_entry(schema, key, value, place);
        }
        for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if value.is_object() && value.get(required).is_none() {
                self.wrong.push(format!("{place} lacks {required:?}"));
            }
        }
    }

    fn check_entry(&mut self, schema: &'a Value, key: &str, value: &Value, place: &str) {
        let Some(properties) = schema["properties"].as_object() else {
            return self.check(&schema["additionalProperties"], value, &format!("{place}.{key}"));
        };
        match properties.get(key) {
            Some(property) => {
                self.seen.insert(property);
                self.check(property, value, &format!("{place}.{key}"));
            }
            None => self.wrong.push(format!("{place} has {key:?}, which the document does not know")),
        }
    }

    /// Notes every property under `schema` that no answer had.
    fn check_seen(&mut self, schema: &'a Value, place: &str) {
        for (key, property) in schema["properties"].as_object().into_iter().flatten() {
            if !self.seen.contains(&std::ptr::from_ref(property)) {
                self.wrong.push(format!("{place} has never {key:?}, which the document promises"));
            }
            self.check_seen(property, &format!("{place}.{key}"));
        }
        for inner in ["items", "additionalProperties"] {
            if let Some(inner) = schema.get(inner) {
                self.check_seen(inner, place);
            }
        }
    }
}

/// A hub about which there is everything to say.
async fn full_hub() -> TestHub {
    let hub = TestHub::with(|config| config.ingest.series_max = 4).await;
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
        let value = if seq % 2 == 0 { f64::NAN } else { 21.5 };
        device.reading(seq, (t_ms + seq * 100) as f64 + 0.5, 0, value).await;
    }
    device.say(&json!([101, t_ms, [[0, 0, 1.5], [1, 0, "open"]]])).await;
    device.say(&json!([102, t_ms])).await;
    device.say(&json!({ "type": "gap", "from": 103, "to": 105, "reason": "lost" })).await;
    device.acked(105).await;
    hub
}

#[tokio::test]
async fn real_answers_are_as_the_document_says_and_it_promises_nothing_else() {
    let hub = full_hub().await;
    let document = document();
    let answer_to = |method: &str, path: &str| {
        let path = path.replace('~', "~0").replace('/', "~1");
        let pointer = format!("/paths/{path}/{method}/responses/200/content/application~1json/schema");
        document.pointer(&pointer).unwrap_or_else(|| panic!("{pointer} is not documented"))
    };
    let schema = |name: &str| &document["components"]["schemas"][name];
    let from = format!("from={}", now_ms() - 55_000);
    let requests = [
        json!({ "device": "shed", "readings": { "a": 1, "b": true, "c": null } }),
        json!({ "device": "shed", "readings": [{ "t": 5, "a": 1 }], "spool": 7, "seq": 1 }),
    ];
    let mut checker = Checker::new(&document);
    for request in &requests {
        checker.check(schema("Post"), request, "a request");
        checker.check(answer_to("post", "/api/v1/readings"), &hub.post(request).await.json(), "posted");
    }
    for (described, asked) in [
        ("/api/v1/devices", "/api/v1/devices"),
        ("/api/v1/devices/{id}", "/api/v1/devices/full"),
        ("/api/v1/series", "/api/v1/series"),
        ("/api/v1/series", "/api/v1/series?limit=1"),
        ("/api/v1/query", "/api/v1/query?series=full/*"),
        ("/api/v1/query", "/api/v1/query?series=full/*&points=10"),
        ("/api/v1/query", "/api/v1/query?series=full/*&points=0"),
        ("/api/v1/query", &format!("/api/v1/query?series=full/*&{from}")),
        ("/api/v1/query", &format!("/api/v1/query?series=full/*&points=0&{from}")),
    ] {
        checker.check(answer_to("get", described), &hub.json(asked).await, asked);
    }
    checker.check(schema("Problem"), &hub.get("/nowhere").await.json(), "a problem");
    for (name, schema) in document["components"]["schemas"].as_object().expect("schemas") {
        checker.check_seen(schema, name);
    }
    for (method, path) in routes() {
        let operation = &document["paths"][&path][&method];
        checker.check_seen(&operation["responses"]["200"]["content"]["application/json"]["schema"], &path);
    }
    assert!(checker.wrong.is_empty(), "{}", checker.wrong.join("\n"));
    assert_eq!(hub.json("/api/v1/openapi.json").await, document, "it is served as it is");
}

#[test]
fn the_checker_notices() {
    let schema = json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "integer" } } });
    let wrong = |values: &[Value]| {
        let mut checker = Checker::new(&Value::Null);
        for value in values {
            checker.check(&schema, value, "x");
        }
        checker.check_seen(&schema, "x");
        checker.wrong.len()
    };
    assert_eq!(wrong(&[json!({ "a": 1 })]), 0);
    assert_eq!(wrong(&[json!({ "a": "1" })]), 1);
    assert_eq!(wrong(&[json!({ "a": 1 }), json!({ "b": 1 })]), 2);
    assert_eq!(wrong(&[json!({ "a": 1 }), json!(7)]), 1);
    assert_eq!(wrong(&[]), 1, "promised and never seen");
}

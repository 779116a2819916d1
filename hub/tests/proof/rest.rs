//! REST: every answer equal to what was sent, every error a problem document that says what to do.

mod document;
mod examples;
mod exposition;

use std::collections::BTreeMap;

use protocol::{close, codec, device::encode::FrameWriter};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Device, Point, TestHub, hello, now_ms, request};

const T0_MS: u64 = 1_770_000_000_000;
const MESSAGES: u64 = 40;

/// A hub with one device whose readings are known: `temp` every second, `flow` at a fixed rate of 8 Hz with a missing
/// measurement in each message, `door` twice.
async fn known_hub() -> (TestHub, BTreeMap<&'static str, Vec<Point>>) {
    let hub = TestHub::start().await;
    let mut introduction = hello("boiler", 1, &["temp", "flow", "door"]);
    introduction["import"] = json!(true);
    introduction["channels"][0]["unit"] = json!("Cel");
    introduction["channels"][1]["unit"] = json!("l/min, \"net\"");
    introduction["channels"][2]["states"] = json!(["closed", "open"]);
    let mut device = Device::introduce(hub.address, &introduction).await;
    let (mut sent, mut writer): (BTreeMap<_, Vec<Point>>, _) = (BTreeMap::new(), FrameWriter::default());
    for message in 0..MESSAGES {
        let t_ms = (T0_MS + message * 1_000) as f64;
        let temp = 20.0 + (message as f64 * 0.1).sin();
        writer.scalar(0, 0.0, temp);
        sent.entry("temp").or_default().push((t_ms, Some(temp)));
        let flow: Vec<f64> = (0..8).map(|i| if i == 5 { f64::NAN } else { (message * 8 + i) as f64 / 3.0 }).collect();
        writer.fixed_rate_f64(1, 0.0, 125.0, &flow);
        let points = flow.iter().enumerate().map(|(i, v)| (t_ms + i as f64 * 125.0, Some(*v).filter(|v| !v.is_nan())));
        sent.entry("flow").or_default().extend(points);
        device.send(writer.finish(message + 1, t_ms)).await;
    }
    device.say(&json!([MESSAGES + 1, T0_MS, [[2, 0, "closed"], [2, 1_500.25, "open"]]])).await;
    let t_ms = T0_MS as f64;
    sent.insert("door", vec![(t_ms, Some(0.0)), (t_ms + 1_500.25, Some(1.0))]);
    device.acked(MESSAGES + 1).await;
    device.leave().await;
    (hub, sent)
}

fn path(series: &str, more: &str) -> String {
    format!("/api/v1/query?series={series}&from={T0_MS}&to={}&{more}", T0_MS + MESSAGES * 1_000)
}

fn numbers(column: &Value) -> Vec<Option<f64>> {
    column.as_array().expect("a column").iter().map(Value::as_f64).collect()
}

/// Time and value columns of one series of an answer.
fn columns(series: &Value) -> Vec<Point> {
    numbers(&series["t"]).into_iter().map(|t| t.expect("a time")).zip(numbers(&series["value"])).collect()
}

#[tokio::test]
async fn raw_answers_are_what_was_sent_in_every_format() {
    let (hub, sent) = known_hub().await;
    for (channel, sent) in &sent {
        assert_eq!(hub.points(&format!("boiler/{channel}")).await, *sent, "{channel}, streamed");
        let answer = hub.json(&path(&format!("boiler/{channel}"), "points=1000")).await;
        let series = &answer["series"][0];
        assert_eq!((&series["bucket_ms"], &series["channel"]), (&Value::Null, &json!(channel)));
        assert_eq!(columns(series), *sent, "{channel}, as JSON");
        let cbor = hub.get(&path(&format!("boiler/{channel}"), "points=1000&format=cbor")).await;
        assert_eq!(cbor.header("content-type"), Some("application/cbor"));
        let cbor: Value = codec::from_slice(&cbor.body).expect("CBOR");
        assert_eq!(columns(&cbor["series"][0]), *sent, "{channel}, as CBOR");
        // The end is exclusive, and ISO times are times.
        let some = hub
            .json("/api/v1/query?series=boiler/temp&from=2026-02-02T02:40:00Z&to=2026-02-02T03:40:03%2B01:00&points=9")
            .await;
        assert_eq!(columns(&some["series"][0]), sent_of(&hub, "temp").await[..3]);
    }
}

async fn sent_of(hub: &TestHub, channel: &str) -> Vec<Point> {
    hub.points(&format!("boiler/{channel}")).await
}

/// Fields of one CSV line; the quoting is RFC 4180.
fn fields(line: &str) -> Vec<String> {
    let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    fields.push(field);
    fields
}

fn parse_time(text: &str) -> f64 {
    let time: jiff::Timestamp = text.parse().unwrap_or_else(|_| panic!("{text:?} is no ISO time"));
    assert!(text.ends_with('Z'), "{text} is not in UTC");
    time.as_microsecond() as f64 / 1_000.0
}

#[tokio::test]
async fn an_answer_says_what_was_before_it() {
    let (hub, sent) = known_hub().await;
    let mut asked = 0;
    for (channel, sent) in &sent {
        for from in [sent[0].0, sent[0].0 + 0.5, sent[1].0, sent[1].0 + 0.001, 1e13] {
            let wanted = sent.iter().rfind(|point| point.0 < from);
            let wanted = wanted.map_or(Value::Null, |point| json!({ "t": point.0, "value": point.1 }));
            for more in ["points=2", "points=1000", "points=0"] {
                let path = format!("/api/v1/query?series=boiler/{channel}&from={from}&to=1e14&{more}");
                let seen = hub.json(&path).await["series"][0]["before"].take();
                // 1.0 and 1 are the same number.
                let same =
                    (seen["t"].as_f64(), seen["value"].as_f64()) == (wanted["t"].as_f64(), wanted["value"].as_f64());
                assert!(same && seen.is_null() == wanted.is_null(), "{path}: {seen}, wanted {wanted}");
                asked += 1;
            }
        }
    }
    assert_eq!(asked, 3 * 5 * 3);
}

#[tokio::test]
async fn an_answer_names_what_is_lost_in_its_range() {
    let hub = TestHub::start().await;
    let mut introduction = hello("holey", 1, &["a", "b"]);
    introduction["import"] = json!(true);
    let mut device = Device::introduce(hub.address, &introduction).await;
    for (seq, second) in [(1_u64, 0), (6, 10), (9, 20)] {
        device.say(&json!([seq, T0_MS + second * 1_000, [[0, 0, 1.5], [1, 0, 2.5]]])).await;
        if seq == 1 {
            device.say(&json!({ "type": "gap", "from": 2, "to": 5, "reason": "memory full" })).await;
        }
    }
    device.acked(9).await;
    let series = hub.json("/api/v1/series").await["series"].take();
    let row = |channel: usize, from: u64, to: u64, reason: &str| {
        let (from, to) = (T0_MS + from * 1_000, T0_MS + to * 1_000);
        json!({ "series": series[channel]["id"], "from": from, "to": to, "reason": reason })
    };
    let (first, second) = ("4 messages lost: memory full", "2 messages lost: unexplained");
    let both = json!([row(0, 0, 10, first), row(1, 0, 10, first), row(0, 10, 20, second), row(1, 10, 20, second)]);
    for (from, to, wanted) in [
        (-5, 100, both.clone()),
        (2, 3, json!([row(0, 0, 10, first), row(1, 0, 10, first)])),
        (11, 100, json!([row(0, 10, 20, second), row(1, 10, 20, second)])),
        (21, 100, json!([])),
        (-5, 0, json!([])),
    ] {
        let (from, to) = (T0_MS as i64 + from * 1_000, T0_MS as i64 + to * 1_000);
        for more in ["points=2", "points=0"] {
            let path = format!("/api/v1/query?series=holey/*&from={from}&to={to}&{more}");
            assert_eq!(hub.json(&path).await["gaps"], wanted, "{path}");
        }
    }
    // One series of several: only its own. Rows of CSV are readings and nothing else.
    assert_eq!(hub.json("/api/v1/query?series=holey/b&from=0&to=1e13").await["gaps"], json!([both[1], both[3]]));
    let text = hub.get("/api/v1/query?series=holey/*&from=0&to=1e13&format=csv").await.text();
    assert_eq!(text.lines().count(), 1 + 6, "{text}");
}

#[tokio::test]
async fn csv_long_and_wide_hold_the_same_readings() {
    let (hub, sent) = known_hub().await;
    let units = BTreeMap::from([("temp", "°C"), ("flow", "l/min, \"net\""), ("door", "")]);
    for more in ["points=0&format=csv", "points=1000&format=csv"] {
        let answer = hub.get(&path("boiler/*", more)).await;
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/csv")));
        assert!(answer.header("content-disposition").is_some_and(|how| how.contains("highwater.csv")));
        let text = answer.text();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("time,device,channel,unit,value"), "{more}");
        let mut seen: BTreeMap<String, Vec<Point>> = BTreeMap::new();
        for line in lines {
            let row = fields(line);
            assert_eq!((row.len(), row[1].as_str(), row[3].as_str()), (5, "boiler", units[row[2].as_str()]));
            let value = (!row[4].is_empty()).then(|| row[4].parse().expect("a number"));
            seen.entry(row[2].clone()).or_default().push((parse_time(&row[0]), value));
        }
        let sent: BTreeMap<String, Vec<Point>> = sent.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
        assert_eq!(seen, sent, "{more}");
    }
    let text = hub.get(&path("boiler/*", "points=1000&format=csv&layout=wide")).await.text();
    let mut lines = text.lines();
    let header = fields(lines.next().expect("a header"));
    assert_eq!(header, ["time", "boiler/temp [°C]", "boiler/flow [l/min, \"net\"]", "boiler/door"]);
    let mut seen: BTreeMap<&str, Vec<Point>> = BTreeMap::new();
    let mut times = Vec::new();
    for line in lines {
        let row = fields(line);
        times.push(parse_time(&row[0]));
        for (channel, value) in ["temp", "flow", "door"].into_iter().zip(&row[1..]) {
            if !value.is_empty() {
                seen.entry(channel).or_default().push((parse_time(&row[0]), Some(value.parse().expect("a number"))));
            }
        }
    }
    assert!(times.is_sorted_by(|a, b| a < b), "one row an instant");
    for (channel, sent) in &sent {
        let measured: Vec<Point> = sent.iter().copied().filter(|point| point.1.is_some()).collect();
        assert_eq!(seen[channel], measured, "{channel}");
    }
}

#[tokio::test]
async fn buckets_are_what_the_readings_make() {
    let (hub, sent) = known_hub().await;
    for points in [2, 5, 17, 100] {
        let answer = hub.json(&path("boiler/flow", &format!("points={points}"))).await;
        let series = &answer["series"][0];
        let width_ms = series["bucket_ms"].as_f64().expect("buckets");
        let t = numbers(&series["t"]);
        assert!(t.len() <= points + 1, "{} buckets for {points} points", t.len());
        let mut wanted: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
        for (t_ms, value) in &sent["flow"] {
            let bucket = wanted.entry(((t_ms / width_ms).floor() * width_ms) as u64).or_default();
            bucket.extend(value);
        }
        wanted.retain(|_, values| !values.is_empty());
        assert_eq!(t, wanted.keys().map(|&start_ms| Some(start_ms as f64)).collect::<Vec<_>>());
        for (i, values) in wanted.values().enumerate() {
            let of = |name: &str| numbers(&series[name])[i];
            assert_eq!(of("min"), values.iter().copied().reduce(f64::min));
            assert_eq!(of("max"), values.iter().copied().reduce(f64::max));
            assert_eq!(of("last"), values.last().copied());
            assert_eq!(of("count"), Some(values.len() as f64));
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            assert!((of("mean").expect("a mean") - mean).abs() < 1e-9, "{:?} {mean}", of("mean"));
        }
        let text = hub.get(&path("boiler/flow", &format!("points={points}&format=csv"))).await.text();
        assert_eq!(text.lines().next(), Some("time,device,channel,unit,min,max,mean,last,count"));
        assert_eq!(text.lines().count(), wanted.len() + 1);
    }
}

#[tokio::test]
async fn a_long_export_comes_in_pages_that_fit_together() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("long", 1, &["n"])).await;
    let (mut writer, t0_ms) = (FrameWriter::default(), now_ms() - 100_000_000);
    let mut sent = Vec::new();
    for message in 0..100_u64 {
        let values: Vec<f64> = (0..500).map(|i| (message * 500 + i) as f64).collect();
        writer.fixed_rate_f64(0, 0.0, 1.0, &values);
        sent.extend((0..).zip(&values).map(|(i, v): (u64, _)| ((t0_ms + message * 500 + i) as f64, Some(*v))));
        device.send(writer.finish(message + 1, (t0_ms + message * 500) as f64)).await;
    }
    // A stretch that came twice: the second copy wins, also where a page ends.
    writer.fixed_rate_f64(0, 0.0, 1.0, &vec![-1.0; 30_000]);
    device.send(writer.finish(101, (t0_ms + 5_000) as f64)).await;
    sent[5_000..35_000].iter_mut().for_each(|point| point.1 = Some(-1.0));
    device.acked(101).await;
    let seen = hub.points("long/n").await;
    assert_eq!(seen.len(), sent.len());
    assert!(seen == sent, "every reading once, the last copy of each");
    let text = hub.get("/api/v1/query?series=long/n&from=0&points=0&format=csv").await.text();
    assert_eq!(text.lines().count(), sent.len() + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_to_a_slow_reader_survives_what_happens_meanwhile() {
    let hub = TestHub::start().await;
    let mut device = Device::introduce(hub.address, &hello("long", 1, &["n"])).await;
    let (mut writer, t0_ms) = (FrameWriter::default(), now_ms() - 1_000_000_000);
    let mut send = async |device: &mut Device, message: u64| {
        let values: Vec<f64> = (0..2_000).map(|i| (message * 2_000 + i) as f64).collect();
        writer.fixed_rate_f64(0, 0.0, 1.0, &values);
        device.send(writer.finish(message + 1, (t0_ms + message * 2_000) as f64)).await;
        device.acked(message + 1).await;
    };
    for message in 0..100 {
        send(&mut device, message).await;
    }
    // Asks for all of it, and reads nothing while segments are recycled and chunks sealed.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4096).expect("a small buffer");
    let mut export = socket.connect(hub.address).await.expect("connected");
    let end_ms = t0_ms + 200_000;
    let ask = format!(
        "GET /api/v1/query?series=long/n&from=0&to={end_ms}&points=0&format=csv HTTP/1.1\r\nHost: {}\r\nConnection: \
         close\r\n\r\n",
        hub.address
    );
    export.write_all(ask.as_bytes()).await.expect("sent");
    let mut begin = vec![0; 1_000];
    export.read_exact(&mut begin).await.expect("it begins");
    for message in 100..200 {
        send(&mut device, message).await;
    }
    let mut rest = Vec::new();
    crate::support::in_time("the export", export.read_to_end(&mut rest)).await.expect("it ends");
    let text = String::from_utf8([begin, rest].concat()).expect("UTF-8");
    let rows = text.lines().filter(|line| line.contains(",long,n,")).count();
    // Chunk marks cut a line now and then, never lose one.
    assert!(text.ends_with("0\r\n\r\n"), "complete");
    assert!((199_900..=200_000).contains(&rows), "{rows} rows");
    hub.stop(close::STOPPING).await;
}

#[tokio::test]
async fn series_come_in_pages() {
    let hub = TestHub::start().await;
    for number in 0..7 {
        let body = json!({ "device": format!("d-{number}"), "readings": { "a": number, "b": null } });
        assert_eq!(hub.post(&body).await.status, 200);
    }
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = hub.json(&format!("/api/v1/series?match=*/a,d-3/*&limit=3{after}")).await;
        let rows = page["series"].as_array().expect("rows").clone();
        assert!(rows.len() <= 3);
        seen.extend(rows);
        let Some(next) = page["next"].as_u64() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen.len(), 8);
    assert!(seen.is_sorted_by_key(|row| row["id"].as_u64()));
    let b = seen.iter().find(|row| row["channel"] == "b").expect("d-3/b");
    assert_eq!(
        (&b["device"], &b["latest"]["value"]),
        (&json!("d-3"), &Value::Null),
        "a missing one is the latest, too"
    );
    assert!(b["latest"]["t"].is_u64());
}

#[tokio::test]
async fn errors_are_problem_documents_that_say_what_to_do() {
    let hub = TestHub::start().await;
    hub.post(&json!({ "device": "d", "readings": { "n": 1 } })).await;
    for (path, status, says) in [
        ("/nowhere", 404, "openapi.json"),
        ("/api/v1/devices/nobody", 404, "/api/v1/devices"),
        ("/api/v1/devices/%1b%5b2J", 404, "[2J"),
        ("/assets/nowhere.js", 404, "nowhere.js"),
        ("/api/v1/query", 400, "series"),
        ("/api/v1/query?series=d/n&colour=red", 400, "colour"),
        ("/api/v1/query?series=d", 400, "device/channel"),
        ("/api/v1/query?series=nobody/n", 404, "/api/v1/series"),
        ("/api/v1/query?series=d/n&from=yesterday", 400, "2026-01-31T12:00:00Z"),
        ("/api/v1/query?series=d/n&from=2000&to=1000", 400, "before to"),
        ("/api/v1/query?series=d/n&points=10001", 400, "10000"),
        ("/api/v1/query?series=d/n&points=many", 400, "points"),
        ("/api/v1/query?series=d/n&format=xml", 400, "xml"),
        ("/api/v1/query?series=d/n&points=0&format=cbor", 400, "csv or json"),
        ("/api/v1/series?match=d", 400, "device/channel"),
        ("/api/v1/series?limit=some", 400, "limit"),
        ("/ws/device", 400, "upgrade"),
        ("/ws/live", 400, "upgrade"),
    ] {
        hub.get(path).await.assert_problem(status, says);
    }
    request(hub.address, "DELETE", "/api/v1/devices", &[], b"").await.assert_problem(405, "DELETE");
    request(hub.address, "GET", "/api/v1/readings", &[], b"").await.assert_problem(405, "GET");
}

#[tokio::test]
async fn the_page_is_served_with_its_headers_and_from_the_cache() {
    let hub = TestHub::start().await;
    let page = hub.get("/").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
    let etag = page.header("etag").expect("an etag");
    let again = request(hub.address, "GET", "/", &[("If-None-Match", etag)], b"").await;
    assert_eq!((again.status, again.body.len()), (304, 0));
    let squeezed = request(hub.address, "GET", "/", &[("Accept-Encoding", "br, gzip")], b"").await;
    assert_eq!(squeezed.header("content-encoding"), Some("gzip"));
    assert!(squeezed.body.len() < page.body.len());
    // Every script and style that the page names is there.
    let text = page.text();
    let named = text.split(['"', '\'']).filter(|part| part.starts_with("/assets/") || part.starts_with("assets/"));
    let mut count = 0;
    for name in named {
        let asset = hub.get(&format!("/{}", name.trim_start_matches('/'))).await;
        assert_eq!(asset.status, 200, "{name}");
        count += 1;
    }
    assert!(count > 0, "the page names its scripts");
    for outside in
        ["/assets/../Cargo.toml", "/assets/%2e%2e/Cargo.toml", "/assets//etc/passwd", "/assets/tests/live.test.js"]
    {
        assert_eq!(hub.get(outside).await.status, 404, "{outside}");
    }
}

#[tokio::test]
async fn health_is_told() {
    let hub = TestHub::start().await;
    assert_eq!((hub.get("/healthz").await.status, hub.get("/healthz").await.text().as_str()), (200, "ok\n"));
    assert_eq!(hub.get("/readyz").await.status, 200);
}

//! HTTP/1.1 by hand over one connection a request: the tests see every byte, also of what no client would send.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::in_time;

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status line's number.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Without chunk marks.
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Asserts that it is a problem document of this status whose detail says this.
    #[track_caller]
    pub fn assert_problem(&self, status: u16, says: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].as_str().is_some_and(|title| !title.is_empty()), "{problem}");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains(says), "{detail:?} does not say {says:?}");
    }
}

/// `GET path`.
pub async fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path, &[], b"").await
}

/// `POST path`.
pub async fn post(address: SocketAddr, path: &str, content_type: &str, body: &[u8]) -> Answer {
    request(address, "POST", path, &[("Content-Type", content_type)], body).await
}

/// Any request; `Host`, `Connection: close` and the length are added unless they are given.
pub async fn request(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut lines = vec![format!("{method} {path} HTTP/1.1")];
    let is_given = |name: &str| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    if !is_given("Host") {
        lines.push(format!("Host: {address}"));
    }
    if !is_given("Connection") {
        lines.push("Connection: close".into());
    }
    if method == "POST" {
        lines.push(format!("Content-Length: {}", body.len()));
    }
    lines.extend(headers.iter().map(|(name, value)| format!("{name}: {value}")));
    let text = lines.join("\r\n") + "\r\n\r\n";
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(text.as_bytes()).await.expect("sent");
        // Who is refused by the length alone may hang up before it has read everything.
        let _ = stream.write_all(body).await;
        read_answer(&mut stream).await
    };
    in_time("an HTTP answer", exchange).await
}

/// The status of `GET path`; none when nobody answers any more.
pub async fn try_status(address: SocketAddr, path: &str) -> Option<u16> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let text = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        String::from_utf8_lossy(&answer).split(' ').nth(1)?.parse().ok()
    };
    in_time("an HTTP answer, or none", ask).await
}

/// Reads one answer; the connection may go on behind it only after an upgrade (101).
pub async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let head_len = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        let read = stream.read_buf(&mut bytes).await.expect("readable");
        assert!(read > 0, "the answer ended inside its head: {:?}", String::from_utf8_lossy(&bytes));
    };
    let mut body = bytes.split_off(head_len);
    let head = String::from_utf8(bytes).expect("an ASCII head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).expect("a status");
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let mut answer = Answer { status, headers, body: Vec::new() };
    if status == 101 {
        return answer;
    }
    if let Some(len) = answer.header("content-length") {
        let len: usize = len.parse().expect("a length");
        while body.len() < len {
            assert!(stream.read_buf(&mut body).await.expect("readable") > 0, "the answer was cut");
        }
        answer.body = body;
    } else {
        stream.read_to_end(&mut body).await.expect("readable");
        let is_chunked = answer.header("transfer-encoding") == Some("chunked");
        answer.body = if is_chunked { unchunk(&body).expect("a complete body") } else { body };
    }
    answer
}

/// The body without its chunk marks; none when it does not come to its end.
fn unchunk(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|window| window == b"\r\n")?;
        let len = usize::from_str_radix(std::str::from_utf8(&rest[..end]).ok()?, 16).ok()?;
        if len == 0 {
            return Some(body);
        }
        body.extend_from_slice(rest.get(end + 2..end + 2 + len)?);
        rest = rest.get(end + 4 + len..)?;
    }
}

//! The little HTTP/1.1 that a benchmark needs: one request at a time on a kept connection, every byte counted.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use anyhow::{Context, bail, ensure};

/// Longer than any answer should take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection.
#[derive(Debug)]
pub struct Http {
    stream: TcpStream,
    address: SocketAddr,
    buffer: Vec<u8>,
    /// Bytes sent so far.
    pub sent: u64,
    /// Bytes received so far.
    pub received: u64,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, chunks joined.
    pub body: Vec<u8>,
}

impl Http {
    /// Connects.
    pub fn connect(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, address, buffer: Vec::new(), sent: 0, received: 0 })
    }

    /// `GET`, and the whole answer.
    pub fn get(&mut self, path: &str) -> anyhow::Result<Answer> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: */*\r\n\r\n", self.address);
        self.send(request.as_bytes())?;
        self.answer()
    }

    /// Sends a request as it stands.
    pub fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        self.sent += request.len() as u64;
        self.stream.write_all(request).context("the hub does not read")
    }

    /// Waits for the next answer.
    pub fn answer(&mut self) -> anyhow::Result<Answer> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            self.read_more()?;
        };
        let head = String::from_utf8(self.buffer.drain(..end + 4).collect()).context("the head is no text")?;
        let status = head.get(9..12).and_then(|status| status.parse().ok()).context("no status")?;
        let header = |name: &str| {
            let found =
                head.lines().filter_map(|line| line.split_once(':')).find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.trim())
        };
        let body = match (header("content-length"), header("transfer-encoding")) {
            (Some(len), _) => self.take(len.parse().context("no length")?)?,
            (None, Some("chunked")) => self.chunks()?,
            _ => bail!("an answer without length"),
        };
        Ok(Answer { status, body })
    }

    fn chunks(&mut self) -> anyhow::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = find(&self.buffer, b"\r\n") {
                    break end;
                }
                self.read_more()?;
            };
            let line = self.take(end + 2)?;
            let len = usize::from_str_radix(std::str::from_utf8(&line)?.trim(), 16).context("no chunk length")?;
            body.extend(self.take(len + 2)?.into_iter().take(len));
            if len == 0 {
                return Ok(body);
            }
        }
    }

    fn take(&mut self, len: usize) -> anyhow::Result<Vec<u8>> {
        while self.buffer.len() < len {
            self.read_more()?;
        }
        Ok(self.buffer.drain(..len).collect())
    }

    fn read_more(&mut self) -> anyhow::Result<()> {
        let mut part = vec![0; 64 * 1024];
        let len = self.stream.read(&mut part).context("no answer")?;
        ensure!(len > 0, "the hub has closed the connection");
        self.received += len as u64;
        self.buffer.extend_from_slice(&part[..len]);
        Ok(())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|part| part == what)
}

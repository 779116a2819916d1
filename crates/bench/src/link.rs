//! One WebSocket of the load generator: the handshake, then frames both ways without blocking, every byte counted.

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use crate::frame::{Frame, opcode, put_masked};

/// The key of RFC 6455's example (section 1.3) …
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// … and the accept that proves that the other side has read it.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// Any constant but zero will do: servers unmask all the same.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x88];
/// A hub that says nothing for so long is broken.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection during its set-up: calls block.
#[derive(Debug)]
pub struct Opening {
    stream: TcpStream,
    received: Vec<u8>,
    sent: u64,
    taken: u64,
}

impl Opening {
    /// Connects and upgrades.
    pub fn connect(address: SocketAddr, path: &str, subprotocol: &str) -> anyhow::Result<Self> {
        let mut opening = Self::connect_tcp(address)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
        );
        opening.write(request.as_bytes())?;
        let end = loop {
            if let Some(end) = opening.received.windows(4).position(|part| part == b"\r\n\r\n") {
                break end + 4;
            }
            opening.read_more().context("the hub did not answer the upgrade")?;
        };
        let head = String::from_utf8_lossy(&opening.received[..end]).into_owned();
        ensure!(head.starts_with("HTTP/1.1 101"), "no upgrade: {}", head.lines().next().unwrap_or_default());
        ensure!(head.contains(ACCEPT), "the upgrade does not prove that the key was read");
        opening.received.drain(..end);
        Ok(opening)
    }

    /// Connects without an upgrade: the floor's plain TCP.
    pub fn connect_tcp(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, received: Vec::new(), sent: 0, taken: 0 })
    }

    /// Sends a binary message.
    pub fn send(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        self.send_frame(opcode::BINARY, payload)
    }

    /// Sends a frame of any kind.
    pub fn send_frame(&mut self, opcode: u8, payload: &[u8]) -> anyhow::Result<()> {
        let mut frame = Vec::new();
        put_masked(&mut frame, opcode, payload, MASK);
        self.write(&frame)
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.sent += bytes.len() as u64;
        self.stream.write_all(bytes).context("the hub does not read")
    }

    /// The next frame that is no ping: opcode and payload. Pings are answered.
    pub fn receive(&mut self) -> anyhow::Result<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = Frame::parse(&self.received) {
                let payload = self.received[frame.payload.clone()].to_vec();
                self.received.drain(..frame.payload.end);
                if frame.opcode != opcode::PING {
                    return Ok((frame.opcode, payload));
                }
                self.send_frame(opcode::PONG, &payload)?;
                continue;
            }
            self.read_more().context("the hub says nothing")?;
        }
    }

    /// Gives what comes until then to `each`.
    pub fn until(&mut self, until: Instant, mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.stream.set_read_timeout(Some(PATIENCE))?;
                return Ok(());
            }
            self.stream.set_read_timeout(Some(left))?;
            match self.receive() {
                Ok((_, message)) => each(&message),
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn read_more(&mut self) -> anyhow::Result<()> {
        let mut buffer = [0; 16 * 1024];
        let len = self.stream.read(&mut buffer)?;
        ensure!(len > 0, "the hub has closed the connection");
        self.taken += len as u64;
        self.received.extend_from_slice(&buffer[..len]);
        Ok(())
    }

    /// Bytes sent and received so far, the upgrade included.
    pub fn bytes(&self) -> (u64, u64) {
        (self.sent, self.taken)
    }

    /// From here on nothing blocks.
    pub fn into_link(self) -> anyhow::Result<Link> {
        self.stream.set_nonblocking(true)?;
        let stream = mio::net::TcpStream::from_std(self.stream);
        Ok(Link { stream, partial: self.received, unsent: Vec::new(), frame: Vec::new(), sent: 0, taken: 0 })
    }
}

fn is_timeout(error: &anyhow::Error) -> bool {
    let kind = error.root_cause().downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

/// An open connection; nothing blocks.
#[derive(Debug)]
pub struct Link {
    /// For registering with a poll.
    pub stream: mio::net::TcpStream,
    /// The begin of a frame whose end has not come yet.
    partial: Vec<u8>,
    unsent: Vec<u8>,
    frame: Vec<u8>,
    sent: u64,
    taken: u64,
}

impl Link {
    /// Sends a binary message with one write, or keeps what the socket does not take.
    pub fn send(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        let mut frame = std::mem::take(&mut self.frame);
        frame.clear();
        put_masked(&mut frame, opcode::BINARY, payload, MASK);
        let outcome = self.write(&frame);
        self.frame = frame;
        outcome
    }

    /// Sends bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.sent += bytes.len() as u64;
        if !self.unsent.is_empty() {
            self.unsent.extend_from_slice(bytes);
            return self.flush();
        }
        let taken = match self.stream.write(bytes) {
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => bail!("the hub has closed the connection: {error}"),
        };
        self.unsent.extend_from_slice(&bytes[taken..]);
        Ok(())
    }

    /// Sends what was kept.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(taken) => drop(self.unsent.drain(..taken)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => bail!("the hub has closed the connection: {error}"),
            }
        }
        Ok(())
    }

    /// Whether the socket takes no more for now.
    pub fn is_blocked(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Reads what has come and gives each binary message to `each`. Pings are answered.
    pub fn receive(&mut self, scratch: &mut [u8], mut each: impl FnMut(&[u8])) -> anyhow::Result<()> {
        loop {
            let len = match self.stream.read(scratch) {
                Ok(0) => bail!("the hub has closed the connection"),
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("the connection is broken"),
            };
            self.taken += len as u64;
            if self.partial.is_empty() {
                let used = self.take_frames(&scratch[..len], &mut each)?;
                self.partial.extend_from_slice(&scratch[used..len]);
            } else {
                let mut bytes = std::mem::take(&mut self.partial);
                bytes.extend_from_slice(&scratch[..len]);
                let used = self.take_frames(&bytes, &mut each)?;
                bytes.drain(..used);
                self.partial = bytes;
            }
            // Less than asked for: the socket is empty, and whatever comes next is a new event (epoll(7)).
            if len < scratch.len() {
                return Ok(());
            }
        }
    }

    fn take_frames(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8])) -> anyhow::Result<usize> {
        let mut used = 0;
        while let Some(frame) = Frame::parse(&bytes[used..]) {
            let payload = &bytes[used + frame.payload.start..used + frame.payload.end];
            match frame.opcode {
                opcode::BINARY => each(payload),
                opcode::PING => {
                    let mut pong = Vec::new();
                    put_masked(&mut pong, opcode::PONG, payload, MASK);
                    self.write(&pong)?;
                }
                opcode::CLOSE => {
                    let reason = payload.get(2..).map(String::from_utf8_lossy).unwrap_or_default().into_owned();
                    let code = payload.get(..2).map_or(0, |code| u16::from_be_bytes([code[0], code[1]]));
                    bail!("the hub closes with {code}: {reason}");
                }
                _ => {}
            }
            used += frame.payload.end;
        }
        Ok(used)
    }

    /// Bytes sent and received since the set-up.
    pub fn bytes(&self) -> (u64, u64) {
        (self.sent, self.taken)
    }
}

//! Prints the bytes of handshakes, frames and closes as they pass between a client and a real hub: what the documents
//! show is what was on the wire.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use protocol::{
    DEVICE_SUBPROTOCOL, close,
    device::{DeviceControl, encode::FrameWriter},
    limits::MESSAGE_BYTES_MAX,
};

use crate::{
    Options,
    device::{self, Device},
    frame::{Frame, opcode},
    http::Http,
    link::Opening,
    process::{self, HubProcess},
};

/// Bytes of a long message that are shown.
const SHOWN_MAX: usize = 160;

/// Both directions of a scene have ended by then.
const ENDED_MAX: Duration = Duration::from_secs(5);

/// Who said what, in the order it passed.
type Tape = Arc<Mutex<Vec<(bool, Vec<u8>)>>>;

/// Prints the captures.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let folder = process::folder(options)?;
    let settings = [("INGEST__HELLO_TIMEOUT", "500ms"), ("INGEST__PING_INTERVAL", "1s")];
    let hub = HubProcess::start(options, folder.path(), &settings)?;
    let recorder = Recorder::start(hub.address)?;

    recorder.show("Upgrade, hello, welcome, one reading, ack, ping, pong, bye (1000)", |address| {
        let mut socket = device::open(address, &device::hello("shed", device::gauges(1)?, false)?)?;
        let mut device = Device::new(0);
        socket.send(&device.one_reading(21.5))?;
        // Behind the acknowledgement comes the hub's ping, which `receive` answers.
        let until = Instant::now() + Duration::from_millis(1_300);
        socket.until(until, |message| {
            device.on_message(message);
        })?;
        socket.send(&DeviceControl::Bye.encode())?;
        wait_for_close(&mut socket)
    })?;
    recorder.show("The same reading by HTTP", |address| {
        let body = r#"{"device":"shed","readings":{"c0":21.5}}"#;
        let mut http = Http::connect(address)?;
        let head = format!("POST /api/v1/readings HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n");
        http.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())?;
        http.answer().map(drop)
    })?;
    recorder.show("No common subprotocol: 400 before any upgrade", |address| {
        match Opening::connect(address, "/ws/device", "mqtt") {
            Ok(_) => bail!("the hub has taken a subprotocol that it does not speak"),
            Err(_) => Ok(()),
        }
    })?;
    closes(&recorder)?;
    stop(&recorder, &hub)
}

/// One capture for each code with which the hub closes while it serves.
fn closes(recorder: &Recorder) -> anyhow::Result<()> {
    let open = |address, name: &str| device::open(address, &device::hello(name, device::gauges(1)?, false)?);
    recorder.show_close(close::TEXT_MESSAGE, "a text message", |address| {
        let mut socket = open(address, "texter")?;
        socket.send_frame(opcode::TEXT, b"21.5")?;
        Ok(socket)
    })?;
    recorder.show_close(close::PROTOCOL_ERROR, "a frame without a mask", |address| {
        let mut socket = open(address, "maskless")?;
        socket.write(b"\x82\x01\x80")?;
        Ok(socket)
    })?;
    recorder.show_close(close::UNREADABLE, "a message that is no CBOR array or map", |address| {
        let mut socket = open(address, "garbled")?;
        socket.send(b"\xff\xff")?;
        Ok(socket)
    })?;
    recorder.show_close(close::POLICY, "readings before a hello", |address| {
        let mut socket = Opening::connect(address, "/ws/device", DEVICE_SUBPROTOCOL)?;
        let mut writer = FrameWriter::default();
        writer.scalar(0, 0.0, 21.5);
        socket.send(&writer.finish(1, device::now_us() as f64 / 1e3))?;
        Ok(socket)
    })?;
    recorder.show_close(close::TOO_BIG, "a message above 256 KiB", |address| {
        let mut socket = open(address, "huge")?;
        // Only the header: its length is enough.
        let mut header = vec![0x82, 0xff];
        header.extend_from_slice(&(MESSAGE_BYTES_MAX as u64 + 1).to_be_bytes());
        header.extend_from_slice(&[1, 2, 3, 4]);
        socket.write(&header)?;
        Ok(socket)
    })?;
    recorder.show_close(close::TAKEN_OVER, "the same device on another connection", |address| {
        let socket = open(address, "twin")?;
        // The winner does not pass through the recorder.
        drop(open(recorder.hub, "twin")?);
        Ok(socket)
    })
}

/// SIGTERM while a device is connected.
fn stop(recorder: &Recorder, hub: &HubProcess) -> anyhow::Result<()> {
    recorder.show_close(close::RESTARTING, "the hub is asked to stop (SIGTERM)", |address| {
        let socket = device::open(address, &device::hello("shed", device::gauges(1)?, false)?)?;
        hub.stop_soon()?;
        Ok(socket)
    })
}

fn wait_for_close(socket: &mut Opening) -> anyhow::Result<()> {
    loop {
        let (kind, payload) = socket.receive()?;
        if kind == opcode::CLOSE {
            return socket.send_frame(opcode::CLOSE, payload.get(..2).unwrap_or_default());
        }
    }
}

/// A proxy that keeps what passes.
struct Recorder {
    hub: SocketAddr,
    address: SocketAddr,
    tape: Tape,
}

impl Recorder {
    fn start(hub: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (address, tape) = (listener.local_addr()?, Tape::default());
        let kept = Arc::clone(&tape);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client?, TcpStream::connect(hub)?);
                pass(client.try_clone()?, server.try_clone()?, true, Arc::clone(&kept));
                pass(server, client, false, Arc::clone(&kept));
            }
            std::io::Result::Ok(())
        });
        Ok(Self { hub, address, tape })
    }

    /// Plays a scene through the proxy and prints what passed.
    fn show(&self, title: &str, scene: impl FnOnce(SocketAddr) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let forget = || std::mem::take(&mut *self.tape.lock().unwrap_or_else(PoisonError::into_inner));
        drop(forget());
        scene(self.address).with_context(|| title.to_owned())?;
        // This and the accepting thread hold the tape, and each direction of each connection until it has ended.
        let until = Instant::now() + ENDED_MAX;
        while Arc::strong_count(&self.tape) > 2 && Instant::now() < until {
            std::thread::yield_now();
        }
        println!("\n== {title}\n");
        for (is_client, bytes) in forget() {
            print(is_client, &bytes);
        }
        Ok(())
    }

    fn show_close(
        &self,
        code: u16,
        why: &str,
        scene: impl FnOnce(SocketAddr) -> anyhow::Result<Opening>,
    ) -> anyhow::Result<()> {
        self.show(&format!("Close {code}: {why}"), |address| wait_for_close(&mut scene(address)?))
    }
}

/// Copies one direction on a thread of its own; it is on the tape before it is on the way.
fn pass(mut from: TcpStream, mut to: TcpStream, is_client: bool, tape: Tape) {
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(len @ 1..) = from.read(&mut buffer) {
            tape.lock().unwrap_or_else(PoisonError::into_inner).push((is_client, buffer[..len].to_vec()));
            if to.write_all(&buffer[..len]).is_err() {
                break;
            }
        }
        // The other direction ends by itself.
        let _ = to.shutdown(Shutdown::Write);
    });
}

/// Heads as text, frames as hex with what they are.
fn print(is_client: bool, bytes: &[u8]) {
    let arrow = if is_client { ">" } else { "<" };
    let mut rest = bytes;
    if bytes.starts_with(b"GET ") || bytes.starts_with(b"POST ") || bytes.starts_with(b"HTTP/") {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n").map_or(bytes.len(), |end| end + 4);
        let is_upgrade = bytes.starts_with(b"HTTP/1.1 101");
        let text = if is_upgrade { &bytes[..end] } else { bytes };
        String::from_utf8_lossy(text).lines().for_each(|line| println!("{arrow} {line}"));
        rest = &bytes[text.len()..];
    }
    while let Some(frame) = Frame::parse(rest) {
        let payload: Vec<u8> = match frame.key {
            Some(key) => rest[frame.payload.clone()].iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k).collect(),
            None => rest[frame.payload.clone()].to_vec(),
        };
        println!("{arrow} {}  ; {}", hex(&rest[..frame.payload.end]), describe(frame.opcode, &payload));
        rest = &rest[frame.payload.end..];
    }
    if !rest.is_empty() {
        println!("{arrow} {}", hex(rest));
    }
}

fn describe(kind: u8, payload: &[u8]) -> String {
    match kind {
        opcode::TEXT => "text".into(),
        opcode::PING => "ping".into(),
        opcode::PONG => "pong".into(),
        opcode::CLOSE => match payload {
            [high, low, reason @ ..] => {
                format!("close {} {:?}", u16::from_be_bytes([*high, *low]), String::from_utf8_lossy(reason))
            }
            _ => "close".into(),
        },
        _ => format!("binary, {} bytes of CBOR: {}", payload.len(), hex(payload)),
    }
}

fn hex(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(SHOWN_MAX).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ");
    if bytes.len() > SHOWN_MAX { format!("{shown} … ({} bytes)", bytes.len()) } else { shown }
}

//! The same readings as WebSocket frames, as HTTP requests over kept connections, and over new ones; and updates by push
//! beside polling once a second.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::ensure;
use protocol::live::LiveData;

use crate::{
    Options,
    device::{self, Device},
    http::Http,
    link::Opening,
    process::{self, HubProcess},
    stats::{Latencies, medians},
    table::{Table, Target},
    viewer,
};

/// Devices, each with one reading on the way: the next is sent when the last is on the hub's disk.
const DEVICES: usize = 64;
/// How often the watched reading changes.
const UPDATE_GAP: Duration = Duration::from_millis(100);
/// What a page without a socket does; a little out of step with the device, as a page is.
const POLL_GAP: Duration = Duration::from_millis(1_007);

/// How readings travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    WebSocket,
    KeptConnection,
    NewConnection,
}

/// Prints the figures.
pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut table = Table::new("One reading at a time from 64 devices, each durable before the next, 10 ms commits");
    for (way, what) in [
        (Way::WebSocket, "WebSocket frame"),
        (Way::KeptConnection, "HTTP POST, kept connection"),
        (Way::NewConnection, "HTTP POST, new connection"),
    ] {
        let [sent, received, a_second, a_core, p50] = medians(options.repeat, || send(options, way))?;
        table.add(format!("{what}: to the hub"), sent, "bytes a reading", None, Target::None);
        table.add(format!("{what}: back"), received, "bytes a reading", None, Target::None);
        table.add(format!("{what}: rate"), a_second, "readings/s", None, Target::None);
        table.add(format!("{what}: a hub core could take"), a_core, "readings/s", None, Target::None);
        table.add(format!("{what}: durable after, p50"), p50, "ms", None, Target::None);
    }
    println!("{table}");
    let mut table = Table::new("One series that changes ten times a second, seen by push and by polling");
    let pushed = medians(options.repeat, || push(options))?;
    let polled = medians(options.repeat, || poll(options))?;
    for (what, [bytes, share, seen, replaced]) in [("push", pushed), ("polling each second", polled)] {
        table.add(format!("{what}: on the wire"), bytes, "bytes an update seen", None, Target::None);
        table.add(format!("{what}: updates seen"), share * 100.0, "%", None, Target::None);
        table.add(format!("{what}: age when it appears, p50"), seen, "ms", None, Target::None);
        table.add(format!("{what}: age when the next one appears, p50"), replaced, "ms", None, Target::None);
    }
    println!("{table}");
    Ok(())
}

/// Bytes to the hub and back a reading, readings a second of wall and of processor time, time to durable (p50, ms).
fn send(options: &Options, way: Way) -> anyhow::Result<[f64; 5]> {
    let folder = process::folder(options)?;
    // By default one address may open 200 connections a second, which is far below what is to be measured here.
    let settings = [("WEB__HANDSHAKES_PER_SECOND_PER_ADDRESS", "1000000")];
    let hub = HubProcess::start(options, folder.path(), &settings)?;
    let mut senders = (0..DEVICES).map(|i| Sender::open(way, hub.address, i)).collect::<Result<Vec<_>, _>>()?;
    for sender in &mut senders {
        sender.send(hub.address)?;
        sender.wait()?;
    }
    let bytes = |senders: &[Sender]| senders.iter().map(Sender::bytes).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    let (before, bytes_before, began) = (hub.usage()?, bytes(&senders), Instant::now());
    let (mut latencies, mut readings) = (Latencies::default(), 0.0);
    while began.elapsed() < options.duration() {
        // All are on the way together; the answers come with the same commits.
        let mut sent = Vec::with_capacity(DEVICES);
        for sender in &mut senders {
            sent.push(Instant::now());
            sender.send(hub.address)?;
        }
        for (sender, sent) in senders.iter_mut().zip(sent) {
            sender.wait()?;
            latencies.add(sent.elapsed());
            readings += 1.0;
        }
    }
    let took = began.elapsed().as_secs_f64();
    hub.settle()?;
    let (used, bytes_after) = (hub.usage()?.cpu_s - before.cpu_s, bytes(&senders));
    let each = |after: u64, before: u64| (after - before) as f64 / readings;
    Ok([
        each(bytes_after.0, bytes_before.0),
        each(bytes_after.1, bytes_before.1),
        readings / took,
        readings / used,
        latencies.percentile_ms(0.5),
    ])
}

/// One device on one of the ways.
struct Sender {
    way: Way,
    name: String,
    spool: i64,
    device: Device,
    socket: Option<Opening>,
    http: Option<Http>,
    /// Of connections that are closed.
    bytes: (u64, u64),
}

impl Sender {
    fn open(way: Way, address: SocketAddr, number: usize) -> anyhow::Result<Self> {
        let name = format!("bench-{number}");
        let socket = match way {
            Way::WebSocket => Some(device::open(address, &device::hello(&name, device::gauges(1)?, false)?)?),
            _ => None,
        };
        let http = if way == Way::KeptConnection { Some(Http::connect(address)?) } else { None };
        let device = Device::new(number);
        Ok(Self { way, name, spool: device::now_us(), device, socket, http, bytes: (0, 0) })
    }

    fn send(&mut self, address: SocketAddr) -> anyhow::Result<()> {
        let value = 21.0 + (self.device.sent % 100) as f64 / 100.0;
        if let Some(socket) = &mut self.socket {
            return socket.send(&self.device.one_reading(value));
        }
        self.device.sent += 1;
        // Number and spool buy what the socket has by itself: nothing is stored twice.
        let body = format!(
            "{{\"device\":\"{}\",\"spool\":{},\"seq\":{},\"readings\":[{{\"t\":{},\"c0\":{value}}}]}}",
            self.name,
            self.spool,
            self.device.sent,
            device::now_us() / 1000
        );
        let request = format!(
            "POST /api/v1/readings HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{}\r\n{body}",
            body.len(),
            if self.way == Way::NewConnection { "Connection: close\r\n" } else { "" }
        );
        if self.way == Way::NewConnection {
            self.http = Some(Http::connect(address)?);
        }
        self.http.as_mut().map_or(Ok(()), |http| http.send(request.as_bytes()))
    }

    fn wait(&mut self) -> anyhow::Result<()> {
        if let Some(socket) = &mut self.socket {
            while self.device.in_flight() > 0 {
                self.device.on_message(&socket.receive()?.1);
            }
        }
        if let Some(http) = &mut self.http {
            let answer = http.answer()?;
            ensure!(answer.status == 200, "refused: {}", String::from_utf8_lossy(&answer.body));
            if self.way == Way::NewConnection {
                self.bytes = (self.bytes.0 + http.sent, self.bytes.1 + http.received);
                self.http = None;
            }
        }
        Ok(())
    }

    fn bytes(&self) -> (u64, u64) {
        let http = self.http.as_ref().map_or((0, 0), |http| (http.sent, http.received));
        let socket = self.socket.as_ref().map_or((0, 0), Opening::bytes);
        (self.bytes.0 + http.0 + socket.0, self.bytes.1 + http.1 + socket.1)
    }
}

/// A device on a thread of its own whose value is its age: milliseconds since `epoch` when it was sent.
fn change(address: SocketAddr, epoch: Instant, duration: Duration) -> anyhow::Result<()> {
    let mut socket = device::open(address, &device::hello("bench-0", device::gauges(1)?, false)?)?;
    let mut device = Device::new(0);
    while epoch.elapsed() < duration {
        socket.send(&device.one_reading(epoch.elapsed().as_secs_f64() * 1e3))?;
        let next = UPDATE_GAP * device.sent as u32;
        std::thread::sleep(next.saturating_sub(epoch.elapsed()));
    }
    Ok(())
}

/// What a viewer has on its screen, and how old it gets there.
#[derive(Default)]
struct Screen {
    shown: Option<Duration>,
    when_seen: Latencies,
    when_replaced: Latencies,
}

impl Screen {
    /// A value appears; it is when the reading was sent, as all times here since the same instant, in milliseconds.
    fn show(&mut self, now: Duration, value: f64) {
        let sent = Duration::from_secs_f64(value / 1e3);
        if let Some(before) = self.shown.replace(sent) {
            self.when_replaced.add(now.saturating_sub(before));
        }
        self.when_seen.add(now.saturating_sub(sent));
    }
}

/// Bytes an update seen, share of updates seen, age when one appears and when it is replaced (p50, ms).
fn push(options: &Options) -> anyhow::Result<[f64; 4]> {
    watch(options, |address, epoch, until, screen| {
        let mut socket = viewer::open(address, "bench-0/c0", 10)?;
        let before = socket.bytes();
        let mut data = LiveData::default();
        while epoch.elapsed() < until {
            let (_, message) = socket.receive()?;
            if viewer::is_data(&message) {
                data.decode(&message)?;
                data.values.iter().for_each(|&value| screen.show(epoch.elapsed(), value));
            }
        }
        let after = socket.bytes();
        Ok(after.0 - before.0 + after.1 - before.1)
    })
}

fn poll(options: &Options) -> anyhow::Result<[f64; 4]> {
    watch(options, |address, epoch, until, screen| {
        let mut http = Http::connect(address)?;
        let mut polls = 0;
        while epoch.elapsed() < until {
            let answer = http.get("/api/v1/series?match=bench-0/c0")?;
            let answer: serde_json::Value = serde_json::from_slice(&answer.body)?;
            if let Some(value) = answer["series"][0]["latest"]["value"].as_f64() {
                screen.show(epoch.elapsed(), value);
            }
            polls += 1;
            std::thread::sleep((POLL_GAP * polls).saturating_sub(epoch.elapsed()));
        }
        Ok(http.sent + http.received)
    })
}

fn watch(
    options: &Options,
    see: impl FnOnce(SocketAddr, Instant, Duration, &mut Screen) -> anyhow::Result<u64>,
) -> anyhow::Result<[f64; 4]> {
    let folder = process::folder(options)?;
    let hub = HubProcess::start(options, folder.path(), &[])?;
    let (epoch, until, address) = (Instant::now(), options.duration(), hub.address);
    // A little longer than anybody watches, so that nobody waits for an update that never comes.
    let changing = std::thread::spawn(move || change(address, epoch, until + Duration::from_secs(2)));
    while hub.metric("highwater_readings_stored_total")? < 1.0 {
        std::thread::yield_now();
    }
    let (began, mut screen) = (epoch.elapsed(), Screen::default());
    let bytes = see(address, epoch, until, &mut screen)?;
    changing.join().map_err(|_| anyhow::anyhow!("the device panicked"))??;
    let (seen, all) =
        (screen.when_seen.len() as f64, until.saturating_sub(began).as_secs_f64() / UPDATE_GAP.as_secs_f64());
    let [when_seen, when_replaced] =
        [&mut screen.when_seen, &mut screen.when_replaced].map(|latencies| latencies.percentile_ms(0.5));
    Ok([bytes as f64 / seen, (seen / all).min(1.0), when_seen, when_replaced])
}

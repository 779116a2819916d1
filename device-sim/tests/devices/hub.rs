//! A hub that takes everything, remembers it and acknowledges at once.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use futures_util::{SinkExt, StreamExt};
use protocol::{
    codec::{ItemKind, item_kind},
    device::{
        Channel, ChannelDecl, DeviceControl, Hello, HubControl,
        data::{self, Batch},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::header::SEC_WEBSOCKET_PROTOCOL,
    },
};

/// One value as the hub understands it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    pub channel: String,
    pub time_us: i64,
    pub value: f64,
}

/// What the hub knows of its devices.
#[derive(Debug, Default)]
pub struct Store {
    /// The newest hello of each device.
    pub hellos: BTreeMap<String, Hello>,
    /// Of each device, in the order they came.
    pub readings: BTreeMap<String, Vec<Reading>>,
    /// What a device answered to the one command that each gets.
    pub answers: Vec<DeviceControl>,
    /// Readings of each spool.
    pub spools: BTreeMap<u64, usize>,
    acked: HashMap<u64, u64>,
}

impl Store {
    pub fn count(&self) -> usize {
        self.readings.values().map(Vec::len).sum()
    }

    /// The values of one channel of one device.
    pub fn values(&self, device: &str, channel: &str) -> Vec<f64> {
        let of_device = self.readings.get(device).into_iter().flatten();
        of_device.filter(|reading| reading.channel == channel).map(|reading| reading.value).collect()
    }
}

/// A running hub; it stops when it is dropped and can start again on the same port with the same memory.
pub struct Hub {
    pub address: String,
    pub store: Arc<Mutex<Store>>,
    changed: watch::Receiver<()>,
    _tasks: JoinSet<()>,
}

impl Hub {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0", Arc::default()).await
    }

    pub async fn start_at(address: &str, store: Arc<Mutex<Store>>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (change, changed) = watch::channel(());
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, store.clone(), change));
        Self { address, store, changed, _tasks: tasks }
    }

    /// Waits until the store is as it should be.
    pub async fn until(&mut self, is_so: impl Fn(&Store) -> bool) {
        while !is_so(&self.store.lock().unwrap()) {
            self.changed.changed().await.expect("the hub runs");
        }
    }
}

async fn accept(listener: TcpListener, store: Arc<Mutex<Store>>, change: watch::Sender<()>) {
    // Dropped with the listener: a hub that stops takes its connections with it.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        connections.spawn(serve(stream, store.clone(), change.clone()));
    }
}

#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "tungstenite's callback is declared so")]
fn agree(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    if let Some(offered) = request.headers().get(SEC_WEBSOCKET_PROTOCOL) {
        response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, offered.clone());
    }
    Ok(response)
}

async fn serve(stream: TcpStream, store: Arc<Mutex<Store>>, change: watch::Sender<()>) {
    let Ok(mut socket) = accept_hdr_async(stream, agree).await else { return };
    let mut session = Session { hello: None, channels: Vec::new(), batch: Batch::default() };
    while let Some(Ok(message)) = socket.next().await {
        let Message::Binary(bytes) = message else { continue };
        let answers = session.take(&bytes, &mut store.lock().unwrap());
        change.send_replace(());
        for answer in answers {
            if socket.send(Message::binary(answer.encode())).await.is_err() {
                return;
            }
        }
    }
}

struct Session {
    hello: Option<Hello>,
    channels: Vec<Channel>,
    batch: Batch,
}

impl Session {
    fn take(&mut self, bytes: &[u8], store: &mut Store) -> Vec<HubControl> {
        if item_kind(bytes) == ItemKind::Array {
            return vec![self.take_data(bytes, store)];
        }
        match DeviceControl::decode(bytes).unwrap() {
            DeviceControl::Hello(hello) => {
                let acked = store.acked.get(&hello.spool).copied().unwrap_or(0);
                let (spool, device) = (hello.spool, hello.device.to_string());
                self.channels = hello.channels.iter().map(ChannelDecl::decoding).collect();
                self.hello = Some((*hello).clone());
                store.hellos.insert(device.clone(), *hello);
                let welcome = HubControl::Welcome { spool, acked, credit: 100, now: 0, features: Vec::new() };
                let (name, args) = ("blink".to_owned(), BTreeMap::new());
                vec![welcome, HubControl::Command { id: device, name, args, expires_ms: u64::MAX >> 12 }]
            }
            DeviceControl::Bye => Vec::new(),
            answer @ DeviceControl::Result { .. } => {
                store.answers.push(answer);
                Vec::new()
            }
            other => panic!("{other:?} without a reason"),
        }
    }

    fn take_data(&mut self, bytes: &[u8], store: &mut Store) -> HubControl {
        let hello = self.hello.as_ref().expect("hello comes first");
        data::decode(bytes, &self.channels, &mut self.batch).unwrap();
        let acked = store.acked.entry(hello.spool).or_default();
        assert!(self.batch.seq <= *acked + 1, "a hole");
        if self.batch.seq > *acked {
            *acked = self.batch.seq;
            *store.spools.entry(hello.spool).or_default() += self.batch.len();
            let readings = store.readings.entry(hello.device.to_string()).or_default();
            for run in &self.batch.runs {
                let channel = hello.channels[usize::from(run.channel)].name.to_string();
                readings.extend(run.range().map(|index| Reading {
                    channel: channel.clone(),
                    time_us: self.batch.times_us[index],
                    value: self.batch.values[index],
                }));
            }
        }
        HubControl::Ack { acked: *acked, credit: 100 }
    }
}

//! The far end, scripted: it accepts or refuses, says what it is told to and reports what it hears.

use std::{collections::BTreeMap, time::Duration};

use client::{
    address::HubAddress,
    device::{DeviceClient, DeviceClock, DeviceConfig, DeviceEvent, DeviceHandle, Identity, SpoolConfig, Timing},
};
use futures_util::{SinkExt, StreamExt};
use protocol::{
    codec::{ItemKind, item_kind},
    device::{ChannelDecl, DeviceControl, Hello, HubControl, data::peek_seq, encode::FrameWriter},
    ids::Id,
    live::{HubMessage, LiveData, ViewerMessage},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Bytes, Message,
        handshake::server::{Request, Response},
        http::{HeaderMap, header::SEC_WEBSOCKET_PROTOCOL},
        protocol::CloseFrame,
    },
};

/// What a device said.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    Control(DeviceControl),
    Data { seq: u64, frame: Bytes },
    Ping,
    Pong,
    Closed(Option<u16>),
}

pub struct Hub {
    listener: TcpListener,
}

/// One connection, upgraded.
pub struct Peer {
    pub socket: WebSocketStream<TcpStream>,
    pub path: String,
    pub headers: HeaderMap,
}

impl Hub {
    pub async fn bind() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap() }
    }

    /// A hub again where one was before.
    pub async fn rebind(address: &HubAddress) -> Self {
        Self { listener: TcpListener::bind(address.authority()).await.unwrap() }
    }

    pub fn address(&self) -> HubAddress {
        HubAddress::parse(&self.listener.local_addr().unwrap().to_string()).unwrap()
    }

    pub async fn accept(&self) -> Peer {
        let (stream, _) = self.listener.accept().await.unwrap();
        upgrade(stream).await.expect("the client upgrades")
    }

    /// Answers one request with a status line and headers, and no upgrade.
    pub async fn refuse(&self, head: &str) {
        let (mut stream, _) = self.listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\n\r\n").as_bytes()).await.unwrap();
    }

    /// Takes one connection and cuts it before the upgrade.
    pub async fn hang_up(&self) {
        drop(self.listener.accept().await.unwrap());
    }
}

async fn upgrade(stream: TcpStream) -> Option<Peer> {
    let (mut path, mut headers) = (String::new(), HeaderMap::new());
    #[expect(clippy::result_large_err, reason = "tungstenite's callback is declared so")]
    let answer = |request: &Request, mut response: Response| {
        request.uri().path().clone_into(&mut path);
        headers = request.headers().clone();
        if let Some(offered) = headers.get(SEC_WEBSOCKET_PROTOCOL) {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, offered.clone());
        }
        Ok(response)
    };
    let socket = accept_hdr_async(stream, answer).await.ok()?;
    Some(Peer { socket, path, headers })
}

impl Peer {
    /// The next thing a device says.
    pub async fn heard(&mut self) -> Heard {
        match self.socket.next().await {
            Some(Ok(Message::Binary(bytes))) if item_kind(&bytes) == ItemKind::Map => {
                Heard::Control(DeviceControl::decode(&bytes).unwrap())
            }
            Some(Ok(Message::Binary(frame))) => Heard::Data { seq: peek_seq(&frame).unwrap(), frame },
            Some(Ok(Message::Ping(_))) => Heard::Ping,
            Some(Ok(Message::Pong(_))) => Heard::Pong,
            Some(Ok(Message::Close(frame))) => Heard::Closed(frame.map(|frame| frame.code.into())),
            Some(Ok(other)) => panic!("a device never sends {other:?}"),
            Some(Err(_)) | None => Heard::Closed(None),
        }
    }

    /// The same, without the keep-alive.
    pub async fn heard_besides_pings(&mut self) -> Heard {
        loop {
            match self.heard().await {
                Heard::Ping => {}
                heard => return heard,
            }
        }
    }

    pub async fn hello(&mut self) -> Hello {
        match self.heard_besides_pings().await {
            Heard::Control(DeviceControl::Hello(hello)) => *hello,
            other => panic!("not a hello: {other:?}"),
        }
    }

    pub async fn data(&mut self) -> u64 {
        match self.heard_besides_pings().await {
            Heard::Data { seq, .. } => seq,
            other => panic!("not a data frame: {other:?}"),
        }
    }

    /// What a viewer says next, echoes left out.
    pub async fn viewer_says(&mut self) -> ViewerMessage {
        loop {
            match self.socket.next().await.expect("still open").expect("readable") {
                Message::Binary(bytes) => match ViewerMessage::decode(&bytes).unwrap() {
                    ViewerMessage::Echo { .. } => {}
                    other => return other,
                },
                other => panic!("a viewer never sends {other:?}"),
            }
        }
    }

    /// An error means that the client hung up, which is the test's to notice.
    pub async fn say(&mut self, control: &HubControl) {
        let _ = self.socket.send(Message::binary(control.encode())).await;
    }

    pub async fn welcome(&mut self, hello: &Hello, acked: u64, credit: u64) {
        let welcome = HubControl::Welcome { spool: hello.spool, acked, credit, now: 0, features: Vec::new() };
        self.say(&welcome).await;
    }

    pub async fn ack(&mut self, acked: u64, credit: u64) {
        self.say(&HubControl::Ack { acked, credit }).await;
    }

    pub async fn tell_viewer(&mut self, message: &HubMessage) {
        self.socket.send(Message::binary(message.encode())).await.unwrap();
    }

    pub async fn show(&mut self, data: &LiveData) {
        let mut bytes = Vec::new();
        data.encode(&mut bytes);
        self.socket.send(Message::binary(bytes)).await.unwrap();
    }

    pub async fn close(mut self, code: u16, reason: &str) {
        let _ = self.socket.close(Some(CloseFrame { code: code.into(), reason: reason.to_owned().into() })).await;
        // Until the client has closed too: dropping a socket with unread bytes resets it, and the code is lost.
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    /// Whether the client says nothing more before it answers a ping: what it could send, it sends first.
    pub async fn is_quiet(&mut self) -> bool {
        self.socket.send(Message::Ping(Bytes::from_static(b"?"))).await.unwrap();
        self.heard_besides_pings().await == Heard::Pong
    }
}

/// Periods for tests. Nothing waits for them unless that is what is tested.
pub fn hurried() -> Timing {
    Timing {
        backoff_first: Duration::from_millis(1),
        backoff_max: Duration::from_millis(10),
        hello_timeout: Duration::from_secs(5),
        ping_every: Duration::from_millis(100),
        silence_max: Duration::from_secs(10),
    }
}

pub fn channels(count: usize) -> Vec<ChannelDecl> {
    (0..count).map(|n| ChannelDecl::gauge(Id::new(&format!("c{n}")).unwrap())).collect()
}

pub fn config(hub: HubAddress) -> DeviceConfig {
    let identity = Identity {
        labels: BTreeMap::from([("room".to_owned(), "7".to_owned())]),
        ..Identity::new(Id::new("dev-1").unwrap())
    };
    DeviceConfig {
        hub,
        token: Some("secret-token".into()),
        identity,
        channels: channels(1),
        clock: DeviceClock::Unix,
        spool: SpoolConfig { folder: None, bytes_max: 0 },
        timing: hurried(),
    }
}

pub type Device = (DeviceHandle, mpsc::Receiver<DeviceEvent>);

pub fn spawn(config: DeviceConfig) -> Device {
    DeviceClient::spawn(config).expect("the device starts")
}

/// Sends one reading whose value is `id`, with `rows` more to make the message long.
pub fn send(device: &DeviceHandle, id: u64, rows: usize) -> u64 {
    let mut frame = FrameWriter::default();
    frame.scalar(0, 0.0, id as f64);
    if rows > 0 {
        frame.column(0, &vec![0; rows], &vec![0.5; rows]);
    }
    device.send(&mut frame, 0.0).expect("fits")
}

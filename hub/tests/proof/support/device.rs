//! A device that can say anything: a raw WebSocket, with the polite things at hand.

use std::{collections::VecDeque, net::SocketAddr};

use futures_util::{SinkExt, StreamExt};
use protocol::{DEVICE_SUBPROTOCOL, device::HubControl, device::encode::FrameWriter};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
    },
};

use super::{cbor, in_time};

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// A close frame with its code and reason.
    Closed(u16, String),
    /// Without one.
    Lost(String),
}

/// A device's side of a connection.
pub struct Device {
    socket: WebSocketStream<TcpStream>,
    /// The latest mark it was told.
    pub acked: u64,
    /// The latest credit it was told.
    pub credit: u64,
    /// Errors that came while it waited for something else.
    errors: VecDeque<(String, String, Option<u64>)>,
    writer: FrameWriter,
}

/// A hello with these gauges; change what the test is about.
pub fn hello(device: &str, spool: u64, channels: &[&str]) -> Value {
    let channels: Vec<Value> = channels.iter().map(|name| json!({ "name": name })).collect();
    json!({
        "type": "hello", "device": device, "spool": spool, "first": 1, "next": 1, "clock": "unix",
        "channels": channels,
    })
}

impl Device {
    /// Connects, and says nothing yet.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.expect("the hub takes connections")
    }

    /// The same where the hub may be killed at any moment; none when it was.
    pub async fn try_connect(address: SocketAddr) -> Option<Self> {
        let mut request = format!("ws://{address}/ws/device").into_client_request().expect("a request");
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(DEVICE_SUBPROTOCOL));
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).ok()?;
        let (socket, _) = in_time("the upgrade", client_async(request, stream)).await.ok()?;
        Some(Self { socket, acked: 0, credit: 0, errors: VecDeque::new(), writer: FrameWriter::default() })
    }

    /// Connects, says hello and is welcomed.
    pub async fn introduce(address: SocketAddr, hello: &Value) -> Self {
        let mut device = Self::connect(address).await;
        device.welcome(hello).await;
        device
    }

    /// Says hello (again) and waits for the welcome.
    pub async fn welcome(&mut self, hello: &Value) {
        self.try_welcome(hello).await.expect("a welcome");
    }

    /// The same where the hub may be killed at any moment; none when it was.
    pub async fn try_welcome(&mut self, hello: &Value) -> Option<()> {
        self.say(hello).await;
        match self.hear().await {
            Ok(HubControl::Welcome { spool, acked, credit, .. }) => {
                assert_eq!(Some(spool), hello["spool"].as_u64());
                (self.acked, self.credit) = (acked, credit);
                Some(())
            }
            Ok(other) => panic!("instead of a welcome came {other:?}"),
            Err(_) => None,
        }
    }

    /// Sends a control map or a data array given as JSON.
    pub async fn say(&mut self, message: &Value) {
        self.send(cbor(message)).await;
    }

    /// Sends these bytes as a binary message.
    pub async fn send(&mut self, bytes: impl Into<Vec<u8>>) {
        self.send_message(Message::binary(bytes.into())).await;
    }

    /// Sends any message.
    pub async fn send_message(&mut self, message: Message) {
        // A hub that has closed meanwhile is heard of by who reads next.
        let _ = in_time("the hub to take a message", self.socket.send(message)).await;
    }

    /// Sends one reading as message `seq`.
    pub async fn reading(&mut self, seq: u64, time_ms: f64, channel: u16, value: f64) {
        self.writer.scalar(channel, 0.0, value);
        let frame = self.writer.finish(seq, time_ms);
        self.send(frame).await;
    }

    /// The next control message, or how the connection ended.
    pub async fn hear(&mut self) -> Result<HubControl, End> {
        in_time("a message from the hub", self.hear_something()).await
    }

    async fn hear_something(&mut self) -> Result<HubControl, End> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => return Ok(HubControl::decode(&bytes).expect("the hub's own map")),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(End::Closed(frame.code.into(), frame.reason.to_string()));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("the hub sent {other:?}"),
                Some(Err(error)) => return Err(End::Lost(error.to_string())),
                None => return Err(End::Lost("the stream ended".into())),
            }
        }
    }

    /// Takes one message into account; errors are kept for [`error`](Self::error).
    async fn listen(&mut self) -> Result<(), End> {
        match self.hear_something().await? {
            HubControl::Ack { acked, credit } => {
                assert!(acked >= self.acked, "acknowledgements never go back: {} to {acked}", self.acked);
                (self.acked, self.credit) = (acked, credit);
            }
            HubControl::Error { code, message, seq } => self.errors.push_back((code, message, seq)),
            other => panic!("the hub said {other:?}"),
        }
        Ok(())
    }

    /// Waits until everything up to `seq` is acknowledged.
    pub async fn acked(&mut self, seq: u64) {
        let acknowledged = async {
            while self.acked < seq {
                if let Err(end) = self.listen().await {
                    panic!("the connection ended before {seq} was acknowledged: {end:?}");
                }
            }
        };
        in_time(&format!("the acknowledgement of {seq}"), acknowledged).await;
    }

    /// Waits until what it was told is so.
    pub async fn heard(&mut self, is_so: impl Fn(&Self) -> bool) {
        let hearing = async {
            while !is_so(self) {
                if let Err(end) = self.listen().await {
                    panic!("the connection ended: {end:?}");
                }
            }
        };
        in_time("the hub to say so", hearing).await;
    }

    /// Waits until everything up to `seq` is acknowledged, or gives how the connection ended before.
    pub async fn acked_or_end(&mut self, seq: u64) -> Option<End> {
        let acknowledged = async {
            while self.acked < seq {
                if let Err(end) = self.listen().await {
                    return Some(end);
                }
            }
            None
        };
        in_time(&format!("the acknowledgement of {seq}"), acknowledged).await
    }

    /// Waits for an error with this code; gives its text and the message it is about.
    pub async fn error(&mut self, wanted: &str) -> (String, Option<u64>) {
        let found = async {
            loop {
                if let Some((code, message, seq)) = self.errors.pop_front() {
                    assert_eq!(code, wanted, "{message}");
                    return (message, seq);
                }
                if let Err(end) = self.listen().await {
                    panic!("the connection ended before the error {wanted} came: {end:?}");
                }
            }
        };
        in_time(&format!("the error {wanted}"), found).await
    }

    /// Waits for the end of the connection.
    pub async fn end(&mut self) -> End {
        let ended = async {
            loop {
                if let Err(end) = self.listen().await {
                    return end;
                }
            }
        };
        in_time("the end of the connection", ended).await
    }

    /// Waits for a close with this code and gives its reason.
    pub async fn closed(&mut self, code: u16) -> String {
        match self.end().await {
            End::Closed(seen, reason) if seen == code => reason,
            other => panic!("instead of a close with {code} came {other:?}"),
        }
    }

    /// Errors that came and that nobody asked for.
    pub fn errors_left(&self) -> usize {
        self.errors.len()
    }

    /// The socket itself, for tests that write what no library would.
    pub fn into_stream(self) -> TcpStream {
        self.socket.into_inner()
    }

    /// Goes without a word, like a device whose power is cut.
    pub fn vanish(self) {
        drop(self.socket.into_inner());
    }

    /// Says bye when all is acknowledged, and waits for the hub's close.
    pub async fn leave(mut self) {
        self.say(&json!({ "type": "bye" })).await;
        assert_eq!(self.closed(protocol::close::DONE).await, "bye");
        // The answer to the close.
        let _ = self.socket.flush().await;
    }

    /// True when the failed send means that the other side is gone; for loops that stream until then.
    pub async fn try_send(&mut self, bytes: Vec<u8>) -> Result<(), tungstenite::Error> {
        self.socket.send(Message::binary(bytes)).await
    }
}

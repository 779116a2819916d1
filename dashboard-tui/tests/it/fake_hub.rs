//! A hub on a real socket that greets, answers subscriptions and can be made to fail.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use protocol::live::{DeviceRow, DeviceState, HubMessage, ViewerMessage, control::DeviceChange};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
        http::HeaderValue,
    },
};

use crate::farm::{self, NOW_MS};

pub struct FakeHub {
    pub address: SocketAddr,
    /// Each change ends every connection.
    cut: watch::Sender<u32>,
    /// What a new connection finds.
    devices: watch::Sender<Vec<DeviceRow>>,
}

impl FakeHub {
    pub async fn start(devices: Vec<DeviceRow>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (cut, cuts) = watch::channel(0);
        let (devices, rows) = watch::channel(devices);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, rows.borrow().clone(), cuts.clone()));
            }
        });
        Self { address, cut, devices }
    }

    /// Ends every connection without a word; new ones find these devices.
    pub fn restart_with(&self, devices: Vec<DeviceRow>) {
        self.devices.send_replace(devices);
        self.cut.send_modify(|count| *count += 1);
    }
}

async fn serve(stream: TcpStream, devices: Vec<DeviceRow>, mut cuts: watch::Receiver<u32>) {
    // The shape is tungstenite's.
    #[allow(clippy::result_large_err, clippy::unnecessary_wraps)]
    let greet = |_: &Request, mut response: Response| {
        let name = HeaderValue::from_static(protocol::LIVE_SUBPROTOCOL);
        response.headers_mut().insert("sec-websocket-protocol", name);
        Ok(response)
    };
    let mut socket = accept_hdr_async(stream, greet).await.expect("a viewer");
    cuts.borrow_and_update();
    // As the hub does: the catalogue is as old as its newest device, how all devices are now stands behind it.
    let old = |row: &DeviceRow| DeviceRow { state: DeviceState::Fresh, last_seen: Some(1), ..row.clone() };
    let now = |row: &DeviceRow| DeviceChange {
        id: row.id.clone(),
        state: row.state,
        last_seen: row.last_seen,
        connected: row.connected,
    };
    let states = HubMessage::Devices { devices: devices.iter().map(now).collect() };
    for message in farm::greeting(devices.iter().map(old).collect(), NOW_MS).into_iter().chain([states]) {
        socket.send(Message::binary(message.encode())).await.expect("sent");
    }
    let mut stream_number = 0;
    loop {
        tokio::select! {
            _ = cuts.changed() => return,
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) => {
                    let message = ViewerMessage::decode(&bytes).expect("the dashboard speaks the protocol");
                    stream_number += 1;
                    if answer(&mut socket, &devices, message, stream_number).await.is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}

async fn answer(
    socket: &mut WebSocketStream<TcpStream>,
    devices: &[DeviceRow],
    message: ViewerMessage,
    stream: u64,
) -> Result<(), tokio_tungstenite::tungstenite::Error> {
    match message {
        ViewerMessage::Subscribe(subscribe) => {
            let (begin, data, end) = farm::answer(devices, &subscribe, stream, NOW_MS);
            let mut frame = Vec::new();
            data.encode(&mut frame);
            for bytes in [begin.encode(), frame, end.encode()] {
                socket.send(Message::binary(bytes)).await?;
            }
        }
        ViewerMessage::Echo { t } => {
            socket.send(Message::binary(HubMessage::Echo { t, now: NOW_MS as u64 }.encode())).await?;
        }
        _ => {}
    }
    Ok(())
}

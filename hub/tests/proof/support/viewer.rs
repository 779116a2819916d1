//! A screen without pixels: keeps what the hub shows it, per series, exactly as it came.

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
};

use futures_util::{SinkExt, StreamExt};
use protocol::{
    LIVE_SUBPROTOCOL,
    codec::{self, ItemKind},
    live::{DeviceRow, GapRow, HubMessage, LiveData, SeriesRow},
};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Message,
        client::IntoClientRequest,
        http::{HeaderValue, header::SEC_WEBSOCKET_PROTOCOL},
    },
};

use super::{End, PATIENCE, cbor, in_time};

/// What one subscription shows. A fresh snapshot replaces it.
#[derive(Debug, Default, Clone)]
pub struct Picture {
    /// The hub's number of the stream that fills it.
    pub stream: u64,
    /// What the selector resolved to, by series number.
    pub series: BTreeMap<u32, SeriesRow>,
    /// Snapshots that began so far, this one included.
    pub snapshots: u32,
    /// The snapshot's end has come; what follows is live.
    pub is_live: bool,
    /// Known gaps in the window.
    pub gaps: Vec<GapRow>,
    /// Points in the order they came, by series number: whole milliseconds since the Unix epoch, value.
    pub points: BTreeMap<u32, Vec<(u64, f64)>>,
    /// Points in live frames.
    pub live_points: u64,
    /// Points left out of live frames.
    pub merged: u64,
}

impl Picture {
    /// The points of a series by its name.
    pub fn of(&self, device: &str, channel: &str) -> &[(u64, f64)] {
        let row = self.series.values().find(|row| row.device == device && row.channel == channel);
        row.and_then(|row| self.points.get(&row.id)).map_or(&[], Vec::as_slice)
    }

    /// The values of a series by its name.
    pub fn values(&self, device: &str, channel: &str) -> Vec<f64> {
        self.of(device, channel).iter().map(|point| point.1).collect()
    }
}

/// A viewer's side of a connection.
pub struct Viewer {
    socket: WebSocketStream<TcpStream>,
    /// Pictures by the viewer's number of the subscription.
    pub pictures: BTreeMap<u64, Picture>,
    /// Devices as the catalogue and its changes say.
    pub devices: BTreeMap<String, DeviceRow>,
    /// Full catalogues that came.
    pub catalogues: u32,
    /// Points that it was told were merged because it is slow.
    pub lag: u64,
    /// Heartbeats that came.
    pub heartbeats: u64,
    /// Frames of streams that it does not watch (any more).
    pub strays: u64,
    /// Errors in the order they came: subscription, code, text.
    pub errors: VecDeque<(Option<u64>, String, String)>,
    echoes: VecDeque<f64>,
    data: LiveData,
}

impl Viewer {
    /// Connects and is welcomed.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).await.expect("connected"), address).await
    }

    /// The same with a receive buffer so small that the hub soon notices when nobody reads.
    pub async fn connect_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4096).expect("a small buffer");
        Self::on(socket.connect(address).await.expect("connected"), address).await
    }

    async fn on(stream: TcpStream, address: SocketAddr) -> Self {
        let mut request = format!("ws://{address}/ws/live").into_client_request().expect("a request");
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(LIVE_SUBPROTOCOL));
        let (socket, _) = in_time("the upgrade", client_async(request, stream)).await.expect("upgraded");
        let mut viewer = Self {
            socket,
            pictures: BTreeMap::new(),
            devices: BTreeMap::new(),
            catalogues: 0,
            lag: 0,
            heartbeats: 0,
            strays: 0,
            errors: VecDeque::new(),
            echoes: VecDeque::new(),
            data: LiveData::default(),
        };
        match viewer.hear().await.expect("a welcome") {
            Some(HubMessage::Welcome { hub, heartbeat_ms, .. }) => {
                assert_eq!((hub.as_str(), heartbeat_ms), ("test", 200));
            }
            other => panic!("instead of a welcome came {other:?}"),
        }
        viewer
    }

    /// Sends a map given as JSON.
    pub async fn say(&mut self, message: &Value) {
        self.send_message(Message::binary(cbor(message))).await;
    }

    /// Sends any message.
    pub async fn send_message(&mut self, message: Message) {
        // A hub that has closed meanwhile is heard of by who reads next.
        let _ = in_time("the hub to take a message", self.socket.send(message)).await;
    }

    /// Subscribes to every change of a window that holds all of the test.
    pub async fn subscribe(&mut self, id: u64, series: &str) {
        self.say(&json!({
            "type": "subscribe", "id": id, "series": series, "window_ms": 3_600_000, "points": 10_000, "max_hz": 0,
        }))
        .await;
    }

    /// Subscribes and waits until the snapshot is complete.
    pub async fn watch(&mut self, id: u64, series: &str) {
        let before = self.pictures.get(&id).map_or(0, |picture| picture.snapshots);
        self.subscribe(id, series).await;
        let is_fresh = |viewer: &Self| {
            viewer.pictures.get(&id).is_some_and(|picture| picture.is_live && picture.snapshots > before)
        };
        self.until("the snapshot", is_fresh).await;
    }

    /// The next control message, none for a data frame (which is put in place), or how the connection ended.
    async fn hear(&mut self) -> Result<Option<HubMessage>, End> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) if codec::item_kind(&bytes) == ItemKind::Array => {
                    self.data.decode(&bytes).expect("the hub's own frame");
                    self.on_data();
                    return Ok(None);
                }
                Some(Ok(Message::Binary(bytes))) => {
                    return Ok(Some(HubMessage::decode(&bytes).expect("the hub's own map")));
                }
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

    fn on_data(&mut self) {
        let Some(picture) = self.pictures.values_mut().find(|picture| picture.stream == self.data.stream) else {
            self.strays += 1;
            return;
        };
        assert!(self.data.values.len() == self.data.dt_ms.len() && self.data.ids.len() == self.data.counts.len());
        for (id, dt_ms, values) in self.data.series() {
            assert!(picture.series.contains_key(&id), "series {id} was not announced");
            let rows = dt_ms.iter().zip(values).map(|(&dt_ms, &value)| (self.data.t0_ms + u64::from(dt_ms), value));
            picture.points.entry(id).or_default().extend(rows);
        }
        if picture.is_live {
            picture.live_points += self.data.values.len() as u64;
            picture.merged += self.data.merged;
        }
    }

    /// Takes one message into account.
    pub async fn listen(&mut self) -> Result<(), End> {
        let Some(message) = self.hear().await? else { return Ok(()) };
        match message {
            HubMessage::Catalogue { full, devices, removed } => {
                if full {
                    self.devices.clear();
                    self.catalogues += 1;
                }
                self.devices.extend(devices.into_iter().map(|row| (row.id.clone(), row)));
                assert!(removed.is_empty(), "nothing removes devices yet");
            }
            HubMessage::Devices { devices } => {
                for change in devices {
                    let row = self.devices.get_mut(&change.id).expect("the catalogue comes before its changes");
                    (row.state, row.last_seen, row.connected) = (change.state, change.last_seen, change.connected);
                }
            }
            HubMessage::Snapshot { id, stream, series, .. } => {
                let snapshots = self.pictures.get(&id).map_or(0, |picture| picture.snapshots) + 1;
                let series = series.into_iter().map(|row| (row.id, row)).collect();
                self.pictures.insert(id, Picture { stream, series, snapshots, ..Picture::default() });
            }
            HubMessage::SnapshotEnd { id, stream, gaps } => {
                let picture = self.pictures.get_mut(&id).expect("a snapshot begins before it ends");
                if picture.stream == stream {
                    (picture.is_live, picture.gaps) = (true, gaps);
                }
            }
            HubMessage::Heartbeat { .. } => self.heartbeats += 1,
            HubMessage::Echo { t, .. } => self.echoes.push_back(t),
            HubMessage::Lag { merged } => self.lag += merged,
            HubMessage::Error { id, code, message } => self.errors.push_back((id, code, message)),
            other => panic!("the hub said {other:?}"),
        }
        Ok(())
    }

    /// Listens until this is so.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !is_so(self) {
            match tokio::time::timeout_at(deadline, self.listen()).await {
                Ok(Ok(())) => {}
                Ok(Err(end)) => panic!("the connection ended before {what}: {end:?}; so far {}", self.summary()),
                Err(late) => panic!("waited in vain for {what} ({late}); so far {}", self.summary()),
            }
        }
    }

    /// What it has seen, in short.
    fn summary(&self) -> String {
        let (heartbeats, lag, strays) = (self.heartbeats, self.lag, self.strays);
        let pictures = self.pictures.iter().map(|(id, picture)| {
            let Picture { stream, snapshots, is_live, live_points, merged, points, .. } = picture;
            let lens: Vec<usize> = points.values().map(Vec::len).collect();
            format!(
                "\n  subscription {id}: stream {stream}, {snapshots} snapshots, live {is_live}, {live_points} points \
                 live, {merged} merged, points {lens:?}"
            )
        });
        format!("{heartbeats} heartbeats, told {lag} merged, {strays} strays{}", pictures.collect::<String>())
    }

    /// Listens until the hub has heard everything that was said so far. What it does about a subscription may take
    /// longer.
    pub async fn catch_up(&mut self) {
        let t = self.heartbeats as f64 + 0.5;
        self.say(&json!({ "type": "echo", "t": t })).await;
        self.until("the echo", |viewer| viewer.echoes.back() == Some(&t)).await;
        self.echoes.clear();
    }

    /// Waits for an error and asserts its code; gives the subscription and the text.
    pub async fn error(&mut self, wanted: &str) -> (Option<u64>, String) {
        self.until(wanted, |viewer| !viewer.errors.is_empty()).await;
        let (id, code, message) = self.errors.pop_front().expect("waited for");
        assert_eq!(code, wanted, "{message}");
        (id, message)
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
}

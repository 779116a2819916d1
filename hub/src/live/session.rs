//! One viewer's connection: `GET /ws/live`.
//!
//! Reads the viewer's wishes and writes what is behind its cursors. A viewer whose socket takes nothing is never cut
//! off while it still reads: frames it has not taken are merged (smallest, largest, last) so that what waits for it
//! stays bounded, and it is told how many points were left out.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{
        State,
        ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{
    FutureExt, SinkExt, StreamExt,
    stream::{FuturesUnordered, SplitSink, SplitStream},
};
use protocol::{
    LIVE_SUBPROTOCOL, close,
    codec::{self, ItemKind},
    limits::{SUBSCRIPTIONS_PER_VIEWER_MAX, VIEWER_MESSAGE_BYTES_MAX},
    live::{HubMessage, ViewerMessage, control::Subscribe},
};
use tokio::{sync::oneshot, time::timeout};

use super::{
    lag::Lag,
    log::{Read, StreamLog},
    snapshot::{Snapshot, SnapshotError},
    viewer::ViewerLink,
};
use crate::{
    api::error::Problem,
    clock::{self, wire_ms},
    pipeline::{Request, SubscribeError, Subscribed},
    web::{Permit, Web},
};

/// One flush writes up to this many bytes before it looks at the socket again.
const ROUND_BYTES_MAX: usize = 192 * 1024;
/// Above a round, a frame of 64 KiB and its header.
const WRITE_BUFFER_BYTES_MAX: usize = 512 * 1024;
/// Frames that wait in a log before they are merged for this viewer.
const FRAMES_WAITING_MAX: u64 = 64;
/// A viewer that takes nothing at all for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the other side may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Upgrades a viewer's request.
pub async fn upgrade(State(web): State<Arc<Web>>, permit: Permit, upgrade: WebSocketUpgrade) -> Response {
    if !*web.ready.borrow() {
        return Problem::overloaded("the hub is starting or stopping").into_response();
    }
    let upgrade = upgrade.protocols([LIVE_SUBPROTOCOL]);
    if upgrade.selected_protocol().is_none() {
        web.metrics.handshakes_refused.inc();
        return Problem::subprotocol(LIVE_SUBPROTOCOL).into_response();
    }
    let Ok(place) = Arc::clone(&web.viewer_places).try_acquire_owned() else {
        web.metrics.handshakes_refused.inc();
        return Problem::overloaded("as many viewers as live.viewers_max allows are connected").into_response();
    };
    upgrade
        .read_buffer_size(4 * 1024)
        .write_buffer_size(16 * 1024)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(VIEWER_MESSAGE_BYTES_MAX)
        .max_frame_size(VIEWER_MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| async move {
            let _open = web.open_session();
            web.metrics.viewers.inc();
            Session::new(Arc::clone(&web), socket).run().await;
            web.metrics.viewers.dec();
            drop((permit, place));
        })
}

type Prepared = (u64, u64, Result<Arc<Snapshot>, SnapshotError>);
type Snapshots = FuturesUnordered<futures_util::future::BoxFuture<'static, Prepared>>;

struct Session {
    web: Arc<Web>,
    link: Arc<ViewerLink>,
    sink: SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
    subscriptions: HashMap<u64, Subscription>,
    /// Snapshots that are being made.
    snapshots: Snapshots,
    /// Messages to write before anything else, in order.
    outbox: std::collections::VecDeque<Bytes>,
    is_hidden: bool,
    /// Points left out since the viewer was last told.
    merged: u64,
    last_sent: Instant,
    last_heard: Instant,
    flush_began: Option<Instant>,
}

struct Subscription {
    wish: Subscribe,
    log: Arc<StreamLog>,
    cursor: u64,
    /// Live frames follow the snapshot, never before.
    has_snapshot: bool,
    lag: Lag,
}

/// Why a session ends: the code to close with, or none when the viewer is gone already.
struct End(Option<u16>);

impl Session {
    fn new(web: Arc<Web>, socket: WebSocket) -> Self {
        let (sink, stream) = socket.split();
        Self {
            web,
            link: Arc::default(),
            sink,
            stream,
            subscriptions: HashMap::new(),
            snapshots: FuturesUnordered::new(),
            outbox: std::collections::VecDeque::new(),
            is_hidden: false,
            merged: 0,
            last_sent: Instant::now(),
            last_heard: Instant::now(),
            flush_began: None,
        }
    }

    async fn run(mut self) {
        let web = Arc::clone(&self.web);
        self.say(&HubMessage::Welcome {
            hub: web.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            started: web.started_ms,
            now: wire_ms(clock::now_us()),
            heartbeat_ms: web.live.heartbeat.as_millis() as u64,
            features: Vec::new(),
        });
        if web.pipeline.request(Request::Enter(Arc::clone(&self.link))).await.is_err() {
            return;
        }
        let End(code) = self.serve().await;
        for subscription in self.subscriptions.values() {
            // A stopped pipeline has no streams left to leave.
            let leave = Request::Unsubscribe(Arc::clone(&self.link), subscription.log.number);
            let _ = web.pipeline.request(leave).await;
        }
        let _ = web.pipeline.request(Request::Exit(Arc::clone(&self.link))).await;
        if let Some(code) = code {
            self.close(code).await;
        }
    }

    async fn serve(&mut self) -> End {
        let link = Arc::clone(&self.link);
        let mut heartbeat = tokio::time::interval(self.web.live.heartbeat);
        loop {
            let is_flushing = self.flush_began.is_some();
            let outcome = tokio::select! {
                message = self.stream.next() => self.on_message(message).await,
                () = link.changed() => self.on_changed().await,
                Some(prepared) = self.snapshots.next() => {
                    self.on_snapshot(prepared);
                    Ok(())
                }
                flushed = self.sink.flush(), if is_flushing => {
                    self.flush_began = None;
                    flushed.map_err(|_| End(None))
                }
                _ = heartbeat.tick() => self.on_heartbeat().await,
            };
            if let Err(end) = outcome {
                return end;
            }
            if let Err(end) = self.write().await {
                return end;
            }
        }
    }

    /// Feeds the socket with what waits and begins to flush it. While it is flushing nothing is added: frames are
    /// merged instead when too many wait.
    async fn write(&mut self) -> Result<(), End> {
        if self.flush_began.is_some() {
            self.absorb();
            return Ok(());
        }
        let mut room = ROUND_BYTES_MAX;
        let mut fed = false;
        while room > 0
            && let Some(message) = self.outbox.pop_front()
        {
            room = room.saturating_sub(message.len());
            self.feed(message).await?;
            fed = true;
        }
        let mut frames = Vec::new();
        for subscription in self.subscriptions.values_mut().filter(|subscription| subscription.has_snapshot) {
            self.merged += subscription.lag.take(subscription.log.number, |frame| frames.push(frame));
            let read = subscription.log.read(subscription.cursor, |frame| {
                room = room.saturating_sub(frame.len());
                frames.push(frame.clone());
                room > 0
            });
            match read {
                Read::UpTo(cursor) => subscription.cursor = cursor,
                // Only a session that did not run for seconds gets here; a fresh snapshot heals it.
                Read::Lost => self.link.stream_changed(subscription.log.number),
            }
            if room == 0 {
                break;
            }
        }
        for frame in frames {
            self.feed(frame).await?;
            fed = true;
        }
        if !fed {
            return Ok(());
        }
        self.last_sent = Instant::now();
        // Almost always the socket takes everything at once.
        match self.sink.flush().now_or_never() {
            Some(flushed) => flushed.map_err(|_| End(None))?,
            None => self.flush_began = Some(Instant::now()),
        }
        if room == 0 {
            // There is more: come back without waiting for news.
            self.link.wake();
        }
        Ok(())
    }

    async fn feed(&mut self, message: Bytes) -> Result<(), End> {
        self.sink.feed(Message::Binary(message)).await.map_err(|_| End(None))
    }

    /// The socket takes nothing: merges what has waited for long, so that it stays bounded.
    fn absorb(&mut self) {
        for subscription in self.subscriptions.values_mut().filter(|subscription| subscription.has_snapshot) {
            if subscription.log.end().saturating_sub(subscription.cursor) < FRAMES_WAITING_MAX {
                continue;
            }
            let Subscription { log, cursor, lag, .. } = subscription;
            match log.read(*cursor, |frame| {
                lag.absorb(frame);
                true
            }) {
                Read::UpTo(next) => *cursor = next,
                Read::Lost => self.link.stream_changed(log.number),
            }
        }
    }

    async fn on_message(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        self.last_heard = Instant::now();
        let bytes = match message {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Text(_))) => return Err(End(Some(close::TEXT_MESSAGE))),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End(None)),
        };
        if codec::item_kind(&bytes) != ItemKind::Map {
            return Err(End(Some(close::UNREADABLE)));
        }
        match ViewerMessage::decode(&bytes) {
            Ok(ViewerMessage::Subscribe(wish)) => self.subscribe(wish).await,
            Ok(ViewerMessage::Unsubscribe { id }) => self.unsubscribe(id).await,
            Ok(ViewerMessage::Visibility { hidden }) => self.set_hidden(hidden).await,
            Ok(ViewerMessage::Echo { t }) => {
                self.say(&HubMessage::Echo { t, now: wire_ms(clock::now_us()) });
                Ok(())
            }
            Ok(ViewerMessage::Unknown(kind)) => {
                self.complain(None, "unknown_type", format!("{kind:?} is no message of this version"));
                Ok(())
            }
            Err(error) => {
                self.complain(None, "bad_message", error.to_string());
                Ok(())
            }
        }
    }

    async fn subscribe(&mut self, wish: Subscribe) -> Result<(), End> {
        if !self.subscriptions.contains_key(&wish.id) && self.subscriptions.len() >= SUBSCRIPTIONS_PER_VIEWER_MAX {
            let message =
                format!("a connection has at most {SUBSCRIPTIONS_PER_VIEWER_MAX} subscriptions: end one first");
            self.complain(Some(wish.id), "too_many", message);
            return Ok(());
        }
        self.leave(wish.id).await?;
        let (reply, answer) = oneshot::channel();
        let request = Request::Subscribe(Arc::clone(&self.link), wish.clone(), reply);
        self.web.pipeline.request(request).await.map_err(|_| End(Some(close::STOPPING)))?;
        let answer: Result<Subscribed, SubscribeError> = answer.await.map_err(|_| End(Some(close::STOPPING)))?;
        match answer {
            Ok(Subscribed { joined, series }) => {
                let (id, stream, now_us) = (wish.id, joined.log.number, clock::now_us());
                let (from_us, _) = super::snapshot::window(now_us, wish.window_ms);
                self.say(&HubMessage::Snapshot {
                    id,
                    stream,
                    from: wire_ms(from_us),
                    to: wire_ms(now_us),
                    points: wish.points,
                    series,
                });
                let snapshot = joined.snapshot;
                self.snapshots.push(async move { (id, stream, snapshot.get().await) }.boxed());
                let lag = Lag::default();
                let subscription =
                    Subscription { wish, log: joined.log, cursor: joined.cursor, has_snapshot: false, lag };
                self.subscriptions.insert(id, subscription);
            }
            Err(error) => self.complain(Some(wish.id), error.code(), error.to_string()),
        }
        Ok(())
    }

    fn on_snapshot(&mut self, (id, stream, snapshot): Prepared) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        if subscription.log.number != stream {
            // Replaced while it was being made.
            return;
        }
        subscription.has_snapshot = true;
        match snapshot {
            Ok(snapshot) => {
                self.outbox.extend(snapshot.frames.iter().cloned());
                self.say(&HubMessage::SnapshotEnd { id, stream, gaps: snapshot.gaps.clone() });
            }
            Err(error) => {
                self.complain(Some(id), "no_history", error.to_string());
                self.say(&HubMessage::SnapshotEnd { id, stream, gaps: Vec::new() });
            }
        }
    }

    async fn unsubscribe(&mut self, id: u64) -> Result<(), End> {
        self.leave(id).await
    }

    async fn leave(&mut self, id: u64) -> Result<(), End> {
        let Some(subscription) = self.subscriptions.remove(&id) else { return Ok(()) };
        let request = Request::Unsubscribe(Arc::clone(&self.link), subscription.log.number);
        self.web.pipeline.request(request).await.map_err(|_| End(Some(close::STOPPING)))
    }

    /// Hidden: data stops. Visible again: every subscription begins afresh.
    async fn set_hidden(&mut self, hidden: bool) -> Result<(), End> {
        if hidden == self.is_hidden {
            return Ok(());
        }
        self.is_hidden = hidden;
        if hidden {
            for subscription in self.subscriptions.values_mut() {
                let request = Request::Unsubscribe(Arc::clone(&self.link), subscription.log.number);
                self.web.pipeline.request(request).await.map_err(|_| End(Some(close::STOPPING)))?;
                subscription.has_snapshot = false;
            }
            return Ok(());
        }
        let wishes: Vec<_> = self.subscriptions.values().map(|subscription| subscription.wish.clone()).collect();
        for wish in wishes {
            self.subscribe(wish).await?;
        }
        Ok(())
    }

    /// Takes what the pipeline left.
    async fn on_changed(&mut self) -> Result<(), End> {
        let waiting = self.link.take();
        if let Some(code) = waiting.close {
            return Err(End(Some(code)));
        }
        if waiting.resync {
            let request = Request::Resync(Arc::clone(&self.link));
            self.web.pipeline.request(request).await.map_err(|_| End(Some(close::STOPPING)))?;
        }
        self.outbox.extend(waiting.control);
        if !self.is_hidden {
            let is_changed = |subscription: &&Subscription| waiting.changed_streams.contains(&subscription.log.number);
            let wishes: Vec<_> = self.subscriptions.values().filter(is_changed).map(|s| s.wish.clone()).collect();
            for wish in wishes {
                self.subscribe(wish).await?;
            }
        }
        Ok(())
    }

    async fn on_heartbeat(&mut self) -> Result<(), End> {
        if self.flush_began.is_some_and(|began| began.elapsed() > WRITE_TIMEOUT) {
            return Err(End(None));
        }
        if self.last_heard.elapsed() > self.web.ingest.silence_max {
            return Err(End(Some(close::POLICY)));
        }
        if self.merged > 0 {
            let merged = std::mem::take(&mut self.merged);
            self.say(&HubMessage::Lag { merged });
        }
        self.say(&HubMessage::Heartbeat { now: wire_ms(clock::now_us()) });
        // The pong is how a viewer that says nothing is known to be alive.
        if self.flush_began.is_none() {
            self.sink.feed(Message::Ping(Bytes::new())).await.map_err(|_| End(None))?;
        }
        Ok(())
    }

    fn say(&mut self, message: &HubMessage) {
        self.outbox.push_back(Bytes::from(message.encode()));
    }

    fn complain(&mut self, id: Option<u64>, code: &str, message: String) {
        self.say(&HubMessage::Error { id, code: code.to_owned(), message });
    }

    async fn close(&mut self, code: u16) {
        let frame = CloseFrame { code, reason: "".into() };
        let farewell = async {
            if self.sink.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        // Whether it answered or not, the connection ends here.
        let _ = timeout(CLOSE_TIMEOUT, farewell).await;
    }
}

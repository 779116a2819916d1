//! One viewer's connection: `GET /ws/live`.
//!
//! Reads the viewer's wishes and writes what is behind its cursors. A viewer whose socket takes nothing is never cut
//! off while it still reads: frames it has not taken are merged (smallest, largest, last) so that what waits for it
//! stays bounded, and it is told how many points were left out.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{
        State,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{FuturesUnordered, SplitStream},
};
use protocol::{
    LIVE_SUBPROTOCOL, close,
    codec::{self, ItemKind},
    limits::{SUBSCRIPTIONS_PER_VIEWER_MAX, VIEWER_MESSAGE_BYTES_MAX},
    live::{HubMessage, SeriesRow, ViewerMessage, control::Subscribe},
};
use tokio::{sync::oneshot, time::timeout};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};

use super::{
    fanout::Joined,
    lag::Lag,
    log::{Read, StreamLog},
    snapshot::{Snapshot, SnapshotError},
    viewer::ViewerLink,
};
use crate::{
    api::error::Problem,
    clock::{self, wire_ms},
    pipeline::{Request, Stopped, SubscribeError, Subscribed},
    web::{Permit, Web},
};

mod outlet;

use outlet::{Gone, Outlet};

/// Above a round, a frame of 64 KiB and its header.
const WRITE_BUFFER_BYTES_MAX: usize = 256 * 1024;
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

/// What became of a subscription's request: which subscription, which joining of it.
type Asked = (u64, u64, Result<Result<Subscribed, SubscribeError>, Stopped>);
/// A snapshot that was being made, likewise.
type Prepared = (u64, u64, Result<Arc<Snapshot>, SnapshotError>);
type Tasks<T> = FuturesUnordered<BoxFuture<'static, T>>;

struct Session {
    web: Arc<Web>,
    link: Arc<ViewerLink>,
    outlet: Outlet,
    stream: SplitStream<WebSocket>,
    subscriptions: BTreeMap<u64, Subscription>,
    /// Subscriptions that wait for a place among the snapshots being made, or for the pipeline's answer.
    asked: Tasks<Asked>,
    /// Snapshots that are being made.
    snapshots: Tasks<Prepared>,
    /// Tells the joinings of one subscription apart.
    next_joining: u64,
    is_hidden: bool,
    /// Points left out since the viewer was last told.
    merged: u64,
    last_heard: Instant,
}

struct Subscription {
    wish: Subscribe,
    /// Which joining is the valid one; answers to others come too late.
    joining: u64,
    /// None until it has been joined, and while the page is hidden.
    feed: Option<Feed>,
}

/// Where a subscription's frames come from.
struct Feed {
    log: Arc<StreamLog>,
    cursor: u64,
    /// Live frames follow the snapshot, never before.
    has_snapshot: bool,
    lag: Lag,
}

/// Why a session ends: the code to close with, or none when the viewer is gone already.
struct End(Option<u16>);

impl From<Gone> for End {
    fn from(_: Gone) -> Self {
        Self(None)
    }
}

impl From<Stopped> for End {
    fn from(_: Stopped) -> Self {
        Self(Some(close::STOPPING))
    }
}

impl Session {
    fn new(web: Arc<Web>, socket: WebSocket) -> Self {
        let (sink, stream) = socket.split();
        Self {
            web,
            link: Arc::default(),
            outlet: Outlet::new(sink),
            stream,
            subscriptions: BTreeMap::new(),
            asked: FuturesUnordered::new(),
            snapshots: FuturesUnordered::new(),
            next_joining: 0,
            is_hidden: false,
            merged: 0,
            last_heard: Instant::now(),
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
        // A stopped pipeline has closed with a code of its own, and has no streams left to leave.
        let code = code.map(|code| self.link.take().close.unwrap_or(code));
        let _ = self.leave_all().await;
        let _ = web.pipeline.request(Request::Exit(Arc::clone(&self.link))).await;
        if let Some(code) = code {
            self.close(code).await;
        }
    }

    async fn serve(&mut self) -> End {
        let link = Arc::clone(&self.link);
        let mut heartbeat = tokio::time::interval(self.web.live.heartbeat);
        loop {
            let is_blocked = self.outlet.is_blocked();
            let outcome = tokio::select! {
                message = self.stream.next() => self.on_message(message).await,
                () = link.changed() => self.on_changed().await,
                Some(asked) = self.asked.next() => self.on_asked(asked).await,
                Some(prepared) = self.snapshots.next() => {
                    self.on_snapshot(prepared);
                    Ok(())
                }
                flushed = self.outlet.flush(), if is_blocked => match flushed {
                    Ok(()) => {
                        // Whoever takes bytes lives, and what the pipeline has left meanwhile was not taken.
                        self.last_heard = Instant::now();
                        self.on_changed().await
                    }
                    Err(gone) => Err(gone.into()),
                },
                _ = heartbeat.tick() => self.on_heartbeat(),
            };
            if let Err(end) = outcome.and_then(|()| self.write()) {
                return end;
            }
        }
    }

    /// Gives the socket a round of what waits. While it takes nothing, live frames stay in their logs.
    fn write(&mut self) -> Result<(), End> {
        if !self.outlet.is_blocked() {
            self.fetch();
            if self.outlet.write_round()? {
                // There is more: come back without waiting for news.
                self.link.wake();
            }
        }
        self.absorb();
        Ok(())
    }

    /// Takes live frames from the logs as long as there is room behind what waits already, the same for each.
    fn fetch(&mut self) {
        let feeds = self.subscriptions.values_mut().filter_map(|subscription| subscription.feed.as_mut());
        let mut ready: Vec<&mut Feed> = feeds.filter(|feed| feed.has_snapshot).collect();
        let share = self.outlet.room() / ready.len().max(1);
        if share == 0 {
            return;
        }
        for feed in &mut ready {
            self.merged += feed.lag.take(feed.log.number, |frame| self.outlet.push(frame));
            let mut room = share;
            let read = feed.log.read(feed.cursor, |frame| {
                room = room.saturating_sub(frame.len());
                self.outlet.push(frame.clone());
                room > 0
            });
            match read {
                Read::UpTo(cursor) => {
                    feed.cursor = cursor;
                    if cursor < feed.log.end() {
                        self.link.wake();
                    }
                }
                // Only a session that did not run for seconds gets here; a fresh snapshot heals it.
                Read::Lost => self.link.stream_changed(feed.log.number),
            }
        }
    }

    /// Merges frames that have waited in their logs for so long that they would soon be gone: the viewer is too slow,
    /// or its snapshot takes long.
    fn absorb(&mut self) {
        for feed in self.subscriptions.values_mut().filter_map(|subscription| subscription.feed.as_mut()) {
            if !feed.log.is_long_behind(feed.cursor) {
                continue;
            }
            let Feed { log, cursor, lag, .. } = feed;
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
            Some(Ok(Message::Close(_))) | None => return Err(End(None)),
            Some(Err(error)) => return Err(End(close_code_of(&error))),
        };
        if codec::item_kind(&bytes) != ItemKind::Map {
            return Err(End(Some(close::UNREADABLE)));
        }
        match ViewerMessage::decode(&bytes) {
            Ok(ViewerMessage::Subscribe(wish)) => self.subscribe(wish).await,
            Ok(ViewerMessage::Unsubscribe { id }) => Ok(self.leave(id).await?),
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
        let (id, joining) = (wish.id, self.next_joining);
        self.next_joining += 1;
        if !self.is_hidden {
            let (web, link, wish) = (Arc::clone(&self.web), Arc::clone(&self.link), wish.clone());
            let ask = async move {
                // Waits here, before the place in the journal is settled: history answers only so many at a time.
                let place = Arc::clone(&web.snapshot_places).acquire_owned().await.map_err(|_| Stopped)?;
                let (reply, answer) = oneshot::channel();
                web.pipeline.request(Request::Subscribe(link, wish, place, reply)).await?;
                answer.await.map_err(|_| Stopped)
            };
            self.asked.push(async move { (id, joining, ask.await) }.boxed());
        }
        self.subscriptions.insert(id, Subscription { wish, joining, feed: None });
        Ok(())
    }

    async fn on_asked(&mut self, (id, joining, answer): Asked) -> Result<(), End> {
        let answer = answer?;
        let is_valid = self.subscriptions.get(&id).is_some_and(|subscription| subscription.joining == joining);
        match answer {
            Ok(Subscribed { joined, series }) if is_valid && !self.is_hidden => self.join(id, joined, series),
            // Replaced, ended or hidden meanwhile.
            Ok(Subscribed { joined, .. }) => {
                let leave = Request::Unsubscribe(Arc::clone(&self.link), joined.log.number);
                self.web.pipeline.request(leave).await?;
            }
            Err(error) if is_valid => {
                self.subscriptions.remove(&id);
                self.complain(Some(id), error.code(), error.to_string());
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Announces the snapshot and puts the feed in place; frames follow when the snapshot is made.
    fn join(&mut self, id: u64, joined: Joined, series: Vec<SeriesRow>) {
        let Some(Subscription { wish, joining, feed }) = self.subscriptions.get_mut(&id) else { return };
        let (joining, now_us) = (*joining, clock::now_us());
        let (from_us, _) = super::snapshot::window(now_us, wish.window_ms);
        let announcement = HubMessage::Snapshot {
            id,
            stream: joined.log.number,
            from: wire_ms(from_us),
            to: wire_ms(now_us),
            points: wish.points,
            series,
        };
        *feed = Some(Feed { log: joined.log, cursor: joined.cursor, has_snapshot: false, lag: Lag::default() });
        self.say(&announcement);
        let snapshot = joined.snapshot;
        self.snapshots.push(async move { (id, joining, snapshot.get().await) }.boxed());
    }

    fn on_snapshot(&mut self, (id, joining, snapshot): Prepared) {
        let subscription = self.subscriptions.get_mut(&id).filter(|subscription| subscription.joining == joining);
        // Replaced, ended or hidden while it was being made.
        let Some(feed) = subscription.and_then(|subscription| subscription.feed.as_mut()) else { return };
        feed.has_snapshot = true;
        let stream = feed.log.number;
        match snapshot {
            Ok(snapshot) => {
                snapshot.frames.iter().for_each(|frame| self.outlet.push(frame.clone()));
                self.say(&HubMessage::SnapshotEnd { id, stream, gaps: snapshot.gaps.clone() });
            }
            Err(error) => {
                self.complain(Some(id), "no_history", error.to_string());
                self.say(&HubMessage::SnapshotEnd { id, stream, gaps: Vec::new() });
            }
        }
    }

    /// Ends a subscription.
    async fn leave(&mut self, id: u64) -> Result<(), Stopped> {
        let Some(Subscription { feed: Some(feed), .. }) = self.subscriptions.remove(&id) else { return Ok(()) };
        self.web.pipeline.request(Request::Unsubscribe(Arc::clone(&self.link), feed.log.number)).await
    }

    /// Ends the feeds of all subscriptions; the wishes stay.
    async fn leave_all(&mut self) -> Result<(), Stopped> {
        for subscription in self.subscriptions.values_mut() {
            if let Some(feed) = subscription.feed.take() {
                let leave = Request::Unsubscribe(Arc::clone(&self.link), feed.log.number);
                self.web.pipeline.request(leave).await?;
            }
        }
        Ok(())
    }

    /// Hidden: data stops. Visible again: every subscription begins afresh.
    async fn set_hidden(&mut self, hidden: bool) -> Result<(), End> {
        if std::mem::replace(&mut self.is_hidden, hidden) == hidden {
            return Ok(());
        }
        if hidden {
            return Ok(self.leave_all().await?);
        }
        self.subscribe_again(|_| true).await
    }

    async fn subscribe_again(&mut self, which: impl Fn(&Subscription) -> bool) -> Result<(), End> {
        let wishes = self.subscriptions.values().filter(|subscription| which(subscription));
        let wishes: Vec<_> = wishes.map(|subscription| subscription.wish.clone()).collect();
        for wish in wishes {
            self.subscribe(wish).await?;
        }
        Ok(())
    }

    /// Takes what the pipeline left. While the socket takes nothing it stays on the link, which is bounded.
    async fn on_changed(&mut self) -> Result<(), End> {
        if self.outlet.is_blocked() {
            return self.link.closing().map_or(Ok(()), |code| Err(End(Some(code))));
        }
        let waiting = self.link.take();
        if let Some(code) = waiting.close {
            return Err(End(Some(code)));
        }
        if waiting.resync {
            self.web.pipeline.request(Request::Resync(Arc::clone(&self.link))).await?;
        }
        waiting.control.into_iter().for_each(|message| self.outlet.push(message));
        if waiting.changed_streams.is_empty() {
            return Ok(());
        }
        let is_changed = |feed: &Feed| waiting.changed_streams.contains(&feed.log.number);
        self.subscribe_again(|subscription| subscription.feed.as_ref().is_some_and(is_changed)).await
    }

    fn on_heartbeat(&mut self) -> Result<(), End> {
        if self.outlet.is_blocked_for(WRITE_TIMEOUT) {
            return Err(End(None));
        }
        if self.outlet.is_blocked() {
            return Ok(());
        }
        // A viewer that reads nothing answers no ping either; the other limit is for that.
        if self.last_heard.elapsed() > self.web.ingest.silence_max {
            return Err(End(Some(close::POLICY)));
        }
        if self.merged > 0 {
            let merged = std::mem::take(&mut self.merged);
            self.say(&HubMessage::Lag { merged });
        }
        self.say(&HubMessage::Heartbeat { now: wire_ms(clock::now_us()) });
        // The pong is how a viewer that says nothing is known to be alive.
        Ok(self.outlet.ping()?)
    }

    fn say(&mut self, message: &HubMessage) {
        self.outlet.push(Bytes::from(message.encode()));
    }

    fn complain(&mut self, id: Option<u64>, code: &str, message: String) {
        self.say(&HubMessage::Error { id, code: code.to_owned(), message });
    }

    async fn close(&mut self, code: u16) {
        let farewell = async {
            if self.outlet.close(code).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        // Whether it answered or not, the connection ends here.
        let _ = timeout(CLOSE_TIMEOUT, farewell).await;
    }
}

/// What a viewer is told that broke the rules of the socket itself; nothing when it is gone.
fn close_code_of(error: &axum::Error) -> Option<u16> {
    match std::error::Error::source(error).and_then(|source| source.downcast_ref::<tungstenite::Error>())? {
        tungstenite::Error::Capacity(_) => Some(close::TOO_BIG),
        tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_) => Some(close::PROTOCOL_ERROR),
        _ => None,
    }
}

//! One viewer's connection: `GET /ws/live`.
//!
//! Reads the viewer's wishes and writes what is behind its cursors. A viewer is never cut off while it still reads:
//! frames that its socket does not take are merged (smallest, largest, last) so that what waits for it stays bounded,
//! and it is told how many points were left out.
//!
//! Nothing is fetched before there is room: a snapshot when the last one is written, changes of the catalogue when
//! those before are, live frames as far as a round has room; and nothing is read from a viewer that does not take its
//! replies.

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
use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{FuturesUnordered, SplitStream},
};
use protocol::{
    LIVE_SUBPROTOCOL, close,
    codec::{self, ItemKind},
    limits::{SUBSCRIPTIONS_PER_VIEWER_MAX, VIEWER_MESSAGE_BYTES_MAX},
    live::{HubMessage, ViewerMessage},
};
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};

use super::viewer::ViewerLink;
use crate::{
    api::error::Problem,
    clock::{self, wire_ms},
    ingest::budget::Budget,
    pipeline::{Request, Stopped},
    web::{Permit, Web},
};

mod joining;
mod outbox;
mod outlet;
mod subscription;

use joining::{Asked, Prepared};
use outbox::Outbox;
use outlet::{Gone, Outlet, ROUND_BYTES_MAX};
use subscription::{Stage, Subscription};

/// Above the largest control message with what is buffered before it.
const WRITE_BUFFER_BYTES_MAX: usize = 512 * 1024;
/// A viewer that takes nothing at all for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the other side may take to answer a close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Messages a viewer may send a second: all its subscriptions at once.
const MESSAGES_PER_SECOND: u32 = SUBSCRIPTIONS_PER_VIEWER_MAX as u32;

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

type Tasks<T> = FuturesUnordered<BoxFuture<'static, T>>;

struct Session {
    web: Arc<Web>,
    link: Arc<ViewerLink>,
    outlet: Outlet,
    outbox: Outbox,
    stream: SplitStream<WebSocket>,
    /// By the viewer's numbers.
    subscriptions: BTreeMap<u64, Subscription>,
    /// Requests that wait for a place among the snapshots being made, or for the pipeline.
    asked: Tasks<Asked>,
    /// Snapshots that are being made, also those that nobody waits for any more.
    snapshots: Tasks<Prepared>,
    /// Tells the requests of one subscription apart.
    next_request: u64,
    /// Streams that have changed before the answer that names them was heard.
    changed_early: Vec<u64>,
    is_hidden: bool,
    budget: Budget,
    /// The viewer said too much: it is listened to again from then on.
    deaf_until: Option<Instant>,
    /// Points left out since the viewer was last told.
    merged: u64,
    last_heard: Instant,
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
            outbox: Outbox::default(),
            stream,
            subscriptions: BTreeMap::new(),
            asked: FuturesUnordered::new(),
            snapshots: FuturesUnordered::new(),
            next_request: 0,
            changed_early: Vec::new(),
            is_hidden: false,
            budget: Budget::new(MESSAGES_PER_SECOND),
            deaf_until: None,
            merged: 0,
            last_heard: Instant::now(),
        }
    }

    async fn run(mut self) {
        let web = Arc::clone(&self.web);
        self.outbox.reply(&HubMessage::Welcome {
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
        let code = code.map(|code| self.link.take(false).close.unwrap_or(code));
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
            let is_listening = self.deaf_until.is_none() && self.outbox.has_room_for_replies();
            let alarm = self.alarm();
            let outcome = tokio::select! {
                message = self.stream.next(), if is_listening => self.on_message(message).await,
                () = link.changed() => Ok(()),
                Some(asked) = self.asked.next() => self.on_asked(asked).await,
                Some(prepared) = self.snapshots.next(), if self.outbox.has_no_data() => self.on_snapshot(prepared).await,
                flushed = self.outlet.flush(), if is_blocked => flushed.map_err(End::from),
                _ = heartbeat.tick() => self.on_heartbeat(),
                () = sleep_until(alarm.unwrap_or_else(Instant::now).into()), if alarm.is_some() => Ok(()),
            };
            if let Err(end) = outcome {
                return end;
            }
            if let Err(end) = self.go_on().await {
                return end;
            }
        }
    }

    /// When something is to be done without anything happening: listening again, or asking for a subscription.
    fn alarm(&self) -> Option<Instant> {
        let now = Instant::now();
        let due = self.subscriptions.values().filter_map(|subscription| subscription.due_at(now)).min();
        [self.deaf_until, due.filter(|_| self.may_ask())].into_iter().flatten().min()
    }

    /// What is the same whatever happened.
    async fn go_on(&mut self) -> Result<(), End> {
        self.deaf_until.take_if(|until| *until <= Instant::now());
        self.take_news().await?;
        while self.may_ask() {
            let now = Instant::now();
            let is_due = |subscription: &Subscription| subscription.due_at(now).is_some_and(|at| at <= now);
            let Some((&id, _)) = self.subscriptions.iter().find(|(_, subscription)| is_due(subscription)) else {
                break;
            };
            self.ask(id);
        }
        self.write()
    }

    /// Takes what the pipeline left.
    async fn take_news(&mut self) -> Result<(), End> {
        let news = self.link.take(self.outbox.has_no_catalogue());
        if let Some(code) = news.close {
            return Err(End(Some(code)));
        }
        if news.resync {
            self.web.pipeline.request(Request::Resync(Arc::clone(&self.link))).await?;
        }
        for part in news.catalogue {
            self.outbox.catalogue(part.iter().cloned());
        }
        self.outbox.catalogue(news.control);
        for stream in news.changed_streams {
            let of_stream = |subscription: &&mut Subscription| {
                subscription.stage.feed().is_some_and(|feed| feed.log.number == stream)
            };
            match self.subscriptions.values_mut().find(of_stream) {
                Some(subscription) => subscription.on_changed(),
                None if !self.asked.is_empty() => self.changed_early.push(stream),
                // It has left meanwhile.
                None => {}
            }
        }
        Ok(())
    }

    /// Gives the socket a round of what waits. While it takes nothing, live frames stay in their logs.
    fn write(&mut self) -> Result<(), End> {
        if !self.outlet.is_blocked() {
            self.fetch();
            if self.outlet.write_round(&mut self.outbox)? {
                // There is more: come back without waiting for news.
                self.link.wake();
            }
        }
        let is_blocked = self.outlet.is_blocked() || !self.outbox.has_no_data();
        for subscription in self.subscriptions.values_mut() {
            subscription.absorb(is_blocked);
        }
        Ok(())
    }

    /// Takes live frames from the logs as far as the round has room behind what waits already, the same share of each.
    fn fetch(&mut self) {
        let room = ROUND_BYTES_MAX.saturating_sub(self.outbox.data_bytes());
        if room == 0 {
            return;
        }
        let share = room.div_ceil(self.subscriptions.len().max(1));
        for (&id, subscription) in &mut self.subscriptions {
            let Stage::Live { feed, is_stale } = &mut subscription.stage else { continue };
            self.merged += feed.lag.take(feed.log.number, |frame| self.outbox.data(id, frame));
            *is_stale |= !feed.read(share, |frame| self.outbox.data(id, frame));
            if feed.cursor < feed.log.end() {
                self.link.wake();
            }
        }
    }

    async fn on_message(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), End> {
        let now = Instant::now();
        self.last_heard = now;
        self.deaf_until = self.budget.take(now).map(|wait| now + wait);
        let bytes = match message {
            Some(Ok(Message::Binary(bytes))) => bytes,
            Some(Ok(Message::Text(_))) => return Err(End(Some(close::TEXT_MESSAGE))),
            Some(Ok(Message::Pong(_))) => {
                self.outlet.on_pong();
                return Ok(());
            }
            Some(Ok(Message::Ping(_))) => return Ok(()),
            Some(Ok(Message::Close(_))) | None => return Err(End(None)),
            Some(Err(error)) => return Err(End(close_code_of(&error))),
        };
        if codec::item_kind(&bytes) != ItemKind::Map {
            return Err(End(Some(close::UNREADABLE)));
        }
        match ViewerMessage::decode(&bytes) {
            Ok(ViewerMessage::Subscribe(wish)) => self.subscribe(wish).await?,
            Ok(ViewerMessage::Unsubscribe { id }) => self.unsubscribe(id).await?,
            Ok(ViewerMessage::Visibility { hidden }) => self.set_hidden(hidden).await?,
            Ok(ViewerMessage::Echo { t }) => {
                self.outbox.reply(&HubMessage::Echo { t, now: wire_ms(clock::now_us()) });
            }
            Ok(ViewerMessage::Unknown(kind)) => {
                self.complain(None, "unknown_type", format!("{kind:?} is no message of this version"));
            }
            Err(error) => self.complain(None, "bad_message", error.to_string()),
        }
        Ok(())
    }

    fn on_heartbeat(&mut self) -> Result<(), End> {
        if self.outlet.is_blocked_for(WRITE_TIMEOUT) {
            return Err(End(None));
        }
        // Who does not take what it is sent cannot answer either; the other limit is for that.
        if !self.outlet.is_blocked() && self.last_heard.elapsed() > self.web.ingest.silence_max {
            return Err(End(Some(close::POLICY)));
        }
        // The pong is how a viewer that says nothing is known to be alive.
        self.outlet.ping_soon();
        if self.outbox.has_no_reply() {
            if self.merged > 0 {
                let merged = std::mem::take(&mut self.merged);
                self.outbox.reply(&HubMessage::Lag { merged });
            }
            self.outbox.reply(&HubMessage::Heartbeat { now: wire_ms(clock::now_us()) });
        }
        Ok(())
    }

    fn complain(&mut self, id: Option<u64>, code: &str, message: String) {
        self.outbox.reply(&HubMessage::Error { id, code: code.to_owned(), message });
    }

    async fn close(&mut self, code: u16) {
        let farewell = async {
            if self.outlet.close(code).await.is_err() {
                return;
            }
            while let Some(Ok(_)) = self.stream.next().await {}
            if matches!(code, close::TOO_BIG | close::PROTOCOL_ERROR) {
                // The rest of what it sent cannot be read, and to close on top of it would reset the connection before
                // the code is read: it gets the time.
                std::future::pending::<()>().await;
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

//! How a viewer joins streams and leaves them: from a wish to the snapshot that live frames follow.

use std::{sync::Arc, time::Instant};

use futures_util::FutureExt;
use protocol::{
    limits::SUBSCRIPTIONS_PER_VIEWER_MAX,
    live::{HubMessage, control::Subscribe},
};
use tokio::sync::oneshot;

use super::{
    End, Session,
    subscription::{Begun, Feed, Stage, Subscription, Waiting},
};
use crate::{
    clock,
    live::snapshot::{self, Snapshot, SnapshotError},
    pipeline::{Request, Stopped, SubscribeError, Subscribed},
};

/// Snapshots that are made for one viewer at a time: each holds one of history's few readers, and then memory until it
/// is written.
const SNAPSHOTS_AT_ONCE: usize = 2;

/// What came of a request for a subscription: its number, which request it was, and the answer.
pub(super) type Asked = (u64, u64, Result<Result<Subscribed, SubscribeError>, Stopped>);
/// What came of a snapshot, likewise.
pub(super) type Prepared = (u64, u64, Result<Arc<Snapshot>, SnapshotError>);

impl Session {
    pub(super) async fn subscribe(&mut self, wish: Subscribe) -> Result<(), Stopped> {
        let id = wish.id;
        if !self.subscriptions.contains_key(&id) && self.subscriptions.len() >= SUBSCRIPTIONS_PER_VIEWER_MAX {
            let message =
                format!("a connection has at most {SUBSCRIPTIONS_PER_VIEWER_MAX} subscriptions: end one first");
            self.complain(Some(id), "too_many", message);
            return Ok(());
        }
        self.unsubscribe(id).await?;
        self.subscriptions.insert(id, Subscription::new(wish, self.is_hidden));
        Ok(())
    }

    pub(super) async fn unsubscribe(&mut self, id: u64) -> Result<(), Stopped> {
        self.outbox.forget(id);
        match self.subscriptions.remove(&id) {
            Some(subscription) => self.leave(subscription.stage.feed()).await,
            None => Ok(()),
        }
    }

    async fn leave(&mut self, feed: Option<&Feed>) -> Result<(), Stopped> {
        let Some(feed) = feed else { return Ok(()) };
        self.web.pipeline.request(Request::Unsubscribe(Arc::clone(&self.link), feed.log.number)).await
    }

    /// Gives up the places of all subscriptions; the wishes stay.
    async fn leave_all(&mut self) -> Result<(), Stopped> {
        for id in self.subscriptions.keys().copied().collect::<Vec<_>>() {
            self.outbox.forget(id);
            self.subscriptions.entry(id).and_modify(|subscription| subscription.asked = None);
            self.set_stage(id, Stage::Hidden).await?;
        }
        Ok(())
    }

    /// Moves a subscription on and gives up the place that it had.
    async fn set_stage(&mut self, id: u64, stage: Stage) -> Result<(), Stopped> {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return Ok(()) };
        let before = std::mem::replace(&mut subscription.stage, stage);
        self.leave(before.feed()).await
    }

    /// Hidden: data stops. Visible again: every subscription begins afresh.
    pub(super) async fn set_hidden(&mut self, hidden: bool) -> Result<(), Stopped> {
        if std::mem::replace(&mut self.is_hidden, hidden) == hidden {
            return Ok(());
        }
        if hidden {
            return self.leave_all().await;
        }
        for subscription in self.subscriptions.values_mut() {
            subscription.stage = Stage::Due { at: Instant::now(), tries: 0 };
        }
        Ok(())
    }

    /// Whether a subscription may be asked for: one after the other, as the viewer takes their snapshots.
    pub(super) fn may_ask(&self) -> bool {
        self.outbox.has_no_data() && self.asked.len() + self.snapshots.len() < SNAPSHOTS_AT_ONCE
    }

    /// Asks the pipeline for a place in a stream and for the snapshot in front of it.
    pub(super) fn ask(&mut self, id: u64) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        let request = self.next_request;
        self.next_request += 1;
        subscription.asked = Some(request);
        let (web, link, wish) = (Arc::clone(&self.web), Arc::clone(&self.link), subscription.wish.clone());
        let answered = async move {
            // Waits here, where it is not yet settled what history is asked: it answers only so many at a time.
            let place = Arc::clone(&web.snapshot_places).acquire_owned().await.map_err(|_| Stopped)?;
            let (reply, answer) = oneshot::channel();
            web.pipeline.request(Request::Subscribe(link, wish, place, reply)).await?;
            answer.await.map_err(|_| Stopped)
        };
        self.asked.push(async move { (id, request, answered.await) }.boxed());
    }

    pub(super) async fn on_asked(&mut self, (id, request, answer): Asked) -> Result<(), End> {
        let answer = answer?;
        let subscription = self.subscriptions.get_mut(&id).filter(|known| known.asked == Some(request));
        match (answer, subscription) {
            (Ok(Subscribed { joined, series, points }), Some(subscription)) => {
                subscription.asked = None;
                let (tries, feed) = (subscription.tries(), Feed::new(joined.log, joined.cursor));
                let (snapshot, is_stale) = (joined.snapshot, self.changed_early.contains(&feed.log.number));
                self.snapshots.push(async move { (id, request, snapshot.get().await) }.boxed());
                let waiting = Waiting { request, feed, series, points, tries, is_stale };
                self.set_stage(id, Stage::Waiting(waiting)).await?;
            }
            (Err(error), Some(subscription)) => {
                subscription.asked = None;
                self.on_refused(id, &error);
            }
            // Replaced, ended or hidden meanwhile.
            (Ok(Subscribed { joined, .. }), None) => {
                self.leave(Some(&Feed::new(joined.log, joined.cursor))).await?;
            }
            (Err(_), None) => {}
        }
        if self.asked.is_empty() {
            self.changed_early.clear();
        }
        Ok(())
    }

    /// A subscription that cannot be had ends; one that cannot be begun afresh goes on with the series it has.
    fn on_refused(&mut self, id: u64, error: &SubscribeError) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        let is_told = if let Stage::Live { is_stale, .. } = &mut subscription.stage {
            *is_stale = false;
            std::mem::replace(&mut subscription.is_refusal_told, true)
        } else {
            self.subscriptions.remove(&id);
            false
        };
        if !is_told {
            self.complain(Some(id), error.code(), error.to_string());
        }
    }

    /// Puts a snapshot before the viewer and lets live frames follow.
    pub(super) async fn on_snapshot(&mut self, (id, request, outcome): Prepared) -> Result<(), End> {
        let subscription = self.subscriptions.get_mut(&id).filter(|subscription| subscription.awaits(request));
        // Replaced, ended or hidden while it was being made.
        let Some(subscription) = subscription else { return Ok(()) };
        if let Err(SnapshotError::Busy) = outcome
            && let Some(retry) = subscription.retry()
        {
            return Ok(self.set_stage(id, retry).await?);
        }
        let window_ms = subscription.wish.window_ms;
        let Some(Begun { stream, series, points }) = subscription.go_live() else { return Ok(()) };
        let snapshot = outcome.as_deref();
        let from_us =
            snapshot.map_or_else(|_| snapshot::window(clock::now_us(), window_ms).0, |snapshot| snapshot.from_us);
        let to_us = from_us + window_ms as i64 * 1000;
        self.outbox.data(id, snapshot::beginning(id, stream, (from_us, to_us), points, series));
        let gaps = match snapshot {
            Ok(snapshot) => {
                snapshot.frames.iter().for_each(|frame| self.outbox.data(id, frame.clone()));
                snapshot.gaps.clone()
            }
            Err(error) => {
                let (code, message) = ("no_history".to_owned(), error.to_string());
                self.outbox.data(id, HubMessage::Error { id: Some(id), code, message }.encode().into());
                Vec::new()
            }
        };
        self.outbox.data(id, HubMessage::SnapshotEnd { id, stream, gaps }.encode().into());
        Ok(())
    }
}

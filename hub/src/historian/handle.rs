//! The way to the historian, for whoever asks it, wakes it or stops it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use super::questions::{Present, Question};

/// Whoever asks for the present gives up after this.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// What the handle and the thread both see.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) applied_seq: AtomicU64,
    pub(super) stop: AtomicBool,
}

/// Asks the historian.
#[derive(Clone)]
pub struct HistorianHandle {
    pub(super) questions: mpsc::SyncSender<Question>,
    pub(super) journal: journal::Handle,
    pub(super) thread: thread::Thread,
    pub(super) shared: Arc<Shared>,
}

/// Too many questions wait, or the hub is stopping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub is busy answering others; try again in a second")]
pub struct Busy;

impl HistorianHandle {
    /// Asks for something exactly behind record `behind_seq`. The question is in place when this returns: whoever
    /// appends the next record afterwards can be sure that it is not seen.
    pub fn ask<T: Send + 'static>(
        &self,
        behind_seq: u64,
        ask: impl FnOnce(&mut Present<'_>) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Busy>> + Send + 'static {
        self.question(behind_seq, true, ask)
    }

    /// Asks for something as of everything that is on disk by now, or a little later: who has had a reading
    /// acknowledged finds it.
    pub fn ask_now<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&mut Present<'_>) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Busy>> + Send + 'static {
        let answered = self.question(self.journal.durable_seq(), false, ask);
        async move { tokio::time::timeout(ANSWER_MAX, answered).await.map_err(|_| Busy)? }
    }

    fn question<T: Send + 'static>(
        &self,
        behind_seq: u64,
        is_exact: bool,
        ask: impl FnOnce(&mut Present<'_>) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, Busy>> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let question = Question {
            behind_seq,
            is_exact,
            ask: Box::new(move |present| {
                // Who no longer waits for the answer does not get one.
                if !answer.is_closed() {
                    drop(answer.send(ask(present)));
                }
            }),
        };
        let asked = self.questions.try_send(question).map_err(|_| Busy);
        self.wake();
        async move {
            asked?;
            answered.await.map_err(|_| Busy)
        }
    }

    /// There is something new in the journal.
    pub fn wake(&self) {
        self.thread.unpark();
    }

    /// The last record that was applied.
    pub fn applied_seq(&self) -> u64 {
        self.shared.applied_seq.load(Ordering::Acquire)
    }

    /// Applies what is durable, commits, and ends. The thread is joined by whoever started it.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
    }
}

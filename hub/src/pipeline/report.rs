//! How the pipeline hears of the journal's commits.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// What the journal's thread reports; read by the pipeline when it is woken.
#[derive(Debug, Default)]
pub struct JournalReport {
    news: Mutex<News>,
    pub(super) notify: Notify,
}

#[derive(Debug, Default)]
pub(super) struct News {
    pub(super) durable_seq: u64,
    pub(super) disk_full: Option<bool>,
    pub(super) failed: Option<String>,
}

impl JournalReport {
    /// Called on the journal's thread.
    pub fn put(&self, commit: &journal::Commit) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        match commit {
            journal::Commit::Durable { seq } => news.durable_seq = *seq,
            journal::Commit::Failed { error, disk_full: true } => {
                tracing::error!(%error, "the disk is full: nothing is acknowledged until there is room");
                news.disk_full = Some(true);
            }
            journal::Commit::Failed { error, disk_full: false } => news.failed = Some(error.to_string()),
            journal::Commit::SpaceBack => news.disk_full = Some(false),
        }
        drop(news);
        self.notify.notify_one();
    }

    pub(super) fn take(&self) -> News {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        News { durable_seq: news.durable_seq, disk_full: news.disk_full.take(), failed: news.failed.take() }
    }
}

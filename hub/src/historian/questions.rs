//! Questions about the past, and the line in which they wait for their place in the journal.
//!
//! Owns the line; the historian says which record it has applied and what there is to look at. A question waits until
//! its place is reached, and one that needs this very place is answered before the next record is applied.

use std::{
    collections::VecDeque,
    sync::mpsc,
    time::{Duration, Instant},
};

use history::{History, View, ViewError};

use crate::state::State;

/// Questions that may wait; further ones are told that the hub is busy.
const QUESTIONS_WAITING_MAX: usize = 1_024;
/// Answers that may wait are given for so long before the journal is read on.
pub(super) const ANSWER_SLICE: Duration = Duration::from_millis(20);

/// A question: carried out on the historian's thread once record `behind_seq` is applied.
pub(super) struct Question {
    pub(super) behind_seq: u64,
    /// It must be before the next record is applied.
    pub(super) is_exact: bool,
    pub(super) ask: Box<dyn FnOnce(&mut Present<'_>) + Send>,
}

/// What a question may look at.
pub struct Present<'a> {
    /// The durable state.
    pub state: &'a State,
    pub(super) history: &'a mut History,
}

impl Present<'_> {
    /// A view of these series as they are at this place in the journal, to be read on another thread.
    pub fn view(&mut self, series: &[u32], from_us: i64, to_us: i64) -> Result<View, ViewError> {
        self.history.view(series, from_us, to_us)
    }
}

/// The line, on the historian's thread.
pub(super) struct Questions {
    asked: mpsc::Receiver<Question>,
    waiting: VecDeque<Question>,
    /// The least place that a waiting question needs exactly.
    pub(super) exact_seq: u64,
}

impl Questions {
    /// An empty line, and where questions for it come in.
    pub(super) fn new() -> (Self, mpsc::SyncSender<Question>) {
        let (sender, asked) = mpsc::sync_channel(QUESTIONS_WAITING_MAX);
        (Self { asked, waiting: VecDeque::new(), exact_seq: u64::MAX }, sender)
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Puts new questions in line. One too many is dropped, which tells its asker that the hub is busy; those that need
    /// an exact place are few, one a subscription, and never are.
    pub(super) fn take(&mut self) {
        for question in self.asked.try_iter() {
            if question.is_exact {
                self.exact_seq = self.exact_seq.min(question.behind_seq);
            } else if self.waiting.len() >= QUESTIONS_WAITING_MAX {
                continue;
            }
            self.waiting.push_back(question);
        }
    }

    /// Carries out questions whose place is reached, for a while; those that need this very place all.
    pub(super) fn answer(&mut self, applied_seq: u64, present: &mut Present<'_>) {
        self.answer_exact(applied_seq, present);
        let began = Instant::now();
        for _ in 0..self.waiting.len() {
            if began.elapsed() > ANSWER_SLICE {
                return;
            }
            self.answer_next(present, |question| question.behind_seq <= applied_seq);
        }
    }

    /// Carries out those that need this very place.
    pub(super) fn answer_exact(&mut self, applied_seq: u64, present: &mut Present<'_>) {
        if self.exact_seq > applied_seq {
            return;
        }
        for _ in 0..self.waiting.len() {
            self.answer_next(present, |question| question.is_exact && question.behind_seq <= applied_seq);
        }
        let exact = self.waiting.iter().filter(|question| question.is_exact);
        self.exact_seq = exact.map(|question| question.behind_seq).min().unwrap_or(u64::MAX);
    }

    /// Carries out the first question in line if its time has come, else puts it at the end.
    fn answer_next(&mut self, present: &mut Present<'_>, is_due: impl Fn(&Question) -> bool) {
        let Some(question) = self.waiting.pop_front() else { return };
        if is_due(&question) {
            (question.ask)(present);
        } else {
            self.waiting.push_back(question);
        }
    }
}

//! What is counted of questions and answers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::answer::Outcome;
use crate::message::Rcode;

/// Counts of one thread that answers: nobody else writes them, so that they cost nothing.
#[derive(Debug, Default)]
pub struct Counters {
    rcodes: [AtomicU64; 17],
    dropped: AtomicU64,
    truncated: AtomicU64,
    unsent: AtomicU64,
    limited: AtomicU64,
    slipped: AtomicU64,
    connections: AtomicU64,
}

/// Counts of a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Answers by what became of the question: [`Rcode`] 0 to 16.
    pub rcodes: [u64; 17],
    /// Messages that got no answer.
    pub dropped: u64,
    /// Answers that said that they are to be asked for by TCP.
    pub truncated: u64,
    /// Answers that could not be sent.
    pub unsent: u64,
    /// Answers that were not sent, as their network had too many.
    pub limited: u64,
    /// In whose place it was told to ask by TCP.
    pub slipped: u64,
    /// Connections that were accepted.
    pub connections: u64,
}

fn add(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
}

impl Counters {
    pub(super) fn answered(&self, outcome: Outcome, is_truncated: bool) {
        let Rcode(code) = outcome.rcode;
        if let Some(counter) = self.rcodes.get(usize::from(code)) {
            add(counter);
        }
        if is_truncated {
            add(&self.truncated);
        }
    }

    pub(super) fn dropped(&self) {
        add(&self.dropped);
    }

    pub(super) fn unsent(&self) {
        add(&self.unsent);
    }

    pub(super) fn limited(&self) {
        add(&self.limited);
    }

    pub(super) fn slipped(&self) {
        add(&self.slipped);
    }

    pub(super) fn connected(&self) {
        add(&self.connections);
    }

    /// The counts of this moment.
    pub fn read(&self) -> Counts {
        Counts {
            rcodes: self.rcodes.each_ref().map(|counter| counter.load(Relaxed)),
            dropped: self.dropped.load(Relaxed),
            truncated: self.truncated.load(Relaxed),
            unsent: self.unsent.load(Relaxed),
            limited: self.limited.load(Relaxed),
            slipped: self.slipped.load(Relaxed),
            connections: self.connections.load(Relaxed),
        }
    }
}

/// Of several threads together.
impl std::ops::Add for Counts {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.rcodes.iter_mut().zip(other.rcodes).for_each(|(one, other)| *one += other);
        Self {
            rcodes: self.rcodes,
            dropped: self.dropped + other.dropped,
            truncated: self.truncated + other.truncated,
            unsent: self.unsent + other.unsent,
            limited: self.limited + other.limited,
            slipped: self.slipped + other.slipped,
            connections: self.connections + other.connections,
        }
    }
}

//! Where requests wait while every server has as many as it may: of all cores, in the order in which they came
//! as far as that goes.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use tokio::sync::Notify;

/// A queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: AtomicU32,
    /// Somebody has room again.
    room: Notify,
}

/// A place in the queue, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Waiting<'a>(&'a Queue);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
        // There may be room for more than the one who was woken; and if he went without it, for another.
        self.0.freed();
    }
}

impl Queue {
    /// How many wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(SeqCst)
    }

    /// Takes a place, if fewer than `length` wait; says whether it is the first, of all cores exactly one:
    /// whoever has it has to look for room that came before anybody waited for it, and of which nobody was
    /// told.
    pub(crate) fn enter(&self, length: u32) -> Option<(Waiting<'_>, bool)> {
        let entered =
            self.waiting.try_update(SeqCst, SeqCst, |all| (all < length).then_some(all + 1));
        let before = entered.ok()?;
        Some((Waiting(self), before == 0))
    }

    /// A server may have room again: wakes whoever has waited for longest.
    pub(crate) fn freed(&self) {
        if self.waiting() > 0 {
            self.room.notify_one();
        }
    }

    /// Everything may be different: wakes all.
    pub(crate) fn changed(&self) {
        self.room.notify_waiters();
        self.freed();
    }
}

impl Waiting<'_> {
    /// Waits until there may be room. What happened before is not forgotten: one notice is kept.
    pub(crate) async fn room(&self) {
        self.0.room.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_who_come_at_once_exactly_one_is_the_first() {
        let queue = Queue::default();
        let (one, first) = queue.enter(2).unwrap();
        let (other, second) = queue.enter(2).unwrap();
        assert!(first && !second && queue.enter(2).is_none());
        drop((one, other));
        assert!(queue.enter(2).unwrap().1);
    }
}

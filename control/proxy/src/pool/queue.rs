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

    /// Takes a place, if fewer than `length` wait.
    pub(crate) fn enter(&self, length: u32) -> Option<Waiting<'_>> {
        let entered =
            self.waiting.try_update(SeqCst, SeqCst, |all| (all < length).then_some(all + 1));
        entered.is_ok().then(|| Waiting(self))
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

//! How many connections a frontend has, of all cores, and the wait of those for whom it has no room: one for
//! each listener is accepted and waits, the others stay in the kernel's queue.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use tokio::sync::Notify;

/// A frontend's.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    open: AtomicU32,
    /// Somebody has left, or the limit is another.
    room: Notify,
}

/// A connection that was let in, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Admitted(Arc<Admission>);

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, SeqCst);
        self.0.room.notify_one();
    }
}

impl Admission {
    /// Connections that are open.
    pub(crate) fn open(&self) -> u32 {
        self.open.load(SeqCst)
    }

    /// Lets one in, if fewer than `limit` are.
    pub(crate) fn admit(self: &Arc<Self>, limit: Option<u32>) -> Option<Admitted> {
        let more = |open: u32| (open < limit.unwrap_or(u32::MAX)).then_some(open + 1);
        self.open.try_update(SeqCst, SeqCst, more).ok()?;
        Some(Admitted(self.clone()))
    }

    /// Lets one in once there is room, by the limit of that moment.
    pub(crate) async fn wait(self: &Arc<Self>, limit: impl Fn() -> Option<u32>) -> Admitted {
        loop {
            let mut room = pin!(self.room.notified());
            // Whoever leaves from here on is not missed.
            room.as_mut().enable();
            if let Some(admitted) = self.admit(limit()) {
                // There may be room for another, who was not told because this one was.
                self.room.notify_one();
                return admitted;
            }
            room.await;
        }
    }

    /// The limit may be another: all look again.
    pub(crate) fn changed(&self) {
        self.room.notify_waiters();
    }
}

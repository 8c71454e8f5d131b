//! Where requests wait while every server has as many as it may: of all cores, in the order in which they came.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// A queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// How many are in the line, for those who need not lock it to know that nobody is.
    waiting: AtomicU32,
    line: Mutex<Line>,
}

#[derive(Debug, Default)]
struct Line {
    /// The number of whoever comes next.
    next: u64,
    /// Each is told when a server may have room for him.
    waiters: BTreeMap<u64, Arc<Notify>>,
}

/// A place in the queue, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Waiting<'a> {
    queue: &'a Queue,
    number: u64,
    room: Arc<Notify>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut line = self.queue.line.lock();
        line.waiters.remove(&self.number);
        self.queue.waiting.fetch_sub(1, SeqCst);
        // There may be room for more than the one who was woken; and if he went without it, for another.
        if let Some(first) = line.waiters.values().next() {
            first.notify_one();
        }
    }
}

impl Queue {
    /// How many wait.
    pub(crate) fn waiting(&self) -> u32 {
        self.waiting.load(SeqCst)
    }

    /// Takes the last place, if fewer than `length` wait; says whether it is the first, too: whoever has that
    /// has to look for room that came before anybody waited for it, and of which nobody was told.
    pub(crate) fn enter(&self, length: u32) -> Option<(Waiting<'_>, bool)> {
        let mut line = self.line.lock();
        if self.waiting() >= length {
            return None;
        }
        self.waiting.fetch_add(1, SeqCst);
        let (number, room) = (line.next, Arc::new(Notify::new()));
        line.next += 1;
        let is_first = line.waiters.is_empty();
        line.waiters.insert(number, room.clone());
        Some((Waiting { queue: self, number, room }, is_first))
    }

    /// A server may have room again: wakes whoever has waited for longest.
    pub(crate) fn freed(&self) {
        if self.waiting() > 0
            && let Some(first) = self.line.lock().waiters.values().next()
        {
            first.notify_one();
        }
    }

    /// Everything may be different: wakes all.
    pub(crate) fn changed(&self) {
        if self.waiting() > 0 {
            self.line.lock().waiters.values().for_each(|one| one.notify_one());
        }
    }
}

impl Waiting<'_> {
    /// Waits until there may be room. What happened before is not forgotten: one notice is kept.
    pub(crate) async fn room(&self) {
        self.room.notified().await;
    }

    /// There is room, but none for this one: wakes the next behind it.
    pub(crate) fn pass_on(&self) {
        let line = self.queue.line.lock();
        let behind = line.waiters.range((Excluded(self.number), Unbounded)).next();
        if let Some((_, next)) = behind {
            next.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

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

    #[test]
    fn room_is_offered_in_the_order_of_coming_and_passed_on() {
        let queue = Queue::default();
        let places: Vec<_> = (0..3).map(|_| queue.enter(3).unwrap().0).collect();
        let mut context = Context::from_waker(Waker::noop());
        let mut is_told = |place: &Waiting<'_>| pin!(place.room()).poll(&mut context).is_ready();
        let mut told = |places: &[Waiting<'_>]| places.iter().map(&mut is_told).collect::<Vec<_>>();
        queue.freed();
        assert_eq!(told(&places), [true, false, false]);
        places[0].pass_on();
        assert_eq!(told(&places), [false, true, false]);
        places[2].pass_on();
        assert_eq!(told(&places), [false; 3]);
        queue.changed();
        assert_eq!(told(&places), [true; 3]);
        // Whoever leaves makes room, perhaps.
        let mut places = places;
        drop(places.remove(1));
        assert_eq!(told(&places), [true, false]);
    }
}

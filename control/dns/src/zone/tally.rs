//! How many answers a zone has given, by what became of the questions. Threads that answer write to parts of their
//! own, as far as there are parts, so that they do not wait for each other's memory.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::message::Rcode;

/// Parts: more threads than this share some.
const PARTS: usize = 16;
/// Response codes that zones give: the first of all.
const CODES: usize = 8;

/// Counts of a zone.
#[derive(Debug, Default)]
pub(super) struct Tally {
    parts: [Part; PARTS],
}

/// What a thread writes, on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Part([AtomicU64; CODES]);

/// The part of the next thread that asks.
static NEXT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The part of this thread.
fn own() -> usize {
    OWN.with(|own| {
        if own.get() == usize::MAX {
            own.set(NEXT.fetch_add(1, Relaxed) % PARTS);
        }
        own.get()
    })
}

impl Tally {
    /// Counts an answer.
    pub(super) fn count(&self, Rcode(code): Rcode) {
        let Part(codes) = &self.parts[own()];
        if let Some(count) = codes.get(usize::from(code)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Answers with this code.
    pub(super) fn read(&self, Rcode(code): Rcode) -> u64 {
        let of_code =
            |Part(codes): &Part| codes.get(usize::from(code)).map_or(0, |it| it.load(Relaxed));
        self.parts.iter().map(of_code).sum()
    }
}

//! Fragments follow their first fragment: it alone has ports, so where it goes is remembered, and
//! later fragments of the datagram go there. Those that come before it wait, a moment.
//!
//! Everything has its size from the start: a flood of fragments replaces the oldest records and finds
//! no room to wait, but costs no memory.

use std::collections::VecDeque;
use std::net::IpAddr;

use ahash::RandomState;
use hashbrown::HashTable;
use packet::Summary;

/// Datagrams whose target is remembered.
const DATAGRAMS: usize = 4096;
/// How long, in milliseconds: RFC 791 section 3.2 recommends it for reassembly. Linux waits for 30 s
/// and RFC 8200 section 4.5 for 60 s, but an IPv4 identification may be used again before that.
const LIFETIME: u64 = 15_000;
/// Fragments that may wait for their first fragment.
const WAITING: usize = 256;
/// How long they do, in milliseconds.
const PATIENCE: u64 = 50;

/// What the fragments of one datagram have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// 0 in IPv6, where later fragments may name another than the first (RFC 8200 section 4.5).
    protocol: u8,
}

impl Key {
    /// Of this packet's datagram. `None` if the packet is a whole one.
    pub(crate) fn of(packet: &Summary) -> Option<Self> {
        let Summary { source, destination, protocol, .. } = *packet;
        let protocol = if source.is_ipv4() { protocol } else { 0 };
        packet.fragment.map(|fragment| Self { source, destination, id: fragment.id, protocol })
    }
}

/// What became of a first fragment's target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a first fragment of a known datagram goes where that goes"]
pub(crate) enum Recorded<T> {
    /// It is that of the datagram now.
    New,
    /// The datagram had a first fragment before, a duplicate or one with other ports, and keeps that
    /// one's target: this fragment goes there too, as no datagram is ever split.
    Known(T),
    /// As `New`, but a datagram that was not yet forgotten gave way.
    Full,
}

/// One worker's fragmented datagrams, with targets `T` and waiting frames `F`.
#[derive(Debug)]
pub(crate) struct Fragments<F, T> {
    /// A ring: the oldest is the next to be written over, so that age costs nothing.
    records: Vec<Record<T>>,
    /// Where the next one is written: the oldest, once the ring is full.
    next: usize,
    /// Key -> place in the ring. Never half full, so that it cleans itself up in place and never grows.
    places: HashTable<u16>,
    hasher: RandomState,
    /// In the order of their arrival, which is that of their deadlines.
    waiting: VecDeque<Waiting<F>>,
    ready: VecDeque<F>,
}

#[derive(Debug)]
struct Record<T> {
    key: Key,
    hash: u64,
    target: T,
    since: u64,
}

impl<T> Record<T> {
    fn is_alive(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.since) < LIFETIME
    }
}

#[derive(Debug)]
struct Waiting<F> {
    key: Key,
    deadline: u64,
    frame: F,
}

impl<F, T: Copy> Fragments<F, T> {
    /// Nothing remembered, nobody waiting.
    pub(crate) fn new() -> Self {
        Self {
            records: Vec::with_capacity(DATAGRAMS),
            next: 0,
            places: HashTable::with_capacity(DATAGRAMS * 3),
            hasher: RandomState::new(),
            waiting: VecDeque::with_capacity(WAITING),
            ready: VecDeque::with_capacity(WAITING),
        }
    }

    /// A first fragment has come and goes to `target`: remembers it, and readies the fragments that
    /// waited for it.
    pub(crate) fn first(&mut self, key: Key, target: T, now_ms: u64) -> Recorded<T> {
        self.release(&key);
        match self.later(&key, now_ms) {
            Some(known) => Recorded::Known(known),
            None => self.record(key, target, now_ms),
        }
    }

    /// Where a later fragment goes, if its first fragment came.
    pub(crate) fn later(&self, key: &Key, now_ms: u64) -> Option<T> {
        let hash = self.hasher.hash_one(key);
        let &place = self.places.find(hash, is_at(&self.records, key))?;
        let record = self.records.get(usize::from(place))?;
        record.is_alive(now_ms).then_some(record.target)
    }

    /// Keeps a later fragment until its first fragment comes. It may have come since: a burst's
    /// fragments are held when all its verdicts are known. Gives it back if too many wait.
    pub(crate) fn hold(&mut self, key: Key, frame: F, now_ms: u64) -> Result<(), F> {
        if self.waiting.len() + self.ready.len() >= WAITING {
            return Err(frame);
        }
        if self.later(&key, now_ms).is_some() {
            self.ready.push_back(frame);
            return Ok(());
        }
        self.waiting.push_back(Waiting { key, deadline: now_ms + PATIENCE, frame });
        Ok(())
    }

    /// A fragment that waited and whose first fragment has come, in the order of their arrival.
    pub(crate) fn next_ready(&mut self) -> Option<F> {
        self.ready.pop_front()
    }

    /// Gives `dropped` the fragments that have waited in vain. One comparison if there are none.
    pub(crate) fn expire(&mut self, now_ms: u64, mut dropped: impl FnMut(F)) {
        while let Some(late) = self.waiting.pop_front_if(|waiting| waiting.deadline <= now_ms) {
            dropped(late.frame);
        }
    }

    /// Moves the fragments of the datagram from those that wait to those that are ready.
    fn release(&mut self, key: &Key) {
        if !self.waiting.iter().any(|waiting| waiting.key == *key) {
            return;
        }
        for _ in 0..self.waiting.len() {
            match self.waiting.pop_front() {
                Some(waiting) if waiting.key == *key => self.ready.push_back(waiting.frame),
                Some(waiting) => self.waiting.push_back(waiting),
                None => break,
            }
        }
    }

    /// Writes a record, over the oldest if there is no room.
    fn record(&mut self, key: Key, target: T, now_ms: u64) -> Recorded<T> {
        let hash = self.hasher.hash_one(key);
        let record = Record { key, hash, target, since: now_ms };
        let Self { records, places, .. } = self;

        // One of the same key is dead, or `first` would have kept to it. Its record grows old.
        if let Ok(dead) = places.find_entry(hash, is_at(records, &key)) {
            dead.remove();
        }
        let place = self.next;
        self.next = (place + 1) % DATAGRAMS;
        let recorded = match records.get_mut(place) {
            None => {
                records.push(record);
                Recorded::New
            }
            Some(oldest) => {
                let gone = std::mem::replace(oldest, record);
                if let Ok(entry) = places.find_entry(gone.hash, |&other| other == place as u16) {
                    entry.remove();
                }
                if gone.is_alive(now_ms) { Recorded::Full } else { Recorded::New }
            }
        };
        places.insert_unique(hash, place as u16, |&place| records[usize::from(place)].hash);
        recorded
    }
}

/// Whether the record at a place is of this key.
fn is_at<T>(records: &[Record<T>], key: &Key) -> impl Fn(&u16) -> bool {
    |&place| records.get(usize::from(place)).is_some_and(|record| record.key == *key)
}

#[cfg(test)]
mod tests;

//! What those who call may take.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

/// Bounds of what callers can make this node hold and wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// Connections at a time from one address, or from one /64 of IPv6: nobody who is not of the
    /// site keeps the site's nodes out by holding all connections in handshakes.
    pub from_one: usize,
    /// Time for a handshake.
    pub handshake: Duration,
    /// Time for the next request to come in full, and for its answer to be taken.
    pub idle: Duration,
    /// Bytes of a line.
    pub line: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            from_one: 8,
            handshake: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            line: super::client::MAX_LINE,
        }
    }
}

/// Counts the connections that there are.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    limits: Limits,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place, given back on drop.
#[derive(Debug)]
pub(super) struct Slot {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    from: IpAddr,
}

impl Slots {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, taken: Arc::default() }
    }

    /// A place for a connection from there, if there is one.
    pub(super) fn take(&self, from: IpAddr) -> Option<Slot> {
        let from = site_of(from);
        let mut taken = self.taken.lock();
        let of_one = taken.get(&from).copied().unwrap_or(0);
        let of_all: usize = taken.values().sum();
        if of_one >= self.limits.from_one || of_all >= self.limits.connections {
            return None;
        }
        taken.insert(from, of_one + 1);
        Some(Slot { taken: Arc::clone(&self.taken), from })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.taken.lock();
        match taken.get_mut(&self.from) {
            Some(held) if *held > 1 => *held -= 1,
            Some(_) | None => {
                taken.remove(&self.from);
            }
        }
    }
}

/// Whom an address stands for: a host has a whole /64 of IPv6 to call from.
fn site_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(slots: &Slots, from: &str) -> Option<Slot> {
        slots.take(from.parse().unwrap())
    }

    #[test]
    fn places_are_bounded_in_all_and_per_caller_and_given_back() {
        let slots = Slots::new(Limits { connections: 3, from_one: 2, ..Limits::default() });
        let first = take(&slots, "192.0.2.1").unwrap();
        let _second = take(&slots, "192.0.2.1").unwrap();
        assert!(take(&slots, "192.0.2.1").is_none(), "two from one");
        assert!(take(&slots, "::ffff:192.0.2.1").is_none(), "the same one");
        let third = take(&slots, "192.0.2.2").unwrap();
        assert!(take(&slots, "192.0.2.3").is_none(), "three in all");

        drop(first);
        let _again = take(&slots, "192.0.2.1").unwrap();
        drop(third);
        assert!(take(&slots, "192.0.2.1").is_none(), "two from one");
        let _other = take(&slots, "192.0.2.3").unwrap();
    }

    #[test]
    fn those_who_left_are_not_remembered() {
        let slots = Slots::new(Limits::default());
        drop([take(&slots, "192.0.2.1"), take(&slots, "192.0.2.1"), take(&slots, "2001:db8::1")]);
        assert!(slots.taken.lock().is_empty());
    }

    #[test]
    fn a_64_is_one_caller() {
        let slots = Slots::new(Limits { from_one: 1, ..Limits::default() });
        let _one = take(&slots, "2001:db8:0:1::1").unwrap();
        assert!(take(&slots, "2001:db8:0:1:ffff::2").is_none());
        assert!(take(&slots, "2001:db8:0:2::1").is_some());
    }
}

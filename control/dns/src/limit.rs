//! How many answers a network gets that may not have asked: who forges the address of another has us send them to
//! it (response rate limiting).

use std::net::IpAddr;

/// Sets of networks that are remembered, and how many there are in each: the busiest of them all.
const SETS: usize = 1 << 14;
const WAYS: usize = 4;
/// Bits of an address that make a network.
const V4_BITS: u32 = 24;
const V6_BITS: u32 = 56;

/// Answers that a network gets by UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In a second, and at once after a rest.
    pub per_second: u16,
    /// Of so many that are too many one says that it is to be asked for by TCP, which whoever is there can do; 0:
    /// none does.
    pub slip: u8,
}

impl Default for Rate {
    fn default() -> Self {
        Self { per_second: 200, slip: 2 }
    }
}

/// What becomes of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent.
    Send,
    /// The asker is told to ask by TCP.
    Slip,
    /// It is not sent.
    Drop,
}

/// A network's account.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// A part of the network's hash; 0 if it is nobody's.
    tag: u32,
    /// When this was, in milliseconds.
    at: u32,
    /// Thousandths of answers that it may have.
    left: u32,
    /// Answers that were too many.
    over: u32,
}

/// The accounts of all networks, as far as there is room: those that are the longest in credit go first.
pub struct Limiter {
    rate: Rate,
    accounts: Box<[[Account; WAYS]]>,
    hasher: ahash::RandomState,
}

/// Too long to be told.
impl std::fmt::Debug for Limiter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limiter").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Limiter {
    /// Of one thread: of several, each has its share of the rate.
    pub fn new(rate: Rate) -> Self {
        let accounts = vec![[Account::default(); WAYS]; SETS].into();
        Self { rate, accounts, hasher: ahash::RandomState::new() }
    }

    /// What becomes of an answer to somebody who may be another than it says. `now` is milliseconds since some
    /// time, of which the last 32 bits count.
    pub fn judge(&mut self, asker: IpAddr, now: u32) -> Verdict {
        let hash = self.hasher.hash_one(network(asker));
        let tag = (hash >> 32) as u32 | 1;
        let set = &mut self.accounts[hash as usize % SETS];
        let full = u32::from(self.rate.per_second) * 1000;
        for account in &mut *set {
            let rest = now.wrapping_sub(account.at);
            // A thousandth for each millisecond and each answer a second.
            let earned = rest.saturating_mul(self.rate.per_second.into());
            account.left = account.left.saturating_add(earned).min(full);
            account.at = now;
        }
        let place = set.iter().position(|account| account.tag == tag).unwrap_or_else(|| {
            // Who has the most left loses the least.
            let free = |account: &Account| if account.tag == 0 { u32::MAX } else { account.left };
            let richest = (0..WAYS).max_by_key(|&way| free(&set[way])).unwrap_or(0);
            set[richest] = Account { tag, at: now, left: full, over: 0 };
            richest
        });
        let account = &mut set[place];
        if let Some(left) = account.left.checked_sub(1000) {
            account.left = left;
            return Verdict::Send;
        }
        account.over = account.over.wrapping_add(1);
        match u32::from(self.rate.slip) {
            0 => Verdict::Drop,
            slip if account.over.is_multiple_of(slip) => Verdict::Slip,
            _ => Verdict::Drop,
        }
    }
}

/// The network of an address.
fn network(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits() >> (32 - V4_BITS)),
        // No network of IPv6 is one of IPv4.
        IpAddr::V6(address) => 1 << 127 | address.to_bits() >> (128 - V6_BITS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// How many of so many answers are sent, slip, and are dropped.
    fn judge(limiter: &mut Limiter, asker: IpAddr, now: u32, count: usize) -> [usize; 3] {
        let mut all = [0; 3];
        for _ in 0..count {
            all[limiter.judge(asker, now) as usize] += 1;
        }
        all
    }

    #[test]
    fn a_network_gets_its_rate_and_every_other_is_told_to_come_by_tcp() {
        let mut limiter = Limiter::new(Rate::default());
        // Time goes on after 49 days.
        let start = u32::MAX - 500;
        assert_eq!(judge(&mut limiter, address("192.0.2.1"), start, 300), [200, 50, 50]);
        assert_eq!(judge(&mut limiter, address("192.0.2.200"), start, 10), [0, 5, 5]);
        let later = start.wrapping_add(100);
        assert_eq!(judge(&mut limiter, address("192.0.2.1"), later, 30), [20, 5, 5]);
        let much_later = start.wrapping_add(10_000);
        assert_eq!(judge(&mut limiter, address("192.0.2.1"), much_later, 300)[0], 200);
        // Others have theirs.
        assert_eq!(judge(&mut limiter, address("192.0.3.1"), start, 200), [200, 0, 0]);
        assert_eq!(judge(&mut limiter, address("2001:db8:0:100::1"), start, 201), [200, 0, 1]);
        assert_eq!(judge(&mut limiter, address("2001:db8:0:1ff::1"), start, 2)[0], 0);
        assert_eq!(judge(&mut limiter, address("2001:db8:0:200::1"), start, 200), [200, 0, 0]);
    }

    #[test]
    fn who_is_not_told_is_not_told() {
        let mut limiter = Limiter::new(Rate { per_second: 1, slip: 0 });
        assert_eq!(judge(&mut limiter, address("192.0.2.1"), 0, 10), [1, 0, 9]);
        let mut limiter = Limiter::new(Rate { per_second: 1, slip: 1 });
        assert_eq!(judge(&mut limiter, address("192.0.2.1"), 0, 10), [1, 9, 0]);
    }

    #[test]
    fn a_flood_from_everywhere_does_not_forget_who_asks_too_much() {
        let mut limiter = Limiter::new(Rate::default());
        let victim = address("192.0.2.1");
        assert_eq!(judge(&mut limiter, victim, 0, 200)[0], 200);
        let mut sent = 0;
        for other in 0..1_000_000_u32 {
            limiter.judge(IpAddr::from((0x0a00_0000 | other << 8).to_be_bytes()), 0);
            if other % 1000 == 0 {
                sent += judge(&mut limiter, victim, 0, 1)[0];
            }
        }
        assert_eq!(sent, 0, "those who asked once had more left");
    }
}

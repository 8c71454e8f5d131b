//! What of several is given: by chance, or by who asks.
//!
//! Either way a question has one number, and each of those that it may get has one that never changes; mixed they
//! decide (rendezvous hashing: Thaler and Ravishankar, 1996). So whoever asks again with the same number gets the
//! same, and when one goes only those move that had it. By chance the number is another for each question; sticky
//! ones take it from the client's network, keyed so that nobody can aim at one, and equal on all nodes that have
//! the key. Part of what nodes agree on: two releases run side by side.

use std::fmt;
use std::hash::Hasher as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use siphasher::sip::SipHasher13;

use super::client::Network;
use crate::answer::Question;
use crate::name::Name;

/// What numbers of clients and of what they get are made with: the same on all nodes of a site.
#[derive(Clone, Default)]
pub struct Secret([u8; 16]);

impl Secret {
    /// Of these bytes.
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// SipHash-1-3 of something, told apart from what is something else.
    fn number(&self, what: u8, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(&[what]);
        hasher.write(bytes);
        hasher.finish()
    }

    /// The number of what can be given.
    pub(super) fn of(&self, given: &impl Given) -> u64 {
        given.with_bytes(|what, bytes| self.number(what, bytes))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What a resolver can give.
pub(super) trait Given {
    /// Passes on what it is, and its bytes.
    fn with_bytes<T>(&self, pass: impl FnOnce(u8, &[u8]) -> T) -> T;
}

impl Given for Ipv4Addr {
    fn with_bytes<T>(&self, pass: impl FnOnce(u8, &[u8]) -> T) -> T {
        pass(4, &self.octets())
    }
}

impl Given for Ipv6Addr {
    fn with_bytes<T>(&self, pass: impl FnOnce(u8, &[u8]) -> T) -> T {
        pass(6, &self.octets())
    }
}

impl Given for Name {
    fn with_bytes<T>(&self, pass: impl FnOnce(u8, &[u8]) -> T) -> T {
        pass(0, self.wire())
    }
}

/// What is decided by a number, so that one decision says nothing of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Who is first, second, ...
    Order = 1,
    /// Whether one is given beside others.
    Beside = 2,
}

/// A question's number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draw(u64);

impl Draw {
    /// By chance: `turn` is another for each question.
    pub(super) fn by_chance(turn: u32) -> Self {
        Self(mix(turn.into()))
    }

    /// By the client's network.
    pub(super) fn of_client(network: &Network, secret: &Secret) -> Self {
        Self(match network.address {
            IpAddr::V4(address) => secret.number(b'c', &address.octets()),
            IpAddr::V6(address) => secret.number(b'C', &address.octets()),
        })
    }

    /// What it has to do with whoever has this number: above 0, and up to 1.
    pub(super) fn part(self, number: u64, purpose: Purpose) -> f64 {
        let mixed = mix(mix(self.0 ^ number).wrapping_add(purpose as u64));
        // 53 bits: as many as a double has.
        ((mixed >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// The lowest is first, the likelier the more weight it has (Efraimidis and Spirakis, 2006).
    pub(super) fn score(self, number: u64, weight: u64) -> f64 {
        -self.part(number, Purpose::Order).ln() / weight as f64
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// Where a list of so many begins this time. Who always asks twice in a row begins everywhere, too (Fibonacci
/// hashing: Knuth, volume 3, section 6.4).
pub(super) fn begin(turn: u32, count: usize) -> usize {
    let spread = turn.wrapping_mul(0x9e37_79b9);
    ((u64::from(spread) * count as u64) >> 32) as usize
}

/// The draw for a question, and how many bits of what was told of the client it goes by.
pub(super) fn draw(question: &Question, sticky: bool, secret: &Secret) -> (Draw, u8) {
    if !sticky {
        return (Draw::by_chance(question.turn), 0);
    }
    let network = Network::of(question);
    (Draw::of_client(&network, secret), network.scope())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes of different releases have to agree.
    #[test]
    fn numbers_stay_the_same_from_release_to_release() {
        let secret = Secret::new(*b"0123456789abcdef");
        let network = Network { address: [192, 0, 2, 0].into(), length: 24, is_told: true };
        let draw = Draw::of_client(&network, &secret);
        let number = secret.of(&Ipv4Addr::new(198, 51, 100, 1));
        let v6 = secret.of(&Ipv6Addr::LOCALHOST);
        let name = secret.of(&Name::parse(b"a.example.", None).unwrap());
        let expected = [
            0x0fdf_c568_38ec_e8f4,
            0x56e9_aa5f_200a_1444,
            0x4680_aabe_9027_cb9c,
            0x8fa2_7abb_1db5_f398,
        ];
        assert_eq!([draw.0, number, v6, name], expected);
        assert_eq!(format!("{:.9}", draw.part(number, Purpose::Beside)), "0.168540966");
        assert_eq!(format!("{:.9}", draw.score(number, 10)), "0.028720990");
        // None of it is told to whoever reads a log.
        assert_eq!(format!("{secret:?}"), "Secret");
    }

    #[test]
    fn parts_are_spread_evenly_and_one_purpose_says_nothing_of_another() {
        let (mut counts, mut both) = ([0_u32; 10], 0);
        for turn in 0..100_000 {
            let draw = Draw::by_chance(turn);
            let part = draw.part(7, Purpose::Order);
            assert!(part > 0.0 && part <= 1.0);
            counts[(part * 10.0).ceil() as usize - 1] += 1;
            both += u32::from(part < 0.5 && draw.part(7, Purpose::Beside) < 0.5);
        }
        assert!(counts.iter().all(|count| (9_600..10_400).contains(count)), "{counts:?}");
        assert!((24_400..25_600).contains(&both), "{both}");
    }

    #[test]
    fn a_list_begins_everywhere_also_for_who_asks_in_pairs() {
        for (count, step) in [(2, 1), (2, 2), (3, 2), (3, 3), (4, 2), (7, 1)] {
            let mut begins = vec![0; count];
            (0..1000 * count as u32).for_each(|turn| begins[begin(turn * step, count)] += 1);
            assert!(
                begins.iter().all(|it| (990..=1010).contains(it)),
                "{count} {step}: {begins:?}"
            );
        }
        assert_eq!(begin(9, 1), 0);
        assert_eq!(begin(9, 0), 0);
    }
}

//! What is served address by address and port by port: the lookup that every packet takes.
//!
//! Its keys are the Snapshot's, not an attacker's, and fill at most an eighth of its places; of some
//! seeds the one is taken with which they meet least (of thousands of keys some meet with any): never,
//! if they are a few dozen. So it takes one
//! multiplication, one comparison and no branch that is hard to foresee, a quarter of the
//! instructions of a general hash table.

/// A key, made of what a packet has.
pub(crate) trait Key: Copy + Eq {
    /// What no packet has.
    const NONE: Self;

    /// A number whose high bits differ where keys do, and in another way for each odd seed.
    fn mix(self, seed: u64) -> u64;
}

/// Odd, and without a pattern.
const K: u64 = 0x9e37_79b9_7f4a_7c15;

/// An address, a port and a protocol fill 56 bits.
impl Key for u64 {
    const NONE: Self = Self::MAX;

    #[inline]
    fn mix(self, seed: u64) -> u64 {
        self.wrapping_mul(seed)
    }
}

/// An address, and 24 bits for the rest.
impl Key for (u128, u32) {
    const NONE: Self = (0, u32::MAX);

    #[inline]
    fn mix(self, seed: u64) -> u64 {
        let (address, rest) = self;
        let high = (address >> 64) as u64 ^ u64::from(rest) << 8;
        let product = u128::from(address as u64 ^ K) * u128::from(high ^ K);
        (product as u64 ^ (product >> 64) as u64).wrapping_mul(seed)
    }
}

/// Service numbers by key.
#[derive(Debug)]
pub(crate) struct Exact<K> {
    /// A key lies at the place that its mix says, or at one of those behind, before the next
    /// free one. The last place is free.
    places: Box<[(K, u32)]>,
    seed: u64,
    /// Places that a mix may say.
    size: u32,
}

/// Seeds that are tried.
const SEEDS: u64 = 32;

impl<K: Key> Exact<K> {
    /// The table of these keys. Of equal ones the last is in it.
    pub(crate) fn new(entries: &[(K, u32)]) -> Self {
        let size = (entries.len() * 8).clamp(2, 1 << 30) as u32;
        let (mut seed, mut least) = (K, meetings(entries, K, size));
        for n in 1..SEEDS {
            // A seed for which none of very many keys meet is not to be found.
            if least == 0 || entries.len() > 1000 {
                break;
            }
            let other = K.wrapping_mul(2 * n + 1);
            let meetings = meetings(entries, other, size);
            if meetings < least {
                (seed, least) = (other, meetings);
            }
        }
        // Behind the last place that a mix says there is room for every key.
        let mut places = vec![(K::NONE, 0); size as usize + entries.len() + 1];
        for &(key, service) in entries {
            let mut behind = places[first(key, seed, size)..].iter_mut();
            let place = behind.find(|(k, _)| *k == K::NONE || *k == key);
            *place.expect("there are more places than keys") = (key, service);
        }
        Self { places: places.into(), seed, size }
    }

    /// The service of a key.
    #[inline(always)]
    pub(crate) fn get(&self, key: K) -> Option<u32> {
        let first = first(key, self.seed, self.size);
        let &(k, service) = self.places.get(first)?;
        if k == key { Some(service) } else { self.behind(first, key) }
    }

    /// The same behind its first place.
    #[cold]
    #[inline(never)]
    fn behind(&self, first: usize, key: K) -> Option<u32> {
        let mut places = self.places[first..].iter();
        let &(k, service) = places.find(|(k, _)| *k == key || *k == K::NONE)?;
        (k == key).then_some(service)
    }
}

impl<K: Key> Default for Exact<K> {
    fn default() -> Self {
        Self::new(&[])
    }
}

/// The place where a key is looked for first.
#[inline(always)]
fn first<K: Key>(key: K, seed: u64, size: u32) -> usize {
    let high = key.mix(seed) >> 32;
    ((high * u64::from(size)) >> 32) as usize
}

/// How many keys are not the only ones at their first place.
fn meetings<K: Key>(entries: &[(K, u32)], seed: u64, size: u32) -> usize {
    let mut places: Vec<_> = entries.iter().map(|&(key, _)| first(key, seed, size)).collect();
    places.sort_unstable();
    places.windows(2).filter(|pair| pair[0] == pair[1]).count()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_table_has_nothing() {
        assert_eq!(Exact::<u64>::new(&[]).get(0), None);
        assert_eq!(Exact::<u64>::default().get(7), None);
    }

    #[test]
    fn neighboring_addresses_and_ports_hardly_meet() {
        /// The longest row of places that are taken.
        fn longest<K: Key>(entries: &[(K, u32)]) -> usize {
            let free: Vec<_> =
                Exact::new(entries).places.iter().map(|(key, _)| *key == K::NONE).collect();
            free.split(|free| *free).map(<[_]>::len).max().unwrap_or(0)
        }
        // Last byte of the address, and first of the port, as they lie in a packet.
        let four: Vec<_> = (0..4096).map(|n| ((n & 0xff) << 56 | (n >> 8) << 8, 0)).collect();
        let six: Vec<_> = (0..4096)
            .map(|n| ((u128::from(n & 0xff) << 120 | 0xb80d_0120, (n >> 8) << 8), 0))
            .collect();
        assert!(longest(&four) <= 12, "{}", longest(&four));
        assert!(longest(&six) <= 12, "{}", longest(&six));
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_map(entries in vec((0..200_u64, 0..100_u32), 0..150)) {
            let table = Exact::new(&entries);
            let map: HashMap<_, _> = entries.into_iter().collect();
            for key in 0..200 {
                prop_assert_eq!(table.get(key), map.get(&key).copied());
            }
        }
    }
}

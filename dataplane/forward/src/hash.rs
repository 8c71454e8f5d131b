//! The site's keyed hash, and the specification by which all L4 nodes of a site agree.
//!
//! # Specification, version 1
//! Two releases run side by side in every upgrade, so all of this is fixed for a version:
//! whoever changes a value below changes [`HASH_VERSION`].
//!
//! **H(m)** is SipHash-1-3 with 64 bits of output of the message `m` under the site's key of 16
//! bytes.
//!
//! **Flow hash**: H of the 5-tuple as the packet carries it: source address, destination address,
//! source port, destination port, protocol, in network byte order and without padding; 13 bytes
//! for IPv4, 37 for IPv6. A service hashed by source takes H of the source address, 4 or 16
//! bytes, for the row instead.
//!
//! **Row**: the high 64 bits of the product of hash and number of rows, [`row`].
//!
//! ## Maglev table
//! A table is made of the number of rows, a prime up to 2^24, and of nodes with names and weights.
//! Those with weight 0 are left out; the others are put in the order of their names, byte by byte.
//! All arithmetic is on integers, and division rounds down.
//!
//! 1. *Quotas.* A node's exact share is rows x weight / sum of weights. Its quota is that rounded
//!    down, and one more for the nodes with the largest rests, the earlier name first where rests
//!    are equal, so that the quotas add up to the number of rows.
//! 2. *Claims.* A node has four streams of claims, `s` = 0 to 3. With `o` = row(H('o' s name),
//!    rows) and `d` = 1 + row(H('s' s name), rows - 1), claim `k` = 0 to rows - 1 of the stream is
//!    for row (o + k x d) mod rows. Here 'o' and 's' are bytes of these letters, s a byte of that
//!    value, and the name follows as UTF-8.
//! 3. *Times.* Let S(k) = 2^43 / rows + 2^43 / (rows - 1) + ... + 2^43 / (rows - k), each term
//!    rounded by itself. Claim `k` of a stream is made at time
//!    S(k) x ((2^64 - 1) / weight) / 2^64.
//! 4. *Rows.* Claims are heard in the order of time, then name, then stream. A claim succeeds if
//!    nobody has the row and the node has fewer rows than its quota.
//!
//! The *fingerprint* of a table: let f = 0; for each row, from row 0 on, f becomes
//! (f rotated left by 5 bits, xor H('n' 0 name of the owner)) x 9e3779b97f4a7c15, modulo 2^64.
//! The fingerprint is H('f' 0 rows f), with rows in 4 bytes and f in 8, both little-endian.
//!
//! ## Test vectors
//! The key is `000102030405060708090a0b0c0d0e0f`; where not said, the number of rows is 65537.
//!
//! | flow | hash | row |
//! |---|---|---|
//! | TCP 192.0.2.1:50000 -> 198.51.100.1:443 | `c3cca145f017360c` | 50125 |
//! | UDP 192.0.2.1:50000 -> 198.51.100.1:443 | `6fdf0cfca31abb54` | 28639 |
//! | TCP 192.0.2.1:50001 -> 198.51.100.1:443 | `e486ef677757d8ce` | 58503 |
//! | TCP \[2001:db8::1\]:50000 -> \[2001:db8::c633:6401\]:443 | `ff20e4437dd7742e` | 65313 |
//! | UDP \[2001:db8::1\]:50000 -> \[2001:db8::c633:6401\]:443 | `ecb559fb77a10f44` | 60598 |
//! | source 192.0.2.1 alone | `62f72a7f32dc3ac9` | 25335 |
//! | source 2001:db8::1 alone | `1b55009d1f661474` | 6997 |
//!
//! | nodes | weights | fingerprint |
//! |---|---|---|
//! | `l7-1` | 1 | `c7f5e93a4ea312d7` |
//! | `l7-1` to `l7-3` | 1 each | `ad679ac9e91f1b7b` |
//! | `l7-1` to `l7-3` | 1, 2, 3 | `e6bce361d5d26fd4` |
//! | `l7-1` to `l7-100` | 1 each | `684ec7b9f8a1cf32` |
//! | `l7-1` to `l7-100` | 1, 2, ... 100 | `dcf2c0efd9e2ce69` |
//!
//! With 19 rows, `l7-1` to `l7-3` of weights 1, 2, 3 own the rows in this order:
//! 2 2 3 3 3 3 1 3 2 3 3 1 1 3 2 3 3 2 2; the fingerprint is `6c94418773d8fcd0`.

mod lanes;
mod siphash;

use std::fmt;
use std::net::IpAddr;

use self::lanes::Lanes;
use self::siphash::siphash;
use crate::BURST;
use crate::flow::{Flow, Words4, Words6};

/// Version of the specification above. Another one moves every flow.
pub const HASH_VERSION: u32 = 1;

/// The row of a table of `rows` rows that a hash falls on.
#[inline]
pub const fn row(hash: u64, rows: u32) -> u32 {
    // The high half of the product is less than `rows`. Unlike a remainder it costs no division.
    ((hash as u128 * rows as u128) >> 64) as u32
}

/// The site's keyed hash.
///
/// `Debug` does not show the key.
#[derive(Clone, Copy)]
pub struct Hasher {
    key: [u64; 2],
    lanes: Lanes,
}

impl Hasher {
    /// The hash under this key, on what this CPU does best.
    pub fn new(key: [u8; 16]) -> Self {
        let key = u128::from_le_bytes(key);
        Self { key: [key as u64, (key >> 64) as u64], lanes: Lanes::detect() }
    }

    /// Hash of one flow.
    pub fn hash(&self, flow: &Flow) -> u64 {
        flow.with_message(|message| siphash(self.key, message))
    }

    /// Hashes of the IPv4 flows in the first `n` lanes. Those behind them in `out` mean nothing.
    #[inline]
    pub fn hash4(&self, words: &Words4, n: usize, out: &mut [u64; BURST]) {
        self.lanes.hash(self.key, words.words(), n, out);
    }

    /// Hashes of the IPv6 flows in the first `n` lanes. Those behind them in `out` mean nothing.
    #[inline]
    pub fn hash6(&self, words: &Words6, n: usize, out: &mut [u64; BURST]) {
        self.lanes.hash(self.key, words.words(), n, out);
    }

    /// Hash of a source address alone: its 4 or 16 bytes.
    pub fn source(&self, address: IpAddr) -> u64 {
        match address {
            IpAddr::V4(v4) => siphash(self.key, &v4.octets()),
            IpAddr::V6(v6) => siphash(self.key, &v6.octets()),
        }
    }

    /// A number that tells whether two keys are equal, but not what they are.
    pub fn fingerprint(&self) -> u64 {
        siphash(self.key, b"fingerprint of the hash key")
    }

    /// Hash of a message in parts.
    pub(crate) fn parts(&self, parts: &[&[u8]]) -> u64 {
        siphash(self.key, &parts.concat())
    }

    /// Hash of a node's name for one of the purposes of the specification.
    pub(crate) fn name(&self, purpose: [u8; 2], name: &str) -> u64 {
        self.parts(&[&purpose, name.as_bytes()])
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hasher({:016x}, {:?})", self.fingerprint(), self.lanes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::flow::tests::{flow4, flow6, set4, set6};

    const KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    fn flow(source: (&str, u16), destination: (&str, u16), protocol: u8) -> Flow {
        Flow {
            source: source.0.parse().unwrap(),
            source_port: source.1,
            destination: destination.0.parse().unwrap(),
            destination_port: destination.1,
            protocol,
        }
    }

    #[test]
    fn the_test_vectors_hold() {
        let hasher = Hasher::new(KEY);
        let vip4 = ("198.51.100.1", 443);
        let vip6 = ("2001:db8::c633:6401", 443);
        for (source, destination, protocol, hash, on_row) in [
            (("192.0.2.1", 50000), vip4, 6, 0xc3cc_a145_f017_360c, 50125),
            (("192.0.2.1", 50000), vip4, 17, 0x6fdf_0cfc_a31a_bb54, 28639),
            (("192.0.2.1", 50001), vip4, 6, 0xe486_ef67_7757_d8ce, 58503),
            (("2001:db8::1", 50000), vip6, 6, 0xff20_e443_7dd7_742e, 65313),
            (("2001:db8::1", 50000), vip6, 17, 0xecb5_59fb_77a1_0f44, 60598),
        ] {
            let flow = flow(source, destination, protocol);
            assert_eq!(hasher.hash(&flow), hash, "{flow:?}");
            assert_eq!(row(hash, 65537), on_row);
        }
        for (source, hash, on_row) in [
            ("192.0.2.1", 0x62f7_2a7f_32dc_3ac9, 25335),
            ("2001:db8::1", 0x1b55_009d_1f66_1474, 6997),
        ] {
            assert_eq!(hasher.source(source.parse().unwrap()), hash, "{source}");
            assert_eq!(row(hash, 65537), on_row);
        }
    }

    #[test]
    fn rows_are_in_the_table() {
        for rows in [2, 3, 65537, 16_777_213] {
            assert_eq!(row(0, rows), 0);
            assert_eq!(row(u64::MAX, rows), rows - 1);
            assert_eq!(row(1 << 63, rows), rows / 2);
        }
    }

    #[test]
    fn the_key_changes_hashes_and_fingerprint_and_is_not_shown() {
        let mut other = KEY;
        other[15] ^= 1;
        let [a, b] = [KEY, other].map(Hasher::new);
        let flow = flow(("192.0.2.1", 1), ("198.51.100.1", 80), 6);
        assert_ne!(a.hash(&flow), b.hash(&flow));
        assert_ne!(a.fingerprint(), b.fingerprint());
        assert_eq!(a.fingerprint(), Hasher::new(KEY).fingerprint());
        let key = format!("{:x}", a.key[0]);
        assert!(!format!("{a:?}").contains(&key));
    }

    proptest! {
        #[test]
        fn every_instruction_set_gives_the_same_hashes(
            key: [u8; 16],
            four in vec(flow4(), 1..=BURST),
            six in vec(flow6(), 1..=BURST),
        ) {
            let (mut words4, mut words6) = (Words4::new(), Words6::new());
            four.iter().enumerate().for_each(|(lane, flow)| set4(&mut words4, lane, flow));
            six.iter().enumerate().for_each(|(lane, flow)| set6(&mut words6, lane, flow));
            for lanes in Lanes::available() {
                let hasher = Hasher { lanes, ..Hasher::new(key) };
                let mut hashes = [0; BURST];
                hasher.hash4(&words4, four.len(), &mut hashes);
                for (flow, hash) in four.iter().zip(hashes) {
                    prop_assert_eq!(hash, hasher.hash(flow), "{:?} {:?}", lanes, flow);
                }
                hasher.hash6(&words6, six.len(), &mut hashes);
                for (flow, hash) in six.iter().zip(hashes) {
                    prop_assert_eq!(hash, hasher.hash(flow), "{:?} {:?}", lanes, flow);
                }
            }
        }
    }
}

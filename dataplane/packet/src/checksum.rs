//! The Internet checksum: the ones' complement of a ones' complement sum (RFC 1071).

use std::net::IpAddr;

/// A sum under way, over bytes that may come in several pieces.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Of 32-bit words; carries are folded back in after each piece.
    sum: u64,
    /// An odd number of bytes came so far: the next is the low half of a word.
    odd: bool,
}

impl Sum {
    /// Of nothing.
    pub const fn new() -> Self {
        Self { sum: 0, odd: false }
    }

    /// Of the pseudo header that precedes a TCP segment, UDP datagram or ICMPv6 message of `len`
    /// bytes (RFC 9293 section 3.1, RFC 8200 section 8.1). Addresses are of one family.
    pub fn pseudo(source: IpAddr, destination: IpAddr, protocol: u8, len: usize) -> Self {
        let sum = Self { sum: u64::from(protocol) + len as u64, odd: false };
        sum.address(source).address(destination)
    }

    fn address(self, address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => self.with(&v4.octets()),
            IpAddr::V6(v6) => self.with(&v6.octets()),
        }
    }

    /// With these bytes behind those so far.
    pub fn with(self, bytes: &[u8]) -> Self {
        let (sum, bytes) = match (self.odd, bytes) {
            (true, &[first, ref rest @ ..]) => (self.sum + u64::from(first), rest),
            (true, []) => return self,
            (false, bytes) => (self.sum, bytes),
        };
        let (words, rest) = bytes.as_chunks::<4>();
        let words: u64 = words.iter().map(|&word| u64::from(u32::from_be_bytes(word))).sum();
        let (rest, odd) = match *rest {
            [] => (0, false),
            [a] => (u16::from_be_bytes([a, 0]).into(), true),
            [a, b] => (u16::from_be_bytes([a, b]).into(), false),
            // Four bytes or more would have been a word.
            [a, b, c, ..] => (u32::from_be_bytes([a, b, c, 0]).into(), true),
        };
        let sum = sum + (words & 0xffff_ffff) + (words >> 32) + rest;
        Self { sum: (sum & 0xffff_ffff) + (sum >> 32), odd }
    }

    /// The checksum: what belongs, big endian, into the field that was zero in the sum.
    pub fn finish(self) -> u16 {
        !fold(self.sum)
    }

    /// The same for UDP, where 0 would say that there is none (RFC 768).
    pub fn finish_udp(self) -> u16 {
        match self.finish() {
            0 => 0xffff,
            checksum => checksum,
        }
    }

    /// Whether the sum, over bytes that hold their checksum, is that of bytes received as sent.
    pub fn is_valid(self) -> bool {
        self.finish() == 0
    }
}

/// The checksum of one piece, without a pseudo header: IPv4 header, ICMP message.
pub fn of(bytes: &[u8]) -> u16 {
    Sum::new().with(bytes).finish()
}

/// Whether one piece that holds its checksum is as it was sent.
pub fn is_valid(bytes: &[u8]) -> bool {
    Sum::new().with(bytes).is_valid()
}

/// The checksum after one 16-bit word under it changed (RFC 1624, equation 3).
pub fn update(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(u64::from(!checksum) + u64::from(!old) + u64::from(new))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// RFC 1071 section 4.1, word by word.
    fn reference(bytes: &[u8]) -> u16 {
        let mut sum = 0_u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | pair.get(1).copied().map_or(0, u32::from);
            sum = (sum & 0xffff) + (sum >> 16);
        }
        !(sum as u16)
    }

    #[test]
    fn the_example_of_rfc_1071() {
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(of(&bytes), !0xddf2);
    }

    #[test]
    fn the_pseudo_header_is_summed_as_if_it_were_there() {
        let v4: [IpAddr; 2] = ["192.0.2.1", "198.51.100.1"].map(|a| a.parse().unwrap());
        let bytes = [192, 0, 2, 1, 198, 51, 100, 1, 0, 17, 0x12, 0x34];
        assert_eq!(Sum::pseudo(v4[0], v4[1], 17, 0x1234).finish(), reference(&bytes));

        let v6: [IpAddr; 2] = ["2001:db8::1", "2001:db8::2"].map(|a| a.parse().unwrap());
        let mut bytes = vec![0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        bytes.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        bytes.extend([0x00, 0x01, 0x00, 0x02, 0, 0, 0, 58]);
        assert_eq!(Sum::pseudo(v6[0], v6[1], 58, 0x1_0002).finish(), reference(&bytes));
    }

    #[test]
    fn only_udp_avoids_zero() {
        let ones = Sum::new().with(&[0xff, 0xff]);
        assert_eq!((ones.finish(), ones.finish_udp()), (0, 0xffff));
    }

    #[test]
    fn the_sum_of_much_does_not_overflow() {
        let megabyte = vec![0xff; 1 << 20];
        let sum = (0..64).fold(Sum::new(), |sum, _| sum.with(&megabyte));
        assert_eq!(sum.finish(), 0);
    }

    proptest! {
        #[test]
        fn pieces_sum_to_the_whole(bytes: Vec<u8>, cuts: [prop::sample::Index; 2]) {
            let mut cuts = cuts.map(|cut| cut.index(bytes.len() + 1));
            cuts.sort_unstable();
            let [a, b] = cuts;
            let sum = Sum::new().with(&bytes[..a]).with(&bytes[a..b]).with(&bytes[b..]);
            prop_assert_eq!(sum.finish(), reference(&bytes));
        }

        #[test]
        fn an_update_equals_a_new_sum(words in prop::collection::vec(any::<u16>(), 1..40), new: u16) {
            // All zero has two representations, which RFC 1624 leaves apart.
            prop_assume!(words[1..].iter().any(|&word| word != 0));
            let bytes = |words: &[u16]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<_>>();
            let before = of(&bytes(&words));
            let after: Vec<u16> = [&[new], &words[1..]].concat();
            prop_assert_eq!(update(before, words[0], new), of(&bytes(&after)));
        }

        #[test]
        fn one_changed_bit_is_noticed(mut bytes in prop::collection::vec(any::<u8>(), 4..64), bit: prop::sample::Index) {
            bytes.truncate(bytes.len() & !1);
            bytes[..2].fill(0);
            let checksum = of(&bytes);
            bytes[..2].copy_from_slice(&checksum.to_be_bytes());
            prop_assert!(is_valid(&bytes));
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!is_valid(&bytes));
        }
    }
}

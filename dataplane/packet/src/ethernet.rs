//! Ethernet II frames, with at most one 802.1Q tag.

use std::fmt;
use std::str::FromStr;

use crate::{Malformed, be16};

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of an 802.1Q tag: the real one follows the tag.
pub const VLAN: u16 = 0x8100;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;

/// Bytes of a header without a tag.
pub const HEADER_LEN: usize = 14;
/// Bytes of a tag.
pub const TAG_LEN: usize = 4;

/// A link-layer address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Every station.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Whether it names a group of stations; broadcast is one.
    #[inline]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Not six hexadecimal bytes separated by colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMac;

impl fmt::Display for NotAMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a MAC address is six bytes like 02:00:00:00:00:01")
    }
}

impl std::error::Error for NotAMac {}

impl FromStr for Mac {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let mut mac = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut mac {
            let part = parts.next().ok_or(NotAMac)?;
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(NotAMac);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| NotAMac)?;
        }
        if parts.next().is_some() {
            return Err(NotAMac);
        }
        Ok(Self(mac))
    }
}

/// An Ethernet II frame.
#[derive(Clone, Copy, Debug)]
pub struct Ethernet<'a> {
    header: &'a [u8; HEADER_LEN],
    tag: Option<&'a [u8; TAG_LEN]>,
    payload: &'a [u8],
}

impl<'a> Ethernet<'a> {
    /// Checks that the header is there, and the rest of the tag if one is announced.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (header, rest) = bytes.split_first_chunk::<HEADER_LEN>().ok_or(Malformed)?;
        if be16(header, 12) != VLAN {
            return Ok(Self { header, tag: None, payload: rest });
        }
        let (tag, payload) = rest.split_first_chunk::<TAG_LEN>().ok_or(Malformed)?;
        Ok(Self { header, tag: Some(tag), payload })
    }

    /// The station it is for.
    pub fn destination(&self) -> Mac {
        let h = self.header;
        Mac([h[0], h[1], h[2], h[3], h[4], h[5]])
    }

    /// The station that sent it.
    pub fn source(&self) -> Mac {
        let h = self.header;
        Mac([h[6], h[7], h[8], h[9], h[10], h[11]])
    }

    /// The VLAN of its tag (IEEE 802.1Q). 0 is a tag with a priority and no VLAN.
    pub fn vlan(&self) -> Option<u16> {
        self.tag.map(|tag| be16(tag, 0) & 0x0fff)
    }

    /// What the payload is. In a frame of two tags it is that of the second one.
    pub fn ethertype(&self) -> u16 {
        match self.tag {
            Some(tag) => be16(tag, 2),
            None => be16(self.header, 12),
        }
    }

    /// Bytes in front of the payload.
    pub fn header_len(&self) -> usize {
        HEADER_LEN + self.tag.map_or(0, |tag| tag.len())
    }

    /// What follows the header, padding included.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build;

    const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const NODE: Mac = Mac([2, 0, 0, 0, 0, 2]);

    #[test]
    fn a_tag_is_read_and_stands_before_the_payload() {
        for (vlan, header_len) in [(None, 14), (Some(7), 18), (Some(4095), 18)] {
            let bytes = build::frame(NODE, ROUTER, vlan, &[0x45, 1, 2, 3]);
            let frame = Ethernet::parse(&bytes).unwrap();
            assert_eq!(frame.destination(), NODE);
            assert_eq!(frame.source(), ROUTER);
            assert_eq!(frame.vlan(), vlan);
            assert_eq!(frame.ethertype(), IPV4);
            assert_eq!(frame.header_len(), header_len);
            assert_eq!(frame.payload(), [0x45, 1, 2, 3]);
        }
    }

    #[test]
    fn priority_bits_are_not_of_the_vlan() {
        let mut bytes = build::frame(NODE, ROUTER, Some(7), &[0x60]);
        bytes[HEADER_LEN] |= 0xf0;
        let frame = Ethernet::parse(&bytes).unwrap();
        assert_eq!((frame.vlan(), frame.ethertype()), (Some(7), IPV6));
    }

    #[test]
    fn a_frame_that_ends_in_its_header_is_malformed() {
        for vlan in [None, Some(7)] {
            let bytes = build::frame(NODE, ROUTER, vlan, &[0x45]);
            for len in 0..bytes.len() - 1 {
                assert_eq!(Ethernet::parse(&bytes[..len]).err(), Some(Malformed), "{len}");
            }
        }
    }

    #[test]
    fn addresses_are_written_as_they_are_read() {
        assert_eq!("02:00:00:00:0a:fF".parse(), Ok(Mac([2, 0, 0, 0, 10, 255])));
        assert_eq!(Mac([2, 0, 0, 0, 10, 255]).to_string(), "02:00:00:00:0a:ff");
        for text in
            ["", "02:00:00:00:00", "02:00:00:00:00:01:02", "2:0:0:0:0:1", "+2:00:00:00:00:01"]
        {
            assert_eq!(text.parse::<Mac>(), Err(NotAMac), "{text}");
        }
        assert!(Mac::BROADCAST.is_multicast() && !NODE.is_multicast());
    }
}

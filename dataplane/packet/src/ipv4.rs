//! IPv4 headers and their options (RFC 791).

use std::net::Ipv4Addr;

use crate::{Malformed, be16};

const MIN_LEN: usize = 20;

const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
/// In units of 8 bytes.
const FRAGMENT_OFFSET: u16 = 0x1fff;

/// An IPv4 packet: header, options and payload, without link-layer padding.
#[derive(Clone, Copy, Debug)]
pub struct Ipv4<'a> {
    header: &'a [u8; MIN_LEN],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Ipv4<'a> {
    /// Checks version, header length, options and total length, and drops what follows the packet.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let packet = Self::parse_prefix(bytes)?;
        if bytes.len() < packet.total_len() {
            return Err(Malformed);
        }
        Ok(packet)
    }

    /// The same for a packet whose end may be missing: it lies in another segment, or an ICMP error
    /// quotes no more. Its payload is what there is of it.
    pub fn parse_prefix(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = bytes.first_chunk::<MIN_LEN>().ok_or(Malformed)?;
        if header[0] >> 4 != 4 {
            return Err(Malformed);
        }
        let header_len = usize::from(header[0] & 0x0f) * 4;
        let options = bytes.get(MIN_LEN..header_len).ok_or(Malformed)?;
        let end = bytes.len().min(be16(header, 2).into());
        let payload = bytes.get(header_len..end).ok_or(Malformed)?;
        if !Ipv4Options(options).all(|option| option.is_ok()) {
            return Err(Malformed);
        }
        Ok(Self { header, options, payload })
    }

    /// Source address.
    pub fn source(&self) -> Ipv4Addr {
        let h = self.header;
        Ipv4Addr::new(h[12], h[13], h[14], h[15])
    }

    /// Destination address.
    pub fn destination(&self) -> Ipv4Addr {
        let h = self.header;
        Ipv4Addr::new(h[16], h[17], h[18], h[19])
    }

    /// DSCP (RFC 2474) in the upper six bits, ECN (RFC 3168) in the lower two.
    pub fn traffic_class(&self) -> u8 {
        self.header[1]
    }

    /// Length of header, options and payload, as the header states it.
    pub fn total_len(&self) -> usize {
        be16(self.header, 2).into()
    }

    /// Length of header and options.
    pub fn header_len(&self) -> usize {
        MIN_LEN + self.options.len()
    }

    /// What the fragments of one datagram have in common.
    pub fn id(&self) -> u16 {
        be16(self.header, 4)
    }

    /// Whether routers may not fragment it.
    pub fn dont_fragment(&self) -> bool {
        be16(self.header, 6) & DONT_FRAGMENT != 0
    }

    /// Whether a later fragment follows this one.
    pub fn more_fragments(&self) -> bool {
        be16(self.header, 6) & MORE_FRAGMENTS != 0
    }

    /// The payload's place in the datagram, in bytes.
    pub fn fragment_offset(&self) -> u16 {
        (be16(self.header, 6) & FRAGMENT_OFFSET) << 3
    }

    /// Whether this is one piece of a larger datagram: more fragments follow, or some came before.
    pub fn is_fragment(&self) -> bool {
        be16(self.header, 6) & (MORE_FRAGMENTS | FRAGMENT_OFFSET) != 0
    }

    /// Time to live.
    pub fn ttl(&self) -> u8 {
        self.header[8]
    }

    /// Protocol number of the payload.
    pub fn protocol(&self) -> u8 {
        self.header[9]
    }

    /// Checksum of header and options.
    pub fn checksum(&self) -> u16 {
        be16(self.header, 10)
    }

    /// The options, one by one, without padding.
    pub fn options(&self) -> impl Iterator<Item = Ipv4Option<'a>> + use<'a> {
        Ipv4Options(self.options).flatten()
    }

    /// What follows the header, up to the packet's stated length.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// An option of an IPv4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Option<'a> {
    /// Its type byte: copied flag, class and number.
    pub kind: u8,
    /// What follows its length byte.
    pub data: &'a [u8],
}

impl Ipv4Option<'_> {
    /// Whether every fragment carries it, not only the first.
    pub fn is_copied(&self) -> bool {
        self.kind & 0x80 != 0
    }
}

/// End of the options.
const END: u8 = 0;
/// Padding between two options.
const NO_OPERATION: u8 = 1;

/// Walks options. Ends after the first that is malformed.
struct Ipv4Options<'a>(&'a [u8]);

impl<'a> Iterator for Ipv4Options<'a> {
    type Item = Result<Ipv4Option<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while let &[NO_OPERATION, ref rest @ ..] = self.0 {
            self.0 = rest;
        }
        let (kind, len) = match *std::mem::take(&mut self.0) {
            [] | [END, ..] => return None,
            [_] => return Some(Err(Malformed)),
            [kind, len, ref rest @ ..] => (kind, (len, rest)),
        };
        let (len, rest) = len;
        let split = usize::from(len).checked_sub(2).and_then(|len| rest.split_at_checked(len));
        Some(split.ok_or(Malformed).map(|(data, rest)| {
            self.0 = rest;
            Ipv4Option { kind, data }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Ip;
    use crate::{checksum, protocol};

    /// Loose source route by way of one router (RFC 791 section 3.1).
    const ROUTE: [u8; 7] = [131, 7, 4, 192, 0, 2, 9];

    fn packet() -> Ip {
        Ip::between("192.0.2.1", "198.51.100.1").udp(1000, 53, b"hello")
    }

    #[test]
    fn fields_are_read_from_their_places() {
        let bytes = packet().id(0x1234).ttl(9).traffic_class(0xb9).dont_fragment().build();
        let ip = Ipv4::parse(&bytes).unwrap();
        assert_eq!(ip.source(), Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(ip.destination(), Ipv4Addr::new(198, 51, 100, 1));
        assert_eq!((ip.id(), ip.ttl(), ip.traffic_class()), (0x1234, 9, 0xb9));
        assert_eq!((ip.protocol(), ip.total_len(), ip.header_len()), (protocol::UDP, 33, 20));
        assert_eq!(ip.payload(), &bytes[20..]);
        assert!(ip.dont_fragment() && !ip.is_fragment() && !ip.more_fragments());
        assert!(checksum::is_valid(&bytes[..20]));
        assert_eq!(ip.options().next(), None);
    }

    #[test]
    fn fragments_know_their_place() {
        let datagram = Ip::between("192.0.2.1", "198.51.100.1").udp(1000, 53, &[7; 100]);
        let places: Vec<_> = datagram
            .fragments(5, 48)
            .iter()
            .map(|bytes| Ipv4::parse(bytes).unwrap())
            .map(|ip| (ip.id(), ip.fragment_offset(), ip.more_fragments(), ip.is_fragment()))
            .collect();
        assert_eq!(places, [(5, 0, true, true), (5, 48, true, true), (5, 96, false, true)]);
    }

    #[test]
    fn options_are_listed_without_their_padding() {
        let bytes =
            packet().options(&[&[1][..], &ROUTE, &[1, 148, 4, 0, 0, 0, 99]].concat()).build();
        let ip = Ipv4::parse(&bytes).unwrap();
        let options: Vec<_> = ip.options().collect();
        assert_eq!(
            options,
            [
                Ipv4Option { kind: 131, data: &ROUTE[2..] },
                Ipv4Option { kind: 148, data: &[0, 0] }, // router alert (RFC 2113)
            ]
        );
        assert!(options[0].is_copied());
        assert_eq!(ip.payload().len(), 13);
        assert!(checksum::is_valid(&bytes[..ip.header_len()]));
    }

    #[test]
    fn options_that_lie_about_their_length_are_malformed() {
        for options in [[7, 0, 0, 0], [7, 1, 0, 0], [7, 5, 0, 0], [1, 1, 1, 7], [7, 3, 4, 7]] {
            let bytes = packet().options(&options).build();
            assert_eq!(Ipv4::parse(&bytes).err(), Some(Malformed), "{options:?}");
        }
        for options in [[0, 0, 0, 0], [1, 1, 1, 1], [7, 4, 0, 0], [1, 7, 3, 4], [7, 2, 0, 7]] {
            assert!(Ipv4::parse(&packet().options(&options).build()).is_ok(), "{options:?}");
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_malformed() {
        let good = packet().build();
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Ipv4::parse(&bytes).map(|ip| ip.payload().len())
        };
        assert_eq!(with(0, 0x45), Ok(13));
        assert_eq!(with(0, 0x55), Err(Malformed), "version");
        assert_eq!(with(0, 0x44), Err(Malformed), "header shorter than its fields");
        assert_eq!(with(0, 0x4f), Err(Malformed), "header longer than the packet");
        assert_eq!(with(3, 19), Err(Malformed), "packet shorter than its header");
        assert_eq!(with(3, 20), Ok(0));
        assert_eq!(with(3, 32), Ok(12), "what follows is padding");
        assert_eq!(with(3, 34), Err(Malformed), "packet longer than what came");
    }

    #[test]
    fn a_packet_cut_short_is_refused_whole_and_read_as_a_prefix() {
        let bytes = packet().build();
        for len in 0..bytes.len() {
            assert!(Ipv4::parse(&bytes[..len]).is_err(), "{len}");
            let prefix = Ipv4::parse_prefix(&bytes[..len]).map(|ip| ip.payload().len());
            assert_eq!(prefix, len.checked_sub(20).ok_or(Malformed), "{len}");
        }
    }
}

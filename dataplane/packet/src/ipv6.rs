//! The fixed IPv6 header (RFC 8200 section 3). Extension headers: [`extension`](crate::extension).

use std::net::Ipv6Addr;

use crate::{Malformed, be16, be32};

const LEN: usize = 40;
const SOURCE: usize = 8;
const DESTINATION: usize = 24;

/// An IPv6 packet: fixed header and payload, without link-layer padding.
#[derive(Clone, Copy, Debug)]
pub struct Ipv6<'a> {
    header: &'a [u8; LEN],
    payload: &'a [u8],
}

impl<'a> Ipv6<'a> {
    /// Checks version and payload length, and drops what follows the packet. Jumbograms (RFC 2675),
    /// whose length is elsewhere, are refused.
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
        let (header, rest) = bytes.split_first_chunk::<LEN>().ok_or(Malformed)?;
        let payload_len = usize::from(be16(header, 4));
        if header[0] >> 4 != 6 || payload_len == 0 {
            return Err(Malformed);
        }
        Ok(Self { header, payload: rest.get(..payload_len).unwrap_or(rest) })
    }

    /// Source address.
    pub fn source(&self) -> Ipv6Addr {
        address(self.header, SOURCE)
    }

    /// Destination address.
    pub fn destination(&self) -> Ipv6Addr {
        address(self.header, DESTINATION)
    }

    /// DSCP (RFC 2474) in the upper six bits, ECN (RFC 3168) in the lower two.
    pub fn traffic_class(&self) -> u8 {
        (be16(self.header, 0) >> 4) as u8
    }

    /// Flow label (RFC 6437), 20 bits.
    pub fn flow_label(&self) -> u32 {
        be32(self.header, 0) & 0xf_ffff
    }

    /// Length of header and payload, as the header states it.
    pub fn total_len(&self) -> usize {
        LEN + usize::from(be16(self.header, 4))
    }

    /// Length of the fixed header.
    pub fn header_len(&self) -> usize {
        LEN
    }

    /// Protocol number of what follows: an extension header, or the upper layer.
    pub fn next_header(&self) -> u8 {
        self.header[6]
    }

    /// Hop limit.
    pub fn hop_limit(&self) -> u8 {
        self.header[7]
    }

    /// What follows the fixed header, up to the packet's stated length.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

/// The address at `at`, which is [`SOURCE`] or [`DESTINATION`].
fn address(header: &[u8; LEN], at: usize) -> Ipv6Addr {
    Ipv6Addr::from_octets(std::array::from_fn(|i| header[at + i]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build::Ip;
    use crate::protocol;

    fn packet() -> Ip {
        Ip::between("2001:db8::1", "2001:db8::2").udp(1000, 53, b"hello")
    }

    #[test]
    fn fields_are_read_from_their_places() {
        let bytes = packet().ttl(9).traffic_class(0xb9).flow_label(0xa_bcde).build();
        let ip = Ipv6::parse(&bytes).unwrap();
        assert_eq!(ip.source(), "2001:db8::1".parse::<Ipv6Addr>().unwrap());
        assert_eq!(ip.destination(), "2001:db8::2".parse::<Ipv6Addr>().unwrap());
        assert_eq!((ip.hop_limit(), ip.traffic_class(), ip.flow_label()), (9, 0xb9, 0xa_bcde));
        assert_eq!((ip.next_header(), ip.total_len()), (protocol::UDP, 53));
        assert_eq!(ip.payload(), &bytes[40..]);
    }

    #[test]
    fn lengths_that_do_not_fit_are_malformed() {
        let good = packet().build();
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Ipv6::parse(&bytes).map(|ip| ip.payload().len())
        };
        assert_eq!(with(0, 0x60), Ok(13));
        assert_eq!(with(0, 0x40), Err(Malformed), "version");
        assert_eq!(with(5, 0), Err(Malformed), "jumbogram");
        assert_eq!(with(5, 12), Ok(12), "what follows is padding");
        assert_eq!(with(5, 14), Err(Malformed), "packet longer than what came");
    }

    #[test]
    fn a_packet_cut_short_is_refused_whole_and_read_as_a_prefix() {
        let bytes = packet().build();
        for len in 0..bytes.len() {
            assert!(Ipv6::parse(&bytes[..len]).is_err(), "{len}");
            let prefix = Ipv6::parse_prefix(&bytes[..len]).map(|ip| ip.payload().len());
            assert_eq!(prefix, len.checked_sub(40).ok_or(Malformed), "{len}");
        }
    }
}

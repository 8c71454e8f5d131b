//! ICMP messages of both families (RFC 792, RFC 4443).

use crate::{Malformed, be16, be32};

const LEN: usize = 8;

/// Message types and codes of ICMP for IPv4 (RFC 792).
pub mod v4 {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable: an error.
    pub const UNREACHABLE: u8 = 3;
    /// Code of [`UNREACHABLE`]: nobody listens on the port.
    pub const PORT: u8 = 3;
    /// Code of [`UNREACHABLE`]: fragmentation needed, but DF set (RFC 1191).
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    /// Source quench: an error, deprecated by RFC 6633.
    pub const SOURCE_QUENCH: u8 = 4;
    /// Redirect: quotes a packet, and is meant for the host alone.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded: an error.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem: an error.
    pub const PARAMETER_PROBLEM: u8 = 12;
}

/// Message types and codes of ICMP for IPv6 (RFC 4443, RFC 4861).
pub mod v6 {
    /// Destination unreachable: an error, as are all types below 128.
    pub const UNREACHABLE: u8 = 1;
    /// Code of [`UNREACHABLE`]: nobody listens on the port.
    pub const PORT: u8 = 4;
    /// Packet too big.
    pub const TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// First of the five types of neighbor discovery.
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// Neighbor solicitation.
    pub const NEIGHBOR_SOLICITATION: u8 = 135;
    /// Neighbor advertisement.
    pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    /// Last type of neighbor discovery.
    pub const REDIRECT: u8 = 137;
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Asks for an echo.
    EchoRequest,
    /// Is one.
    EchoReply,
    /// An error: the packet quoted did not fit.
    TooBig {
        /// The next link's MTU; 0 if an old router does not say (RFC 1191 section 5).
        mtu: u32,
    },
    /// Another error about the packet quoted.
    Error,
    /// Neighbor discovery (RFC 4861).
    NeighborDiscovery,
    /// Anything else.
    Other,
}

/// An ICMP message.
#[derive(Clone, Copy, Debug)]
pub struct Icmp<'a> {
    header: &'a [u8; LEN],
    body: &'a [u8],
    kind: Kind,
}

impl<'a> Icmp<'a> {
    /// Of an IPv4 packet whose payload is `bytes`, or begins with them. Messages shorter than eight
    /// bytes are malformed.
    pub fn parse_v4(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::parse(bytes, kind_v4)
    }

    /// Of an IPv6 packet, the same.
    pub fn parse_v6(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::parse(bytes, kind_v6)
    }

    fn parse(bytes: &'a [u8], kind: fn(&[u8; LEN]) -> Kind) -> Result<Self, Malformed> {
        let (header, body) = bytes.split_first_chunk::<LEN>().ok_or(Malformed)?;
        Ok(Self { header, body, kind: kind(header) })
    }

    /// What it is for, by type and code.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Type, whose meaning depends on the family.
    pub fn message_type(&self) -> u8 {
        self.header[0]
    }

    /// Code.
    pub fn code(&self) -> u8 {
        self.header[1]
    }

    /// Checksum; in IPv6 with the pseudo header.
    pub fn checksum(&self) -> u16 {
        be16(self.header, 2)
    }

    /// What follows the eight bytes that all messages have.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The packet that an error is about, or its beginning. RFC 4884 lets extensions follow it.
    pub fn quoted(&self) -> Option<&'a [u8]> {
        match self.kind {
            Kind::TooBig { .. } | Kind::Error => Some(self.body),
            Kind::EchoRequest | Kind::EchoReply | Kind::NeighborDiscovery | Kind::Other => None,
        }
    }
}

fn kind_v4(header: &[u8; LEN]) -> Kind {
    match (header[0], header[1]) {
        (v4::ECHO_REPLY, _) => Kind::EchoReply,
        (v4::UNREACHABLE, v4::FRAGMENTATION_NEEDED) => Kind::TooBig { mtu: be16(header, 6).into() },
        (v4::UNREACHABLE | v4::SOURCE_QUENCH | v4::TIME_EXCEEDED | v4::PARAMETER_PROBLEM, _) => {
            Kind::Error
        }
        (v4::ECHO_REQUEST, _) => Kind::EchoRequest,
        _ => Kind::Other,
    }
}

fn kind_v6(header: &[u8; LEN]) -> Kind {
    match header[0] {
        v6::TOO_BIG => Kind::TooBig { mtu: be32(header, 4) },
        0..128 => Kind::Error,
        v6::ECHO_REQUEST => Kind::EchoRequest,
        v6::ECHO_REPLY => Kind::EchoReply,
        v6::ROUTER_SOLICITATION..=v6::REDIRECT => Kind::NeighborDiscovery,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(message_type: u8, code: u8) -> [u8; 10] {
        [message_type, code, 0xab, 0xcd, 0, 0, 0x05, 0x78, 0x45, 0x00]
    }

    #[test]
    fn kinds_of_both_families() {
        for (message_type, code, kind) in [
            (0, 0, Kind::EchoReply),
            (3, 3, Kind::Error),
            (3, 4, Kind::TooBig { mtu: 1400 }),
            (4, 0, Kind::Error),
            (5, 1, Kind::Other),
            (8, 0, Kind::EchoRequest),
            (11, 0, Kind::Error),
            (12, 0, Kind::Error),
            (13, 0, Kind::Other),
            (128, 0, Kind::Other),
        ] {
            let bytes = message(message_type, code);
            assert_eq!(Icmp::parse_v4(&bytes).unwrap().kind(), kind, "v4 {message_type}");
        }
        for (message_type, kind) in [
            (1, Kind::Error),
            (2, Kind::TooBig { mtu: 1400 }),
            (3, Kind::Error),
            (127, Kind::Error),
            (128, Kind::EchoRequest),
            (129, Kind::EchoReply),
            (130, Kind::Other),
            (132, Kind::Other),
            (133, Kind::NeighborDiscovery),
            (137, Kind::NeighborDiscovery),
            (138, Kind::Other),
        ] {
            let bytes = message(message_type, 0);
            assert_eq!(Icmp::parse_v6(&bytes).unwrap().kind(), kind, "v6 {message_type}");
        }
    }

    #[test]
    fn only_errors_quote_a_packet() {
        let error = message(v4::TIME_EXCEEDED, 1);
        let error = Icmp::parse_v4(&error).unwrap();
        assert_eq!((error.message_type(), error.code(), error.checksum()), (11, 1, 0xabcd));
        assert_eq!(error.quoted(), Some(&[0x45, 0x00][..]));

        let echo = message(v4::ECHO_REQUEST, 0);
        let echo = Icmp::parse_v4(&echo).unwrap();
        assert_eq!((echo.quoted(), echo.body()), (None, &[0x45, 0x00][..]));
    }

    #[test]
    fn a_message_cut_short_is_malformed() {
        for len in 0..LEN {
            assert!(Icmp::parse_v4(&message(8, 0)[..len]).is_err());
            assert!(Icmp::parse_v6(&message(128, 0)[..len]).is_err());
        }
    }
}

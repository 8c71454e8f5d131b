//! What a load balancer wants to know of a packet, read through IPv4 options and IPv6 extension
//! headers; and what it wants to know of the packet that an ICMP error quotes.
//!
//! Lengths that lie are refused here, once: beyond, a [`Summary`]'s offsets can be relied on.

use std::net::IpAddr;

use crate::{Ipv4, Ipv6, Malformed, be16, extension, protocol};

/// A packet, as far as its way depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// The upper layer, behind extension headers. In a later fragment of IPv6 it may be an extension
    /// header: only the first fragment knows more.
    pub protocol: u8,
    /// Where the IP header is in the frame.
    pub l3: usize,
    /// Where the upper layer's header is, or the payload of a later fragment. At most `end`.
    pub l4: usize,
    /// Where the IP packet ends, as its length says. Ethernet padding follows.
    pub end: usize,
    /// Which piece of a datagram it is. `None` of a whole one, which a packet with an atomic fragment
    /// header is (RFC 6946).
    pub fragment: Option<Fragment>,
    /// Source port of TCP, UDP or SCTP; 0 of others and in later fragments.
    pub source_port: u16,
    /// Destination port, the same.
    pub destination_port: u16,
    /// TCP's flags (see [`tcp`](crate::tcp)); 0 of others, and in fragments that end before them.
    pub tcp_flags: u8,
    /// DSCP (RFC 2474) in the upper six bits, ECN (RFC 3168) in the lower two.
    pub traffic_class: u8,
    /// Whether routers may not fragment it: DF, or IPv6.
    pub dont_fragment: bool,
    /// Time to live, or hop limit.
    pub ttl: u8,
}

/// A piece of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// What the pieces have in common, together with the addresses.
    pub id: u32,
    /// Its place in the datagram, in bytes. The first piece is at 0.
    pub offset: u16,
    /// Whether a later piece follows.
    pub more: bool,
}

/// Why a packet cannot be summarized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unparsable {
    /// It is cut short, or contradicts itself.
    Malformed,
    /// A first fragment that ends before its ports.
    NoPorts,
    /// IPv6 routing header of type 0 (RFC 5095).
    RoutingHeader0,
    /// More IPv6 extension headers than [`extension::MAX_HEADERS`], or more bytes of them than
    /// [`extension::MAX_LEN`].
    ExtensionHeaders,
}

impl From<Malformed> for Unparsable {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Reads the IP packet at `l3` of a frame of `total_len` bytes, whose headers, up to the ports or
/// the fixed part of a TCP header, lie in the first segment. The family is that of the version field.
pub fn summarize(first_segment: &[u8], l3: usize, total_len: usize) -> Result<Summary, Unparsable> {
    let bytes = first_segment.get(l3..).ok_or(Malformed)?;
    let summary = match bytes.first().ok_or(Malformed)? >> 4 {
        4 => summarize_v4(bytes, l3)?,
        6 => summarize_v6(bytes, l3)?,
        _ => return Err(Unparsable::Malformed),
    };
    if summary.end > total_len {
        return Err(Unparsable::Malformed);
    }
    Ok(summary)
}

fn summarize_v4(bytes: &[u8], l3: usize) -> Result<Summary, Unparsable> {
    let ip = Ipv4::parse_prefix(bytes)?;
    let fragment = ip.is_fragment().then(|| Fragment {
        id: ip.id().into(),
        offset: ip.fragment_offset(),
        more: ip.more_fragments(),
    });
    let end = l3 + ip.total_len();
    let l4 = l3 + ip.header_len();
    let upper = Upper::parse(ip.protocol(), ip.payload(), end - l4, fragment)?;
    Ok(Summary {
        source: ip.source().into(),
        destination: ip.destination().into(),
        protocol: ip.protocol(),
        l3,
        l4,
        end,
        fragment,
        source_port: upper.source_port,
        destination_port: upper.destination_port,
        tcp_flags: upper.tcp_flags,
        traffic_class: ip.traffic_class(),
        dont_fragment: ip.dont_fragment(),
        ttl: ip.ttl(),
    })
}

fn summarize_v6(bytes: &[u8], l3: usize) -> Result<Summary, Unparsable> {
    let ip = Ipv6::parse_prefix(bytes)?;
    let chain = extension::walk(ip.next_header(), ip.payload())?;
    let end = l3 + ip.total_len();
    let l4 = l3 + ip.header_len() + chain.len;
    let payload = ip.payload().get(chain.len..).ok_or(Malformed)?;
    let upper = Upper::parse(chain.protocol, payload, end - l4, chain.fragment)?;
    Ok(Summary {
        source: ip.source().into(),
        destination: ip.destination().into(),
        protocol: chain.protocol,
        l3,
        l4,
        end,
        fragment: chain.fragment,
        source_port: upper.source_port,
        destination_port: upper.destination_port,
        tcp_flags: upper.tcp_flags,
        traffic_class: ip.traffic_class(),
        dont_fragment: true,
        ttl: ip.hop_limit(),
    })
}

/// What the upper layer's header says.
#[derive(Default)]
struct Upper {
    source_port: u16,
    destination_port: u16,
    tcp_flags: u8,
}

impl Upper {
    /// `bytes` is what there is of the upper layer's `len` bytes in the first segment.
    fn parse(
        protocol: u8,
        bytes: &[u8],
        len: usize,
        fragment: Option<Fragment>,
    ) -> Result<Self, Unparsable> {
        if let Some(fragment) = fragment {
            let offset = usize::from(fragment.offset);
            // Pieces but the last end where another can begin; none is empty or ends behind the
            // longest datagram there is.
            if fragment.more && !len.is_multiple_of(8)
                || offset > 0 && len == 0
                || offset + len > usize::from(u16::MAX)
            {
                return Err(Unparsable::Malformed);
            }
            if offset > 0 {
                return Ok(Self::default());
            }
        }
        let Some(min_len) = min_len(protocol) else {
            return Ok(Self::default());
        };
        // The header of a first fragment may go on in the next; its ports may not.
        let is_whole = fragment.is_none();
        if is_whole && bytes.len() < min_len {
            return Err(Unparsable::Malformed);
        }
        let [source_port, destination_port] = ports(bytes).ok_or(Unparsable::NoPorts)?;
        let (stated_len, tcp_flags) = match protocol {
            protocol::TCP => {
                let header_len = bytes.get(12).map(|offset| usize::from(offset >> 4) * 4);
                (header_len, bytes.get(13).copied().unwrap_or(0))
            }
            protocol::UDP => (bytes.first_chunk::<6>().map(|header| be16(header, 4).into()), 0),
            _ => (None, 0),
        };
        if stated_len.is_some_and(|stated| stated < min_len || is_whole && stated > len) {
            return Err(Unparsable::Malformed);
        }
        Ok(Self { source_port, destination_port, tcp_flags })
    }
}

/// Length of the smallest header of a protocol that has ports.
fn min_len(protocol: u8) -> Option<usize> {
    match protocol {
        protocol::TCP => Some(20),
        protocol::UDP => Some(8),
        protocol::SCTP => Some(12),
        _ => None,
    }
}

/// Source and destination port, which begin the header in all protocols that have them.
fn ports(bytes: &[u8]) -> Option<[u16; 2]> {
    let header = bytes.first_chunk::<4>()?;
    Some([be16(header, 0), be16(header, 2)])
}

/// The flow of the packet that an ICMP error quotes, as it was sent: an answer to it goes the other
/// way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// The upper layer, behind extension headers.
    pub protocol: u8,
    /// Source port of TCP, UDP or SCTP; 0 of others.
    pub source_port: u16,
    /// Destination port, the same.
    pub destination_port: u16,
}

/// Reads the packet that an ICMP error quotes. It may be cut short behind its ports (RFC 792 asks
/// for no more than 8 bytes behind the IP header) and its length may be that of the whole.
///
/// `None` if it does not tell its flow: malformed, a later fragment, or cut too short.
pub fn quoted(bytes: &[u8]) -> Option<Quoted> {
    let (source, destination, protocol, fragment, payload) = match bytes.first()? >> 4 {
        4 => {
            let ip = Ipv4::parse_prefix(bytes).ok()?;
            let offset = ip.fragment_offset();
            (ip.source().into(), ip.destination().into(), ip.protocol(), offset, ip.payload())
        }
        6 => {
            let ip = Ipv6::parse_prefix(bytes).ok()?;
            let chain = extension::walk(ip.next_header(), ip.payload()).ok()?;
            let offset = chain.fragment.map_or(0, |fragment| fragment.offset);
            let payload = ip.payload().get(chain.len..)?;
            (ip.source().into(), ip.destination().into(), chain.protocol, offset, payload)
        }
        _ => return None,
    };
    if fragment > 0 {
        return None;
    }
    let [source_port, destination_port] = match min_len(protocol) {
        Some(_) => ports(payload)?,
        None => [0, 0],
    };
    Some(Quoted { source, destination, protocol, source_port, destination_port })
}

#[cfg(test)]
mod tests;

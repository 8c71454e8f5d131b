//! ICMP, and what is answered like it: echo to a VIP, packets too big for the tunnel, packets that
//! no service takes; and what errors from the network are about.
//!
//! Answers are made of the packet itself, in its own buffer, and go back to the station that it
//! came from. How many are sent is limited by the caller.

mod quoted;
mod reply;

use std::net::IpAddr;

use packet::{Frame, Icmp, Malformed, Summary, icmp, protocol};

pub(crate) use quoted::{quoted_flow, tunnel_too_big};
pub(crate) use reply::{echo_reply, port_unreachable, reset, too_big};

/// What becomes of an ICMP message to a VIP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It follows the flow it quotes.
    Error,
    /// It is answered.
    EchoRequest,
    /// It is dropped.
    Other,
}

/// The kind of an ICMP message, which the packet is.
pub(crate) fn kind(first_segment: &[u8], packet: &Summary) -> Kind {
    match message(first_segment, packet).map(|message| message.kind()) {
        Ok(icmp::Kind::Error | icmp::Kind::TooBig { .. }) => Kind::Error,
        Ok(icmp::Kind::EchoRequest) => Kind::EchoRequest,
        Ok(icmp::Kind::EchoReply | icmp::Kind::NeighborDiscovery | icmp::Kind::Other)
        | Err(Malformed) => Kind::Other,
    }
}

/// Whether an error may be sent about this packet (RFC 1122 section 3.2.2, RFC 1812 section
/// 4.3.2.7, RFC 4443 section 2.4): never about errors, redirects and later fragments, nor to what
/// is not one host.
pub(crate) fn may_answer<F: Frame>(packet: &Summary, frame: &F) -> bool {
    let is_later_fragment = packet.fragment.is_some_and(|fragment| fragment.offset > 0);
    let is_group_mac = frame.bytes().first().is_none_or(|byte| byte & 1 != 0);
    !is_later_fragment
        && !is_group_mac
        && is_host(packet.source)
        && is_host(packet.destination)
        && !is_about_a_packet(frame.bytes(), packet)
}

/// Whether it is an ICMP message that quotes a packet, or may be one.
fn is_about_a_packet(first_segment: &[u8], packet: &Summary) -> bool {
    let redirect = match packet.protocol {
        protocol::ICMP => icmp::v4::REDIRECT,
        protocol::ICMPV6 => icmp::v6::REDIRECT,
        _ => return false,
    };
    match message(first_segment, packet) {
        Ok(message) => match message.kind() {
            icmp::Kind::Error | icmp::Kind::TooBig { .. } => true,
            icmp::Kind::EchoRequest | icmp::Kind::EchoReply => false,
            icmp::Kind::NeighborDiscovery | icmp::Kind::Other => message.message_type() == redirect,
        },
        Err(Malformed) => true,
    }
}

/// Whether the address can be one host's.
fn is_host(address: IpAddr) -> bool {
    match address {
        // Above 224: multicast, reserved, broadcast.
        IpAddr::V4(v4) => !matches!(v4.octets()[0], 0 | 127 | 224..),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_loopback() && !v6.is_multicast(),
    }
}

/// The message in the packet, as far as it lies in the first segment.
fn message<'a>(first_segment: &'a [u8], packet: &Summary) -> Result<Icmp<'a>, Malformed> {
    let end = packet.end.min(first_segment.len());
    let bytes = first_segment.get(packet.l4..end).ok_or(Malformed)?;
    match (packet.source, packet.protocol) {
        (IpAddr::V4(_), protocol::ICMP) => Icmp::parse_v4(bytes),
        (IpAddr::V6(_), protocol::ICMPV6) => Icmp::parse_v6(bytes),
        _ => Err(Malformed),
    }
}

#[cfg(test)]
mod tests;

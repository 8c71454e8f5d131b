//! What the packets are about that ICMP errors quote.

use std::net::IpAddr;

use packet::checksum::Sum;
use packet::{Frame, Ipv4, Summary, icmp, protocol, quoted};

use super::message;
use crate::flow::Flow;

/// The flow that an error to a VIP belongs to: it quotes what the VIP sent, and the flow is that of
/// the client's packets, the other way round. `None` if it quotes nothing of the kind.
pub(crate) fn quoted_flow<F: Frame>(frame: &F, packet: &Summary) -> Option<Flow> {
    let error = message(frame.bytes(), packet).ok()?;
    let is_for_hosts = match packet.source {
        // Source quench is obsolete (RFC 6633).
        IpAddr::V4(_) => error.message_type() != icmp::v4::SOURCE_QUENCH,
        // The other types of errors are reserved (RFC 4443 section 2.1).
        IpAddr::V6(_) => {
            (icmp::v6::UNREACHABLE..=icmp::v6::PARAMETER_PROBLEM).contains(&error.message_type())
        }
    };
    let sent = quoted(error.quoted().filter(|_| is_for_hosts)?)?;
    (sent.source == packet.destination).then_some(Flow {
        source: sent.destination,
        source_port: sent.destination_port,
        destination: sent.source,
        destination_port: sent.source_port,
        protocol: sent.protocol,
    })
}

/// The L7 node whose path an error of the fabric is about, and the MTU that it tells: it quotes a
/// packet that was tunnelled from one of our addresses. Never below 576 for IPv4, 1280 for IPv6:
/// nobody shall make us fragment everything.
pub(crate) fn tunnel_too_big<F: Frame>(
    frame: &F,
    packet: &Summary,
    is_ours: impl Fn(IpAddr) -> bool,
) -> Option<(IpAddr, u16)> {
    let error = message(frame.bytes(), packet).ok()?;
    let icmp::Kind::TooBig { mtu } = error.kind() else { return None };
    let sent = error.quoted()?;
    let outer = quoted(sent)?;
    if !matches!(outer.protocol, protocol::IPV4 | protocol::IPV6)
        || outer.source != packet.destination
        || !is_ours(outer.source)
        || !is_intact(frame, packet)
    {
        return None;
    }
    let mtu = match outer.source {
        IpAddr::V4(_) if mtu == 0 => plateau_below(Ipv4::parse_prefix(sent).ok()?.total_len()),
        IpAddr::V4(_) => capped(mtu).max(576),
        IpAddr::V6(_) => capped(mtu).max(1280),
    };
    Some((outer.destination, mtu))
}

fn capped(mtu: u32) -> u16 {
    mtu.try_into().unwrap_or(u16::MAX)
}

/// What a router meant that did not tell its MTU: the next that is common below the length of the
/// packet it refused (RFC 1191 section 7).
fn plateau_below(len: usize) -> u16 {
    const PLATEAUS: [u16; 7] = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, 1_006];
    PLATEAUS.into_iter().find(|&plateau| usize::from(plateau) < len).unwrap_or(576)
}

/// Whether the message's checksum is right. Where a message is sent on, its receiver looks; here
/// we are the receiver.
fn is_intact<F: Frame>(frame: &F, packet: &Summary) -> bool {
    let mut sum = match packet.source {
        IpAddr::V4(_) => Sum::new(),
        IpAddr::V6(_) => {
            let len = packet.end - packet.l4;
            Sum::pseudo(packet.source, packet.destination, packet.protocol, len)
        }
    };
    let mut at = packet.l4;
    while at < packet.end {
        let mut piece = [0; 256];
        let wanted = piece.len().min(packet.end - at);
        let got = frame.copy_to(at, &mut piece[..wanted]);
        if got == 0 {
            return false;
        }
        sum = sum.with(&piece[..got]);
        at += got;
    }
    sum.is_valid()
}

#[cfg(test)]
mod tests;

//! Answers, made in place: the packet's frame is cut and begun anew. After an error it is good for
//! nothing.

use std::net::IpAddr;

use packet::checksum::{self, Sum};
use packet::{Frame, Summary, icmp, protocol, tcp};

use super::may_answer;
use crate::counters::Counter;

/// Hop limit of answers.
const TTL: u8 = 64;
/// DSCP CS6: what errors are sent with (RFC 1812 section 4.3.2.5).
const NETWORK_CONTROL: u8 = 48 << 2;
/// Length of an ICMP header.
const ICMP_LEN: usize = 8;

/// Makes the reply of an echo request, which the packet is (RFC 792, RFC 4443 section 4.2). IP
/// options and extension headers are left out of it.
///
/// # Errors
/// [`Counter::Malformed`] if the request does not come from one host, or is shorter than its header.
pub(crate) fn echo_reply<F: Frame>(frame: &mut F, packet: &Summary) -> Result<(), Counter> {
    let len = packet.end - packet.l4;
    let ip = frame.bytes().get(packet.l3..).and_then(|ip| ip.first_chunk());
    let (true, Some(&[_, _, _, _, id_high, id_low])) = (may_answer(packet, frame), ip) else {
        return Err(Counter::Malformed);
    };
    let header = IpHeader {
        // What may be fragmented on its way here may be on its way back.
        id: (!packet.dont_fragment).then_some(u16::from_be_bytes([id_high, id_low])),
        traffic_class: packet.traffic_class,
        ..IpHeader::back(packet, packet.protocol, len)
    };

    frame.truncate(packet.end);
    let bytes = begin_anew(frame, packet.l3, packet.l4, header.len())?;
    let (ip, message) = bytes.split_at_mut(header.len());
    header.write(ip);
    let message: &mut [u8; ICMP_LEN] = message.first_chunk_mut().ok_or(Counter::Malformed)?;
    let [request, code, high, low, ..] = *message;
    let reply = match packet.source {
        IpAddr::V4(_) => icmp::v4::ECHO_REPLY,
        IpAddr::V6(_) => icmp::v6::ECHO_REPLY,
    };
    let checksum = checksum::update(
        u16::from_be_bytes([high, low]),
        u16::from_be_bytes([request, code]),
        u16::from_be_bytes([reply, code]),
    );
    message[0] = reply;
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    Ok(())
}

/// Makes the error that tells the sender how long its packets may be (RFC 1191, RFC 4443 section
/// 3.2), from the VIP. A path must take 576 bytes of IPv4, 1280 of IPv6, whatever `mtu` is.
///
/// # Errors
/// [`Counter::TooBig`] if the packet is none to send errors about; [`Counter::NoHeadroom`].
pub(crate) fn too_big<F: Frame>(frame: &mut F, packet: &Summary, mtu: u16) -> Result<(), Counter> {
    if !may_answer(packet, frame) {
        return Err(Counter::TooBig);
    }
    let (message_type, code, mtu) = match packet.source {
        IpAddr::V4(_) => (icmp::v4::UNREACHABLE, icmp::v4::FRAGMENTATION_NEEDED, mtu.max(576)),
        IpAddr::V6(_) => (icmp::v6::TOO_BIG, 0, mtu.max(1280)),
    };
    let [high, low] = mtu.to_be_bytes();
    error(frame, packet, [message_type, code, 0, 0, 0, 0, high, low])
}

/// Makes the error that tells the sender that nobody listens on the port.
///
/// # Errors
/// [`Counter::NoService`] if the packet is none to send errors about; [`Counter::NoHeadroom`].
pub(crate) fn port_unreachable<F: Frame>(frame: &mut F, packet: &Summary) -> Result<(), Counter> {
    if !may_answer(packet, frame) {
        return Err(Counter::NoService);
    }
    let (message_type, code) = match packet.source {
        IpAddr::V4(_) => (icmp::v4::UNREACHABLE, icmp::v4::PORT),
        IpAddr::V6(_) => (icmp::v6::UNREACHABLE, icmp::v6::PORT),
    };
    error(frame, packet, [message_type, code, 0, 0, 0, 0, 0, 0])
}

/// Makes the reset that a host without the connection sends (RFC 9293 section 3.10.7.1).
///
/// # Errors
/// [`Counter::NoService`] for what is not answered: resets, fragments, odd addresses.
pub(crate) fn reset<F: Frame>(frame: &mut F, packet: &Summary) -> Result<(), Counter> {
    let segment = frame.bytes().get(packet.l4..).and_then(|segment| segment.first_chunk());
    let Some(segment) = segment.filter(|_| {
        packet.fragment.is_none() && packet.tcp_flags & tcp::RST == 0 && may_answer(packet, frame)
    }) else {
        return Err(Counter::NoService);
    };
    let reset = reset_for(segment, packet);
    let sum = Sum::pseudo(packet.source, packet.destination, protocol::TCP, reset.len());
    let checksum = sum.with(&reset).finish();

    let header = IpHeader::back(packet, protocol::TCP, reset.len());
    let behind = packet.l4 + reset.len();
    frame.truncate(behind);
    let bytes = begin_anew(frame, packet.l3, behind, header.len() + reset.len())?;
    let (ip, segment) = bytes.split_at_mut(header.len());
    header.write(ip);
    segment.copy_from_slice(&reset);
    segment[16..18].copy_from_slice(&checksum.to_be_bytes());
    Ok(())
}

/// The reset for a segment, without its checksum.
fn reset_for(segment: &[u8; 20], packet: &Summary) -> [u8; 20] {
    let [_, _, _, _, s0, s1, s2, s3, acknowledgment @ .., offset, _, _, _, _, _, _, _] = *segment;
    let (sequence, acknowledgment, flags) = if packet.tcp_flags & tcp::ACK != 0 {
        (acknowledgment, [0; 4], tcp::RST)
    } else {
        let header_len = usize::from(offset >> 4) * 4;
        let data = (packet.end - packet.l4).saturating_sub(header_len) as u32;
        let syn = u32::from(packet.tcp_flags & tcp::SYN != 0);
        let fin = u32::from(packet.tcp_flags & tcp::FIN != 0);
        let next = u32::from_be_bytes([s0, s1, s2, s3]).wrapping_add(data + syn + fin);
        ([0; 4], next.to_be_bytes(), tcp::RST | tcp::ACK)
    };
    let mut reset = [0; 20];
    reset[..2].copy_from_slice(&packet.destination_port.to_be_bytes());
    reset[2..4].copy_from_slice(&packet.source_port.to_be_bytes());
    reset[4..8].copy_from_slice(&sequence);
    reset[8..12].copy_from_slice(&acknowledgment);
    reset[12] = 5 << 4;
    reset[13] = flags;
    reset
}

/// Makes an error whose ICMP header is `message`, without its checksum, about the packet. It quotes
/// as much as fits into what every path takes (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4).
fn error<F: Frame>(
    frame: &mut F,
    packet: &Summary,
    mut message: [u8; ICMP_LEN],
) -> Result<(), Counter> {
    let (number, longest, ip_len) = match packet.source {
        IpAddr::V4(_) => (protocol::ICMP, 576, 20),
        IpAddr::V6(_) => (protocol::ICMPV6, 1280, 40),
    };
    let quote_len = (packet.end - packet.l3).min(longest - ip_len - ICMP_LEN);
    let header = IpHeader {
        traffic_class: NETWORK_CONTROL,
        ..IpHeader::back(packet, number, ICMP_LEN + quote_len)
    };

    let mut quote = [0; 1280];
    let quote = &mut quote[..quote_len];
    frame.copy_to(packet.l3, quote);
    let sum = match packet.source {
        IpAddr::V4(_) => Sum::new(),
        IpAddr::V6(_) => Sum::pseudo(header.source, header.destination, number, header.payload_len),
    };
    let checksum = sum.with(&message).with(quote).finish();
    message[2..4].copy_from_slice(&checksum.to_be_bytes());

    frame.truncate(packet.l3 + quote_len);
    let bytes = begin_anew(frame, packet.l3, packet.l3, ip_len + ICMP_LEN)?;
    header.write(&mut bytes[..ip_len]);
    bytes[ip_len..][..ICMP_LEN].copy_from_slice(&message);
    Ok(())
}

/// Gives the frame's contents from `keep` on `len` bytes of new headers, behind an Ethernet header of
/// `l3` bytes that goes back to where the frame came from. Returns the first segment from the new
/// headers on.
fn begin_anew<F: Frame>(
    frame: &mut F,
    l3: usize,
    keep: usize,
    len: usize,
) -> Result<&mut [u8], Counter> {
    let mut ethernet = [0; 18];
    let ethernet = ethernet.get_mut(..l3).ok_or(Counter::Malformed)?;
    frame.copy_to(0, ethernet);
    let (macs, _) = ethernet.split_at_mut_checked(12).ok_or(Counter::Malformed)?;
    macs.rotate_left(6);

    let front = l3 + len;
    let bytes = if front > keep {
        frame.prepend(front - keep).ok_or(Counter::NoHeadroom)?
    } else if frame.trim_front(keep - front) {
        frame.bytes_mut()
    } else {
        return Err(Counter::Malformed);
    };
    if bytes.len() < front {
        return Err(Counter::Malformed);
    }
    let (old, bytes) = bytes.split_at_mut(l3);
    old.copy_from_slice(ethernet);
    Ok(bytes)
}

/// The IP header of an answer, without options.
struct IpHeader {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    payload_len: usize,
    traffic_class: u8,
    /// Of an IPv4 packet that may be fragmented.
    id: Option<u16>,
}

impl IpHeader {
    /// From the packet's destination to its source.
    fn back(packet: &Summary, protocol: u8, payload_len: usize) -> Self {
        Self {
            source: packet.destination,
            destination: packet.source,
            protocol,
            payload_len,
            traffic_class: 0,
            id: None,
        }
    }

    fn len(&self) -> usize {
        if self.source.is_ipv4() { 20 } else { 40 }
    }

    /// Writes it into [`Self::len`] bytes.
    fn write(&self, bytes: &mut [u8]) {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                bytes.copy_from_slice(&self.v4(source.octets(), destination.octets()));
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                bytes.copy_from_slice(&self.v6(source.octets(), destination.octets()));
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                unreachable!("both addresses are of one packet")
            }
        }
    }

    fn v4(&self, source: [u8; 4], destination: [u8; 4]) -> [u8; 20] {
        let mut header = [0; 20];
        header[0] = 0x45;
        header[1] = self.traffic_class;
        header[2..4].copy_from_slice(&(20 + self.payload_len as u16).to_be_bytes());
        match self.id {
            Some(id) => header[4..6].copy_from_slice(&id.to_be_bytes()),
            None => header[6] = 0x40, // don't fragment
        }
        header[8] = TTL;
        header[9] = self.protocol;
        header[12..16].copy_from_slice(&source);
        header[16..].copy_from_slice(&destination);
        let checksum = checksum::of(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    fn v6(&self, source: [u8; 16], destination: [u8; 16]) -> [u8; 40] {
        let mut header = [0; 40];
        header[..4]
            .copy_from_slice(&(0x6000_0000 | u32::from(self.traffic_class) << 20).to_be_bytes());
        header[4..6].copy_from_slice(&(self.payload_len as u16).to_be_bytes());
        header[6] = self.protocol;
        header[7] = TTL;
        header[8..24].copy_from_slice(&source);
        header[24..].copy_from_slice(&destination);
        header
    }
}

#[cfg(test)]
mod tests;

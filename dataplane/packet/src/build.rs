//! Packets from nothing, with right lengths and checksums: for tests, the lab, and the few packets
//! that are not on the hot path. Written apart from the views, so that each checks the other.
//!
//! ```
//! use packet::build::{self, Ip};
//! use packet::{Mac, tcp};
//!
//! let syn = Ip::between("192.0.2.1", "198.51.100.1").ttl(9).tcp(50000, 80, tcp::SYN, b"").build();
//! let frame = build::frame(Mac::BROADCAST, Mac([2, 0, 0, 0, 0, 1]), Some(7), &syn);
//! assert_eq!(frame.len(), 14 + 4 + 20 + 20);
//! ```

use std::net::IpAddr;

use crate::{Mac, checksum, ethernet, protocol};

/// An Ethernet frame around an IP packet, or around ARP if it begins like neither family.
/// `vlan`: with an 802.1Q tag. Not padded to Ethernet's 60 bytes.
pub fn frame(destination: Mac, source: Mac, vlan: Option<u16>, packet: &[u8]) -> Vec<u8> {
    let ethertype = match packet.first().map(|byte| byte >> 4) {
        Some(4) => ethernet::IPV4,
        Some(6) => ethernet::IPV6,
        _ => ethernet::ARP,
    };
    let mut frame = [destination.0, source.0].concat();
    if let Some(vlan) = vlan {
        frame.extend(ethernet::VLAN.to_be_bytes());
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend_from_slice(packet);
    frame
}

/// An IP packet to be, of either family.
///
/// What the other family does not have is ignored: options and DF in IPv6, extension headers and
/// the flow label in IPv4. Checksums are for the destination that the header names, which is not the
/// last one of a source route.
#[derive(Clone, Debug)]
pub struct Ip {
    source: IpAddr,
    destination: IpAddr,
    traffic_class: u8,
    ttl: u8,
    id: u16,
    dont_fragment: bool,
    more_fragments: bool,
    /// In bytes.
    fragment_offset: u16,
    flow_label: u32,
    options: Vec<u8>,
    /// Each without its first two bytes: next header and length.
    extensions: Vec<(u8, Vec<u8>)>,
    protocol: u8,
    payload: Vec<u8>,
    /// Where in the payload its checksum belongs.
    checksum_at: Option<usize>,
}

impl Ip {
    /// From one address to another, of one family, with TTL 64 and nothing in it.
    pub fn new(source: IpAddr, destination: IpAddr) -> Self {
        assert_eq!(source.is_ipv4(), destination.is_ipv4(), "addresses of one family");
        Self {
            source,
            destination,
            traffic_class: 0,
            ttl: 64,
            id: 0,
            dont_fragment: false,
            more_fragments: false,
            fragment_offset: 0,
            flow_label: 0,
            options: Vec::new(),
            extensions: Vec::new(),
            protocol: protocol::NO_NEXT_HEADER,
            payload: Vec::new(),
            checksum_at: None,
        }
    }

    /// The same with addresses as text. For addresses in the program's text: panics on others.
    pub fn between(source: &str, destination: &str) -> Self {
        let [source, destination] = [source, destination]
            .map(|text| text.parse().expect("an address in the program's text"));
        Self::new(source, destination)
    }

    /// Sets time to live, or hop limit.
    pub fn ttl(self, ttl: u8) -> Self {
        Self { ttl, ..self }
    }

    /// Sets DSCP (upper six bits) and ECN.
    pub fn traffic_class(self, traffic_class: u8) -> Self {
        Self { traffic_class, ..self }
    }

    /// Sets IPv4's identification.
    pub fn id(self, id: u16) -> Self {
        Self { id, ..self }
    }

    /// Sets IPv4's DF.
    pub fn dont_fragment(self) -> Self {
        Self { dont_fragment: true, ..self }
    }

    /// Sets IPv6's flow label.
    pub fn flow_label(self, flow_label: u32) -> Self {
        Self { flow_label, ..self }
    }

    /// Adds IPv4 options, padded to a multiple of four bytes; 40 bytes at most.
    pub fn options(mut self, options: &[u8]) -> Self {
        self.options.extend_from_slice(options);
        self.options.resize(self.options.len().next_multiple_of(4), 0);
        self
    }

    /// Adds an IPv6 extension header behind those so far. `body` is what follows its next header and
    /// length bytes, and is padded with zeros to a multiple of eight bytes with them.
    pub fn extension(mut self, kind: u8, body: &[u8]) -> Self {
        let mut body = body.to_vec();
        body.resize((body.len() + 2).next_multiple_of(8) - 2, 0);
        self.extensions.push((kind, body));
        self
    }

    /// Makes it a fragment, at `offset` bytes of its datagram: what the payload would be alone. In
    /// IPv6 the fragment header goes behind the extension headers so far; IPv4 keeps 16 bits of `id`.
    pub fn fragment(self, id: u32, offset: u16, more: bool) -> Self {
        if self.source.is_ipv4() {
            return Self { id: id as u16, fragment_offset: offset, more_fragments: more, ..self };
        }
        let mut body = (offset & !7 | u16::from(more)).to_be_bytes().to_vec();
        body.extend(id.to_be_bytes());
        self.extension(protocol::FRAGMENT, &body)
    }

    /// Carries these bytes, as they are.
    pub fn payload(self, protocol: u8, payload: &[u8]) -> Self {
        Self { protocol, payload: payload.to_vec(), checksum_at: None, ..self }
    }

    /// Carries a TCP segment without options, with window 65535.
    pub fn tcp(self, source_port: u16, destination_port: u16, flags: u8, data: &[u8]) -> Self {
        let mut segment = [source_port.to_be_bytes(), destination_port.to_be_bytes()].concat();
        segment.extend([0; 8]); // sequence and acknowledgment numbers
        segment.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend_from_slice(data);
        Self { checksum_at: Some(16), ..self.payload(protocol::TCP, &segment) }
    }

    /// Sets the sequence and acknowledgment numbers of the TCP segment it carries; panics without one.
    pub fn sequence(mut self, sequence: u32, acknowledgment: u32) -> Self {
        assert_eq!(self.protocol, protocol::TCP, "a segment before its sequence number");
        self.payload[4..8].copy_from_slice(&sequence.to_be_bytes());
        self.payload[8..12].copy_from_slice(&acknowledgment.to_be_bytes());
        self
    }

    /// Carries a UDP datagram.
    pub fn udp(self, source_port: u16, destination_port: u16, data: &[u8]) -> Self {
        let len = (data.len() + 8) as u16;
        let mut datagram: Vec<u8> =
            [source_port, destination_port, len, 0].map(u16::to_be_bytes).concat();
        datagram.extend_from_slice(data);
        Self { checksum_at: Some(6), ..self.payload(protocol::UDP, &datagram) }
    }

    /// Carries an ICMP message of the packet's family. `rest` is what its type makes of the second
    /// four bytes: MTU, or identifier and sequence number. `body` is data, or the packet quoted.
    pub fn icmp(self, message_type: u8, code: u8, rest: u32, body: &[u8]) -> Self {
        let mut message = vec![message_type, code, 0, 0];
        message.extend(rest.to_be_bytes());
        message.extend_from_slice(body);
        let number = if self.source.is_ipv4() { protocol::ICMP } else { protocol::ICMPV6 };
        Self { checksum_at: Some(2), ..self.payload(number, &message) }
    }

    /// The packet.
    pub fn build(mut self) -> Vec<u8> {
        if let Some(at) = self.checksum_at {
            let checksum = self.transport_checksum();
            self.payload[at..][..2].copy_from_slice(&checksum.to_be_bytes());
        }
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.build_v4(source.octets(), destination.octets())
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.build_v6(source.octets(), destination.octets())
            }
            _ => unreachable!("`new` takes addresses of one family"),
        }
    }

    /// The packet in fragments of at most `size` bytes of payload each, a multiple of eight. In IPv6
    /// every extension header so far stands in each of them, before the fragment header.
    pub fn fragments(&self, id: u32, size: usize) -> Vec<Vec<u8>> {
        let mut whole = self.clone();
        if let Some(at) = whole.checksum_at {
            let checksum = whole.transport_checksum();
            whole.payload[at..][..2].copy_from_slice(&checksum.to_be_bytes());
        }
        let pieces = whole.payload.chunks(size).enumerate();
        pieces
            .map(|(i, piece)| {
                let offset = i * size;
                let more = offset + piece.len() < whole.payload.len();
                let fragment = whole.clone().fragment(id, offset as u16, more);
                fragment.payload(whole.protocol, piece).build()
            })
            .collect()
    }

    fn transport_checksum(&self) -> u16 {
        let sum = match self.protocol {
            protocol::ICMP => checksum::Sum::new(),
            number => {
                let len = self.payload.len();
                checksum::Sum::pseudo(self.source, self.destination, number, len)
            }
        };
        let sum = sum.with(&self.payload);
        if self.protocol == protocol::UDP { sum.finish_udp() } else { sum.finish() }
    }

    fn build_v4(self, source: [u8; 4], destination: [u8; 4]) -> Vec<u8> {
        let header_len = 20 + self.options.len();
        let total_len = (header_len + self.payload.len()) as u16;
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(self.more_fragments) << 13;
        let place = flags | self.fragment_offset >> 3;
        let mut packet = vec![0x40 | (header_len / 4) as u8, self.traffic_class];
        packet.extend([total_len, self.id, place].map(u16::to_be_bytes).concat());
        packet.extend([self.ttl, self.protocol, 0, 0]);
        packet.extend([source, destination].concat());
        packet.extend(self.options);
        let checksum = checksum::of(&packet);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        packet.extend(self.payload);
        packet
    }

    fn build_v6(self, source: [u8; 16], destination: [u8; 16]) -> Vec<u8> {
        let kinds = self.extensions.iter().map(|&(kind, _)| kind).chain([self.protocol]);
        let kinds: Vec<u8> = kinds.collect();
        let mut payload = Vec::new();
        for ((kind, body), &next) in self.extensions.iter().zip(&kinds[1..]) {
            let len = body.len() + 2;
            // RFC 8200 section 4.3, RFC 4302 section 2.2; a fragment header's byte is reserved, and 0.
            let len = if *kind == protocol::AUTHENTICATION { len / 4 - 2 } else { len / 8 - 1 };
            payload.extend([next, len as u8]);
            payload.extend(body);
        }
        payload.extend(self.payload);

        let first = 6 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label;
        let mut packet = first.to_be_bytes().to_vec();
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([kinds[0], self.ttl]);
        packet.extend([source, destination].concat());
        packet.extend(payload);
        packet
    }
}

#[cfg(test)]
mod tests;

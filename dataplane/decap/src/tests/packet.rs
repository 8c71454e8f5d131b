//! Packets in the protocols' own words, made independently of the program under test.

use std::net::IpAddr;

pub(super) const NOT_ECT: u8 = 0;
pub(super) const ECT_1: u8 = 1;
pub(super) const ECT_0: u8 = 2;
pub(super) const CE: u8 = 3;

/// Length of an Ethernet header.
pub(super) const ETHERNET: usize = 14;

const UDP: u8 = 17;

/// IPv6 extension headers of 8 bytes. An IPv4 header has an option of 4 bytes for each.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extension {
    HopByHop = 0,
    Routing = 43,
    Fragment = 44,
    Destination = 60,
}

/// An IP header, of its addresses' family.
#[derive(Clone, Debug)]
pub(super) struct Header {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    ttl: u8,
    dscp: u8,
    ecn: u8,
    id: u16,
    /// Whether more fragments follow, and offset in units of 8 bytes.
    fragment: Option<(bool, u16)>,
    options: Option<Extension>,
    stated: Option<usize>,
}

impl Header {
    pub(super) fn new(source: &str, destination: &str) -> Self {
        Self {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: UDP,
            ttl: 64,
            dscp: 0,
            ecn: NOT_ECT,
            id: 0x1234,
            fragment: None,
            options: None,
            stated: None,
        }
    }

    pub(super) fn protocol(&self, protocol: u8) -> Self {
        Self { protocol, ..self.clone() }
    }

    pub(super) fn ttl(&self, ttl: u8) -> Self {
        Self { ttl, ..self.clone() }
    }

    pub(super) fn dscp(&self, dscp: u8) -> Self {
        Self { dscp, ..self.clone() }
    }

    pub(super) fn ecn(&self, ecn: u8) -> Self {
        Self { ecn, ..self.clone() }
    }

    pub(super) fn id(&self, id: u16) -> Self {
        Self { id, ..self.clone() }
    }

    pub(super) fn fragment(&self, more: bool, offset: u16) -> Self {
        Self { fragment: Some((more, offset)), ..self.clone() }
    }

    pub(super) fn options(&self, extension: Extension) -> Self {
        Self { options: Some(extension), ..self.clone() }
    }

    /// States this payload length instead of the true one.
    pub(super) fn stating(&self, payload: usize) -> Self {
        Self { stated: Some(payload), ..self.clone() }
    }

    /// The packet with this payload.
    pub(super) fn carrying(&self, payload: &[u8]) -> Vec<u8> {
        let stated = self.stated.unwrap_or(payload.len()) as u16;
        let header = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.ipv4(source.octets(), destination.octets(), stated)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.ipv6(source.octets(), destination.octets(), stated)
            }
            _ => panic!("addresses of two families"),
        };
        [&header, payload].concat()
    }

    fn ipv4(&self, source: [u8; 4], destination: [u8; 4], payload: u16) -> Vec<u8> {
        const DONT_FRAGMENT: u16 = 0x4000;
        const MORE_FRAGMENTS: u16 = 0x2000;
        /// Router alert, RFC 2113.
        const OPTION: [u8; 4] = [148, 4, 0, 0];
        let options: &[u8] = if self.options.is_some() { &OPTION } else { &[] };
        let length = 20 + options.len() as u16;
        let fragment = match self.fragment {
            None => DONT_FRAGMENT,
            Some((more, offset)) => {
                if more {
                    MORE_FRAGMENTS | offset
                } else {
                    offset
                }
            }
        };
        let mut header = vec![0x40 | (length / 4) as u8, self.dscp << 2 | self.ecn];
        header.extend((length + payload).to_be_bytes());
        header.extend(self.id.to_be_bytes());
        header.extend(fragment.to_be_bytes());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(source);
        header.extend(destination);
        header.extend(options);
        let checksum = checksum(&header);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        header
    }

    fn ipv6(&self, source: [u8; 16], destination: [u8; 16], payload: u16) -> Vec<u8> {
        const FLOW_LABEL: u32 = 0xabcde;
        let mut extensions = Vec::new();
        let mut next = self.protocol;
        if let Some((more, offset)) = self.fragment {
            extensions.extend([next, 0]);
            extensions.extend((offset << 3 | u16::from(more)).to_be_bytes());
            extensions.extend(u32::from(self.id).to_be_bytes());
            next = Extension::Fragment as u8;
        }
        if let Some(extension) = self.options {
            // One PadN option of 6 bytes; as a routing header of no known type.
            extensions.extend([next, 0, 1, 4, 0, 0, 0, 0]);
            next = extension as u8;
        }
        let class = u32::from(self.dscp << 2 | self.ecn);
        let mut header = (6 << 28 | class << 20 | FLOW_LABEL).to_be_bytes().to_vec();
        header.extend((payload + extensions.len() as u16).to_be_bytes());
        header.extend([next, self.ttl]);
        header.extend(source);
        header.extend(destination);
        header.extend(extensions);
        header
    }
}

/// The inner packet inside an outer one.
pub(super) fn tunnel(outer: &Header, inner: &[u8]) -> Vec<u8> {
    const IPIP: u8 = 4;
    const IPV6: u8 = 41;
    outer.protocol(if inner[0] >> 4 == 4 { IPIP } else { IPV6 }).carrying(inner)
}

/// The IP packet in an Ethernet frame.
pub(super) fn frame(packet: &[u8]) -> Vec<u8> {
    let ethertype: [u8; 2] = if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    let (to, from) = ([2, 0, 0, 0, 0, 7], [2, 0, 0, 0, 0, 1]);
    [&to, &from, &ethertype[..], packet].concat()
}

/// RFC 1071.
fn checksum(header: &[u8]) -> u16 {
    let words = header.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

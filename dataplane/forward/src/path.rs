//! How packets reach an L7 node: the headers that go in front of them, ready but for what differs
//! from packet to packet.

use std::net::IpAddr;

use thiserror::Error;

/// Hop limit of outer packets, whatever the inner one's (RFC 2003 section 3.1).
const TTL: u8 = 64;

/// Ethernet with a VLAN tag, and the longer of the two IP headers.
const LONGEST: usize = 14 + 4 + 40;

/// The way to an L7 node, in one cache line.
///
/// It is built where time does not matter, so that a packet costs one copy and a few patched bytes:
/// half of what it takes to write the header field by field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Path {
    /// Ethernet and outer IP header. Traffic class, length and protocol are zero. The field of the
    /// IPv4 checksum holds the sum, not complemented, of the rest.
    header: [u8; LONGEST],
    outer: Outer,
    port: u8,
    resolved: bool,
    checksum_offload: bool,
    max_inner: u16,
}

const _: () = assert!(size_of::<Path>() == 64);

/// What a [`Path`] is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathSettings {
    /// Outer source: this node.
    pub source: IpAddr,
    /// Outer destination: the L7 node.
    pub destination: IpAddr,
    /// Link address of the port.
    pub source_mac: [u8; 6],
    /// Link address of the next hop, once it is known.
    pub next_hop_mac: Option<[u8; 6]>,
    /// VLAN of the port, 1 to 4094.
    pub vlan: Option<u16>,
    /// Port by which packets leave.
    pub port: u8,
    /// Longest IP packet that the route takes.
    pub mtu: u16,
    /// Whether the port fills in the checksum of IPv4 headers.
    pub checksum_offload: bool,
}

/// The two ends of a path are of different address families.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("no path from {source_address} to {destination}: different address families")]
pub struct MixedFamilies {
    /// Outer source.
    pub source_address: IpAddr,
    /// Outer destination.
    pub destination: IpAddr,
}

/// Which headers a path puts in front of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Outer {
    V4,
    V4Vlan,
    V6,
    V6Vlan,
}

impl Path {
    /// The path that these settings describe.
    ///
    /// # Errors
    /// If the outer addresses are of different families.
    pub fn new(settings: &PathSettings) -> Result<Self, MixedFamilies> {
        let ip = IpHeader::new(settings.source, settings.destination)?;
        let (outer, len) = match (&ip, settings.vlan) {
            (IpHeader::V4(_), None) => (Outer::V4, 14),
            (IpHeader::V4(_), Some(_)) => (Outer::V4Vlan, 18),
            (IpHeader::V6(_), None) => (Outer::V6, 14),
            (IpHeader::V6(_), Some(_)) => (Outer::V6Vlan, 18),
        };

        let mut header = [0; LONGEST];
        let (ethernet, rest) = header.split_at_mut(len);
        ethernet[..6].copy_from_slice(&settings.next_hop_mac.unwrap_or_default());
        ethernet[6..12].copy_from_slice(&settings.source_mac);
        if let Some(id) = settings.vlan {
            ethernet[12..14].copy_from_slice(&[0x81, 0x00]); // 802.1Q
            ethernet[14..16].copy_from_slice(&(id & 0x0fff).to_be_bytes());
        }
        ethernet[len - 2..].copy_from_slice(&ip.ethertype());
        let ip = ip.bytes();
        rest[..ip.len()].copy_from_slice(ip);

        Ok(Self {
            header,
            outer,
            port: settings.port,
            resolved: settings.next_hop_mac.is_some(),
            checksum_offload: settings.checksum_offload,
            max_inner: settings.mtu.saturating_sub(outer.overhead()),
        })
    }

    /// The same path with this MTU, if it is lower.
    pub fn with_mtu_at_most(self, mtu: u16) -> Self {
        let max_inner = self.max_inner.min(mtu.saturating_sub(self.overhead()));
        Self { max_inner, ..self }
    }

    /// Whether the next hop's link address is known. Until then packets have to wait.
    #[inline]
    pub fn is_resolved(&self) -> bool {
        self.resolved
    }

    /// Whether packets of this length can be sent now.
    #[inline(always)]
    pub(crate) fn takes(&self, len: u16) -> bool {
        self.resolved && len <= self.max_inner
    }

    /// Port by which packets leave.
    #[inline]
    pub fn port(&self) -> u8 {
        self.port
    }

    /// Longest IP packet that the route takes, outer header included.
    pub fn mtu(&self) -> u16 {
        self.max_inner + self.overhead()
    }

    /// Longest inner packet that can be tunnelled whole.
    #[inline]
    pub fn max_inner(&self) -> u16 {
        self.max_inner
    }

    /// Length of the outer IP header: 20 or 40.
    pub fn overhead(&self) -> u16 {
        self.outer.overhead()
    }

    #[inline]
    pub(crate) fn outer(&self) -> Outer {
        self.outer
    }

    #[inline]
    pub(crate) fn checksum_offload(&self) -> bool {
        self.checksum_offload
    }

    /// The first `LEN` bytes of the template.
    #[inline]
    pub(crate) fn header<const LEN: usize>(&self) -> &[u8; LEN] {
        const { assert!(LEN <= LONGEST) };
        self.header.first_chunk().expect("asserted when it was compiled")
    }
}

impl Outer {
    /// What packets usually get that came with their IP header at `l3`: their own family's, over the
    /// port by which they came, or one like it.
    pub(crate) const fn usual(l3: usize, ipv6: bool) -> Self {
        match (l3, ipv6) {
            (14, false) => Self::V4,
            (14, true) => Self::V6,
            (_, false) => Self::V4Vlan,
            (_, true) => Self::V6Vlan,
        }
    }

    #[inline]
    pub(crate) const fn is_ipv6(self) -> bool {
        match self {
            Self::V4 | Self::V4Vlan => false,
            Self::V6 | Self::V6Vlan => true,
        }
    }

    /// Length of the Ethernet header.
    pub(crate) const fn l2_len(self) -> usize {
        match self {
            Self::V4 | Self::V6 => 14,
            Self::V4Vlan | Self::V6Vlan => 18,
        }
    }

    const fn overhead(self) -> u16 {
        if self.is_ipv6() { 40 } else { 20 }
    }
}

/// An outer header without what the packet decides.
enum IpHeader {
    V4([u8; 20]),
    V6([u8; 40]),
}

impl IpHeader {
    fn new(source: IpAddr, destination: IpAddr) -> Result<Self, MixedFamilies> {
        match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let mut header = [0; 20];
                header[6] = 0x40; // don't fragment; an identification of 0 will do then (RFC 6864)
                header[8] = TTL;
                header[12..16].copy_from_slice(&source.octets());
                header[16..].copy_from_slice(&destination.octets());
                let sum = partial_sum(&header);
                header[10..12].copy_from_slice(&sum.to_ne_bytes());
                Ok(Self::V4(header))
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let mut header = [0; 40];
                header[0] = 0x60;
                header[7] = TTL;
                header[8..24].copy_from_slice(&source.octets());
                header[24..].copy_from_slice(&destination.octets());
                Ok(Self::V6(header))
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => {
                Err(MixedFamilies { source_address: source, destination })
            }
        }
    }

    fn ethertype(&self) -> [u8; 2] {
        match self {
            Self::V4(_) => [0x08, 0x00],
            Self::V6(_) => [0x86, 0xdd],
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::V4(header) => header,
            Self::V6(header) => header,
        }
    }
}

/// Sum of a header's words with end-around carry (RFC 1071), not complemented.
fn partial_sum(header: &[u8; 20]) -> u16 {
    let (words, _) = header.as_chunks();
    words.iter().fold(0, |sum: u16, &word| {
        let (sum, carry) = sum.overflowing_add(u16::from_be_bytes(word));
        sum + u16::from(carry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(source: &str, destination: &str) -> PathSettings {
        PathSettings {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            source_mac: [2, 0, 0, 0, 0, 1],
            next_hop_mac: Some([2, 0, 0, 0, 0, 2]),
            vlan: None,
            port: 3,
            mtu: 1500,
            checksum_offload: false,
        }
    }

    #[test]
    fn a_path_knows_what_fits_through_it() {
        let v4 = Path::new(&settings("192.0.2.1", "192.0.2.2")).unwrap();
        assert_eq!((v4.mtu(), v4.overhead(), v4.max_inner(), v4.port()), (1500, 20, 1480, 3));
        let v6 = Path::new(&settings("2001:db8::1", "2001:db8::2")).unwrap();
        assert_eq!((v6.mtu(), v6.overhead(), v6.max_inner()), (1500, 40, 1460));
    }

    #[test]
    fn an_mtu_is_lowered_but_never_raised() {
        let path = Path::new(&settings("192.0.2.1", "192.0.2.2")).unwrap();
        assert_eq!(path.with_mtu_at_most(1400).mtu(), 1400);
        assert_eq!(path.with_mtu_at_most(9000), path);
    }

    #[test]
    fn a_path_is_resolved_once_its_next_hop_is_known() {
        let known = settings("192.0.2.1", "192.0.2.2");
        assert!(Path::new(&known).unwrap().is_resolved());
        let unknown = PathSettings { next_hop_mac: None, ..known };
        assert!(!Path::new(&unknown).unwrap().is_resolved());
    }

    #[test]
    fn both_ends_are_of_one_family() {
        let error = Path::new(&settings("192.0.2.1", "2001:db8::2")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no path from 192.0.2.1 to 2001:db8::2: different address families"
        );
        assert!(Path::new(&settings("2001:db8::1", "192.0.2.2")).is_err());
    }
}

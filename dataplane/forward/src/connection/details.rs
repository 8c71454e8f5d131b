use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Bytes of an encoded [`Details`].
pub(super) const LEN: usize = 40;

/// A flow's 5-tuple, kept beside its entry with `--flow-details`.
///
/// Written after its entry and read without a lock, so a reader may get a mixture of two or the
/// tuple of an earlier flow: it is right if and only if its flow hash is the entry's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Details {
    /// The client's address.
    pub source: IpAddr,
    /// The VIP.
    pub destination: IpAddr,
    /// The client's port.
    pub source_port: u16,
    /// The service's port.
    pub destination_port: u16,
    /// Transport protocol number.
    pub protocol: u8,
}

impl Details {
    /// As it lies in the file: version of IP, protocol, two zeros, ports, addresses; the
    /// numbers in network order, an IPv4 address in the first 4 of its 16 bytes.
    pub fn encode(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        bytes[0] = if self.source.is_ipv4() { 4 } else { 6 };
        bytes[1] = self.protocol;
        bytes[4..6].copy_from_slice(&self.source_port.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.destination_port.to_be_bytes());
        for (address, place) in [(self.source, 8), (self.destination, 24)] {
            match address {
                IpAddr::V4(v4) => bytes[place..place + 4].copy_from_slice(&v4.octets()),
                IpAddr::V6(v6) => bytes[place..place + 16].copy_from_slice(&v6.octets()),
            }
        }
        bytes
    }

    /// What [`Details::encode`] made; `None` for anything else.
    pub fn decode(bytes: &[u8; LEN]) -> Option<Self> {
        let u16_at = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let address = |at: usize| -> Option<IpAddr> {
            let octets: [u8; 16] = *bytes[at..].first_chunk()?;
            match bytes[0] {
                4 => Some(Ipv4Addr::from(*octets.first_chunk::<4>()?).into()),
                6 => Some(Ipv6Addr::from(octets).into()),
                _ => None,
            }
        };
        Some(Self {
            source: address(8)?,
            destination: address(24)?,
            source_port: u16_at(4),
            destination_port: u16_at(6),
            protocol: bytes[1],
        })
    }
}

/// The details of one slot.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Row([AtomicU64; LEN / 8]);

impl Row {
    pub(super) fn write(&self, details: &Details) {
        for (word, bytes) in self.0.iter().zip(details.encode().as_chunks().0) {
            word.store(u64::from_ne_bytes(*bytes), Relaxed);
        }
    }

    pub(super) fn copy_from(&self, other: &Self) {
        for (word, source) in self.0.iter().zip(&other.0) {
            word.store(source.load(Relaxed), Relaxed);
        }
    }

    pub(super) fn read(&self) -> Option<Details> {
        let mut bytes = [0; LEN];
        for (word, bytes) in self.0.iter().zip(bytes.as_chunks_mut().0) {
            *bytes = word.load(Relaxed).to_ne_bytes();
        }
        Details::decode(&bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_of_both_families_are_read_as_written() {
        for (source, destination) in [("192.0.2.7", "198.51.100.1"), ("2001:db8::7", "2001:db8::1")]
        {
            let details = Details {
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
                source_port: 40_000,
                destination_port: 443,
                protocol: 6,
            };
            let row = Row(Default::default());
            assert_eq!(row.read(), None);
            row.write(&details);
            assert_eq!(row.read(), Some(details));
        }
    }
}

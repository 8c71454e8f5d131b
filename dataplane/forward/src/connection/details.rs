//! The flow of each entry, with `--flow-details`: a row for each slot, beside the table.
//!
//! Written after the entry and read without a lock, so a reader may get a mixture of two flows, or an
//! earlier one: a row is true if and only if the hash of its flow is the entry's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::flow::Flow;

/// Bytes of a row.
const LEN: usize = 40;

/// The flow of one slot: version of IP, protocol, two zeros, ports, addresses; the numbers in network
/// order, an IPv4 address in the first 4 of its 16 bytes.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Row([AtomicU64; LEN / 8]);

impl Row {
    pub(super) fn write(&self, flow: &Flow) {
        for (word, bytes) in self.0.iter().zip(encode(flow).as_chunks().0) {
            word.store(u64::from_ne_bytes(*bytes), Relaxed);
        }
    }

    pub(super) fn copy_from(&self, other: &Self) {
        for (word, source) in self.0.iter().zip(&other.0) {
            word.store(source.load(Relaxed), Relaxed);
        }
    }

    pub(super) fn read(&self) -> Option<Flow> {
        let mut bytes = [0; LEN];
        for (word, bytes) in self.0.iter().zip(bytes.as_chunks_mut().0) {
            *bytes = word.load(Relaxed).to_ne_bytes();
        }
        decode(&bytes)
    }
}

fn encode(flow: &Flow) -> [u8; LEN] {
    let mut bytes = [0; LEN];
    bytes[0] = if flow.source.is_ipv4() { 4 } else { 6 };
    bytes[1] = flow.protocol;
    bytes[4..6].copy_from_slice(&flow.source_port.to_be_bytes());
    bytes[6..8].copy_from_slice(&flow.destination_port.to_be_bytes());
    for (address, place) in [(flow.source, 8), (flow.destination, 24)] {
        match address {
            IpAddr::V4(v4) => bytes[place..place + 4].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => bytes[place..place + 16].copy_from_slice(&v6.octets()),
        }
    }
    bytes
}

/// What [`encode`] made; `None` for anything else.
fn decode(bytes: &[u8; LEN]) -> Option<Flow> {
    let port = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = *bytes[at..].first_chunk()?;
        match bytes[0] {
            4 => Some(Ipv4Addr::from(*octets.first_chunk::<4>()?).into()),
            6 => Some(Ipv6Addr::from(octets).into()),
            _ => None,
        }
    };
    Some(Flow {
        source: address(8)?,
        source_port: port(4),
        destination: address(24)?,
        destination_port: port(6),
        protocol: bytes[1],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_of_both_families_are_read_as_written() {
        for (source, destination) in [("192.0.2.7", "198.51.100.1"), ("2001:db8::7", "2001:db8::1")]
        {
            let flow = Flow {
                source: source.parse().unwrap(),
                source_port: 40_000,
                destination: destination.parse().unwrap(),
                destination_port: 443,
                protocol: 6,
            };
            let row = Row(Default::default());
            assert_eq!(row.read(), None);
            row.write(&flow);
            assert_eq!(row.read(), Some(flow));
        }
    }
}

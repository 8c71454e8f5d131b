//! Packets as bytes: views of their headers, one file a protocol, and the checksums they carry.
//!
//! No accessor of a view panics: a view exists only if its bytes do. What a peer may have written
//! wrong is refused by `parse`, never later.
//!
//! [`summarize`] reads a whole packet, through options and extension headers, to what a load
//! balancer wants to know of it; [`quoted`] does the same for what an ICMP error quotes.

pub mod arp;
pub mod build;
pub mod checksum;
pub mod ethernet;
pub mod extension;
mod frame;
pub mod icmp;
mod ipv4;
mod ipv6;
pub mod ndp;
mod prefetch;
pub mod protocol;
mod summary;
pub mod tcp;
mod udp;

pub use arp::Arp;
pub use ethernet::{Ethernet, Mac};
pub use frame::{Buffer, Frame, Heap, Pool};
pub use icmp::Icmp;
pub use ipv4::{Ipv4, Ipv4Option};
pub use ipv6::Ipv6;
pub use prefetch::prefetch;
pub use summary::{Fragment, Quoted, Summary, Unparsable, quoted, summarize};
pub use tcp::Tcp;
pub use udp::Udp;

/// The bytes are not what they should be: too few, or they contradict themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// The big-endian number at `at`, which lies in the array: a view's fields are at constant places.
#[inline]
const fn be16<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// The same for 32 bits.
#[inline]
const fn be32<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

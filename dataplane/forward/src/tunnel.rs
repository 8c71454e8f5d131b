//! Encapsulation: IP in IP (RFC 2003, RFC 2473), both families in both.
//!
//! What is decided once per node lies in its [`Path`]; here is what each packet adds.

mod fragment;

use packet::{Frame, protocol};

use crate::counters::Counter;
use crate::path::Path;

pub(crate) use fragment::fragment;

/// Puts the outer header in front of the IP packet at `l3`, 14 or 18 bytes into the frame, over
/// the old Ethernet header. What follows the packet (Ethernet's padding) is cut off.
///
/// The VIP is the end of the client's path: the inner packet stays as it is, hop limit included.
/// Traffic class and ECN are copied outwards (RFC 6040, normal mode); the outer packet must not be
/// fragmented. The caller has parsed the inner header and compared its length with the path's MTU.
///
/// # Errors
/// With the frame's headers as they were: [`Counter::NoHeadroom`], [`Counter::TooLong`], and
/// [`Counter::Malformed`] if there is no IP header at `l3`.
#[inline]
pub fn encapsulate<F: Frame>(frame: &mut F, l3: usize, path: &Path) -> Result<(), Counter> {
    let inner = Inner::read(frame.bytes(), l3).ok_or(Counter::Malformed)?;
    encapsulate_inner(frame, l3, inner, path)
}

/// The same for a packet whose header was read already.
///
/// # Errors
/// As [`encapsulate`], but for the header.
#[inline(always)]
pub(crate) fn encapsulate_inner<F: Frame>(
    frame: &mut F,
    l3: usize,
    inner: Inner,
    path: &Path,
) -> Result<(), Counter> {
    let end = l3 + inner.len as usize;
    if frame.total_len() > end {
        frame.truncate(end);
    }
    let outer = path.outer();
    match (outer.is_tagged(), outer.is_ipv6()) {
        (false, false) => over_ipv4::<F, { 14 + 20 }>(frame, l3, inner, path),
        (false, true) => over_ipv6::<F, { 14 + 40 }>(frame, l3, inner, path),
        (true, false) => over_ipv4::<F, { 18 + 20 }>(frame, l3, inner, path),
        (true, true) => over_ipv6::<F, { 18 + 40 }>(frame, l3, inner, path),
    }
}

/// What the outer header takes from the inner one.
#[derive(Clone, Copy)]
pub(crate) struct Inner {
    len: u32,
    traffic_class: u32,
    protocol: u32,
}

impl Inner {
    /// Of a packet of `len` bytes.
    #[inline]
    pub(crate) fn new(ipv6: bool, len: u16, traffic_class: u8) -> Self {
        let protocol = if ipv6 { protocol::IPV6 } else { protocol::IPV4 };
        Self { len: len.into(), traffic_class: traffic_class.into(), protocol: protocol.into() }
    }

    /// Length of the packet.
    #[inline]
    pub(crate) fn len(self) -> u32 {
        self.len
    }

    #[inline]
    fn read(bytes: &[u8], l3: usize) -> Option<Self> {
        let header: &[u8; 6] = bytes.get(l3..)?.first_chunk()?;
        let [a, b, c, d, e, f] = *header;
        let word = u32::from_be_bytes([a, b, c, d]);
        match word >> 28 {
            4 => Some(Self {
                len: word & 0xffff,
                traffic_class: word >> 16 & 0xff,
                protocol: protocol::IPV4.into(),
            }),
            6 => Some(Self {
                len: 40 + u32::from(u16::from_be_bytes([e, f])),
                traffic_class: word >> 20 & 0xff,
                protocol: protocol::IPV6.into(),
            }),
            _ => None,
        }
    }
}

#[inline(always)]
fn over_ipv4<F: Frame, const LEN: usize>(
    frame: &mut F,
    l3: usize,
    inner: Inner,
    path: &Path,
) -> Result<(), Counter> {
    if inner.len > 0xffff - 20 {
        return Err(Counter::TooLong);
    }
    let header = prepend::<F, LEN>(frame, l3)?;
    let template = path.header();
    *header = *template;
    let ip: &mut [u8; 20] = header.last_chunk_mut().expect("LEN is at least 34");

    // Two of the checksum's words at once. What is added to them does not carry out of 32 bits.
    let first = 0x4500_0000 | inner.traffic_class << 16 | (inner.len + 20);
    let partial = u16::from_ne_bytes([template[LEN - 10], template[LEN - 9]]);
    let sum = first + u32::from(partial) + inner.protocol;
    let sum = sum.wrapping_add(sum.rotate_left(16)) >> 16;
    let checksum = if path.checksum_offload() { 0 } else { !sum as u16 };

    ip[..4].copy_from_slice(&first.to_be_bytes());
    ip[9] = inner.protocol as u8;
    ip[10..12].copy_from_slice(&checksum.to_be_bytes());
    if path.checksum_offload() {
        frame.offload_ipv4_checksum(LEN - 20, 20);
    }
    Ok(())
}

#[inline(always)]
fn over_ipv6<F: Frame, const LEN: usize>(
    frame: &mut F,
    l3: usize,
    inner: Inner,
    path: &Path,
) -> Result<(), Counter> {
    if inner.len > 0xffff {
        return Err(Counter::TooLong);
    }
    let header = prepend::<F, LEN>(frame, l3)?;
    *header = *path.header();
    let ip: &mut [u8; 40] = header.last_chunk_mut().expect("LEN is at least 54");

    let first = 0x6000_0000 | inner.traffic_class << 20;
    ip[..4].copy_from_slice(&first.to_be_bytes());
    ip[4..6].copy_from_slice(&(inner.len as u16).to_be_bytes());
    ip[6] = inner.protocol as u8;
    Ok(())
}

/// The `LEN` bytes that end where the inner packet begins.
#[inline(always)]
fn prepend<F: Frame, const LEN: usize>(
    frame: &mut F,
    l3: usize,
) -> Result<&mut [u8; LEN], Counter> {
    frame.prepend(LEN - l3).and_then(|bytes| bytes.first_chunk_mut()).ok_or(Counter::NoHeadroom)
}

#[cfg(test)]
mod tests;

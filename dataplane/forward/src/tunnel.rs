//! Encapsulation: IP in IP (RFC 2003, RFC 2473), both families in both.
//!
//! What is decided once per node lies in its [`Path`]; here is what each packet adds.

mod fragment;

use packet::{Frame, checksum, protocol};

use crate::counters::Counter;
use crate::path::{Outer, Path};
use crate::sources::Sources;

pub(crate) use fragment::fragment;

/// Puts the outer header in front of the IP packet at `l3`, 14 or 18 bytes into the frame, over
/// the old Ethernet header. What follows the packet (Ethernet's padding) is cut off.
///
/// The VIP is the end of the client's path: the inner packet stays as it is, hop limit included.
/// Traffic class and ECN are copied outwards (RFC 6040, normal mode); the outer packet must not be
/// fragmented. The caller has parsed the inner header and compared its length with the path's MTU.
///
/// # Errors
/// With the frame as it was: [`Counter::NoHeadroom`], also if the frame is shorter than the header says;
/// [`Counter::TooLong`]; and [`Counter::Malformed`] if there is no IP header at `l3`.
#[inline]
pub fn encapsulate<F: Frame>(frame: &mut F, l3: usize, path: &Path) -> Result<(), Counter> {
    let inner = Inner::read(frame.bytes(), l3)?;
    if !path.outer().is_ipv6() && inner.len > 0xffff - 20 {
        return Err(Counter::TooLong);
    }
    put(frame, l3, inner, path, path.outer())
}

/// The same for a packet whose header was read already, and found not to be too long. `outer` is the
/// path's: where it is known when this is compiled, the way is short.
///
/// # Errors
/// [`Counter::NoHeadroom`], with the frame as it was.
#[inline(always)]
pub(crate) fn put<F: Frame>(
    frame: &mut F,
    l3: usize,
    inner: Inner,
    path: &Path,
    outer: Outer,
) -> Result<(), Counter> {
    match outer {
        Outer::V4 => over_ipv4::<F, { 14 + 20 }>(frame, l3, inner, path),
        Outer::V6 => over_ipv6::<F, { 14 + 40 }>(frame, l3, inner, path),
        Outer::V4Vlan => over_ipv4::<F, { 18 + 20 }>(frame, l3, inner, path),
        Outer::V6Vlan => over_ipv6::<F, { 18 + 40 }>(frame, l3, inner, path),
    }
}

/// Gives the outer header that [`put`] has made of a path the source of a flow.
#[inline(never)]
pub(crate) fn vary<F: Frame>(frame: &mut F, path: &Path, sources: &Sources, hash: u64) {
    let l2 = path.outer().l2_len();
    let Some(ip) = frame.bytes_mut().get_mut(l2..) else { return };
    if path.outer().is_ipv6() {
        if let (Some(source), Some(place)) = (sources.v6(hash), ip.get_mut(8..24)) {
            place.copy_from_slice(&source);
        }
    } else if let (Some(source), Some(header)) = (sources.v4(hash), ip.first_chunk_mut::<20>()) {
        header[12..16].copy_from_slice(&source);
        if !path.checksum_offload() {
            header[10..12].fill(0);
            let checksum = checksum::of(header);
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
    }
}

/// What the outer header takes from the inner one.
#[derive(Clone, Copy)]
pub(crate) struct Inner {
    len: u16,
    traffic_class: u8,
    ipv6: bool,
}

impl Inner {
    /// Of a packet of `len` bytes.
    #[inline]
    pub(crate) fn new(ipv6: bool, len: u16, traffic_class: u8) -> Self {
        Self { len, traffic_class, ipv6 }
    }

    #[inline]
    pub(crate) fn is_ipv6(self) -> bool {
        self.ipv6
    }

    /// Length of the packet.
    #[inline]
    pub(crate) fn len(self) -> u16 {
        self.len
    }

    #[inline]
    fn protocol(self) -> u8 {
        if self.ipv6 { protocol::IPV6 } else { protocol::IPV4 }
    }

    /// # Errors
    /// [`Counter::Malformed`], and [`Counter::TooLong`] for an IPv6 packet whose length has 17 bits.
    fn read(bytes: &[u8], l3: usize) -> Result<Self, Counter> {
        let header = bytes.get(l3..).and_then(|ip| ip.first_chunk()).ok_or(Counter::Malformed)?;
        let &[a, b, c, d, e, f] = header;
        match a >> 4 {
            4 => Ok(Self::new(false, u16::from_be_bytes([c, d]), b)),
            6 => {
                let len = u16::from_be_bytes([e, f]).checked_add(40).ok_or(Counter::TooLong)?;
                Ok(Self::new(true, len, a << 4 | b >> 4))
            }
            _ => Err(Counter::Malformed),
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
    let header = wrap::<F, LEN>(frame, l3, inner.len)?;
    let template = path.header();
    *header = *template;
    let ip: &mut [u8; 20] = header.last_chunk_mut().expect("LEN is at least 34");

    // Two of the checksum's words at once. What is added to them does not carry out of 32 bits.
    let len = u32::from(inner.len) + 20;
    let first = 0x4500_0000 | u32::from(inner.traffic_class) << 16 | len;
    let partial = u16::from_ne_bytes([template[LEN - 10], template[LEN - 9]]);
    let sum = first + u32::from(partial) + u32::from(inner.protocol());
    let sum = sum.wrapping_add(sum.rotate_left(16)) >> 16;
    let checksum = if path.checksum_offload() { 0 } else { !sum as u16 };

    ip[..4].copy_from_slice(&first.to_be_bytes());
    ip[9] = inner.protocol();
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
    let header = wrap::<F, LEN>(frame, l3, inner.len)?;
    *header = *path.header();
    let ip: &mut [u8; 40] = header.last_chunk_mut().expect("LEN is at least 54");

    let first = 0x6000_0000 | u32::from(inner.traffic_class) << 20;
    ip[..4].copy_from_slice(&first.to_be_bytes());
    ip[4..6].copy_from_slice(&inner.len.to_be_bytes());
    ip[6] = inner.protocol();
    Ok(())
}

/// The `LEN` bytes that end where the inner packet begins, in a frame that ends where it does.
#[inline(always)]
fn wrap<F: Frame, const LEN: usize>(
    frame: &mut F,
    l3: usize,
    inner_len: u16,
) -> Result<&mut [u8; LEN], Counter> {
    let bytes = frame.wrap((LEN - l3) as u16, LEN as u32 + u32::from(inner_len));
    bytes.and_then(|bytes| bytes.first_chunk_mut()).ok_or(Counter::NoHeadroom)
}

#[cfg(test)]
mod tests;

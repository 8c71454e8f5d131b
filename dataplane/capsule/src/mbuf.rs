//! A packet in an mbuf, or in a chain of them.

use std::ptr::{self, NonNull};
use std::{iter, mem, slice};

use dpdk_sys::{self as ffi, rte_mbuf};
use packet::{Frame, prefetch};

/// A packet this code owns. Dropping it gives its mbufs back to their pool.
///
/// Relied on throughout: the pointer is that of a live chain of mbufs that nobody else uses. In
/// each, `data_off + data_len` bytes lie within the buffer at `buf_addr`; `nb_segs` and `pkt_len`
/// of the first are those of the chain. DPDK hands them over so, and nothing here breaks it.
#[repr(transparent)]
pub struct Packet(NonNull<rte_mbuf>);

// SAFETY: an mbuf belongs to no thread; pools take it back from any.
unsafe impl Send for Packet {}

impl Packet {
    /// A packet of one new mbuf, `len` bytes long.
    ///
    /// # Safety
    /// The caller owns the mbuf, which is reset and has room for as many bytes.
    pub(crate) unsafe fn new(mbuf: NonNull<rte_mbuf>, len: u16) -> Self {
        let mut packet = Self(mbuf);
        let head = packet.head_mut();
        head.data_len = len;
        head.pkt_len = len.into();
        packet
    }

    /// How many segments it lies in.
    #[inline]
    pub fn segments(&self) -> u16 {
        self.head().nb_segs
    }

    /// Puts `tail` behind this packet, as further segments.
    ///
    /// # Errors
    /// Gives it back if the whole would be more than DPDK can count: 65,535 segments.
    pub fn append(&mut self, tail: Self) -> Result<(), Self> {
        let (head, rest) = (self.head(), tail.head());
        let Some(segments) = head.nb_segs.checked_add(rest.nb_segs) else { return Err(tail) };
        let Some(len) = head.pkt_len.checked_add(rest.pkt_len) else { return Err(tail) };

        let mut last = self.head_mut();
        // SAFETY: a chain is ours from its first mbuf to its last.
        while let Some(next) = unsafe { last.next.as_mut() } {
            last = next;
        }
        last.next = tail.into_raw();
        let head = self.head_mut();
        head.nb_segs = segments;
        head.pkt_len = len;
        Ok(())
    }

    /// Moves what lies in later segments into the first. `false`, and nothing changed, if it has no
    /// room for it.
    pub(crate) fn linearize(&mut self) -> bool {
        // SAFETY: the chain is ours.
        unsafe { ffi::shim_pktmbuf_linearize(self.0.as_ptr()) == 0 }
    }

    #[inline]
    fn head(&self) -> &rte_mbuf {
        // SAFETY: the mbuf is live, and ours, as long as `self`.
        unsafe { self.0.as_ref() }
    }

    #[inline]
    fn head_mut(&mut self) -> &mut rte_mbuf {
        // SAFETY: as above, and `&mut self` is the only way to it.
        unsafe { self.0.as_mut() }
    }

    /// Cuts off what lies behind `len` bytes, which are less than there are.
    #[cold]
    fn cut_chain(&mut self, len: usize) {
        let head = self.head_mut();
        head.pkt_len = len as u32; // less than it was
        let (mut last, mut left, mut segments) = (head, len, 1);
        while left > last.data_len.into() {
            left -= usize::from(last.data_len);
            segments += 1;
            // SAFETY: a chain is ours from its first mbuf to its last.
            let next = unsafe { last.next.as_mut() };
            last = next.expect("pkt_len is the sum of the segments' data_len");
        }
        last.data_len = left as u16; // at most what it was
        let rest = mem::replace(&mut last.next, ptr::null_mut());
        self.head_mut().nb_segs = segments;
        drop(NonNull::new(rest).map(Self));
    }

    fn into_raw(self) -> *mut rte_mbuf {
        let raw = self.0.as_ptr();
        mem::forget(self);
        raw
    }
}

impl Drop for Packet {
    fn drop(&mut self) {
        // SAFETY: the chain is ours, and not used again.
        unsafe { ffi::shim_pktmbuf_free(self.0.as_ptr()) }
    }
}

/// Bytes of a cache line.
const LINE: usize = 64;

/// Where a segment's bytes begin.
#[inline]
fn data(segment: &rte_mbuf) -> *mut u8 {
    segment.buf_addr.cast::<u8>().wrapping_add(segment.data_off.into())
}

/// A segment's bytes.
#[inline]
fn bytes(segment: &rte_mbuf) -> &[u8] {
    // SAFETY: they lie in its buffer, which lives and is not written to while its mbuf is borrowed.
    unsafe { slice::from_raw_parts(data(segment), segment.data_len.into()) }
}

impl Frame for Packet {
    #[inline]
    fn bytes(&self) -> &[u8] {
        bytes(self.head())
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let head = self.head_mut();
        // SAFETY: they lie in its buffer, which is ours alone while its mbuf is borrowed mutably.
        unsafe { slice::from_raw_parts_mut(data(head), head.data_len.into()) }
    }

    #[inline]
    fn total_len(&self) -> usize {
        self.head().pkt_len as usize
    }

    #[inline]
    fn prepend(&mut self, n: usize) -> Option<&mut [u8]> {
        let n = u16::try_from(n).ok()?;
        let head = self.head_mut();
        head.data_off = head.data_off.checked_sub(n)?;
        head.data_len += n; // no more than `buf_len`, a u16
        head.pkt_len += u32::from(n);
        Some(self.bytes_mut())
    }

    #[inline]
    fn trim_front(&mut self, n: usize) -> bool {
        let head = self.head_mut();
        let Some(left) = usize::from(head.data_len).checked_sub(n) else { return false };
        let n = head.data_len - left as u16; // at most `data_len`
        head.data_off += n;
        head.data_len -= n;
        head.pkt_len -= u32::from(n);
        true
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        let head = self.head_mut();
        if len >= head.pkt_len as usize {
            return;
        }
        if head.nb_segs > 1 {
            return self.cut_chain(len);
        }
        (head.data_len, head.pkt_len) = (len as u16, len as u32); // less than they were
    }

    #[inline]
    fn wrap(&mut self, front: u16, len: u32) -> Option<&mut [u8]> {
        let head = self.head_mut();
        let longer = head.pkt_len + u32::from(front);
        if len > longer {
            return None;
        }
        head.data_off = head.data_off.checked_sub(front)?;
        if head.nb_segs > 1 {
            head.data_len += front; // no more than `buf_len`, a u16
            head.pkt_len = longer;
            self.truncate(len as usize);
            return Some(self.bytes_mut());
        }
        (head.data_len, head.pkt_len) = (len as u16, len);
        // SAFETY: they lie in its buffer, which is ours alone while its mbuf is borrowed mutably: `front`
        // bytes of headroom, and no more of the packet than there was.
        Some(unsafe { slice::from_raw_parts_mut(data(head), len as usize) })
    }

    #[inline]
    fn prefetch(&self) {
        let start = data(self.head());
        prefetch(start);
        prefetch(start.wrapping_sub(LINE));
    }

    fn copy_to(&self, mut offset: usize, into: &mut [u8]) -> usize {
        let mut copied = 0;
        // SAFETY: a chain is ours from its first mbuf to its last.
        for segment in iter::successors(Some(self.head()), |s| unsafe { s.next.as_ref() }) {
            let bytes = bytes(segment);
            let Some(from) = bytes.get(offset..) else {
                offset -= bytes.len();
                continue;
            };
            offset = 0;
            let n = from.len().min(into.len() - copied);
            into[copied..][..n].copy_from_slice(&from[..n]);
            copied += n;
            if copied == into.len() {
                break;
            }
        }
        copied
    }

    #[inline]
    fn offload_ipv4_checksum(&mut self, l2_len: usize, l3_len: usize) {
        let head = self.head_mut();
        // A NIC may stop its queue for good over lengths that the packet does not have.
        assert!(l2_len + l3_len <= head.data_len.into(), "the headers lie in the first segment");
        assert!(l2_len < 1 << ffi::RTE_MBUF_L2_LEN_BITS, "l2_len is the length of an L2 header");
        assert!(l3_len < 1 << ffi::RTE_MBUF_L3_LEN_BITS, "l3_len is the length of an IP header");
        head.tx_offload = (l2_len | l3_len << ffi::RTE_MBUF_L2_LEN_BITS) as u64;
        head.ol_flags |= ffi::RTE_MBUF_F_TX_IPV4 | ffi::RTE_MBUF_F_TX_IP_CKSUM;
    }

    #[inline]
    fn has_bad_ipv4_checksum(&self) -> bool {
        self.head().ol_flags & ffi::RTE_MBUF_F_RX_IP_CKSUM_MASK == ffi::RTE_MBUF_F_RX_IP_CKSUM_BAD
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut all = vec![0; self.total_len()];
        self.copy_to(0, &mut all);
        all.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use std::mem::ManuallyDrop;

    use super::*;

    /// An mbuf of no pool, to see what is written in it.
    fn mbuf(buffer: &mut [u8; 192]) -> rte_mbuf {
        rte_mbuf {
            buf_addr: buffer.as_mut_ptr().cast(),
            data_off: 128,
            data_len: 64,
            pkt_len: 64,
            nb_segs: 1,
            refcnt: 1,
            ..rte_mbuf::default()
        }
    }

    #[test]
    fn the_nic_is_told_where_the_ipv4_header_lies() {
        let mut buffer = [0; 192];
        let mut mbuf = mbuf(&mut buffer);
        let mut packet = ManuallyDrop::new(Packet(NonNull::from(&mut mbuf)));
        packet.offload_ipv4_checksum(18, 24);
        assert_eq!(mbuf.ol_flags, 1 << 55 | 1 << 54); // RTE_MBUF_F_TX_IPV4, _IP_CKSUM
        assert_eq!(mbuf.tx_offload, 18 | 24 << 7); // l2_len: 7 bits, l3_len: 9
    }

    #[test]
    fn only_a_checksum_that_the_nic_found_wrong_is_bad() {
        // RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN, _BAD, _GOOD, _NONE
        for (flags, bad) in [(0, false), (1 << 4, true), (1 << 7, false), (1 << 7 | 1 << 4, false)]
        {
            let mut buffer = [0; 192];
            let mut mbuf = rte_mbuf { ol_flags: flags, ..mbuf(&mut buffer) };
            let packet = ManuallyDrop::new(Packet(NonNull::from(&mut mbuf)));
            assert_eq!(packet.has_bad_ipv4_checksum(), bad, "{flags:#x}");
        }
    }
}

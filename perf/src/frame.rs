//! Frames in plain memory that cost what mbufs cost.

#![expect(
    unsafe_code,
    reason = "an mbuf's bytes are not checked against its buffer: nor are these"
)]

use memmap2::{Advice, MmapMut};
use packet::{Frame, Pool, prefetch};

/// Bytes in front of a packet, as DPDK leaves.
const HEADROOM: usize = 128;
/// Bytes of a buffer: headroom, 2 KiB of data, and one line so that buffers are spread over the sets
/// of the caches as a mempool spreads them.
const BUFFER: usize = HEADROOM + 2048 + 64;

/// A frame: a pointer to a line that describes it, which points to its bytes.
#[derive(Debug)]
pub struct Mbuf(&'static mut Head);

/// What an mbuf's first cache line holds.
#[derive(Debug)]
#[repr(align(64))]
struct Head {
    buffer: &'static mut [u8],
    start: u16,
    len: u16,
    total: u32,
    flags: u64,
}

const BAD_CHECKSUM: u64 = 1;
const OFFLOAD: u64 = 2;

impl Mbuf {
    /// `count` frames in huge pages where the kernel has them, which live as long as the process.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn pool(count: usize) -> std::io::Result<Vec<Self>> {
        let memory = Box::leak(Box::new(MmapMut::map_anon(count * BUFFER)?));
        let _ = memory.advise(Advice::HugePage);
        let heads = memory.chunks_exact_mut(BUFFER).map(|buffer| {
            buffer.fill(0);
            Head { buffer, start: HEADROOM as u16, len: 0, total: 0, flags: 0 }
        });
        let heads: Vec<Head> = heads.collect();
        Ok(heads.leak().iter_mut().map(Self).collect())
    }

    /// Makes it a packet that begins with these bytes, eight in a word, and is `len` long, as if it
    /// had just come in.
    #[inline]
    pub fn receive<const N: usize>(&mut self, words: &[u64; N], len: u16) {
        // What is relied on below.
        assert!(HEADROOM + usize::from(len) <= BUFFER, "a packet fits into its buffer");
        let head = &mut *self.0;
        let (places, _) = head.buffer[HEADROOM..][..N * 8].as_chunks_mut();
        for (place, word) in places.iter_mut().zip(words) {
            *place = word.to_le_bytes();
        }
        (head.start, head.len, head.total, head.flags) = (HEADROOM as u16, len, len.into(), 0);
    }
}

impl Frame for Mbuf {
    #[inline]
    fn bytes(&self) -> &[u8] {
        let Head { buffer, start, len, .. } = &*self.0;
        // SAFETY: `start + len` is at most the buffer's length: `receive` sees to it, and nothing else
        // moves the end.
        unsafe { buffer.get_unchecked((*start).into()..usize::from(*start) + usize::from(*len)) }
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        let Head { buffer, start, len, .. } = &mut *self.0;
        let range = (*start).into()..usize::from(*start) + usize::from(*len);
        // SAFETY: as above.
        unsafe { buffer.get_unchecked_mut(range) }
    }

    #[inline]
    fn wrap(&mut self, front: u16, len: u32) -> Option<&mut [u8]> {
        let Head { buffer, start, len: first, total, .. } = &mut *self.0;
        if len > *total + u32::from(front) {
            return None;
        }
        *start = start.checked_sub(front)?;
        (*first, *total) = (len as u16, len);
        let range = (*start).into()..usize::from(*start) + len as usize;
        // SAFETY: as above.
        Some(unsafe { buffer.get_unchecked_mut(range) })
    }

    #[inline]
    fn prefetch(&self) {
        let start = self.0.buffer.as_ptr().wrapping_add(self.0.start.into());
        prefetch(start);
        prefetch(start.wrapping_sub(64));
    }

    #[inline]
    fn total_len(&self) -> usize {
        self.0.total as usize
    }

    #[inline]
    fn prepend(&mut self, n: usize) -> Option<&mut [u8]> {
        let n = u16::try_from(n).ok()?;
        self.0.start = self.0.start.checked_sub(n)?;
        self.0.len += n;
        self.0.total += u32::from(n);
        Some(self.bytes_mut())
    }

    #[inline]
    fn trim_front(&mut self, n: usize) -> bool {
        let Some(left) = usize::from(self.0.len).checked_sub(n) else { return false };
        let n = self.0.len - left as u16;
        self.0.start += n;
        self.0.len = left as u16;
        self.0.total -= u32::from(n);
        true
    }

    #[inline]
    fn truncate(&mut self, len: usize) {
        if len < self.total_len() {
            (self.0.len, self.0.total) = (len as u16, len as u32);
        }
    }

    fn copy_to(&self, offset: usize, into: &mut [u8]) -> usize {
        let from = self.bytes().get(offset..).unwrap_or_default();
        let n = from.len().min(into.len());
        into[..n].copy_from_slice(&from[..n]);
        n
    }

    #[inline]
    fn offload_ipv4_checksum(&mut self, _l2_len: usize, _l3_len: usize) {
        self.0.flags |= OFFLOAD;
    }

    #[inline]
    fn has_bad_ipv4_checksum(&self) -> bool {
        self.0.flags & BAD_CHECKSUM != 0
    }
}

/// Has no frames: what is measured makes none.
#[derive(Clone, Copy, Debug)]
pub struct Empty;

impl Pool for Empty {
    type Frame = Mbuf;

    fn allocate(&mut self, _len: usize) -> Option<Mbuf> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_rewritten_in_place_and_received_anew() {
        let mut frames = Mbuf::pool(2).unwrap();
        let frame = &mut frames[1];
        for _ in 0..2 {
            frame.receive(&[0x0707_0707_0707_0707; 8], 60);
            assert_eq!(frame.bytes(), [7; 60]);
            assert_eq!(frame.prepend(20).map(|bytes| bytes.len()), Some(80));
            assert!(frame.trim_front(20));
            assert_eq!(frame.wrap(20, 81).map(|bytes| bytes.len()), None);
            assert_eq!(frame.wrap(20, 70).map(|bytes| bytes.len()), Some(70));
            assert!(frame.trim_front(20));
            assert_eq!((frame.bytes(), frame.total_len()), (&[7; 50][..], 50));
            assert!(frame.trim_front(10));
            frame.truncate(40);
            assert_eq!((frame.bytes(), frame.total_len()), (&[7; 40][..], 40));
            assert!(!frame.trim_front(41));
            assert!(frame.prepend(HEADROOM + 11).is_none());
        }
    }
}

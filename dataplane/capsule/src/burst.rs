//! Packets that are received or sent together.

use std::iter::FusedIterator;
use std::mem::{self, MaybeUninit};
use std::slice;

use dpdk_sys::{self as ffi, rte_mbuf};

use crate::Packet;

/// Up to 32 packets, in the order of arrival. Those still in it when it is dropped are freed.
pub struct Burst {
    /// Those before `len` are packets; the other places are leftovers.
    packets: [MaybeUninit<Packet>; Self::SIZE],
    len: u16,
}

impl Burst {
    /// Most packets a burst holds.
    pub const SIZE: usize = 32;

    /// A burst of no packets.
    pub const fn new() -> Self {
        Self { packets: [const { MaybeUninit::uninit() }; Self::SIZE], len: 0 }
    }

    /// Number of packets.
    #[inline]
    pub fn len(&self) -> u16 {
        self.len
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The packets.
    #[inline]
    pub fn packets(&self) -> &[Packet] {
        let packets = &self.packets[..self.len.into()];
        // SAFETY: places before `len` hold packets.
        unsafe { packets.assume_init_ref() }
    }

    /// The packets, to be rewritten in place.
    #[inline]
    pub fn packets_mut(&mut self) -> &mut [Packet] {
        let packets = &mut self.packets[..self.len.into()];
        // SAFETY: places before `len` hold packets.
        unsafe { packets.assume_init_mut() }
    }

    /// Adds a packet at the end.
    ///
    /// # Errors
    /// Gives it back if the burst is full.
    #[inline]
    pub fn push(&mut self, packet: Packet) -> Result<(), Packet> {
        let Some(place) = self.packets.get_mut(usize::from(self.len)) else { return Err(packet) };
        place.write(packet);
        self.len += 1;
        Ok(())
    }

    /// Takes out every packet, in order. Those not taken are freed.
    #[inline]
    pub fn drain(&mut self) -> Drain<'_> {
        // Emptied first: were the `Drain` leaked, its packets would leak too, never be freed twice.
        let len = mem::take(&mut self.len);
        Drain { packets: self.packets[..len.into()].iter_mut() }
    }

    /// Frees every packet, all at once.
    #[inline]
    pub fn clear(&mut self) {
        drop(self.drain());
    }

    /// Lets `receive` fill the places that are free: it is told where and how many.
    ///
    /// # Safety
    /// `receive` writes the mbufs of as many packets as it returns, and leaves them to the burst.
    #[inline]
    pub(crate) unsafe fn fill(&mut self, receive: impl FnOnce(*mut *mut rte_mbuf, u16) -> u16) {
        let free = &mut self.packets[self.len.into()..];
        if !free.is_empty() {
            // `Packet` is transparent: places for packets are places for pointers.
            self.len += receive(free.as_mut_ptr().cast(), free.len() as u16); // at most SIZE
        }
    }

    /// Lets `send` take packets from the front: it is told where they lie and how many.
    ///
    /// # Safety
    /// `send` owns as many packets as it returns, and leaves the others as they are.
    #[inline]
    pub(crate) unsafe fn take(&mut self, send: impl FnOnce(*mut *mut rte_mbuf, u16) -> u16) {
        let offered = mem::take(&mut self.len);
        let taken = send(self.packets.as_mut_ptr().cast(), offered);
        if taken < offered {
            self.packets[..offered.into()].rotate_left(taken.into());
            self.len = offered - taken;
        }
    }
}

impl Default for Burst {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Burst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.packets()).finish()
    }
}

impl Drop for Burst {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The packets of a burst, on their way out of it.
pub struct Drain<'a> {
    /// All are packets.
    packets: slice::IterMut<'a, MaybeUninit<Packet>>,
}

impl Iterator for Drain<'_> {
    type Item = Packet;

    #[inline]
    fn next(&mut self) -> Option<Packet> {
        let place = self.packets.next()?;
        // SAFETY: it holds a packet, which no one reads again: the burst has forgotten it.
        Some(unsafe { place.assume_init_read() })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.packets.size_hint()
    }
}

impl ExactSizeIterator for Drain<'_> {}
impl FusedIterator for Drain<'_> {}

impl Drop for Drain<'_> {
    #[inline]
    fn drop(&mut self) {
        let left = mem::take(&mut self.packets).into_slice();
        if !left.is_empty() {
            let mbufs = left.as_mut_ptr().cast();
            // SAFETY: each is a packet, thus a live chain of mbufs, and not read again.
            unsafe { ffi::rte_pktmbuf_free_bulk(mbufs, left.len() as u32) } // at most SIZE
        }
    }
}

//! Where packets come from and go back to.

use std::ffi::{CString, c_int};
use std::ptr::NonNull;

use dpdk_sys as ffi;

use crate::error::{Errno, Error};
use crate::{Eal, Packet};

/// A pool of packets of one size. Clones are the same pool.
///
/// Each registered thread (see [`Lcore`](crate::Lcore)) has a cache of its own in it; other
/// threads reach the common ring, which is slower. Its memory stays until the EAL is shut down,
/// for packets do not keep their pool alive.
#[derive(Clone)]
pub struct Mempool {
    pool: RawPool,
    data_room: u16,
    _eal: Eal,
}

impl Mempool {
    /// Bytes of a segment that every NIC can receive into.
    pub const DATA_ROOM: u16 = 2048;

    /// Bytes in front of a new packet: room for outer headers.
    pub const HEADROOM: u16 = ffi::RTE_PKTMBUF_HEADROOM;

    /// Most packets that a registered thread keeps in its cache. Smaller pools have smaller caches.
    const CACHE: u32 = 256;

    /// A pool of `packets`, each with room for `data_room` bytes behind the headroom.
    ///
    /// Rings and caches hold packets too: a pool wants several times the receive descriptors.
    ///
    /// # Errors
    /// A name in use or of more than 25 bytes; not enough memory.
    pub fn new(eal: &Eal, name: &str, packets: u32, data_room: u16) -> Result<Self, Error> {
        let failed = |source| Error::Mempool { name: name.to_owned(), packets, data_room, source };
        let c_name = CString::new(name).map_err(|_| Error::ZeroByte(name.to_owned()))?;
        let room = data_room.checked_add(Self::HEADROOM).ok_or_else(|| failed(Errno::EINVAL))?;
        let cache = Self::CACHE.min(packets / 8);
        let socket: c_int = ffi::SOCKET_ID_ANY; // this thread's if it has the memory

        // SAFETY: `eal` is up, and `c_name` a C string, which is copied.
        let pool = unsafe {
            ffi::rte_pktmbuf_pool_create(c_name.as_ptr(), packets, cache, 0, room, socket)
        };
        let pool = NonNull::new(pool).ok_or_else(|| failed(Errno::last()))?;
        let pool = RawPool { pool, packets };
        eal.add_pool(pool);
        Ok(Self { pool, data_room, _eal: eal.clone() })
    }

    /// How many packets are in it, caches included. Not exact while others use the pool.
    pub fn available(&self) -> u32 {
        self.pool.available()
    }

    /// How many packets there are, in it and elsewhere.
    pub fn packets(&self) -> u32 {
        self.pool.packets
    }

    /// Bytes that a segment has room for behind the headroom.
    pub fn data_room(&self) -> u16 {
        self.data_room
    }

    pub(crate) fn as_ptr(&self) -> *mut ffi::rte_mempool {
        self.pool.pool.as_ptr()
    }
}

impl packet::Pool for Mempool {
    type Frame = Packet;

    fn allocate(&mut self, len: usize) -> Option<Packet> {
        let len = u16::try_from(len).ok().filter(|&len| len <= self.data_room)?;
        // SAFETY: the pool is there as long as the EAL; any thread may take from it.
        let mbuf = NonNull::new(unsafe { ffi::shim_pktmbuf_alloc(self.as_ptr()) })?;
        // SAFETY: the pool gives out an mbuf once, reset, with `data_room` bytes behind its headroom.
        Some(unsafe { Packet::new(mbuf, len) })
    }
}

impl std::fmt::Debug for Mempool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (packets, available) = (self.packets(), self.available());
        f.debug_struct("Mempool")
            .field("packets", &packets)
            .field("available", &available)
            .finish_non_exhaustive()
    }
}

/// A pool that lasts as long as the EAL.
#[derive(Clone, Copy)]
pub(crate) struct RawPool {
    pool: NonNull<ffi::rte_mempool>,
    packets: u32,
}

// SAFETY: a pool belongs to no thread: its ring is for many producers and many consumers, and each
// of its caches for the one thread that has the lcore id.
unsafe impl Send for RawPool {}
// SAFETY: as above.
unsafe impl Sync for RawPool {}

impl RawPool {
    fn available(self) -> u32 {
        // SAFETY: the pool is there as long as the EAL.
        unsafe { ffi::rte_mempool_avail_count(self.pool.as_ptr()) }
    }

    /// Whether every packet is back.
    pub(crate) fn is_full(self) -> bool {
        self.available() == self.packets
    }
}

//! Threads that DPDK knows.

use std::marker::PhantomData;

use dpdk_sys as ffi;

use crate::Eal;
use crate::error::{Errno, Error};

/// The calling thread's registration with DPDK: with it, the thread has caches of its own in every
/// pool. Ends when dropped, which only this thread can do.
#[derive(Debug)]
pub struct Lcore {
    id: u32,
    _eal: Eal,
    _of_this_thread: PhantomData<*const ()>,
}

impl Lcore {
    /// Registers the calling thread. It is not pinned by this.
    ///
    /// # Errors
    /// The thread is registered, or is the one that initialised the EAL; all lcore ids are taken.
    pub fn register(eal: &Eal) -> Result<Self, Error> {
        if current().is_some() {
            return Err(Error::Register(Errno::EEXIST));
        }
        // SAFETY: the EAL is up, and this thread has no lcore id that it would lose.
        if unsafe { ffi::rte_thread_register() } < 0 {
            return Err(Error::Register(Errno::last()));
        }
        let id = current().ok_or(Error::Register(Errno::EINVAL))?;
        Ok(Self { id, _eal: eal.clone(), _of_this_thread: PhantomData })
    }

    /// The number DPDK gave it.
    pub fn id(&self) -> u32 {
        self.id
    }
}

impl Drop for Lcore {
    fn drop(&mut self) {
        // SAFETY: registered by this thread, for `Lcore` is not `Send`; the EAL is still up.
        unsafe { ffi::rte_thread_unregister() }
    }
}

/// The lcore id of the calling thread.
fn current() -> Option<u32> {
    // SAFETY: reads a variable of this thread.
    let id = unsafe { ffi::shim_lcore_id() };
    (id != ffi::LCORE_ID_ANY).then_some(id)
}

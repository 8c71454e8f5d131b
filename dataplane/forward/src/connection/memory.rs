//! A file's memory as slices of atomics.
//!
//! | rule                                        | how it is kept                                         |
//! |---------------------------------------------|--------------------------------------------------------|
//! | a slice lies within the mapping             | [`Memory::region`] checks it                           |
//! | the mapping lives as long as its slices     | a [`Region`] holds it                                  |
//! | any bytes are a valid value                 | [`Plain`]: made of atomic integers alone               |
//! | the file does not shrink                    | 0600, locked by one process, replaced only by renaming |

#![expect(unsafe_code, reason = "mapped memory becomes typed slices")]

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use memmap2::{Advice, MmapMut, MmapRaw};

use super::bucket::Bucket;
use super::details::Row;
use super::header::Gauge;

/// Types that may lie in a shared file.
///
/// # Safety
/// `repr(C)` and made of [`AtomicU64`] alone, without padding.
pub(super) unsafe trait Plain {}

// SAFETY: it is one.
unsafe impl Plain for AtomicU64 {}
// SAFETY: `repr(C)`, eight of them in 64 bytes.
unsafe impl Plain for Bucket {}
// SAFETY: `repr(C)`, five of them in 40 bytes.
unsafe impl Plain for Row {}
// SAFETY: `repr(C)`, eight of them in 64 bytes.
unsafe impl Plain for Gauge {}

/// A mapping of a whole file, or anonymous memory.
#[derive(Debug)]
pub(super) struct Memory {
    map: MmapRaw,
    /// Held as long as anything refers to the memory, so that no second owner appears.
    _lock: Option<Arc<File>>,
}

impl Memory {
    /// Maps a file, and holds its lock as long.
    pub(super) fn of_file(file: &File, lock: Arc<File>) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self { map: MmapRaw::map_raw(file)?, _lock: Some(lock) }))
    }

    /// Makes sure that there is memory for all of the mapping: a tmpfs that is full is an error here,
    /// not a SIGBUS later, and no page is missing when a packet needs it.
    pub(super) fn reserve(&self, file: &File) -> io::Result<()> {
        // Not every kernel and file system has huge pages; they are worth a few per cent here.
        let _ = self.map.advise(Advice::HugePage);
        match self.map.advise(Advice::PopulateWrite).map_err(|e| (e.raw_os_error(), e)) {
            Ok(()) => Ok(()),
            // Linux before 5.14 does not know it: reserved at least, mapped as they are touched.
            Err((Some(libc::EINVAL), _)) => {
                Ok(nix::fcntl::posix_fallocate(file, 0, self.map.len() as i64)?)
            }
            Err((Some(libc::EFAULT), _)) => Err(io::ErrorKind::StorageFull.into()),
            Err((_, e)) => Err(e),
        }
    }

    /// Memory without a file, all zero.
    pub(super) fn anonymous(bytes: usize) -> io::Result<Arc<Self>> {
        let map = MmapRaw::from(MmapMut::map_anon(bytes)?);
        let _ = map.advise(Advice::HugePage);
        Ok(Arc::new(Self { map, _lock: None }))
    }

    /// Length in bytes.
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    /// `count` values from `offset` on, in bytes; `None` if they do not fit or are not aligned.
    pub(super) fn region<T: Plain>(
        self: &Arc<Self>,
        offset: usize,
        count: usize,
    ) -> Option<Region<T>> {
        let end = count.checked_mul(size_of::<T>())?.checked_add(offset)?;
        let first = NonNull::new(self.map.as_mut_ptr().wrapping_add(offset).cast::<T>())?;
        (end <= self.len() && first.is_aligned()).then(|| Region {
            first,
            count,
            _memory: Arc::clone(self),
        })
    }
}

/// A slice of a [`Memory`], which it keeps alive.
#[derive(Debug)]
pub(super) struct Region<T> {
    first: NonNull<T>,
    count: usize,
    _memory: Arc<Memory>,
}

impl<T: Plain> Deref for Region<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: `Memory::region` made sure of bounds and alignment, any bytes are valid (`Plain`),
        // and `_memory` keeps the mapping. Atomics may change while they are borrowed.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.count) }
    }
}

impl<T> Clone for Region<T> {
    fn clone(&self) -> Self {
        Self { first: self.first, count: self.count, _memory: Arc::clone(&self._memory) }
    }
}

// SAFETY: a region is a shared reference to atomics with the owner of their memory.
unsafe impl<T: Plain> Send for Region<T> {}
// SAFETY: as above.
unsafe impl<T: Plain> Sync for Region<T> {}

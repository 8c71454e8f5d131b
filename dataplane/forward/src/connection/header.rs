use std::num::{NonZeroU16, NonZeroU32};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use crate::Tick;

use super::file::Reason;
use super::layout::Geometry;
use super::memory::Region;

/// Words of the header proper.
pub(super) const WORDS: usize = 10;
/// Node indices that the file has room for.
pub(super) const NODES: usize = 1024;
/// Service indices that the file has room for.
pub(super) const SERVICES: usize = 4096;

const MAGIC: u64 = u64::from_le_bytes(*b"palierct");
/// To be raised with every change of the layout, of [`super::entry::Packed`] or of the choice of buckets.
const FORMAT: u64 = 2;

/// What makes entries of one process understandable to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Version of the flow hash.
    pub hash_version: u32,
    /// Keyed fingerprint of the flow hash's key: equal for equal keys, and no help in finding one.
    pub key_fingerprint: u64,
    /// The boot that ticks count from.
    pub boot: u128,
}

impl Identity {
    /// With the boot that the kernel runs in.
    ///
    /// # Errors
    /// If the kernel does not say (/proc is not mounted).
    pub fn of_this_boot(hash_version: u32, key_fingerprint: u64) -> std::io::Result<Self> {
        let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
        let boot = u128::from_str_radix(&digits, 16).map_err(std::io::Error::other)?;
        Ok(Self { hash_version, key_fingerprint, boot })
    }
}

/// What is in the file beside the tables.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) words: Region<AtomicU64>,
    pub(super) nodes: Region<AtomicU64>,
    pub(super) services: Region<AtomicU64>,
}

impl Header {
    /// Fills in the header of a new file, which nobody else has seen yet.
    pub(super) fn write(&self, geometry: &Geometry, identity: &Identity) {
        for (cell, word) in self.words.iter().zip(words(geometry, identity)) {
            cell.store(word, Relaxed);
        }
    }

    /// The geometry that the file was made with, if its entries mean something to `identity`.
    pub(super) fn read(&self, identity: &Identity) -> Result<Geometry, Reason> {
        let written: [u64; WORDS] = std::array::from_fn(|i| self.words[i].load(Relaxed));
        let [magic, format, capacity, workers, details, version, key, boot_high, boot_low, sum] =
            written;
        if magic != MAGIC {
            return Err(Reason::Corrupt("no header"));
        }
        if format != FORMAT {
            return Err(Reason::OtherFormat);
        }
        if sum != checksum(&written) {
            return Err(Reason::Corrupt("its header's checksum"));
        }
        let geometry = geometry(capacity, workers, details).ok_or(Reason::Corrupt("its size"))?;
        let boot = u128::from(boot_high) << 64 | u128::from(boot_low);
        if boot != identity.boot {
            return Err(Reason::OtherBoot);
        }
        if version != u64::from(identity.hash_version) {
            return Err(Reason::OtherHash);
        }
        if key != identity.key_fingerprint {
            return Err(Reason::OtherKey);
        }
        Ok(geometry)
    }

    /// Takes over the names of another file.
    pub(super) fn copy_names(&self, other: &Self) {
        let places = self.nodes.iter().chain(self.services.iter());
        for (to, from) in places.zip(other.nodes.iter().chain(other.services.iter())) {
            to.store(from.load(Relaxed), Relaxed);
        }
    }
}

fn geometry(capacity: u64, workers: u64, details: u64) -> Option<Geometry> {
    let geometry = Geometry {
        capacity: NonZeroU32::new(u32::try_from(capacity).ok()?)?,
        workers: NonZeroU16::new(u16::try_from(workers).ok()?)?,
        details: match details {
            0 => false,
            1 => true,
            _ => return None,
        },
    };
    geometry.fits().then_some(geometry)
}

fn words(geometry: &Geometry, identity: &Identity) -> [u64; WORDS] {
    let mut words = [
        MAGIC,
        FORMAT,
        geometry.capacity.get().into(),
        geometry.workers.get().into(),
        geometry.details.into(),
        identity.hash_version.into(),
        identity.key_fingerprint,
        (identity.boot >> 64) as u64,
        identity.boot as u64,
        0,
    ];
    words[WORDS - 1] = checksum(&words);
    words
}

/// FNV-1a, a word at a time, of all but the last: it tells a damaged header, nothing more.
fn checksum(words: &[u64; WORDS]) -> u64 {
    words[..WORDS - 1].iter().fold(0xcbf2_9ce4_8422_2325, |sum, word| {
        (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(32)
    })
}

/// What one worker lets others see of its table: a line of its own.
#[derive(Debug)]
#[repr(C, align(64))]
pub(super) struct Gauge {
    entries: AtomicU64,
    swept: AtomicU64,
    unused: [AtomicU64; 6],
}

impl Gauge {
    /// Entries in the table.
    pub(super) fn entries(&self) -> u64 {
        self.entries.load(Relaxed)
    }

    pub(super) fn set_entries(&self, entries: usize) {
        self.entries.store(entries as u64, Relaxed);
    }

    /// When the worker last swept: no entry is older than its state allows by much more than what
    /// has passed since.
    pub(super) fn swept(&self) -> Tick {
        Tick::new(self.swept.load(Relaxed) as u32)
    }

    pub(super) fn set_swept(&self, now: Tick) {
        self.swept.store(now.number().into(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_boot_has_an_identity() {
        assert_ne!(Identity::of_this_boot(1, 2).unwrap().boot, 0);
    }
}

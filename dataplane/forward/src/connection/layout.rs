//! Where what lies in the file, from its geometry alone.
//!
//! ```text
//! 0       header
//! 4096    gauges        64 bytes a worker, room for 1024 of them
//!         node names    64 bytes an index
//!         service names 64 bytes an index
//!         then for each worker, from a page boundary each:
//!         buckets       64 bytes a bucket
//!         details       40 bytes a slot, if they are kept
//! ```

use std::num::{NonZeroU16, NonZeroU32};
use std::sync::Arc;

use super::bucket::{Bucket, WAYS};
use super::details::Row;
use super::header::{Gauge, NODES, SERVICES};
use super::memory::{Memory, Region};
use super::names::NAME_LEN;

const PAGE: usize = 4096;
const GAUGES: usize = PAGE;
const NODE_NAMES: usize = GAUGES + MAX_WORKERS * size_of::<Gauge>();
const SERVICE_NAMES: usize = NODE_NAMES + NODES * NAME_LEN;
const TABLES: usize = SERVICE_NAMES + SERVICES * NAME_LEN;

/// Most workers that a file has room for.
pub const MAX_WORKERS: usize = 1024;
/// Most connections of one worker: slot numbers have 32 bits.
pub const MAX_CAPACITY: u32 = 1 << 30;

/// How large the tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Connections that each worker's table holds at its rated load, two thirds of its slots.
    /// At most [`MAX_CAPACITY`].
    pub capacity: NonZeroU32,
    /// Workers, each with a table. At most [`MAX_WORKERS`].
    pub workers: NonZeroU16,
    /// Whether the 5-tuple of each connection is kept beside it (`--flow-details`).
    pub details: bool,
}

impl Geometry {
    /// Buckets of a table: as many as make the rated load two thirds, that is 24 bytes a connection.
    pub(super) fn buckets(&self) -> usize {
        let slots = (self.capacity.get() as usize * 3).div_ceil(2);
        slots.div_ceil(WAYS).max(2)
    }

    /// Whether a file may have this size.
    pub(super) fn fits(&self) -> bool {
        self.capacity.get() <= MAX_CAPACITY && usize::from(self.workers.get()) <= MAX_WORKERS
    }

    /// Length of the file.
    pub(super) fn bytes(&self) -> usize {
        TABLES + usize::from(self.workers.get()) * self.table_bytes()
    }

    fn table_bytes(&self) -> usize {
        (self.bucket_bytes() + self.details_bytes()).next_multiple_of(PAGE)
    }

    fn bucket_bytes(&self) -> usize {
        self.buckets() * size_of::<Bucket>()
    }

    fn details_bytes(&self) -> usize {
        if self.details { self.buckets() * WAYS * size_of::<Row>() } else { 0 }
    }
}

/// One worker's part of the memory.
#[derive(Clone, Debug)]
pub(super) struct Area {
    pub(super) buckets: Region<Bucket>,
    pub(super) details: Option<Region<Row>>,
    pub(super) gauge: Region<Gauge>,
}

impl Area {
    /// The part of `worker`; `None` if the memory is shorter than the geometry says.
    pub(super) fn of(memory: &Arc<Memory>, geometry: &Geometry, worker: usize) -> Option<Self> {
        let table = TABLES + worker * geometry.table_bytes();
        let slots = geometry.buckets() * WAYS;
        let details = match geometry.details {
            true => Some(memory.region(table + geometry.bucket_bytes(), slots)?),
            false => None,
        };
        Some(Self {
            buckets: memory.region(table, geometry.buckets())?,
            details,
            gauge: memory.region(GAUGES + worker * size_of::<Gauge>(), 1)?,
        })
    }
}

/// The parts of the memory that are not a worker's.
pub(super) fn head(memory: &Arc<Memory>) -> Option<super::header::Header> {
    Some(super::header::Header {
        words: memory.region(0, super::header::WORDS)?,
        nodes: memory.region(NODE_NAMES, NODES * NAME_LEN / 8)?,
        services: memory.region(SERVICE_NAMES, SERVICES * NAME_LEN / 8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(capacity: u32, details: bool) -> Geometry {
        Geometry {
            capacity: capacity.try_into().unwrap(),
            workers: NonZeroU16::new(3).unwrap(),
            details,
        }
    }

    #[test]
    fn a_connection_takes_24_bytes_whatever_the_capacity() {
        for capacity in [1_000, 100_000, 999_999, 1_000_000, 10_000_000] {
            let bytes = geometry(capacity, false).bucket_bytes();
            assert!(bytes <= capacity as usize * 24 + 64, "{capacity}: {bytes}");
            assert!(bytes >= capacity as usize * 24, "{capacity}: {bytes}");
        }
    }

    #[test]
    fn areas_fill_the_file_and_no_more() {
        for details in [false, true] {
            let geometry = geometry(1000, details);
            let memory = Memory::anonymous(geometry.bytes()).unwrap();
            assert!((0..3).all(|worker| Area::of(&memory, &geometry, worker).is_some()));
            assert!(Area::of(&memory, &geometry, 3).is_none());
        }
    }
}

//! Traffic per pair of service and node: one cell, one cache line's half, one worker's.
//!
//! A packet touches one cell; sums over services and nodes are the reader's work.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ahash::RandomState;
use hashbrown::HashMap;

/// Number of a cell. The same in every worker's [`Cells`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cell(u16);

impl Cell {
    /// Where pairs are counted that found no cell of their own.
    pub const OVERFLOW: Self = Self(0);
}

/// Gives each pair of service and node a cell, for the life of the process.
#[derive(Clone, Debug, Default)]
pub struct CellNumbers {
    of: HashMap<(u16, u16), Cell, RandomState>,
}

impl CellNumbers {
    /// The pair's cell; [`Cell::OVERFLOW`] once there are no more.
    pub fn number(&mut self, service: u16, node: u16) -> Cell {
        let Ok(next) = u16::try_from(self.of.len() + 1) else {
            return self.get(service, node).unwrap_or(Cell::OVERFLOW);
        };
        *self.of.entry((service, node)).or_insert(Cell(next))
    }

    /// The pair's cell, if it was given one.
    pub fn get(&self, service: u16, node: u16) -> Option<Cell> {
        self.of.get(&(service, node)).copied()
    }

    /// Every pair that has a cell: service, node, cell.
    pub fn iter(&self) -> impl Iterator<Item = (u16, u16, Cell)> {
        self.of.iter().map(|(&(service, node), &cell)| (service, node, cell))
    }
}

/// What one worker forwarded, per cell.
#[derive(Debug)]
pub struct Cells(Box<[Counts; Self::COUNT]>);

#[derive(Debug, Default)]
#[repr(align(32))]
struct Counts {
    packets: AtomicU64,
    bytes: AtomicU64,
    new_flows: AtomicU64,
    /// Opened less closed. Wraps below zero if an entry is closed that another process opened.
    connections: AtomicU64,
}

impl Cells {
    /// Pairs that are counted apart, all that a [`Cell`] can name: two megabytes.
    pub const COUNT: usize = 1 << u16::BITS;

    /// All zero.
    pub fn new() -> Self {
        let counts: Box<[Counts]> = (0..Self::COUNT).map(|_| Counts::default()).collect();
        Self(counts.try_into().expect("as many as were made"))
    }

    /// A packet of `bytes` was forwarded. For the owning worker alone, as all that add.
    #[inline]
    pub fn packet(&self, cell: Cell, bytes: u64) {
        let counts = self.of(cell);
        add(&counts.packets, 1);
        add(&counts.bytes, bytes);
    }

    /// A flow was given to the node.
    #[inline]
    pub fn new_flow(&self, cell: Cell) {
        let counts = self.of(cell);
        add(&counts.new_flows, 1);
    }

    /// A connection was recorded.
    #[inline]
    pub fn opened(&self, cell: Cell) {
        let counts = self.of(cell);
        add(&counts.connections, 1);
    }

    /// A recorded connection is forgotten.
    #[inline]
    pub fn closed(&self, cell: Cell) {
        let counts = self.of(cell);
        add(&counts.connections, u64::MAX);
    }

    #[inline]
    fn of(&self, cell: Cell) -> &Counts {
        &self.0[usize::from(cell.0)]
    }

    /// Current values, from any thread.
    pub fn get(&self, cell: Cell) -> api::Traffic {
        let counts = self.of(cell);
        api::Traffic {
            packets: counts.packets.load(Relaxed),
            bytes: counts.bytes.load(Relaxed),
            new_flows: counts.new_flows.load(Relaxed),
            connections: counts.connections.load(Relaxed),
        }
    }
}

impl Default for Cells {
    fn default() -> Self {
        Self::new()
    }
}

/// One writer: a load and a store, not an atomic addition.
#[inline]
fn add(value: &AtomicU64, n: u64) {
    value.store(value.load(Relaxed).wrapping_add(n), Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_keeps_its_cell_and_the_last_share_one() {
        let mut numbers = CellNumbers::default();
        let first = numbers.number(1, 1);
        assert_ne!(first, Cell::OVERFLOW);
        for pair in 0..Cells::COUNT as u32 {
            numbers.number((pair >> 8) as u16 + 2, (pair & 0xff) as u16);
        }
        assert_eq!(numbers.number(9999, 9999), Cell::OVERFLOW);
        assert_eq!(numbers.number(1, 1), first);
        assert_eq!(numbers.get(1, 1), Some(first));
    }

    #[test]
    fn traffic_adds_up() {
        let (cells, cell) = (Cells::new(), Cell(7));
        cells.packet(cell, 60);
        cells.packet(cell, 40);
        cells.new_flow(cell);
        cells.opened(cell);
        cells.closed(cell);
        let traffic = api::Traffic { packets: 2, bytes: 100, new_flows: 1, connections: 0 };
        assert_eq!(cells.get(cell), traffic);
    }
}

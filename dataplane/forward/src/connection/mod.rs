//! The connection table: which node each connection has.
//!
//! One [`Table`] per worker, of fixed size and without locks: the worker alone writes, others
//! look in through a [`View`]. Entries have 16 bytes, four of them a cache line. A flow may be in one of two
//! lines; where both are full, an entry moves to its other line before any is evicted.
//!
//! * [`step`] decides what a packet does to its connection: pure, no table.
//! * [`Table`] finds ([`Table::find`]), records ([`Table::insert`]) and forgets ([`Table::sweep`]).
//! * [`TableFile`] is where tables lie, so that they outlive the process.

mod bucket;
mod details;
mod entry;
mod file;
mod header;
mod insert;
mod layout;
mod memory;
mod migrate;
mod names;
mod rank;
mod rules;
mod search;
mod store;
mod table;
mod view;

#[cfg(test)]
mod tests;

pub use bucket::Slot;
pub use entry::{Entry, Kind, State};
pub(crate) use entry::{Now, Ticks};
pub use file::{Error, NameError, Opened, Outcome, Reason, TableFile};
pub use header::Identity;
pub use insert::{Displaced, Inserted, Look};
pub use layout::{Geometry, MAX_CAPACITY, MAX_WORKERS};
pub use rules::{Idle, Signal, Step, step};
pub use table::Table;
pub use view::{Listed, View, freshest};

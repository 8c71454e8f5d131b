//! Packets as bytes: views of their headers, one file a protocol, and the checksums they carry.
//!
//! No accessor of a view panics: a view exists only if its bytes do. What a peer may have written
//! wrong is refused by `parse`, never later.

mod frame;

pub use frame::{Buffer, Frame, Heap, Pool};

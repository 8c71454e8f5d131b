//! Node states: what operators want of nodes, kept here and agreed on with the other nodes.
//!
//! [`merge()`] decides which of two entries about a node holds; [`Store`] remembers the outcome and
//! brings it to its file. The file is a convenience, not the truth: a node that lost it gets
//! everything back from its peers, and a node whose disk is full goes on with what it remembers.

mod file;
mod merge;
mod store;

pub use file::Error;
pub use merge::{CLOCK_SLACK, MOST, Merged, Mistrust, Trust, merge};
pub use store::Store;

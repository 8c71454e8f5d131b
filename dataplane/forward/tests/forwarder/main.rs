//! The forwarder as its process sees it: Snapshots and packets in, verdicts out, in virtual time.
//!
//! One file a subject; `harness.rs` is the L4 node that they all drive.

mod connection;
mod harness;

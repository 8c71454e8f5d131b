//! The forwarder as its process sees it: Snapshots and packets in, verdicts out, in virtual time.
//!
//! One file a subject; `harness.rs` is the L4 node that they all drive, `site.rs` what it is told of.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod burst;
mod connection;
mod form;
mod fragment;
mod harness;
mod hostile;
mod icmp;
mod kernel;
mod service;
mod sibling;
mod site;
mod sources;

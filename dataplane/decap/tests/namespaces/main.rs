//! The decapsulator at work: attached to an interface in a network namespace of its own.
//!
//! Namespaces and eBPF need root: as anybody else these tests say so and check nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod attachment;
mod direct;
mod encapsulator;
mod network;
mod pinned;
mod traffic;
mod tun;

//! The crate at work on a kernel: in network namespaces, by what `ip` says.
//!
//! Namespaces need root: as anybody else these tests say so and check nothing.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

mod loopback;
mod node;
mod routes;

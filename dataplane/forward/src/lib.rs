//! The load balancer: one packet's way, without DPDK, threads or a clock.

mod counters;
mod tick;

pub use counters::{Counter, Counters};
pub use tick::Tick;

/// Most packets that are handled together: what one receive call returns.
pub const BURST: usize = 32;

//! The load balancer: one packet's way, without DPDK, threads or a clock.
//!
//! Read [`Forwarder::forward`] first. A burst of packets passes through these stages:
//!
//! ```text
//!  parse ------> service ------> flow hash ------> connection | Maglev ------> encapsulate
//!  plain.rs      service.rs      hash.rs, flow.rs  connections.rs, balance.rs  tunnel.rs
//!    |                                                                              |
//!    '--> other.rs: whatever is not plain TCP or UDP for a VIP                      '--> Verdict
//!         (fragments, ICMP, options, what is for the node itself)
//! ```
//!
//! What control says arrives as an [`api::Snapshot`], becomes [`Tables`], and is never changed then.
//! What a worker owns is in its [`Forwarder`]: connections, fragments that wait, limits.

mod balance;
mod burst;
mod cells;
mod class;
pub mod connection;
mod connections;
mod counters;
mod exact;
mod explain;
mod flow;
mod forwarder;
mod fragment;
pub mod hash;
mod icmp;
mod limit;
mod lpm;
mod maglev;
mod other;
mod path;
mod paths;
mod plain;
mod replies;
mod service;
mod sources;
mod tables;
mod tick;
mod tunnel;
mod validate;

pub use balance::Balance;
pub use cells::{Cell, CellNumbers, Cells};
pub use class::Class;
pub use connections::Connections;
pub use counters::{Counter, Counters};
pub use explain::explain;
pub use flow::{Flow, Words, Words4, Words6};
pub use forwarder::{Event, Forwarder, Here, Verdict, Wire};
pub use hash::{HASH_VERSION, Hasher, row};
pub use limit::Limiter;
pub use lpm::Lpm;
pub use maglev::{MAX_ROWS, Maglev, is_prime};
pub use path::{MixedFamilies, Path, PathSettings};
pub use paths::Paths;
pub use service::{Destination, Member, Service, Vips};
pub use tables::{Node, Numbers, Tables};
pub use tick::Tick;
pub use tunnel::encapsulate;
pub use validate::{MAX_NAME, MAX_NODE, problems};

/// Most packets that are handled together: what one receive call returns.
pub const BURST: usize = 32;

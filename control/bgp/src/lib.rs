//! A BGP speaker that announces prefixes to routers, and learns nothing from them.
//!
//! ```text
//!  Speaker ── Wanted ──▶ thread `bgp` ──▶ a peer per neighbor ──▶ one or two sessions ──▶ router
//!     ▲                  (speaker)        (peer, adj_rib_out)     (fsm, session, message)
//!     └──── SessionStatus, flushed ◀── board ◀──┘
//! ```
//! - [`settings`] is what is wanted: neighbors, and the routes of each.
//! - `fsm` is the state machine of RFC 4271, which knows no socket and no clock; `collision` decides
//!   between two connections of one neighbor.
//! - `message` are the bytes. UPDATEs of routers are counted and dropped: a full table costs nothing,
//!   and no attribute in it can reset a session (RFC 7606).
//! - Everything runs on a thread of its own, so that a process that is busy keeps its sessions.

mod adj_rib_out;
mod backoff;
mod board;
mod collision;
mod fsm;
mod message;
mod peer;
mod session;
pub mod settings;
mod socket;
mod speaker;
mod status;

#[cfg(test)]
mod tests;

pub use settings::{
    Attributes, Families, Neighbor, NextHops, Password, PasswordTooLong, Peer, Route, Wanted,
};
pub use speaker::{Speaker, Start};
pub use status::{Counters, SessionState, SessionStatus};

//! A BGP speaker that announces, and learns nothing: what a router needs to know of a load balancer.
//!
//! [`Speaker`] runs on a thread of its own, so that KEEPALIVEs never wait for the rest of a process. From the
//! outside in: `speaker.rs` knows the neighbors and the listeners; `peer.rs` is one neighbor, with up to two
//! connections and what was sent over the one that stays (`collision.rs`); `fsm.rs` is RFC 4271's state
//! machine, without sockets or clock; `link.rs` is a connection, `frame.rs` what comes over it and `message.rs`
//! what goes.
//!
//! RFC 4271, 2385, 2918, 4486, 4724, 4760, 5082, 6286, 6608, 6793, 7606, 8092, 8326, 8950, 9687.

mod collision;
mod fault;
mod frame;
mod fsm;
mod link;
mod message;
mod peer;
mod settings;
mod socket;
mod speaker;
mod status;

pub use fsm::State;
pub use settings::{Attributes, Families, Neighbor, NextHops, Password, Route};
pub use speaker::{Peer, Speaker, Start, Wanted};
pub use status::SessionStatus;

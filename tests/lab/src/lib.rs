//! The lab: clients, routers, L4 and L7 nodes, each in a network namespace of this machine.
//!
//! ```no_run
//! use lab::{Lab, Wire};
//!
//! let lab = Lab::new().l4(2).l7(3).wire(Wire::Tap).start();
//! let downloads = lab.client().slow_downloads(100, "http://198.51.100.1/");
//! lab.router().route_via(&[2]);
//! lab.l4(1).kill();
//! assert_eq!(downloads.finish().broken, 0);
//! ```
//!
//! A packet's way: a [`Client`] sends to a VIP; a [`Router`] chooses an L4 node by the hash of the
//! 5-tuple; the dataplane of that [`L4`] node tunnels it to an [`L7`] node, which answers the client
//! through the router, past the L4 nodes (direct server return). `topology.rs` has the picture,
//! `wire.rs` that of an L4 node's inside, `address.rs` the plan of addresses.
//!
//! Nodes are numbered from 1, as in their names. What a test waits for it waits for with
//! [`Lab::wait_until`]. The lab needs root, and removes what it made: when it is dropped, on a
//! panic, on a signal, and after a SIGKILL when the next lab starts.

mod address;
mod backend;
mod bird;
mod builder;
mod cleanup;
mod client;
mod control;
mod dns;
mod error;
mod flags;
mod http;
mod l4;
mod l7;
mod lab;
pub mod message;
mod namespace;
mod process;
mod program;
mod raw;
mod resolver;
mod router;
mod server;
mod site;
mod site_file;
mod sites;
mod socket;
mod tls;
mod topology;
mod traffic;
mod wait;
mod wire;

pub use address::{Addresses, Mac, TUNNEL_SOURCES, VIP, VIP6};
pub use backend::{AGENT_PORT, Backend, PLAIN_PORT, PROXIED_PORT};
pub use bird::{Bird, ROUTER_AS, SITE_AS};
pub use builder::{Bfd, Builder};
pub use client::Client;
pub use dns::Dns;
pub use error::Error;
pub use flags::Flags;
pub use http::{Connection, Response};
pub use l4::L4;
pub use l7::L7;
pub use lab::Lab;
pub use namespace::Namespace;
pub use program::find;
pub use raw::RawSocket;
pub use resolver::Resolver;
pub use router::Router;
pub use server::{ECHO_PORT, HTTP_PORT, HTTPS_PORT, Server};
pub use site::release_in;
pub use sites::{LIVES, SEEN, Sites, ZONE, vips_of};
pub use tls::HOST;
pub use traffic::{Report, Traffic};
pub use wait::{wait_for, wait_until};
pub use wire::Wire;

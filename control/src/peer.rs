//! How the L4 nodes of a site speak with each other: a JSON line over mutual TLS.
//!
//! Each node asks every other one every two seconds ([`Gossip`]) how it is, and brings along all
//! node states that it knows; the other answers in kind ([`serve`]). So a state reaches every node
//! that can be reached, by whatever way, and each node knows of each other one what it forwards
//! with ([`differences`]) or why it does not answer ([`PeerError`]). What an operator types does not
//! wait for the next round: [`Gossip::spread`] brings it to all at once and names those that did not
//! get it.
//!
//! Who may speak is decided by certificates of the site's own CA ([`Identity`]) and by the site file
//! ([`Directory`]): the name in the certificate has to be that of an L4 node. TLS 1.3 alone is
//! spoken, with neither tickets nor early data, so that nothing that was recorded can be said again.
//!
//! The parts: [`Directory`] who there is, [`Identity`] who we are, `ask` one question, `serve` the
//! answers, [`Gossip`] asking in turns; [`carry`](not_carried) and [`compare`](differences) decide.

mod carry;
mod certificate;
mod client;
mod compare;
mod counters;
mod directory;
mod gossip;
mod identity;
mod limit;
mod line;
mod listener;
mod server;

pub use carry::{Reach, not_carried};
pub use certificate::Unfit;
pub use client::{PeerError, ask};
pub use compare::{Persistence, differences};
pub use counters::{Counter, Counters};
pub use directory::{Directory, Peer};
pub use gossip::{Gossip, Heard, Pace};
pub use identity::{Error as IdentityError, Identity};
pub use limit::Limits;
pub use listener::{Error as ListenError, Listener};
pub use server::{Server, serve};

use admin::{PeerStatus, States};

/// The node that speaks: what peers are told, and who takes in what they say.
///
/// Both are called by tasks that may not wait: what has to go to a disk goes there later.
pub trait Node: Send + Sync + 'static {
    /// What it tells of itself, all node states included.
    fn status(&self) -> PeerStatus;

    /// Takes in what another node knows: [`Store::merge`](crate::states::Store::merge).
    fn learn(&self, from: &str, states: &States);
}

#[cfg(test)]
mod tests;

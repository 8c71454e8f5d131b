//! Connections of either side, and which of two stays.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use tokio::net::TcpStream;
use tracing::{debug, warn};

use super::{Link, MAX_SESSIONS, OWN, Peer, plain};
use crate::collision::{self, Direction, Rank, Verdict};
use crate::fsm::{Agreed, Input, Why};
use crate::session::Session;
use crate::socket;
use crate::status::SessionState;

impl Peer {
    /// Takes a connection that the neighbor opened.
    pub(super) fn accept(&mut self, stream: TcpStream) {
        if let Err(error) = socket::adopt(&stream, &self.neighbor) {
            warn!(neighbor = self.neighbor.name, %error, "connection cannot be taken");
            return;
        }
        let sessions = |links: &[Link]| links.iter().filter(|l| l.session.is_some()).count();
        if sessions(&self.links) >= MAX_SESSIONS {
            // One of theirs that never got to an OPEN is one that they have given up.
            let stale = |link: &Link| {
                link.direction == Direction::Incoming && link.fsm.state() == SessionState::OpenSent
            };
            let Some(index) = self.links.iter().position(stale) else {
                debug!(neighbor = self.neighbor.name, "a third connection is refused");
                return;
            };
            self.feed(index, Input::Dump);
            self.tidy();
        }
        let mut link = Link::accepted(Arc::clone(&self.neighbor), fastrand::Rng::new());
        link.session = Some(Session::new(stream, Instant::now()));
        self.links.push(link);
        let index = self.links.len() - 1;
        self.feed(index, Input::Start);
        self.feed(index, Input::Connected);
    }

    /// What came of the attempt to connect.
    pub(super) fn connected(&mut self, connected: io::Result<TcpStream>) {
        self.connecting = None;
        match connected {
            Ok(stream) => {
                let now = Instant::now();
                (self.links[OWN].session, self.links[OWN].opened) =
                    (Some(Session::new(stream, now)), now);
                self.feed(OWN, Input::Connected);
            }
            Err(error) => {
                let why = if error.kind() == io::ErrorKind::TimedOut {
                    Why::ConnectTimeout { password: self.neighbor.password.is_some() }
                } else {
                    Why::Connect(plain(&error))
                };
                self.feed(OWN, Input::ConnectionFailed(why));
            }
        }
    }

    /// Settles collisions of a connection on which an acceptable OPEN has come. Whether it stays.
    pub(super) fn settle(&mut self, index: usize, agreed: &Agreed) -> bool {
        let ours = Rank { id: self.neighbor.router_id, asn: self.neighbor.local_as };
        let theirs = Rank { id: agreed.id, asn: agreed.asn };
        for other in (0..self.links.len()).filter(|&other| other != index) {
            match collision::settle(
                self.links[index].direction,
                self.links[other].as_other(self.links[index].opened),
                ours,
                theirs,
            ) {
                Verdict::Both => {}
                Verdict::CloseNew => {
                    self.feed(index, Input::Dump);
                    return false;
                }
                Verdict::CloseOther => self.feed(other, Input::Dump),
                Verdict::Replace => {
                    // Without a NOTIFICATION (RFC 4724 4.2): nobody is left there who could read.
                    self.feed(other, Input::ConnectionFailed(Why::Replaced));
                }
            }
        }
        true
    }
}

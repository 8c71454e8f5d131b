//! Another release takes over this node, as far as the loop is concerned.

use std::sync::mpsc::RecvTimeoutError;

use admin::Reply;
use tokio::sync::{mpsc, oneshot};

use super::{Ended, Handed, Serve, tunnel};
use crate::handover::{Estate, Heir, PATIENCE, Thought, UPGRADING};
use crate::signals::Signal;

impl Serve {
    /// Has another release take over: it is started, gets the listening sockets, and serves.
    pub(super) fn raise(&mut self, uid: u32, reply: oneshot::Sender<Reply>) {
        let ready = self.can_be_upgraded().and_then(|()| {
            // The other process reads it.
            self.store.flush().map_err(|error| error.to_string())?;
            self.estate().map_err(|error| error.to_string())
        });
        let estate = match ready {
            Ok(estate) => estate,
            Err(reason) => return drop(reply.send(Reply::refused(reason))),
        };
        tracing::info!(uid, "upgrade");
        let at_rest = self.tunnel.rest();
        self.upgrade.begin(estate, reply, move || match at_rest.recv_timeout(PATIENCE) {
            Err(RecvTimeoutError::Timeout) => Err("the tunnel's thread does not answer".into()),
            // Gone, it is at rest, too.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(()),
        });
    }

    fn can_be_upgraded(&self) -> Result<(), String> {
        if self.leaving.is_some() {
            Err("control is being stopped".into())
        } else if self.upgrade.is_under_way() {
            Err(UPGRADING.into())
        } else if self.waiting.is_some() {
            Err("a reload waits for the names of servers: say it again in a moment".into())
        } else {
            Ok(())
        }
    }

    /// What another process is to have.
    fn estate(&self) -> std::io::Result<Estate> {
        let thought = |(pool, server, state, address): (&str, &str, _, _)| Thought {
            pool: pool.to_owned(),
            server: server.to_owned(),
            state,
            address,
        };
        let mut sockets = self.doors.sockets()?;
        if let Some(peers) = &self.peers {
            sockets.others.extend(peers.sockets()?);
        }
        Ok(Estate {
            listeners: self.proxy.listeners()?,
            sockets,
            servers: self.proxy.server_states().map(thought).collect(),
            findings: self.servers.findings(),
            ..Estate::default()
        })
    }

    /// Goes on, as the other process has come to nothing, with what it was told meanwhile; whether that is
    /// not the end.
    pub(super) fn resume(&mut self) -> bool {
        self.tunnel.set(tunnel::Wanted::of(&self.site));
        self.upgrade.give_up().into_iter().all(|signal| self.obey(signal))
    }

    /// Everything but the connections that there are is another process's now.
    pub(super) fn hand_over(
        mut self,
        mut heir: Heir,
        answer: (oneshot::Sender<Reply>, Reply),
        signals: &mut mpsc::Receiver<Signal>,
    ) -> Ended {
        self.upgrade.pass_on(&mut heir, signals);
        while let Ok(call) = self.calls.try_recv() {
            self.call(call);
        }
        let limit = self.limit();
        Ended::HandedOver(Box::new(Handed { heir, proxy: self.proxy, limit, answer: Some(answer) }))
    }
}

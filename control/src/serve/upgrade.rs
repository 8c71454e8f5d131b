//! Another release takes over this node, as far as the loop is concerned.

use admin::{Change, Reply};
use tokio::sync::oneshot;

use super::calls::refused;
use super::handover::Thought;
use super::{Ended, Estate, Handed, Heir, Serve, tunnel};

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
            Err(reason) => return drop(reply.send(refused(reason))),
        };
        tracing::info!(uid, "upgrade");
        self.raising = Some(Vec::new());
        let at_rest = self.tunnel.rest();
        let (program, heirs) = (self.program.clone(), self.heirs.clone());
        tokio::task::spawn_blocking(move || {
            // Gone, it is at rest, too.
            let _ = at_rest.recv();
            let (answer, heir) = match Heir::raise(&program, estate) {
                Ok(heir) => {
                    let note =
                        format!("process {} of {} serves now", heir.pid(), program.display());
                    (Reply::Done(Change { notes: vec![note], failed: Vec::new() }), Some(heir))
                }
                Err(error) => (refused(format!("{}: {error}", program.display())), None),
            };
            // A caller that is gone needs no answer; the loop ends only with the process.
            let _ = reply.send(answer);
            let _ = heirs.send(heir);
        });
    }

    fn can_be_upgraded(&self) -> Result<(), String> {
        match (&self.leaving, &self.raising, &self.waiting) {
            (Some(_), _, _) => Err("control is being stopped".into()),
            (_, Some(_), _) => Err(UPGRADING.into()),
            (_, _, Some(_)) => {
                Err("a reload waits for the names of servers: say it again in a moment".into())
            }
            (None, None, None) => Ok(()),
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
        })
    }

    /// Goes on, as the other process has come to nothing, with what it was told meanwhile; whether that is
    /// not the end.
    pub(super) fn resume(&mut self) -> bool {
        self.tunnel.set(tunnel::Wanted::of(&self.site));
        let meanwhile = self.raising.take().unwrap_or_default();
        meanwhile.into_iter().all(|signal| self.obey(signal))
    }

    /// Everything but the connections that there are is another process's now.
    pub(super) fn hand_over(mut self, mut heir: Heir) -> Ended {
        for signal in self.raising.take().unwrap_or_default() {
            if let Err(error) = heir.tell(signal) {
                tracing::error!(%error, ?signal, "the process that has taken over does not hear");
            }
        }
        let limit = self.limit();
        Ended::HandedOver(Box::new(Handed { heir, proxy: self.proxy, limit }))
    }
}

/// Why nothing is changed just now.
pub(super) const UPGRADING: &str = "control is being upgraded: say it again in a moment";

//! Another release takes over this node, as far as the loop is concerned.

use std::path::PathBuf;
use std::sync::mpsc::RecvTimeoutError;

use admin::{Change, Reply};
use tokio::sync::{mpsc, oneshot};

use super::calls::refused;
use super::handover::Thought;
use super::{Ended, Estate, Handed, Heir, PATIENCE, Serve, tunnel};
use crate::signals::Signal;

/// What became of a process that was to take over.
pub(super) enum Raised {
    /// It serves; and who is to be told.
    Serves(Box<Heir>, (oneshot::Sender<Reply>, Reply)),
    /// Nothing, of which whoever asked was told.
    Nothing,
}

/// What there is of an upgrade.
pub(super) struct Upgrade {
    /// What is started.
    program: PathBuf,
    /// Told what became of it.
    heirs: mpsc::UnboundedSender<Raised>,
    pub(super) raised: mpsc::UnboundedReceiver<Raised>,
    /// While it is under way: what this process was told to do since.
    pub(super) meanwhile: Option<Vec<Signal>>,
}

impl Upgrade {
    /// None yet; to whatever lies there then.
    pub(super) fn to(program: PathBuf) -> Self {
        let (heirs, raised) = mpsc::unbounded_channel();
        Self { program, heirs, raised, meanwhile: None }
    }

    pub(super) fn is_under_way(&self) -> bool {
        self.meanwhile.is_some()
    }
}

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
        self.upgrade.meanwhile = Some(Vec::new());
        let at_rest = self.tunnel.rest();
        let (program, heirs) = (self.upgrade.program.clone(), self.upgrade.heirs.clone());
        tokio::task::spawn_blocking(move || {
            let heir = match at_rest.recv_timeout(PATIENCE) {
                Err(RecvTimeoutError::Timeout) => Err("the tunnel's thread does not answer".into()),
                // Gone, it is at rest, too.
                Ok(()) | Err(RecvTimeoutError::Disconnected) => {
                    let raised = Heir::raise(&program, estate);
                    raised.map_err(|error| format!("{}: {error}", program.display()))
                }
            };
            let raised = match heir {
                Ok(heir) => {
                    let note =
                        format!("process {} of {} serves now", heir.pid(), program.display());
                    let done = Reply::Done(Change { notes: vec![note], failed: Vec::new() });
                    Raised::Serves(Box::new(heir), (reply, done))
                }
                Err(error) => {
                    // A caller that is gone needs no answer.
                    let _ = reply.send(refused(error));
                    Raised::Nothing
                }
            };
            // The loop ends only with the process.
            let _ = heirs.send(raised);
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
        })
    }

    /// Goes on, as the other process has come to nothing, with what it was told meanwhile; whether that is
    /// not the end.
    pub(super) fn resume(&mut self) -> bool {
        self.tunnel.set(tunnel::Wanted::of(&self.site));
        let meanwhile = self.upgrade.meanwhile.take().unwrap_or_default();
        meanwhile.into_iter().all(|signal| self.obey(signal))
    }

    /// Everything but the connections that there are is another process's now.
    pub(super) fn hand_over(
        mut self,
        mut heir: Heir,
        answer: (oneshot::Sender<Reply>, Reply),
        signals: &mut mpsc::Receiver<Signal>,
    ) -> Ended {
        // It stays under way: calls that still come are refused for that.
        let mut told = self.upgrade.meanwhile.replace(Vec::new()).unwrap_or_default();
        told.extend(std::iter::from_fn(|| signals.try_recv().ok()));
        for signal in told {
            if let Err(error) = heir.tell(signal) {
                tracing::error!(%error, ?signal, "the process that has taken over does not hear");
            }
        }
        while let Ok(call) = self.calls.try_recv() {
            self.call(call);
        }
        let limit = self.limit();
        Ended::HandedOver(Box::new(Handed { heir, proxy: self.proxy, limit, answer: Some(answer) }))
    }
}

/// Why nothing is changed just now.
pub(super) const UPGRADING: &str = "control is being upgraded: say it again in a moment";

//! The end: an orderly stop, or another process that answers in this one's place.

use std::time::Duration;

use admin::Reply;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::Respond;
use super::ports::Ports;
use crate::handover::{Estate, Heir, UPGRADING};
use crate::notify;
use crate::signals::Signal;

/// How long whoever is connected may ask on, when another process answers.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often connections are counted.
const COUNT: Duration = Duration::from_millis(50);

/// Why it has ended.
#[derive(Debug)]
pub enum Ended {
    /// Told to stop.
    Stopped,
    /// Another process answers.
    HandedOver(Box<Handed>),
}

/// Connections that end by themselves, and whoever asked for all this.
#[derive(Debug)]
pub struct Handed {
    /// The other process.
    pub heir: Heir,
    ports: Ports,
    answer: Option<(oneshot::Sender<Reply>, Reply)>,
}

impl Handed {
    /// Tells whoever asked for it, once nobody but the other process takes calls.
    pub fn tell(&mut self) {
        if let Some((to, answer)) = self.answer.take() {
            // A caller that is gone needs no answer.
            let _ = to.send(answer);
        }
    }

    /// Has the connections end.
    pub async fn finish(self) {
        let Self { mut ports, .. } = self;
        ports.close().await;
        let end = Instant::now() + PATIENCE;
        while ports.connections() > 0 && Instant::now() < end {
            sleep(COUNT).await;
        }
    }
}

impl Respond {
    /// Has another release take over: it is started, gets the sockets, and answers.
    pub(super) fn raise(&mut self, uid: u32, reply: oneshot::Sender<Reply>) {
        let ready = self.can_be_upgraded().and_then(|()| {
            // The other process reads it.
            self.store.flush().map_err(|error| error.to_string())?;
            self.estate().map_err(|error| error.to_string())
        });
        match ready {
            Ok(estate) => {
                tracing::info!(uid, "upgrade");
                self.upgrade.begin(estate, reply, || Ok(()));
            }
            Err(reason) => drop(reply.send(Reply::refused(reason))),
        }
    }

    fn can_be_upgraded(&self) -> Result<(), String> {
        if self.upgrade.is_under_way() {
            Err(UPGRADING.into())
        } else if self.pending.is_some() {
            Err("a reload waits for checks that are new: say it again in a moment".into())
        } else {
            Ok(())
        }
    }

    /// What another process is to have.
    fn estate(&self) -> std::io::Result<Estate> {
        let mut sockets = self.doors.sockets()?;
        if let Some(peers) = &self.peers {
            sockets.others.extend(peers.sockets()?);
        }
        let (listeners, datagrams) = self.ports.sockets()?;
        let findings = self.findings();
        Ok(Estate { listeners, datagrams, sockets, findings, ..Estate::default() })
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
        Ended::HandedOver(Box::new(Handed { heir, ports: self.ports, answer: Some(answer) }))
    }

    /// The end of an orderly stop: what has come is answered.
    pub(super) async fn leave(mut self) {
        notify::stopping();
        self.ports.close().await;
        if let Err(error) = self.store.flush() {
            tracing::error!(%error, "operators' words are lost with this process");
        }
    }
}

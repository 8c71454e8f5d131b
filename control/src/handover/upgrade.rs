//! Another release is to take over: what there is of it in the loop of the process that asks for it.

use std::path::PathBuf;

use admin::{Change, Reply};
use tokio::sync::{mpsc, oneshot};

use super::{Estate, Heir};
use crate::signals::Signal;

/// Why nothing is changed just now.
pub const UPGRADING: &str = "control is being upgraded: say it again in a moment";

/// What became of a process that was to take over.
#[derive(Debug)]
pub enum Raised {
    /// It serves; and who is to be told.
    Serves(Box<Heir>, (oneshot::Sender<Reply>, Reply)),
    /// Nothing, of which whoever asked was told.
    Nothing,
}

/// What there is of an upgrade.
#[derive(Debug)]
pub struct Upgrade {
    /// What is started.
    program: PathBuf,
    /// Told what became of it.
    heirs: mpsc::UnboundedSender<Raised>,
    raised: mpsc::UnboundedReceiver<Raised>,
    /// While it is under way: what this process was told to do since.
    meanwhile: Option<Vec<Signal>>,
}

impl Upgrade {
    /// None yet; to whatever lies there then.
    pub fn to(program: PathBuf) -> Self {
        let (heirs, raised) = mpsc::unbounded_channel();
        Self { program, heirs, raised, meanwhile: None }
    }

    /// Whether one has begun, and has not come to nothing.
    pub fn is_under_way(&self) -> bool {
        self.meanwhile.is_some()
    }

    /// Starts another process, which is to take this over, once `ready` says that it may.
    pub fn begin(
        &mut self,
        estate: Estate,
        reply: oneshot::Sender<Reply>,
        ready: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) {
        self.meanwhile = Some(Vec::new());
        let (program, heirs) = (self.program.clone(), self.heirs.clone());
        tokio::task::spawn_blocking(move || {
            let heir = ready().and_then(|()| {
                let raised = Heir::raise(&program, estate);
                raised.map_err(|error| format!("{}: {error}", program.display()))
            });
            let raised = match heir {
                Ok(heir) => {
                    let note =
                        format!("process {} of {} serves now", heir.pid(), program.display());
                    let done = Reply::Done(Change { notes: vec![note], failed: Vec::new() });
                    Raised::Serves(Box::new(heir), (reply, done))
                }
                Err(error) => {
                    // A caller that is gone needs no answer.
                    let _ = reply.send(Reply::refused(error));
                    Raised::Nothing
                }
            };
            // The loop ends only with the process.
            let _ = heirs.send(raised);
        });
    }

    /// What became of it; for ever if there is none.
    pub async fn raised(&mut self) -> Raised {
        // The sender is here.
        self.raised.recv().await.unwrap_or(Raised::Nothing)
    }

    /// Keeps what this process is told to do for the other one, if one is about to take over.
    pub fn keep(&mut self, signal: Signal) -> bool {
        let Some(meanwhile) = &mut self.meanwhile else { return false };
        meanwhile.push(signal);
        true
    }

    /// It has come to nothing: what this process was told meanwhile is to be done here.
    pub fn give_up(&mut self) -> Vec<Signal> {
        self.meanwhile.take().unwrap_or_default()
    }

    /// It has come to its end: what this process was told, and is told now, is done by the other one. It stays
    /// under way: calls that still come are refused for that.
    pub fn pass_on(&mut self, heir: &mut Heir, signals: &mut mpsc::Receiver<Signal>) {
        let mut told = self.meanwhile.replace(Vec::new()).unwrap_or_default();
        told.extend(std::iter::from_fn(|| signals.try_recv().ok()));
        for signal in told {
            if let Err(error) = heir.tell(signal) {
                tracing::error!(%error, ?signal, "the process that has taken over does not hear");
            }
        }
    }
}

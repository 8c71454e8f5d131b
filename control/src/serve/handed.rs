//! What is left of a process when another one serves.

use std::process::ExitStatus;

use admin::Reply;
use proxy::Proxy;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, sleep};

use super::leave;
use crate::handover::Heir;
use crate::signals::Signal;

/// How often is looked whether the other process lives.
const LOOK: Duration = Duration::from_millis(50);

/// Connections that end by themselves, and whoever asked for all this.
#[derive(Debug)]
pub struct Handed {
    /// The other process.
    pub heir: Heir,
    pub(super) proxy: Proxy,
    pub(super) limit: Duration,
    pub(super) answer: Option<(oneshot::Sender<Reply>, Reply)>,
}

impl Handed {
    /// Tells whoever asked for it, once nobody but the other process takes calls.
    pub fn tell(&mut self) {
        if let Some((to, answer)) = self.answer.take() {
            // A caller that is gone needs no answer.
            let _ = to.send(answer);
        }
    }

    /// Accepts nobody any more, and waits for the end of what is left, unless told twice to stop.
    ///
    /// # Errors
    /// The other process has died meanwhile: whoever has started this one is to start it again.
    pub async fn finish(self, signals: &mut mpsc::Receiver<Signal>) -> Result<(), String> {
        let Self { mut heir, mut proxy, limit, .. } = self;
        let pid = heir.pid();
        tokio::select! {
            () = leave::empty(&mut proxy, limit) => Ok(()),
            () = told_twice(signals, pid) => Ok(()),
            how = death(&mut heir) => {
                Err(format!("process {pid}, which has taken over, has died: {how}"))
            }
        }
    }
}

/// Waits until somebody does not want to wait any more.
async fn told_twice(signals: &mut mpsc::Receiver<Signal>, heir: u32) {
    let mut told = 0;
    while told < 2 {
        match signals.recv().await {
            Some(Signal::Stop | Signal::Leave) => {
                told += 1;
                tracing::info!("process {heir} serves, this one ends with its last clients");
            }
            Some(Signal::Reload) => {
                tracing::warn!("nothing is reloaded here: process {heir} serves");
            }
            None => std::future::pending().await,
        }
    }
}

/// Waits until the process that has taken over ends otherwise than by an orderly stop; and how.
async fn death(heir: &mut Heir) -> ExitStatus {
    loop {
        match heir.ended() {
            Ok(Some(how)) if !how.success() => return how,
            Ok(Some(_)) | Err(_) => std::future::pending().await,
            Ok(None) => sleep(LOOK).await,
        }
    }
}

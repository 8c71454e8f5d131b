//! A planned end of this process: routers are prepared for it, and whoever watches over the process starts
//! the next one, which may be another release and have other flags.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use api::{MAX_PAUSE, Reply};
use crossbeam::channel::Sender;

use crate::bfd::Readiness;
use crate::clock::boot_millis;
use crate::control::Control;

/// How long routers may take to agree to a longer silence: their margin beyond it.
const PATIENCE: Duration = Duration::from_secs(2);
/// From the answer to the end: the client's thread is to write it.
const FAREWELL: Duration = Duration::from_millis(50);

/// How far it has come.
pub(crate) enum Restart {
    /// Routers are asked.
    Asking { until: Instant, reply: Sender<Reply> },
    /// They have agreed; the end is then.
    Ending { at: Instant },
}

impl Control {
    /// Prepares for the end, which is answered once routers are ready.
    pub(crate) fn begin_restart(
        &mut self,
        restart: api::Restart,
        reply: &Sender<Reply>,
    ) -> Result<(), String> {
        let api::Restart { pause_ms, not_after_ms } = restart;
        if not_after_ms.is_some_and(|end| boot_millis() > end) {
            return Err("it is too late for that restart".into());
        }
        if pause_ms > MAX_PAUSE {
            return Err(format!("pause_ms is {MAX_PAUSE} at most, not {pause_ms}"));
        }
        if self.restart.is_some() {
            return Err("a restart has begun already".into());
        }
        tracing::info!(pause_ms, "restart: asking routers to bear it");
        self.bfd.ask_for_pause(Duration::from_millis(pause_ms.into()));
        let until = Instant::now() + PATIENCE;
        self.restart = Some(Restart::Asking { until, reply: reply.clone() });
        Ok(())
    }

    /// The next step, if it is time for it.
    pub(crate) fn restart_on(&mut self, stop: &AtomicBool) {
        let now = Instant::now();
        let (until, reply) = match &self.restart {
            None => return,
            Some(Restart::Ending { at }) => {
                if now >= *at {
                    stop.store(true, Relaxed);
                }
                return;
            }
            Some(Restart::Asking { until, reply }) => (*until, reply.clone()),
        };
        let reasons = match self.bfd.readiness() {
            Ok(Readiness::Ready(sessions)) => {
                tracing::info!(sessions, "restart: ending");
                // A client that is gone needs no answer.
                let _ = reply.send(Reply::Restarting { sessions });
                self.restart = Some(Restart::Ending { at: now + FAREWELL });
                return;
            }
            Ok(Readiness::Missing(_)) if now < until => return,
            Ok(Readiness::Missing(routers)) if routers.is_empty() => {
                vec!["the thread that speaks BFD does not answer".into()]
            }
            Ok(Readiness::Missing(routers)) => routers
                .into_iter()
                .map(|router| format!("{router} does not agree to a longer BFD interval"))
                .collect(),
            Err(error) => vec![format!("BFD sessions cannot be left to the next process: {error}")],
        };
        tracing::warn!(?reasons, "restart: given up");
        self.bfd.go_on();
        self.restart = None;
        let _ = reply.send(Reply::Refused { reasons });
    }
}

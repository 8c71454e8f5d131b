//! The dataplane's planned restart: routers bear its silence, and are told nothing that is due to it.

use std::sync::Arc;
use std::time::Duration;

use admin::{Change, Failed, Reply};
use api::Snapshot;
use bgp::SessionState;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::words::{PATIENCE, release_of};
use super::{Starting, Steer};
use crate::clock::boot;
use crate::dataplane::watchdog::Pulse;
use crate::dataplane::{self, Unanswered};

/// Longest silence of a dataplane that is expected back.
const LONGEST: Duration = Duration::from_secs(10);
/// How long tables that are being built are waited for.
const BUILDING: Duration = Duration::from_secs(30);
/// The dataplane's program, which lies beside this one.
const DATAPLANE: &str = "palier-dataplane";
/// How long the dataplane may take to prepare the routers, and a bit.
const PREPARING: Duration = Duration::from_secs(4);

/// How the dataplane takes it: with so many BFD sessions that go on, or not at all.
pub(super) type Answer = Result<usize, Vec<String>>;

/// A restart that goes on.
#[derive(Debug)]
pub(super) struct Pause {
    /// How long the dataplane may be away.
    length: Duration,
    /// From when it is away; `None` while it prepares the routers.
    since: Option<Instant>,
    /// When it has failed.
    until: Instant,
    /// When the process that ends was started: who answers with another time is the next one.
    started_ms: u64,
    /// BFD sessions that go on.
    sessions: usize,
    /// What it had: it will have that again.
    had: Option<Arc<Snapshot>>,
    reply: oneshot::Sender<Reply>,
}

impl Pause {
    /// When there is something to be done though nothing happens.
    pub(super) fn wake(&self) -> Instant {
        self.until
    }
}

impl Steer {
    /// Has the dataplane prepare the routers, and end; whoever watches over it starts it anew.
    pub(super) fn begin_restart(&mut self, uid: u32, reply: oneshot::Sender<Reply>) {
        let started_ms = match self.may_restart() {
            Ok(started_ms) => started_ms,
            Err(reason) => {
                let _ = reply.send(Reply::Refused { reasons: vec![reason] });
                return;
            }
        };
        let length = self.bearable();
        tracing::info!(uid, ?length, "restart of the dataplane");
        let until = Instant::now() + BUILDING + PATIENCE + PREPARING + length;
        let (since, sessions, had) = (None, 0, None);
        self.pause = Some(Pause { length, since, until, started_ms, sessions, had, reply });
        let (socket, restarts) = (self.socket.clone(), self.restarts.clone());
        let mut building = self.building.subscribe();
        let program = self.program.with_file_name(DATAPLANE);
        tokio::spawn(async move {
            // A program that does not start would be noticed too late. Elsewhere, it is somebody else's.
            if program.is_file()
                && let Err(reason) = release_of(&program, DATAPLANE).await
            {
                let _ = restarts.send(Err(vec![reason]));
                return;
            }
            // While it builds tables it answers nothing. A control that ends tells nobody.
            let _ = timeout(BUILDING, building.wait_for(|building| !building)).await;
            let request = api::Restart {
                pause_ms: length.as_millis() as u32,
                // Nobody waits for it after that.
                not_after_ms: Some((boot() + PREPARING).as_millis() as u64),
            };
            let answer = dataplane::ask(&socket, &api::Request::Restart(request), PREPARING).await;
            // The loop ends only with the process.
            let _ = restarts.send(understood(answer));
        });
    }

    /// When the dataplane that is to end was started, if it may.
    fn may_restart(&self) -> Result<u64, String> {
        if self.pause.is_some() {
            return Err("the dataplane is being restarted already".into());
        }
        if self.leaving.is_some() || self.upgrading || self.starting != Starting::Over {
            return Err("control has just been started, or is stopping: try again".into());
        }
        match (&self.dataplane.greeting, &self.dataplane.lost, &*self.pulse.borrow()) {
            (Some(greeting), None, Pulse::Beats(_)) => Ok(greeting.started_ms),
            (_, Some(why), _) | (_, None, Pulse::Silent(why)) => Err(format!(
                "the dataplane does not forward ({why}): nothing is lost if it is started anew"
            )),
            (None, None, Pulse::Beats(_)) => {
                Err("the dataplane has not introduced itself yet".into())
            }
        }
    }

    /// How long the dataplane may be away for BGP's sake. A router's hold time runs since the last
    /// KEEPALIVE, which may be a third of it ago; and what was sent into the void is sent again after
    /// ever longer pauses, so that the next may come as long after the dataplane as that was away.
    fn bearable(&self) -> Duration {
        let sessions = self.routes.sessions().into_iter();
        let held = sessions
            .filter(|session| session.state == SessionState::Established)
            .filter_map(|session| session.hold_time)
            .filter(|time| !time.is_zero());
        held.map(|time| time / 3).min().map_or(LONGEST, |time| time.min(LONGEST))
    }

    /// The dataplane is about to end, or will not.
    pub(super) fn restarting(&mut self, answer: Answer) {
        let Some(pause) = &mut self.pause else { return };
        match answer {
            Ok(sessions) => {
                let now = Instant::now();
                pause.sessions = sessions;
                pause.since = Some(now);
                pause.until = now + pause.length;
                pause.had = self.dataplane.in_force.clone();
            }
            Err(reasons) => {
                tracing::error!(?reasons, "the dataplane is not restarted");
                let pause = self.pause.take();
                if let Some(pause) = pause {
                    let _ = pause.reply.send(Reply::Refused { reasons });
                }
            }
        }
    }

    /// Whether the dataplane may be away without anything coming of it.
    pub(super) fn pausing(&self) -> bool {
        self.pause.as_ref().is_some_and(|pause| pause.since.is_some())
    }

    /// What the dataplane has, as far as announcements are concerned: while it is away as planned, what it
    /// had.
    pub(super) fn believed(&self) -> Option<&Snapshot> {
        let paused = self.pause.as_ref().filter(|pause| pause.since.is_some());
        let snapshot = match paused {
            Some(pause) => &pause.had,
            None => &self.dataplane.in_force,
        };
        snapshot.as_deref()
    }

    /// Ends the restart once the dataplane is back with all that it had, or should be.
    pub(super) fn end_pause(&mut self) {
        let now = Instant::now();
        let Some(Pause { since, until, started_ms, .. }) = self.pause else { return };
        let another = |greeting: &api::Greeting| greeting.started_ms != started_ms;
        let back = self.dataplane.greeting.as_ref().is_some_and(another)
            && self.dataplane.lost.is_none()
            && self.dataplane.follows
            && self.proof.is_none()
            && matches!(*self.pulse.borrow(), Pulse::Beats(_));
        if !back && now < until && self.leaving.is_none() {
            return;
        }
        let Some(Pause { length, sessions, reply, .. }) = self.pause.take() else { return };
        let mut change = Change::default();
        if back {
            let away = since.map_or(Duration::ZERO, |since| now - since).as_millis();
            let greeting = self.dataplane.greeting.as_ref();
            let program = greeting.map_or("", |greeting| greeting.program.as_str());
            tracing::info!(away, sessions, "the dataplane is back");
            change.notes.push(format!(
                "palier-dataplane {program} forwards again, {away} ms after the one before ended; \
                 BFD sessions that went on: {sessions}"
            ));
        } else if self.leaving.is_some() {
            change.failed.push(Failed {
                what: "palier-control".into(),
                reason: "it was told to stop, and does not wait for the dataplane any more".into(),
            });
        } else {
            tracing::error!(?length, "the dataplane is not back");
            change.failed.push(Failed {
                what: "palier-dataplane".into(),
                reason: format!(
                    "not back within {length:?}, which is how long routers bear it: is there somebody \
                     who starts it, such as systemd?"
                ),
            });
        }
        // A caller that is gone needs no answer.
        let _ = reply.send(Reply::Done(change));
    }
}

fn understood(answer: Result<api::Reply, Unanswered>) -> Answer {
    match answer {
        Ok(api::Reply::Restarting { sessions }) => Ok(sessions),
        Ok(api::Reply::Refused { reasons }) => Err(reasons),
        Ok(api::Reply::Error(why)) => Err(vec![format!("the dataplane: {why}")]),
        Ok(other) => Err(vec![format!("the dataplane answered {other:?}")]),
        Err(error) => Err(vec![format!("the dataplane does not answer: {error}")]),
    }
}

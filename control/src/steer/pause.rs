//! The dataplane's planned restart: routers bear its silence, and are told nothing that is due to it.

use std::time::Duration;

use admin::{Change, Failed, Reply};
use bgp::SessionState;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Starting, Steer};
use crate::dataplane::watchdog::Pulse;
use crate::dataplane::{self, Unanswered};

/// Longest silence of a dataplane that is expected back.
const LONGEST: Duration = Duration::from_secs(10);
/// How long the dataplane may take to prepare the routers, and a bit.
const PREPARING: Duration = Duration::from_secs(4);

/// Longest time that a dataplane which is back is given for its ports to come up: a NIC may take
/// seconds to agree on a speed, a switch to notice that somebody is there.
const SETTLING: Duration = Duration::from_secs(5);
/// How often it is looked whether anybody has answered.
const LOOK: Duration = Duration::from_millis(20);

/// A dataplane that was started anew, until somebody was heard through it. Nobody is thought to be down
/// for his silence until then.
#[derive(Debug)]
pub(super) struct Settling {
    until: Instant,
    /// How often somebody had answered before it had its Snapshot; `None` until it has.
    heard: Option<u64>,
}

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
        let until = Instant::now() + PREPARING + length;
        self.pause = Some(Pause { length, since: None, until, started_ms, sessions: 0, reply });
        let (socket, restarts) = (self.socket.clone(), self.restarts.clone());
        let request = api::Restart { pause_ms: length.as_millis() as u32 };
        tokio::spawn(async move {
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
        if self.leaving.is_some() || self.starting != Starting::Over {
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

    /// How long the dataplane may be away for BGP's sake: a router's hold time runs since the last
    /// KEEPALIVE, which may be a third of it ago.
    fn bearable(&self) -> Duration {
        let sessions = self.routes.sessions().into_iter();
        let held = sessions
            .filter(|session| session.state == SessionState::Established)
            .filter_map(|session| session.hold_time)
            .filter(|time| !time.is_zero());
        held.map(|time| time * 2 / 3).min().map_or(LONGEST, |time| time.min(LONGEST))
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

    /// Another dataplane is there than before.
    pub(super) fn begin_to_settle(&mut self) {
        if self.checks.heard(&self.site.aim).is_some() {
            self.settling = Some(Settling { until: Instant::now() + SETTLING, heard: None });
            self.checks.forgive(true);
        }
    }

    /// Whether anybody has answered through a dataplane that was started anew.
    pub(super) fn settle_down(&mut self) {
        let follows = self.dataplane.follows;
        let Some(Settling { until, heard }) = &mut self.settling else { return };
        let now = self.checks.heard(&self.site.aim);
        if follows && heard.is_none() {
            *heard = now;
        }
        let answered = follows && heard.is_none_or(|before| now.is_none_or(|now| now > before));
        if answered || Instant::now() >= *until {
            tracing::info!(answered, "failures of checks count again");
            self.settling = None;
            self.checks.forgive(false);
        }
    }

    /// When it is looked again whether anybody has answered.
    pub(super) fn look(&self) -> Option<Instant> {
        self.settling.as_ref().map(|_| Instant::now() + LOOK)
    }

    /// Whether the dataplane may be away without anything coming of it.
    pub(super) fn pausing(&self) -> bool {
        self.pause.is_some()
    }

    /// Ends the restart once the dataplane is back with all that it had, or should be.
    pub(super) fn end_pause(&mut self) {
        let now = Instant::now();
        let Some(Pause { since, until, started_ms, .. }) = self.pause else { return };
        let another = |greeting: &api::Greeting| greeting.started_ms != started_ms;
        let back = self.dataplane.greeting.as_ref().is_some_and(another)
            && self.dataplane.lost.is_none()
            && self.dataplane.follows
            && self.settling.is_none()
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

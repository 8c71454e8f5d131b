//! An orderly stop, in the steps in which nobody is hurt: first the L4 nodes hear of it and send no new
//! flows; then nobody is accepted any more, and each answer is its connection's last; then connections on
//! which nothing is under way are closed; at the end packets are no longer taken out of tunnels, and the
//! VIPs go, last of all.

use std::process::ExitStatus;
use std::time::Duration;

use proxy::{Drain, Proxy};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::{Heir, Serve};
use crate::notify;
use crate::signals::Signal;

/// How long answers that say `Connection: close` may take to empty connections, before idle ones are
/// closed.
const SOFT: Duration = Duration::from_secs(2);
/// How often open connections are counted.
const COUNT: Duration = Duration::from_millis(50);
/// What an L4 node may need from an answer to its tables, beside the pace of its checks.
const SLACK: Duration = Duration::from_millis(500);

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    step: Drain,
    /// When the next step is due.
    next: Instant,
    /// When it is over, whoever is still connected.
    hard: Instant,
}

impl Leaving {
    /// When something is to be done.
    pub(super) fn wake(&self) -> Option<Instant> {
        Some(match self.step {
            Drain::None | Drain::Announced | Drain::Closing => self.next,
            Drain::Leaving => self.hard.min(Instant::now() + COUNT),
        })
    }

    /// In words.
    pub(super) const fn word(&self) -> &'static str {
        match self.step {
            Drain::None | Drain::Announced => "the L4 nodes are told",
            Drain::Closing => "nobody new is accepted",
            Drain::Leaving => "the last connections end",
        }
    }
}

/// Has the connections of a proxy end, whom nobody new comes to; those that are left after `limit` are cut.
pub(super) async fn empty(proxy: &mut Proxy, limit: Duration) {
    let hard = Instant::now() + SOFT + limit;
    proxy.drain(Drain::Closing);
    let soft = Instant::now() + SOFT;
    while proxy.open() > 0 && Instant::now() < hard {
        if Instant::now() >= soft {
            proxy.drain(Drain::Leaving);
        }
        sleep(COUNT).await;
    }
}

/// Waits until somebody does not want to wait any more.
pub(super) async fn told_twice(signals: &mut mpsc::Receiver<Signal>) {
    let mut told = 0;
    while told < 2 {
        match signals.recv().await {
            Some(Signal::Stop) => told += 1,
            Some(Signal::Reload) => {}
            None => std::future::pending().await,
        }
    }
}

/// Waits until the process that has taken over ends otherwise than by an orderly stop; and how.
pub(super) async fn death(heir: &mut Heir) -> ExitStatus {
    loop {
        match heir.ended() {
            Ok(Some(how)) if !how.success() => return how,
            Ok(Some(_)) | Err(_) => std::future::pending().await,
            Ok(None) => sleep(COUNT).await,
        }
    }
}

impl Serve {
    /// An orderly stop begins.
    pub(super) fn begin_to_leave(&mut self) {
        let (heard, limit) = (self.heard_by(), self.limit());
        tracing::info!(?heard, ?limit, "stopping: the L4 nodes are told first");
        notify::stopping();
        self.forget_reload();
        let now = Instant::now();
        self.leaving =
            Some(Leaving { step: Drain::Announced, next: now + heard, hard: now + heard + limit });
        self.proxy.drain(Drain::Announced);
        self.tell_own();
    }

    /// The next step, if it is time for it. Says whether that was the last.
    pub(super) fn leave_on(&mut self) -> bool {
        let Some(leaving) = &mut self.leaving else { return false };
        let now = Instant::now();
        match leaving.step {
            Drain::None | Drain::Announced if now >= leaving.next => {
                (leaving.step, leaving.next) = (Drain::Closing, now + SOFT);
                self.proxy.drain(Drain::Closing);
                false
            }
            Drain::Closing if now >= leaving.next || self.proxy.open() == 0 => {
                leaving.step = Drain::Leaving;
                self.proxy.drain(Drain::Leaving);
                self.proxy.open() == 0
            }
            Drain::Leaving => {
                let open = self.proxy.open();
                if open > 0 && now >= leaving.hard {
                    tracing::warn!(open, "connections are cut: `drain_timeout` is over");
                }
                open == 0 || now >= leaving.hard
            }
            Drain::None | Drain::Announced | Drain::Closing => false,
        }
    }

    /// The end of an orderly stop.
    pub(super) async fn leave(self) {
        let Self { tunnel, store, proxy, .. } = self;
        tunnel.leave().await;
        drop(proxy);
        if let Err(error) = store.flush() {
            tracing::error!(%error, "node states are lost with this process");
        }
    }

    /// How long it takes until every L4 node has heard that this one goes: a refusal is obeyed at once,
    /// so its slowest check decides.
    fn heard_by(&self) -> Duration {
        let services = self.site.config.services.iter().filter(|service| self.site.has(service));
        let checks = services.flat_map(|service| &service.checks);
        let slowest = checks.map(|one| one.check.timing.interval + one.check.timing.timeout).max();
        slowest.map_or(Duration::ZERO, |slowest| slowest + SLACK)
    }

    /// How long connections may last then.
    pub(super) fn limit(&self) -> Duration {
        let services = self.site.config.services.iter().filter(|service| self.site.has(service));
        services.map(|service| service.drain_timeout).max().unwrap_or_default()
    }
}

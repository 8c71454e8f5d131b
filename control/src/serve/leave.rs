//! An orderly stop, in the steps in which nobody is hurt: first the L4 nodes hear of it and send no new
//! flows; then each answer is its connection's last; then connections on which nothing is under way are closed;
//! once nobody is left nobody is accepted any more, packets are no longer taken out of tunnels, and the VIPs go,
//! last of all. For as long as somebody is left the L4 nodes are answered: a node that refuses them is down to
//! them, and after `down_hold` it would lose the flows that it still has.

use std::time::Duration;

use api::Prefix;
use proxy::{Drain, Proxy};
use tokio::time::{Instant, sleep};

use super::{Serve, in_flight};
use crate::handover::Departing;
use crate::notify;

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
    /// Nobody is accepted any more.
    is_closed: bool,
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
            Drain::Closing => "each answer is its connection's last",
            Drain::Leaving => "the last connections end",
        }
    }
}

/// Has the connections of a proxy end, whom nobody new comes to; those that are left after `limit` are cut.
pub(super) async fn empty(proxy: &mut Proxy, limit: Duration) {
    let hard = Instant::now() + SOFT + limit;
    proxy.close();
    proxy.drain(Drain::Closing);
    let until = async |end: Instant| {
        while !proxy.is_over() && Instant::now() < end {
            sleep(COUNT).await;
        }
    };
    until(Instant::now() + SOFT).await;
    proxy.drain(Drain::Leaving);
    until(hard).await;
}

impl Serve {
    /// An orderly stop begins, if it has not.
    pub(super) fn begin_to_leave(&mut self) {
        if self.leaving.is_some() {
            return;
        }
        let (heard, limit) = (self.heard_by(), self.limit());
        tracing::info!(?heard, ?limit, "stopping: the L4 nodes are told first");
        notify::stopping();
        self.forget_reload();
        let now = Instant::now();
        self.leaving = Some(Leaving {
            step: Drain::Announced,
            next: now + heard,
            hard: now + heard + limit,
            is_closed: false,
        });
        self.proxy.drain(Drain::Announced);
        self.tell_own();
    }

    /// The next step, if it is time for it. Says whether that was the last.
    pub(super) fn leave_on(&mut self) -> bool {
        let Some(mut leaving) = self.leaving else { return false };
        let (now, open) = (Instant::now(), self.proxy.open());
        let is_over = match leaving.step {
            Drain::None | Drain::Announced if now >= leaving.next => {
                (leaving.step, leaving.next) = (Drain::Closing, now + SOFT);
                false
            }
            Drain::None | Drain::Announced => false,
            Drain::Closing if now >= leaving.next || open == 0 => {
                leaving.step = Drain::Leaving;
                false
            }
            Drain::Closing => false,
            Drain::Leaving if now >= leaving.hard => {
                if open > 0 {
                    tracing::warn!(open, "connections are cut: `drain_timeout` is over");
                }
                true
            }
            Drain::Leaving if leaving.is_closed => self.proxy.is_over() && self.all_have_all(),
            Drain::Leaving => {
                // Who comes now, as a check does, is gone again at the next look.
                if open == 0 && self.has_succeeded() && self.all_have_all() {
                    self.proxy.close();
                    leaving.is_closed = true;
                }
                false
            }
        };
        if self.leaving.replace(leaving).is_none_or(|before| before.step != leaving.step) {
            self.proxy.drain(leaving.step);
        }
        is_over
    }

    /// Whether nobody is left of the process that this one has taken over from: its clients came to the same
    /// VIPs.
    fn has_succeeded(&self) -> bool {
        self.predecessor.as_ref().is_none_or(Departing::has_gone)
    }

    /// Whether clients have all that was written to them.
    fn all_have_all(&self) -> bool {
        let vips = self.site.vips().iter().map(Prefix::address).collect();
        in_flight::count(&vips) == 0
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

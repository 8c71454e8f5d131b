//! What this node's routers are told, whenever something has changed; and its farewell.

use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api::{Prefix, State};
use bgp::{Speaker, Wanted};
use config::Bgp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Starting, Steer};
use crate::announce::{self, Known, Stance, Told};
use crate::neighbors::{Links, neighbor, speakers};

/// How often a speaker that could not be started is tried again.
const RETRY: Duration = Duration::from_secs(2);

/// The speaker, and what it was told.
#[derive(Debug, Default)]
pub(super) struct Routes {
    speaker: Option<Speaker>,
    /// How its sessions are.
    status: Option<watch::Receiver<Arc<Vec<bgp::SessionStatus>>>>,
    /// Why there is none, though the file has `[bgp]`.
    pub(super) mute: Option<String>,
    retry_at: Option<Instant>,
    /// What the last announcement was made of.
    made_of: Option<Sources>,
    /// Of each session: the router's address, and what it was told.
    told: Vec<(IpAddr, Told)>,
    /// Until when a node that is to go announces with GRACEFUL_SHUTDOWN.
    farewell: Option<Instant>,
    /// Whether routers may drop what they kept of the time before this process.
    settled: bool,
}

/// What announcements follow from. The plan is counted: it is long.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sources {
    site: String,
    plans: u64,
    in_force: Option<u64>,
    stance: Stance,
    lost: BTreeSet<IpAddr>,
    links: Links,
    settled: bool,
}

impl Routes {
    /// Until when something is to be done though nothing happens.
    pub(super) fn wake(&self) -> Option<Instant> {
        // A farewell that is over is over for good.
        let farewell = self.farewell.filter(|until| *until > Instant::now());
        [farewell, self.retry_at].into_iter().flatten().min()
    }

    /// Whether any router is told anything now.
    pub(super) fn any(&self) -> bool {
        self.told.iter().any(|(_, told)| !told.routes.is_empty())
    }

    /// What the router at this address was told, if there is a session with it.
    pub(super) fn told(&self, router: IpAddr) -> Option<&Told> {
        self.told.iter().find(|(address, _)| *address == router).map(|(_, told)| told)
    }

    /// How the sessions are.
    pub(super) fn sessions(&self) -> Vec<bgp::SessionStatus> {
        self.speaker.as_ref().map(Speaker::sessions).unwrap_or_default()
    }

    /// Waits until a session has changed; for ever if there is no speaker.
    pub(super) async fn changed(&mut self) {
        if let Some(changes) = &mut self.status
            && changes.changed().await.is_ok()
        {
            return;
        }
        std::future::pending().await
    }

    /// Waits until everything that was wanted is on its way to the routers.
    pub(super) async fn flushed(&self) {
        if let Some(speaker) = &self.speaker {
            speaker.flushed().await;
        }
    }

    /// Ends all sessions: routers forget this node.
    pub(super) async fn leave(&mut self) {
        if let Some(speaker) = self.speaker.take() {
            speaker.leave().await;
        }
    }

    /// Ends all sessions without a word: routers that were asked to keep the routes.
    pub(super) fn stay(&mut self) {
        if let Some(speaker) = self.speaker.take() {
            speaker.stay();
        }
    }
}

impl Steer {
    /// Tells routers what follows from everything that is known, if that is news.
    pub(super) fn announce(&mut self) {
        let Some(bgp) = self.site.config.bgp.clone() else {
            self.silence();
            return;
        };
        // Nobody is told anything before it is known whether this is a start or a restart.
        if self.starting == Starting::Alone {
            return;
        }
        self.speak(&bgp);
        let stance = self.stance(bgp.drain_time);
        // Once routers were told that they know all, they do.
        self.routes.settled |= self.starting == Starting::Over && self.dataplane.follows;
        let sources = Sources {
            site: self.site.fingerprint.clone(),
            plans: self.counters.plans,
            in_force: self.dataplane.in_force.as_ref().map(|snapshot| snapshot.generation),
            stance,
            lost: self.lost_routers(),
            links: self.links.clone(),
            settled: self.routes.settled,
        };
        if self.routes.made_of.as_ref() == Some(&sources) {
            return;
        }
        let Some(wanted) = self.wanted(&bgp, &sources) else { return };
        if let Some(speaker) = &self.routes.speaker {
            speaker.set(wanted);
        }
        self.routes.made_of = Some(sources);
    }

    /// Ends the speaker of a site that speaks BGP no more.
    fn silence(&mut self) {
        let Routes { speaker, .. } = std::mem::take(&mut self.routes);
        if let Some(speaker) = speaker {
            tokio::spawn(speaker.leave());
        }
    }

    /// Starts the speaker, if there is none.
    fn speak(&mut self, bgp: &Bgp) {
        let waits = self.routes.retry_at.is_some_and(|at| Instant::now() < at);
        if self.routes.speaker.is_some() || waits {
            return;
        }
        let listen = self.site.own().addresses.iter();
        let start = bgp::Start {
            listen: listen.map(|&address| SocketAddr::new(address, bgp.port)).collect(),
            // A dataplane that has something went on forwarding while there was no control.
            restarted: self.dataplane.resumed,
            forwarding: self.dataplane.resumed,
        };
        match Speaker::start(start) {
            Ok(speaker) => {
                self.routes.status = Some(speaker.status());
                self.routes.speaker = Some(speaker);
                self.routes.mute = None;
                self.routes.retry_at = None;
                self.routes.made_of = None;
            }
            Err(error) => {
                let why = format!("no BGP: {error}");
                if self.routes.mute.as_ref() != Some(&why) {
                    tracing::error!("{why}");
                }
                self.routes.mute = Some(why);
                self.routes.retry_at = Some(Instant::now() + RETRY);
            }
        }
    }

    /// Whether anything is announced, as far as this node itself is concerned.
    fn stance(&mut self, drain_time: Duration) -> Stance {
        let (farewells, obstacles) = self.gate_parts();
        if farewells.is_empty() {
            self.routes.farewell = None;
        }
        if !obstacles.is_empty() {
            return Stance::Shut(obstacles.join("; "));
        }
        if farewells.is_empty() {
            return Stance::Open;
        }
        let now = Instant::now();
        let any = self.routes.any();
        let until = *self.routes.farewell.get_or_insert(if any { now + drain_time } else { now });
        if now < until { Stance::Leaving } else { Stance::Shut(farewells.join("; ")) }
    }

    /// What the speaker shall do; nothing before there is a plan.
    fn wanted(&mut self, bgp: &Bgp, sources: &Sources) -> Option<Wanted> {
        let (config, plan) = self.plan.as_ref()?;
        // A site that was loaded a moment ago has no plan yet.
        if !Arc::ptr_eq(config, &self.site.config) {
            return None;
        }
        let served = self.served();
        let ready = self.with_rows();
        let states = self.store.states();
        let known = Known {
            config,
            own: &self.site.own().name,
            plan,
            served: &served,
            ready: &ready,
            states: &states,
            stance: &sources.stance,
            lost: &sources.lost,
        };
        let (mut peers, mut all) = (Vec::new(), Vec::new());
        let own = self.site.own();
        for (router, peer) in speakers(config, own) {
            for session in &peer.sessions {
                let Some(neighbor) = neighbor(bgp, own, router, peer, session, &self.links) else {
                    continue;
                };
                let told = announce::told(&known, peer, session);
                peers.push(bgp::Peer {
                    neighbor: Arc::new(neighbor),
                    routes: told.routes.clone().into(),
                });
                all.push((session.address, told));
            }
        }
        self.routes.told = all;
        Some(Wanted { neighbors: peers, settled: sources.settled })
    }

    /// Services and VIPs at which the dataplane has somebody to send flows to.
    fn with_rows(&self) -> HashSet<(&str, Prefix)> {
        let takes = |service: &&api::Service| {
            service.nodes.iter().any(|member| member.state == State::Up && member.weight > 0)
        };
        let services = self.believed().into_iter().flat_map(|snapshot| &snapshot.services);
        let services = services.filter(takes);
        services.flat_map(|s| s.vips.iter().map(|&vip| (s.name.as_str(), vip))).collect()
    }
}

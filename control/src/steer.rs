//! The loop that steers: whatever happens (a verdict, an operator's word, a changed file, a dataplane
//! that comes or goes) ends in a new plan, and a plan that differs from the last goes to the
//! dataplane, whole.
//!
//! Nothing is applied before the dataplane told what it has, nor, if it has something, before every
//! check has a verdict: a restart of control changes nothing that is still true. A dataplane that has
//! nothing gets the nodes at once, all of them without rows: probes through its tunnel need to know
//! them.

mod calls;
mod conclude;
mod forwarder;
mod leave;
mod liveness;
mod others;
mod pause;
mod proof;
mod report;
mod routes;
mod sessions;
mod site;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use admin::Refusal;
use config::Config;
use health::monitor::ProbeId;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use self::forwarder::Dataplane;
use self::leave::Leaving;
use self::liveness::Lost;
use self::others::Told;
use self::pause::Pause;
use self::proof::Proof;
use self::routes::Routes;
use crate::admin::socket::Call;
use crate::census::Census;
use crate::checks::Checks;
use crate::clock::boot;
use crate::dataplane::link::{self, Wanted};
use crate::dataplane::watchdog::{self, Pulse};
use crate::hooks::Hooks;
use crate::neighbors::Links;
use crate::peers::Peers;
use crate::plan::Plan;
use crate::signals::Signal;
use crate::site::Site;
use crate::states::Store;
use crate::watch::Watch;

/// What the loop begins with.
#[derive(Debug)]
pub struct Start {
    /// The site file as it was read.
    pub site: Site,
    /// Its path.
    pub path: PathBuf,
    /// What operators wanted when control last ran.
    pub store: Arc<Store>,
    /// The file that those are kept in.
    pub state_file: PathBuf,
    /// The dataplane's socket.
    pub dataplane: PathBuf,
    /// Where this program lies: another release may come to lie there.
    pub program: PathBuf,
    /// Requests of the admin socket.
    pub calls: mpsc::Receiver<Call>,
}

/// The loop's state.
pub struct Steer {
    site: Site,
    path: PathBuf,
    store: Arc<Store>,
    state_file: PathBuf,
    socket: Arc<std::path::Path>,
    started: Duration,

    checks: Checks,

    link: watch::Sender<Option<Wanted>>,
    building: watch::Sender<bool>,
    pulse: watch::Receiver<Pulse>,
    bfd: watch::Receiver<Arc<Vec<api::BfdStatus>>>,
    lost: Lost,
    links: Links,
    dataplane: Dataplane,
    /// The dataplane's planned restart.
    pause: Option<Pause>,
    /// One that was started anew, for whatever reason, until it has proved itself.
    proof: Option<Proof>,
    /// Told how the dataplane takes it.
    restarts: mpsc::UnboundedSender<pause::Answer>,

    /// With the configuration that it was made of.
    plan: Option<(Arc<Config>, Plan)>,
    /// Something has happened that the plan does not know of.
    stale: bool,
    /// Until when verdicts are waited for.
    starting: Starting,
    routes: Routes,
    leaving: Option<Leaving>,
    hooks: Hooks,
    refused: Option<Refusal>,
    /// What control was started with, and the dataplane as far as is known.
    started_with: Arc<Config>,
    dataplane_started_with: Arc<Config>,
    counters: Counters,
    peers: Option<Peers>,
    /// Why there are none, though the file has a `peer_port`.
    mute: Option<String>,
    /// Told when other nodes bring node states.
    learned: mpsc::UnboundedSender<()>,
    told: Option<Told>,
    census: Census,
    /// Told whether another release of this program can take over.
    upgrade: mpsc::UnboundedSender<bool>,
    /// That is being found out.
    upgrading: bool,
    program: PathBuf,
    /// When the state file is tried again, if it could not be written.
    flush_at: Option<Instant>,
}

/// How far the start has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Starting {
    /// No dataplane was found yet.
    Alone,
    /// Verdicts are waited for until then. The dataplane had nothing of its own, or something.
    Waiting { until: Instant, empty: bool },
    /// It is over.
    Over,
}

/// Why steering has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Told to stop.
    Stopped,
    /// Told to make room for another release of this program.
    Upgrade,
}

/// What control counts itself.
#[derive(Debug, Default)]
struct Counters {
    plans: u64,
    snapshots_sent: u64,
    snapshots_refused: u64,
    dataplane_lost: u64,
    reloads: u64,
    reloads_refused: u64,
    operator_changes: u64,
}

/// What ended a turn of the loop.
enum Event {
    Link(link::Event),
    Verdicts(Vec<ProbeId>),
    Pulse,
    Call(Call),
    Signal(Signal),
    Peer,
    Learned,
    Counted,
    Router,
    Liveness,
    Upgrade(bool),
    Restart(pause::Answer),
    File,
    Timer,
}

/// Steers until told to stop.
pub async fn run(start: Start, mut signals: mpsc::Receiver<Signal>) -> Ended {
    let Start { site, path, store, state_file, dataplane, program, mut calls } = start;
    let (learned, mut learning) = mpsc::unbounded_channel();
    let (events, mut link_events) = mpsc::unbounded_channel();
    let link = link::start(dataplane.clone(), events);
    let (building, is_building) = watch::channel(false);
    let (pulse, bfd) = watchdog::start(dataplane.clone(), is_building);
    let (checks, mut changes) = Checks::start();
    let (restarts, mut restarting) = mpsc::unbounded_channel();
    let (upgrade, mut upgrades) = mpsc::unbounded_channel();
    let mut steer = Steer {
        started: boot(),
        socket: dataplane.into(),
        plan: None,
        stale: true,
        starting: Starting::Alone,
        routes: Routes::default(),
        leaving: None,
        hooks: Hooks::default(),
        refused: None,
        started_with: site.config.clone(),
        dataplane_started_with: site.config.clone(),
        counters: Counters::default(),
        peers: None,
        mute: None,
        learned,
        told: None,
        census: Census::default(),
        upgrade,
        upgrading: false,
        program,
        flush_at: None,
        dataplane: Dataplane::default(),
        site,
        path,
        store,
        state_file,
        checks,
        link,
        building,
        pulse,
        bfd,
        lost: Lost::default(),
        links: Links::default(),
        pause: None,
        proof: None,
        restarts,
    };
    steer.checks.aim(&steer.site.aim);
    steer.meet_peers();
    // Also a node that has no dataplane yet is one that learns and tells what operators want.
    steer.tell_peers();
    let mut watch = steer.watch();
    let mut watched = steer.site.config.site.reload;
    loop {
        let mut pulse = steer.pulse.clone();
        let mut bfd = steer.bfd.clone();
        let wake = steer.wake();
        let event = tokio::select! {
            Some(event) = link_events.recv() => Event::Link(event),
            changed = changes.next() => Event::Verdicts(changed),
            _ = pulse.changed() => Event::Pulse,
            _ = bfd.changed() => Event::Liveness,
            Some(call) = calls.recv() => Event::Call(call),
            Some(signal) = signals.recv() => Event::Signal(signal),
            () = Watch::changed_or_never(&mut watch) => Event::File,
            () = heard(&mut steer.peers) => Event::Peer,
            Some(()) = learning.recv() => Event::Learned,
            () = steer.census.counted() => Event::Counted,
            () = steer.routes.changed() => Event::Router,
            Some(can) = upgrades.recv() => Event::Upgrade(can),
            Some(answer) = restarting.recv() => Event::Restart(answer),
            () = timer(wake) => Event::Timer,
        };
        steer.pulse = pulse;
        match event {
            Event::Link(event) => steer.linked(event),
            Event::Verdicts(ids) => steer.stale |= steer.checks.read(&ids, &steer.site.aim),
            Event::Pulse => {
                steer.pulse.mark_unchanged();
                steer.allow_probes();
            }
            Event::Liveness => steer.learn_liveness(),
            Event::Upgrade(can) => {
                steer.upgrading = false;
                // Who was told to stop meanwhile stops.
                if can && steer.leaving.is_none() {
                    steer.make_room();
                    return Ended::Upgrade;
                }
            }
            Event::Restart(answer) => steer.restarting(answer),
            Event::Call(call) => steer.call(call),
            Event::Signal(Signal::Reload) => {
                // Told in log and status.
                let _ = steer.reload(false);
                // The folder may be another one by now.
                watch = steer.watch();
            }
            // Who says it twice does not want to wait.
            Event::Signal(Signal::Stop | Signal::Leave) if steer.leaving.is_some() => break,
            Event::Signal(Signal::Stop | Signal::Leave) => steer.begin_to_leave(),
            Event::File => {
                let _ = steer.reload(false);
            }
            Event::Peer => {
                if let Some(peers) = &mut steer.peers {
                    peers.compare();
                }
                continue;
            }
            Event::Learned => steer.stale = true,
            Event::Counted | Event::Router | Event::Timer => {}
        }
        let wanted = steer.site.config.site.reload;
        if std::mem::replace(&mut watched, wanted) != wanted {
            watch = steer.watch();
        }
        steer.conclude();
        if steer.has_left() {
            break;
        }
    }
    steer.leave().await;
    Ended::Stopped
}

/// Waits until another node was heard of; for ever if there is none.
async fn heard(peers: &mut Option<Peers>) {
    match peers {
        Some(peers) => peers.changed().await,
        None => std::future::pending().await,
    }
}

async fn timer(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

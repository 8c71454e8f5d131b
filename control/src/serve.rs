//! The loop of an L7 node: whatever happens (a verdict, an operator's word, a changed file) ends in what
//! the proxy, the decapsulator and the kernel are told, whole.
//!
//! At a start the proxy listens first, then the VIPs come onto `lo`, then packets are taken out of tunnels;
//! an orderly stop goes the other way, after the L4 nodes have been told (`leave.rs`).

mod calls;
mod frontends;
mod handed;
mod in_flight;
mod judge;
mod leave;
mod reload;
mod report;
mod servers;
mod site;
mod start;
mod tunnel;
mod upgrade;
mod verdict;
mod word;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use admin::Refusal;
use config::{Config, Host};
use health::monitor::{Changes, ProbeId};
use proxy::{Proxy, ServerState};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

pub use self::handed::Handed;
pub use self::reload::NAMES;
pub use self::site::Site;
pub use self::start::{Start, listen};
pub(crate) use self::verdict::alone;
pub use self::word::{Word, find, word, words};

use self::judge::Name;
use self::leave::Leaving;
use self::reload::Waiting;
use self::servers::Servers;
use self::tunnel::Tunnel;
use crate::admin::socket::Call;
use crate::clock::boot;
use crate::doors::{Doors, Sockets};
use crate::handover::{Departing, Estate, Raised, Upgrade};
use crate::names::{Answer, Names};
use crate::peers::Peers;
use crate::signals::Signal;
use crate::states::Store;
use crate::watch::Watch;

/// How often a state file that could not be written is tried again.
const TURN: Duration = Duration::from_secs(5);

/// The loop's state.
pub struct Serve {
    site: Site,
    path: PathBuf,
    store: Arc<Store>,
    state_file: PathBuf,
    started: Duration,
    proxy: Proxy,
    names: Names,
    servers: Servers,
    changes: Changes,
    tunnel: Tunnel,
    doors: Doors,
    /// Of an older process: those that nobody has needed yet.
    sockets: Sockets,
    calls: mpsc::Receiver<Call>,
    peers: Option<Peers>,
    /// Why there are none, though the file has a `peer_port`.
    mute: Option<String>,
    /// Told when other nodes bring node states.
    learned: mpsc::UnboundedSender<()>,
    learning: mpsc::UnboundedReceiver<()>,
    refused: Option<Refusal>,
    /// A site file whose names are being looked up.
    waiting: Option<Waiting>,
    watch: Option<Watch>,
    leaving: Option<Leaving>,
    /// It was told to stop, itself.
    is_told: bool,
    /// The process that this one has taken over from, as long as it has clients.
    predecessor: Option<Departing>,
    counters: Tally,
    /// What control was started with.
    started_with: Arc<Config>,
    /// Servers of which not all checks have said something, and what is thought of them meanwhile.
    assumed: BTreeMap<Name, ServerState>,
    /// Since the start it has not been learned whether every pool has servers enough.
    is_unproven: bool,
    upgrade: Upgrade,
}

/// Why serving has ended.
#[derive(Debug)]
pub enum Ended {
    /// Told to stop.
    Stopped,
    /// Another process serves.
    HandedOver(Box<Handed>),
}

/// What control counts itself.
#[derive(Debug, Default)]
struct Tally {
    reloads: u64,
    reloads_refused: u64,
    operator_changes: u64,
}

/// What ended a turn of the loop.
enum Event {
    Verdicts(Vec<ProbeId>),
    Call(Call),
    Signal(Signal),
    Learned,
    Raised(Raised),
    File,
    Named(Host, Answer),
    Timer,
}

impl Serve {
    /// Has servers be asked, and packets come.
    ///
    /// # Errors
    /// What an earlier process did to this host cannot be read.
    pub fn start(start: Start) -> Result<Self, String> {
        let Start { site, proxy, names, estate, doors, path, program, store, state_file, .. } =
            start;
        let Start { state_dir, bpf_dir, calls, .. } = start;
        let Estate { sockets, servers: thoughts, findings, .. } = estate;
        let (servers, changes) = Servers::start(findings);
        let (learned, learning) = mpsc::unbounded_channel();
        let mut serve = Self {
            started: boot(),
            proxy,
            names,
            servers,
            changes,
            tunnel: Tunnel::start(&site.own().name, &state_dir, &bpf_dir)?,
            doors,
            sockets,
            calls,
            peers: None,
            mute: None,
            learned,
            learning,
            refused: None,
            waiting: None,
            watch: None,
            leaving: None,
            is_told: false,
            predecessor: None,
            counters: Tally::default(),
            started_with: site.config.clone(),
            assumed: BTreeMap::new(),
            is_unproven: thoughts.is_empty(),
            upgrade: Upgrade::to(program),
            site,
            path,
            store,
            state_file,
        };
        serve.aim(&thoughts.into_iter().map(|one| (one.pool, one.server)).collect());
        serve.meet_peers();
        serve.proxy.accept();
        serve.tunnel.set(tunnel::Wanted::of(&serve.site));
        Ok(serve)
    }

    /// Waits until packets come: VIPs and decapsulators are there, as far as they can be.
    pub async fn settled(&self) {
        // It has done what it was told before when it tells of itself.
        let _ = self.tunnel.status().await;
    }

    /// Waits for this one before it takes the VIPs away: it has clients there.
    pub fn follow(&mut self, predecessor: Departing) {
        self.predecessor = Some(predecessor);
    }

    /// Serves until told to stop.
    pub async fn run(mut self, signals: &mut mpsc::Receiver<Signal>) -> Ended {
        self.watch = self.watch();
        let mut tick = Instant::now() + TURN;
        loop {
            let leaving = self.leaving.as_ref().and_then(Leaving::wake);
            let waiting = self.waiting.as_ref().map(|waiting| waiting.until);
            let wake = [leaving, waiting].into_iter().flatten().fold(tick, Instant::min);
            let event = tokio::select! {
                changed = self.changes.next() => Event::Verdicts(changed),
                Some(call) = self.calls.recv() => Event::Call(call),
                Some(signal) = signals.recv() => Event::Signal(signal),
                Some(()) = self.learning.recv() => Event::Learned,
                () = Watch::changed_or_never(&mut self.watch) => Event::File,
                (host, answer) = self.names.next() => Event::Named(host, answer),
                raised = self.upgrade.raised() => Event::Raised(raised),
                () = sleep_until(wake) => Event::Timer,
            };
            match event {
                Event::Verdicts(ids) => {
                    let servers = self.servers.told_of(&ids);
                    self.judge(servers);
                }
                Event::Call(call) => self.call(call),
                Event::File if !self.obey(Signal::Reload) => break,
                Event::Signal(signal) if !self.obey(signal) => break,
                Event::File | Event::Signal(_) => {}
                Event::Named(host, answer) => {
                    if self.names.learn(host, answer) {
                        self.move_servers();
                    }
                    self.go_on_with_reload();
                }
                Event::Raised(Raised::Serves(heir, answer)) => {
                    return self.hand_over(*heir, answer, signals);
                }
                Event::Raised(Raised::Nothing) if !self.resume() => break,
                Event::Raised(Raised::Nothing) => {}
                Event::Learned => self.heard(),
                Event::Timer => self.go_on_with_reload(),
            }
            if Instant::now() >= tick {
                tick = Instant::now() + TURN;
                self.flush();
                self.move_servers();
            }
            if self.leave_on() {
                break;
            }
        }
        self.leave().await;
        Ended::Stopped
    }

    /// Does what a signal says; whether it is to go on. While another process is about to take over that one
    /// is to do it.
    fn obey(&mut self, signal: Signal) -> bool {
        if self.upgrade.keep(signal) {
            return true;
        }
        match signal {
            // What comes of it is told in log and status.
            Signal::Reload => self.reload(None),
            // One that went to both processes comes twice, and is meant once.
            Signal::Leave => self.begin_to_leave(),
            // Who says it twice does not want to wait.
            Signal::Stop if std::mem::replace(&mut self.is_told, true) => return false,
            Signal::Stop => self.begin_to_leave(),
        }
        true
    }

    /// Other nodes brought node states.
    fn heard(&mut self) {
        self.judge(self.servers.all());
        self.tell_peers();
    }

    /// Brings node states to their file, if it is behind.
    fn flush(&self) {
        // Another process may be about to write there.
        if !self.store.dirty() || self.upgrade.is_under_way() {
            return;
        }
        // What failed is told by the log, and tried again.
        tokio::spawn(self.store.clone().flushed());
    }
}

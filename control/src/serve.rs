//! The loop of an L7 node: whatever happens (a verdict, an operator's word, a changed file) ends in what
//! the proxy, the decapsulator and the kernel are told, whole.
//!
//! At a start the proxy listens first, then the VIPs come onto `lo`, then packets are taken out of tunnels;
//! an orderly stop goes the other way, after the L4 nodes have been told (`leave.rs`).

mod calls;
mod frontends;
mod handover;
mod leave;
mod report;
mod servers;
mod site;
mod tunnel;
mod word;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use admin::Refusal;
use config::Config;
use health::Admin;
use health::monitor::{Changes, ProbeId};
use proxy::{Listeners, Proxy};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

pub use self::handover::{Heir, Inheritance, Thought};
pub use self::site::Site;
pub use self::word::{does, find, word, words};

use self::leave::Leaving;
use self::servers::Servers;
use self::tunnel::Tunnel;
use crate::admin::socket::Call;
use crate::clock::boot;
use crate::peers::Peers;
use crate::states::Store;
use crate::steer::Signal;
use crate::watch::Watch;

/// How often a state file that could not be written is tried again, and names that servers are known by
/// are looked at.
const TURN: Duration = Duration::from_secs(5);

/// What the loop begins with.
#[derive(Debug)]
pub struct Start {
    /// The site file as it was read.
    pub site: Site,
    /// Its proxy, which listens already.
    pub proxy: Proxy,
    /// Servers of which an older process has told what it thinks: pool and name.
    pub inherited: BTreeSet<(String, String)>,
    /// The site file's path.
    pub path: PathBuf,
    /// Where this program lies: another release may come to lie there.
    pub program: PathBuf,
    /// What operators wanted when control last ran.
    pub store: Arc<Store>,
    /// The file that those are kept in.
    pub state_file: PathBuf,
    /// Where the kernel's settings of before are remembered.
    pub state_dir: PathBuf,
    /// Where what outlives control in the kernel is kept.
    pub bpf_dir: PathBuf,
    /// Requests of the admin socket.
    pub calls: mpsc::Receiver<Call>,
}

/// The loop's state.
pub struct Serve {
    site: Site,
    path: PathBuf,
    store: Arc<Store>,
    state_file: PathBuf,
    started: Duration,
    proxy: Proxy,
    servers: Servers,
    changes: Changes,
    tunnel: Tunnel,
    calls: mpsc::Receiver<Call>,
    peers: Option<Peers>,
    /// Why there are none, though the file has a `peer_port`.
    mute: Option<String>,
    /// Told when other nodes bring node states.
    learned: mpsc::UnboundedSender<()>,
    learning: mpsc::UnboundedReceiver<()>,
    refused: Option<Refusal>,
    leaving: Option<Leaving>,
    counters: Tally,
    /// What control was started with.
    started_with: Arc<Config>,
    /// Servers of which an older process has told what it thinks, and no check has said anything yet.
    inherited: BTreeSet<(String, String)>,
    program: PathBuf,
    /// Told what became of the process that is to take over.
    heirs: mpsc::UnboundedSender<Option<Heir>>,
    raised: mpsc::UnboundedReceiver<Option<Heir>>,
    /// One is being raised.
    raising: bool,
}

/// Why serving has ended.
#[derive(Debug)]
pub enum Ended {
    /// Told to stop.
    Stopped,
    /// Another process serves.
    HandedOver(Box<Handed>),
}

/// What is left when another process serves: connections that end by themselves.
#[derive(Debug)]
pub struct Handed {
    /// The other process.
    pub heir: Heir,
    proxy: Proxy,
    limit: Duration,
}

impl Handed {
    /// Lets go what is left, and waits for its end.
    pub async fn finish(mut self) {
        leave::empty(&mut self.proxy, self.limit).await;
    }
}

/// Listens by the site file: the first thing, so that nobody is sent here in vain.
///
/// # Errors
/// An address cannot be listened on, or a certificate cannot be used.
pub fn listen(site: &Site, inherited: Listeners) -> Result<Proxy, String> {
    let settings = frontends::settings(site);
    Proxy::start_with(workers(site), &settings, inherited).map_err(|error| error.to_string())
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
    Raised(Option<Heir>),
    File,
    Timer,
}

impl Serve {
    /// Has servers be asked, and packets come.
    ///
    /// # Errors
    /// What an earlier process did to this host cannot be read.
    pub fn start(start: Start) -> Result<Self, String> {
        let Start { site, proxy, inherited, path, program, store, state_file, .. } = start;
        let Start { state_dir, bpf_dir, calls, .. } = start;
        let (heirs, raised) = mpsc::unbounded_channel();
        let (servers, changes) = Servers::start();
        let (learned, learning) = mpsc::unbounded_channel();
        let mut serve = Self {
            started: boot(),
            proxy,
            servers,
            changes,
            tunnel: Tunnel::start(&site.own().name, &state_dir, &bpf_dir)?,
            calls,
            peers: None,
            mute: None,
            learned,
            learning,
            refused: None,
            leaving: None,
            counters: Tally::default(),
            started_with: site.config.clone(),
            inherited,
            program,
            heirs,
            raised,
            raising: false,
            site,
            path,
            store,
            state_file,
        };
        serve.aim();
        serve.tell_own();
        serve.meet_peers();
        serve.tunnel.set(tunnel::Wanted::of(&serve.site));
        Ok(serve)
    }

    /// Serves until told to stop.
    pub async fn run(mut self, mut signals: mpsc::Receiver<Signal>) -> Ended {
        let mut watch = self.watch();
        let mut tick = Instant::now() + TURN;
        loop {
            let wake =
                self.leaving.as_ref().and_then(Leaving::wake).map_or(tick, |at| at.min(tick));
            let event = tokio::select! {
                changed = self.changes.next() => Event::Verdicts(changed),
                Some(call) = self.calls.recv() => Event::Call(call),
                Some(signal) = signals.recv() => Event::Signal(signal),
                Some(()) = self.learning.recv() => Event::Learned,
                () = Watch::changed_or_never(&mut watch) => Event::File,
                Some(heir) = self.raised.recv() => Event::Raised(heir),
                () = sleep_until(wake) => Event::Timer,
            };
            match event {
                Event::Verdicts(ids) => {
                    let servers = self.servers.told_of(&ids);
                    self.judge(servers);
                    self.tell_own();
                }
                Event::Call(call) => self.call(call),
                Event::Signal(Signal::Reload) => {
                    // Told in log and status.
                    let _ = self.reload();
                    // The folder may be another one by now.
                    watch = self.watch();
                }
                // Who says it twice does not want to wait.
                Event::Signal(Signal::Stop) if self.leaving.is_some() => break,
                Event::Signal(Signal::Stop) => self.begin_to_leave(),
                Event::File => {
                    let _ = self.reload();
                    watch = self.watch();
                }
                Event::Raised(None) => self.raising = false,
                // Who was told to stop meanwhile stops.
                Event::Raised(Some(heir)) if self.leaving.is_none() => return self.hand_over(heir),
                Event::Raised(Some(_)) => {}
                Event::Learned => self.heard(),
                Event::Timer => {}
            }
            if Instant::now() >= tick {
                tick = Instant::now() + TURN;
                self.flush();
                self.aim();
            }
            if self.leave_on() {
                break;
            }
        }
        self.leave().await;
        Ended::Stopped
    }

    /// Asks what the site file says, of the addresses that servers have now.
    fn aim(&mut self) {
        let address = |pool, server| self.proxy.address(pool, server);
        self.servers.aim(&self.site.config.pools, self.site.own(), address);
        self.judge(self.servers.all());
    }

    /// Has the proxy use these servers as is thought of them.
    fn judge(&mut self, servers: impl IntoIterator<Item = (usize, usize)>) {
        let states = self.store.states();
        for place in servers {
            if self.is_as_before(place) {
                continue;
            }
            let verdict = self.verdict(place, &states);
            let pool = &self.site.config.pools[place.0];
            let server = &pool.servers[place.1];
            let state = frontends::server_state(&verdict);
            if self.proxy.set_server(&pool.name, &server.name, state) {
                let servers::Verdict { state, reason, weight, .. } = &verdict;
                let (pool, server) = (&pool.name, &server.name);
                tracing::info!(pool, server, ?state, weight, reason, "verdict");
            }
        }
    }

    /// Whether a server is what an older process thought of it, as nobody here has asked it yet.
    fn is_as_before(&mut self, place: (usize, usize)) -> bool {
        if self.inherited.is_empty() {
            return false;
        }
        let pool = &self.site.config.pools[place.0];
        let name = (pool.name.clone(), pool.servers[place.1].name.clone());
        if self.servers.is_unknown(place) {
            return self.inherited.contains(&name);
        }
        self.inherited.remove(&name);
        false
    }

    fn verdict(&self, place: (usize, usize), states: &admin::States) -> servers::Verdict {
        let pool = &self.site.config.pools[place.0];
        let operator =
            word::wanted(states, &pool.name, &pool.servers[place.1].name, &self.site.own().name);
        let reachable = self.proxy.address(place.0, place.1).is_some();
        self.servers.verdict(place, operator, reachable)
    }

    /// What an operator wants of this node.
    fn operator(&self) -> Admin {
        let states = self.store.states();
        states.get(&self.site.own().name).map_or(Admin::Ready, |entry| entry.state)
    }

    /// Has the health URIs say what holds of this node.
    fn tell_own(&self) {
        let (own, _) = self.servers.of_own();
        let leaving = self.leaving.is_some();
        self.proxy.set_node(frontends::node_state(self.operator(), own, leaving));
    }

    /// Other nodes brought node states.
    fn heard(&mut self) {
        self.tell_own();
        self.judge(self.servers.all());
        self.tell_peers();
    }

    /// Brings node states to their file, if it is behind.
    fn flush(&self) {
        if !self.store.dirty() {
            return;
        }
        // What failed is told by the log, and tried again.
        tokio::spawn(self.store.clone().flushed());
    }
}

/// Threads of the proxy.
fn workers(site: &Site) -> NonZeroUsize {
    let all = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    site.own().workers.and_then(|workers| NonZeroUsize::new(workers.into())).unwrap_or(all)
}

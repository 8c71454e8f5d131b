//! The loop of an L7 node: whatever happens (a verdict, an operator's word, a changed file) ends in what
//! the proxy, the decapsulator and the kernel are told, whole.
//!
//! At a start the proxy listens first, then the VIPs come onto `lo`, then packets are taken out of tunnels;
//! an orderly stop goes the other way, after the L4 nodes have been told (`leave.rs`).

mod calls;
mod frontends;
mod handover;
mod judge;
mod leave;
mod reload;
mod report;
mod servers;
mod site;
mod tunnel;
mod upgrade;
mod verdict;
mod word;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use admin::Refusal;
use config::{Config, Host};
use health::monitor::{Changes, ProbeId};
use proxy::{Proxy, ServerState};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

pub use self::handover::{Estate, Heir, Inheritance, Predecessor, Thought};
pub use self::reload::NAMES;
pub use self::servers::Finding;
pub use self::site::Site;
pub use self::word::{Word, find, word, words};

use self::judge::Name;
use self::leave::Leaving;
use self::reload::Waiting;
use self::servers::Servers;
use self::tunnel::Tunnel;
use crate::admin::socket::Call;
use crate::clock::boot;
use crate::doors::{Doors, Sockets};
use crate::names::{Answer, Names};
use crate::peers::Peers;
use crate::signals::Signal;
use crate::states::Store;
use crate::watch::Watch;

/// How often a state file that could not be written is tried again.
const TURN: Duration = Duration::from_secs(5);

/// What the loop begins with.
#[derive(Debug)]
pub struct Start {
    /// The site file as it was read.
    pub site: Site,
    /// Its proxy, which listens already.
    pub proxy: Proxy,
    /// The names of its servers.
    pub names: Names,
    /// What is left of what an older process has handed over.
    pub estate: Estate,
    /// Where it answers.
    pub doors: Doors,
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
    counters: Tally,
    /// What control was started with.
    started_with: Arc<Config>,
    /// Servers of which not all checks have said something, and what is thought of them meanwhile.
    assumed: BTreeMap<Name, ServerState>,
    /// Since the start it has not been learned whether every pool has servers enough.
    is_unproven: bool,
    program: PathBuf,
    /// Told what became of the process that is to take over.
    heirs: mpsc::UnboundedSender<Option<Heir>>,
    raised: mpsc::UnboundedReceiver<Option<Heir>>,
    /// While one is being raised: what this process was told to do since.
    raising: Option<Vec<Signal>>,
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
    /// Accepts nobody any more, and waits for the end of what is left, unless told twice to stop.
    ///
    /// # Errors
    /// The other process has died meanwhile: whoever has started this one is to start it again.
    pub async fn finish(self, signals: &mut mpsc::Receiver<Signal>) -> Result<(), String> {
        let Self { mut heir, mut proxy, limit } = self;
        tokio::select! {
            () = leave::empty(&mut proxy, limit) => Ok(()),
            () = leave::told_twice(signals) => Ok(()),
            how = leave::death(&mut heir) => {
                Err(format!("process {}, which has taken over, has died: {how}", heir.pid()))
            }
        }
    }
}

/// Listens by the site file: the first thing, so that nobody is sent here in vain.
///
/// # Errors
/// An address cannot be listened on, or a certificate cannot be used.
pub fn listen(site: &Site, names: &Names, estate: &mut Estate) -> Result<Proxy, String> {
    let settings = frontends::settings(site, names);
    let inherited = std::mem::take(&mut estate.listeners);
    let proxy = Proxy::start_with(workers(site), &settings, inherited)
        .map_err(|error| error.to_string())?;
    for thought in &estate.servers {
        proxy.set_server(&thought.pool, &thought.server, thought.state);
    }
    Ok(proxy)
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
        let (heirs, raised) = mpsc::unbounded_channel();
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
            counters: Tally::default(),
            started_with: site.config.clone(),
            assumed: BTreeMap::new(),
            is_unproven: thoughts.is_empty(),
            program,
            heirs,
            raised,
            raising: None,
            site,
            path,
            store,
            state_file,
        };
        serve.aim(&thoughts.into_iter().map(|one| (one.pool, one.server)).collect());
        serve.tell_own();
        serve.meet_peers();
        serve.tunnel.set(tunnel::Wanted::of(&serve.site));
        Ok(serve)
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
                Event::File if !self.obey(Signal::Reload) => break,
                Event::Signal(signal) if !self.obey(signal) => break,
                Event::File | Event::Signal(_) => {}
                Event::Named(host, answer) => {
                    if self.names.learn(host, answer) {
                        self.move_servers();
                    }
                    self.go_on_with_reload();
                }
                Event::Raised(Some(heir)) => return self.hand_over(heir),
                Event::Raised(None) if !self.resume() => break,
                Event::Raised(None) => {}
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
        if let Some(meanwhile) = &mut self.raising {
            meanwhile.push(signal);
            return true;
        }
        match signal {
            // What comes of it is told in log and status.
            Signal::Reload => self.reload(None),
            // Who says it twice does not want to wait.
            Signal::Stop if self.leaving.is_some() => return false,
            Signal::Stop => self.begin_to_leave(),
        }
        true
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

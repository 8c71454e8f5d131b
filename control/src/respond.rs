//! The loop of a node that serves zones: whatever happens (a verdict, an operator's word, a changed file) ends in
//! what answers are made of, whole.
//!
//! At a start the sockets are opened first, where questions wait; they are answered once every check has said
//! something, or `startup_limit` is over. So does a site file that is read again wait for the checks that are new
//! in it, while the one before is answered from.

mod calls;
mod checks;
mod choice;
mod draft;
mod explain;
mod forced;
mod leave;
mod pending;
mod ports;
mod report;
mod site;
mod streams;
mod words;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use admin::Refusal;
use arc_swap::ArcSwap;
use dns::resolve::{Health, Resolvers};
use dns::serve::{Contents, Shared};
use health::monitor::Changes;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

pub use self::draft::Draft;
pub use self::leave::{Ended, Handed};
pub use self::site::Site;
pub use self::words::is_worth_keeping;

use self::checks::Checks;
use self::pending::{Drafted, Pending};
use self::ports::Ports;
use crate::admin::socket::Call;
use crate::clock::{boot, unix_ms};
use crate::doors::{Doors, Sockets};
use crate::finding::Finding;
use crate::handover::{Estate, Raised, Upgrade};
use crate::peers::Peers;
use crate::signals::Signal;
use crate::states::Store;
use crate::watch::Watch;

/// How often is looked at what comes without a word: times that run out, files that could not be written.
const TURN: Duration = Duration::from_millis(200);

/// What the loop begins with.
#[derive(Debug)]
pub struct Start {
    /// The site file and its zones as they were read.
    pub draft: Draft,
    /// What is left of what an older process has handed over.
    pub estate: Estate,
    /// Where it answers operators.
    pub doors: Doors,
    /// The site file's path.
    pub path: PathBuf,
    /// Where this program lies: another release may come to lie there.
    pub program: PathBuf,
    /// What operators wanted when control last ran.
    pub store: Arc<Store>,
    /// The file that those are kept in.
    pub state_file: PathBuf,
    /// Requests of the admin socket.
    pub calls: mpsc::Receiver<Call>,
}

/// The loop's state.
#[derive(Debug)]
pub struct Respond {
    /// In force, or about to be for the first time.
    site: Site,
    path: PathBuf,
    store: Arc<Store>,
    state_file: PathBuf,
    started: Duration,
    checks: Checks,
    changes: Changes,
    ports: Ports,
    /// What answers are made of, once there are any.
    shared: Option<Shared<Resolvers>>,
    aims: Vec<choice::Aim>,
    health: Health,
    forced: forced::File,
    /// Texts for ACME clients that are answered.
    answered: Vec<words::Challenge>,
    warnings: Vec<String>,
    pending: Option<Pending>,
    drafted: mpsc::UnboundedSender<Drafted>,
    drafts: mpsc::UnboundedReceiver<Drafted>,
    doors: Doors,
    /// Of an older process: those that nobody has needed yet.
    sockets: Sockets,
    calls: mpsc::Receiver<Call>,
    peers: Option<Peers>,
    /// Why there are none, though the file has a `peer_port`.
    mute: Option<String>,
    /// Told when other nodes bring words of operators.
    learned: mpsc::UnboundedSender<()>,
    learning: mpsc::UnboundedReceiver<()>,
    refused: Option<Refusal>,
    watch: Option<Watch>,
    counters: Tally,
    started_with: Arc<config::Config>,
    upgrade: Upgrade,
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
    Verdicts,
    Call(Call),
    Signal(Signal),
    Learned,
    Raised(Raised),
    File,
    Drafted(Box<Drafted>),
    Timer,
}

impl Respond {
    /// Has the sockets be there, and everything be asked that answers depend on.
    ///
    /// # Errors
    /// An address cannot be listened at.
    pub fn start(start: Start) -> Result<Self, String> {
        let Start { draft, mut estate, doors, path, program, store, state_file, calls } = start;
        let mut ports = Ports::default();
        ports.open(draft.site.own(), &mut estate)?;
        let Estate { sockets, findings, .. } = estate;
        let (checks, changes) = Checks::start(findings);
        let (learned, learning) = mpsc::unbounded_channel();
        let (drafted, drafts) = mpsc::unbounded_channel();
        let site = draft.site.clone();
        let mut respond = Self {
            started: boot(),
            checks,
            changes,
            ports,
            shared: None,
            aims: Vec::new(),
            health: Health::default(),
            forced: forced::File::default(),
            answered: Vec::new(),
            warnings: Vec::new(),
            pending: None,
            drafted,
            drafts,
            doors,
            sockets,
            calls,
            peers: None,
            mute: None,
            learned,
            learning,
            refused: None,
            watch: None,
            counters: Tally::default(),
            started_with: site.config.clone(),
            upgrade: Upgrade::to(program),
            site,
            path,
            store,
            state_file,
        };
        respond.wait_for(draft, Vec::new());
        Ok(respond)
    }

    /// Waits until questions are answered, or it was told to stop: whether it is to go on.
    ///
    /// # Errors
    /// They never are.
    pub async fn settled(&mut self, signals: &mut mpsc::Receiver<Signal>) -> Result<bool, String> {
        self.meet_peers();
        while self.shared.is_none() {
            let Some(pending) = &self.pending else { return Err(self.why_not()) };
            let until = pending.until.min(Instant::now() + TURN);
            tokio::select! {
                _ = self.changes.next() => {}
                Some(call) = self.calls.recv() => self.call(call),
                Some(signal) = signals.recv() => {
                    if !self.obey(signal) {
                        return Ok(false);
                    }
                }
                () = sleep_until(until) => {}
            }
            self.go_on();
        }
        Ok(true)
    }

    fn why_not(&self) -> String {
        self.refused.as_ref().map(|refused| refused.reasons.join("; ")).unwrap_or_default()
    }

    /// Answers until told to stop.
    pub async fn run(mut self, signals: &mut mpsc::Receiver<Signal>) -> Ended {
        self.watch = self.watch();
        let mut tick = Instant::now() + TURN;
        loop {
            let event = tokio::select! {
                _ = self.changes.next() => Event::Verdicts,
                Some(call) = self.calls.recv() => Event::Call(call),
                Some(signal) = signals.recv() => Event::Signal(signal),
                Some(()) = self.learning.recv() => Event::Learned,
                () = Watch::changed_or_never(&mut self.watch) => Event::File,
                Some(drafted) = self.drafts.recv() => Event::Drafted(Box::new(drafted)),
                raised = self.upgrade.raised() => Event::Raised(raised),
                () = sleep_until(tick) => Event::Timer,
            };
            match event {
                Event::Verdicts => self.judge(),
                Event::Call(call) => self.call(call),
                Event::File if !self.obey(Signal::Reload) => break,
                Event::Signal(signal) if !self.obey(signal) => break,
                Event::File | Event::Signal(_) => {}
                Event::Drafted(drafted) => self.drafted(*drafted),
                Event::Raised(Raised::Serves(heir, answer)) => {
                    return self.hand_over(*heir, answer, signals);
                }
                Event::Raised(Raised::Nothing) => {
                    let told = self.upgrade.give_up();
                    if !told.into_iter().all(|signal| self.obey(signal)) {
                        break;
                    }
                }
                Event::Learned => self.heard(),
                Event::Timer => {
                    self.forced.look(self.site.own().forced.as_deref());
                    self.judge();
                }
            }
            self.go_on();
            if Instant::now() >= tick {
                tick = Instant::now() + TURN;
                self.tidy();
            }
        }
        self.leave().await;
        Ended::Stopped
    }

    /// Does what a signal says; whether it is to go on.
    fn obey(&mut self, signal: Signal) -> bool {
        if self.upgrade.keep(signal) {
            return true;
        }
        match signal {
            // What comes of it is told in log and status.
            Signal::Reload => {
                self.reload(None);
                true
            }
            Signal::Stop | Signal::Leave => false,
        }
    }

    /// Has answers say what is thought now, if that is something else.
    fn judge(&mut self) {
        let Some(shared) = &self.shared else { return };
        let health = forced::apply(&self.rules(), &self.aims, self.checks.health());
        let challenges = self.challenges();
        if health == self.health && challenges == self.answered {
            return;
        }
        tell_changes(&self.aims, &self.health, &health);
        self.health = health;
        let now = shared.load();
        let resolvers = now.resolvers.with_health(self.health.clone());
        let texts = challenges.iter().map(|one| (one.name.clone(), one.text.as_str()));
        let (zones, settings) = (now.zones.with_challenges(texts), now.settings.clone());
        self.answered = challenges.clone();
        shared.store(Arc::new(Contents { zones, resolvers, settings }));
    }

    /// What comes into force of a draft answers from now on.
    fn answer_from(&mut self, draft: Draft) -> std::io::Result<()> {
        let Draft { site, zones, resolvers, aims, settings, tls, warnings } = draft;
        self.forced.look(site.own().forced.as_deref());
        self.health = forced::apply(&self.rules(), &aims, self.checks.health());
        self.answered = self.challenges();
        let texts = self.answered.iter().map(|one| (one.name.clone(), one.text.as_str()));
        let zones = match &self.shared {
            Some(shared) => zones.after(&shared.load().zones),
            None => zones,
        };
        let zones = zones.with_challenges(texts);
        let resolvers = resolvers.with_health(self.health.clone());
        let resolvers = match &self.shared {
            Some(shared) => {
                let before = shared.load();
                resolvers.after(&before.resolvers, |number| self.was(&site, number))
            }
            None => resolvers,
        };
        let contents = Contents { zones, resolvers, settings };
        let shared = match &self.shared {
            Some(shared) => {
                shared.store(Arc::new(contents));
                shared.clone()
            }
            None => Arc::new(ArcSwap::from_pointee(contents)),
        };
        self.shared = Some(shared.clone());
        (self.aims, self.warnings, self.site) = (aims, warnings, site);
        self.ports.answer(self.site.own(), tls.as_ref(), &shared)
    }

    /// The texts that are to be answered for ACME clients.
    fn challenges(&self) -> Vec<words::Challenge> {
        words::challenges(&self.store.states(), unix_ms()).map(|(one, _)| one).collect()
    }

    /// What operators force, in the order in which it counts.
    fn rules(&self) -> Vec<forced::Rule> {
        forced::rules(&self.forced.rules, &self.store.states())
    }

    /// The number that a resolver of another site file has in the one in force.
    fn was(&self, site: &Site, number: usize) -> Option<usize> {
        let config::Resolver { name, plugin } = &site.config.resolvers[number];
        let mut before = self.site.config.resolvers.iter();
        before.position(|one| one.name == *name && one.plugin.name() == plugin.name())
    }

    /// Other nodes brought words of operators.
    fn heard(&mut self) {
        self.judge();
    }

    /// Brings words to their file, if it is behind; forgets those that have run out.
    fn tidy(&self) {
        let now = unix_ms();
        self.store.retain_if(|subject, entry| words::is_worth_keeping(subject, entry, now));
        // Another process may be about to write there.
        if !self.store.dirty() || self.upgrade.is_under_way() {
            return;
        }
        // What failed is told by the log, and tried again.
        tokio::spawn(self.store.clone().flushed());
    }

    /// What checks have found, for another process.
    fn findings(&self) -> Vec<Finding> {
        self.checks.findings()
    }
}

/// Logs what has come up and gone down.
fn tell_changes(aims: &[choice::Aim], before: &Health, now: &Health) {
    for (aim, (before, now)) in aims.iter().zip(before.0.iter().zip(&now.0)) {
        if before.is_up != now.is_up {
            let (name, state) = (aim.name(), if now.is_up { "up" } else { "down" });
            tracing::info!(name, state, "verdict");
        }
    }
}

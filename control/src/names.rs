//! Servers that are known by name: their names are looked up for as long as the site file has them, each again
//! when its answer has run out.
//!
//! A name keeps its address as long as DNS names it, and while DNS is silent or fails: what the server itself
//! is worth its checks know better. Only a name that DNS says is gone, for half a minute, has none any more.

mod lookup;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use config::{Address, Config, Host, Server};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

pub(crate) use self::lookup::Answer;

/// How long a name that is gone keeps its address: zones are broken at times.
const HOLD: Duration = Duration::from_secs(30);

/// The names of the site in force.
#[derive(Debug)]
pub struct Names {
    nameservers: Arc<[SocketAddr]>,
    known: BTreeMap<Host, Name>,
    answers: mpsc::UnboundedReceiver<(Host, Answer)>,
    told: mpsc::UnboundedSender<(Host, Answer)>,
}

/// What is known of a name.
#[derive(Debug)]
struct Name {
    address: Option<IpAddr>,
    /// Something has been said of it, if only that nothing is known.
    answered: bool,
    /// Since when it has been gone.
    gone: Option<Instant>,
    /// What is wrong with it.
    problem: Option<String>,
    task: AbortHandle,
}

impl Drop for Name {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Default for Names {
    fn default() -> Self {
        let (told, answers) = mpsc::unbounded_channel();
        Self { nameservers: Arc::new([]), known: BTreeMap::new(), answers, told }
    }
}

impl Names {
    /// Looks the names of a site up, and waits until something is said of each, but not for longer than that.
    /// Some are known already.
    pub async fn start(
        config: &Config,
        already: impl IntoIterator<Item = (Host, IpAddr)>,
        limit: Duration,
    ) -> Self {
        let mut names = Self::default();
        names.follow(&[config]);
        for (host, address) in already {
            if let Some(name) = names.known.get_mut(&host) {
                name.address = Some(address);
            }
        }
        let end = Instant::now() + limit;
        while !names.are_answered() {
            match timeout_at(end, names.next()).await {
                Ok((host, answer)) => _ = names.learn(host, answer),
                Err(_) => break,
            }
        }
        names
    }

    /// Looks up the names of these sites from now on, by the nameservers of the last, and no others.
    pub(crate) fn follow(&mut self, sites: &[&Config]) {
        let servers = sites.iter().flat_map(|site| &site.pools).flat_map(|pool| &pool.servers);
        let wanted: BTreeSet<&Host> = servers
            .filter_map(|server| match &server.address {
                Address::Named(host, _) => Some(host),
                Address::At(_) => None,
            })
            .collect();
        self.look_up(&wanted, sites.last().map_or(&[][..], |site| &site.proxy.nameservers));
    }

    fn look_up(&mut self, wanted: &BTreeSet<&Host>, nameservers: &[SocketAddr]) {
        self.known.retain(|host, _| wanted.contains(host));
        if *self.nameservers != *nameservers {
            self.nameservers = nameservers.into();
            // What is known stays, until the others have said something.
            let begin = self.asker();
            for (host, name) in &mut self.known {
                name.task.abort();
                name.task = begin(host);
            }
        }
        let begin = self.asker();
        for &host in wanted {
            if !self.known.contains_key(host) {
                let task = begin(host);
                let (address, gone, problem) = Default::default();
                let name = Name { address, answered: false, gone, problem, task };
                self.known.insert(host.clone(), name);
            }
        }
    }

    /// Begins to ask for a name.
    fn asker(&self) -> impl Fn(&Host) -> AbortHandle + use<> {
        let (nameservers, told) = (self.nameservers.clone(), self.told.clone());
        move |host| lookup::begin(host.clone(), nameservers.clone(), told.clone())
    }

    /// The next answer, which [`Self::learn`] is to be told. Never ends; may be dropped.
    pub(crate) async fn next(&mut self) -> (Host, Answer) {
        match self.answers.recv().await {
            Some(answer) => answer,
            // Never: this has the other end, too.
            None => std::future::pending().await,
        }
    }

    /// Takes an answer in; whether a name has another address now.
    pub(crate) fn learn(&mut self, host: Host, answer: Answer) -> bool {
        let Some(name) = self.known.get_mut(&host) else { return false };
        let before = name.address;
        name.answered = true;
        if !matches!(answer, Answer::Gone) {
            name.gone = None;
        }
        match answer {
            Answer::Found(all) => {
                name.problem = None;
                // It stays where it is, if it may.
                if !before.is_some_and(|before| all.contains(&before)) {
                    name.address = all.first().copied();
                }
            }
            Answer::Gone => {
                let since = *name.gone.get_or_insert_with(Instant::now);
                name.problem = Some(format!("{}: DNS has no address", host.name));
                if since.elapsed() >= HOLD {
                    name.address = None;
                }
            }
            Answer::Failed(why) => name.problem = Some(format!("{}: {why}", host.name)),
        }
        if before != name.address {
            tracing::info!(name = host.name, address = ?name.address, ?before, "name of servers");
        }
        before != name.address
    }

    /// Whether something has been said of every name.
    pub(crate) fn are_answered(&self) -> bool {
        self.known.values().all(|name| name.answered)
    }

    /// Where a server is, if that is known.
    pub(crate) fn address(&self, server: &Server) -> Option<SocketAddr> {
        match &server.address {
            Address::At(address) => Some(*address),
            Address::Named(host, port) => {
                Some(SocketAddr::new(self.known.get(host)?.address?, *port))
            }
        }
    }

    /// What is wrong with the names of servers, each once.
    pub(crate) fn problems(&self) -> impl Iterator<Item = &str> {
        self.known.values().filter_map(|name| name.problem.as_deref())
    }
}

#[cfg(test)]
mod tests;

//! Several sites, of which one fails: clients ask the dns nodes for `www.example.org`, keep the answer for as long
//! as it lives, and go where it says.

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use lab::message::A;
use lab::{Connection, LIVES, Lab, Resolver, SEEN, Sites};

use crate::show;

/// Clients, and their pause between two requests.
const CLIENTS: usize = 10;
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client waits for an answer before it asks where to go anew.
const PATIENCE: Duration = Duration::from_secs(1);
/// A table each so often.
const TICK: Duration = Duration::from_secs(1);
/// Without a time to end at: how often a site fails, and comes back.
const TURN: Duration = Duration::from_secs(20);
const NAME: &str = "www.example.org";

/// Runs it until the time is over or somebody says so.
pub(crate) fn run(count: usize, time: Option<Duration>, stopped: &Receiver<()>) -> ExitCode {
    let sites = match Sites::try_start(count, &Lab::new().without_signals()) {
        Ok(sites) => sites,
        Err(error) => {
            eprintln!("palier-lab-demo: {error}");
            return ExitCode::FAILURE;
        }
    };
    introduce(&sites);
    let clients = Clients::start(&sites);
    let bound = SEEN + LIVES + PATIENCE;
    let third = time.map_or(TURN, |time| time / 3);
    let start = Instant::now();
    let (mut news, mut total, mut away) = (Vec::new(), Seen::default(), None::<Instant>);
    let (mut cuts, mut wrong) = (Vec::new(), Vec::new());
    for tick in 1_u32.. {
        match stopped.recv_timeout((start + TICK * tick).saturating_duration_since(Instant::now()))
        {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
        let elapsed = start.elapsed();
        if time.is_some_and(|time| elapsed >= time) {
            break;
        }
        let thirds = elapsed.as_millis() / third.as_millis().max(1);
        match away {
            None if !thirds.is_multiple_of(2) => {
                sites.cut(1);
                away = Some(Instant::now());
                cuts.push(Instant::now());
                news.push(format!(
                    "{:>4} s  site-1 was cut off the world, with its dns node",
                    elapsed.as_secs()
                ));
            }
            Some(_) if thirds.is_multiple_of(2) => {
                sites.mend(1);
                away = None;
                news.push(format!(
                    "{:>4} s  site-1 was joined to the world again",
                    elapsed.as_secs()
                ));
            }
            None | Some(_) => {}
        }
        let seen = clients.take();
        let table = table(&sites, &seen, elapsed);
        total.merge(seen);
        let below = news[news.len().saturating_sub(5)..].join("\n");
        show(&table, &format!("{below}\n"));
    }
    total.merge(clients.finish());
    for failure in &total.failures {
        let is_excused = cuts.iter().any(|cut| failure.at >= *cut && failure.at <= *cut + bound);
        if !is_excused {
            wrong.push(failure);
        }
    }
    println!("{}", news.join("\n"));
    println!(
        "in all: {} requests answered ({}), {} failed, {} of them not just after a site was cut off",
        total.answered(),
        by_site(&total),
        total.failures.len(),
        wrong.len()
    );
    let mut is_well = total.answered() > 0 && wrong.is_empty();
    for cut in cuts {
        let back = total.back_after(cut);
        match back {
            Some(back) => println!(
                "all {CLIENTS} clients reached another site {:.2} s after the cut (checks {:.2} s, the answers' life \
                 {:.0} s, a client's patience {:.0} s: at most {:.2} s)",
                back.as_secs_f64(),
                SEEN.as_secs_f64(),
                LIVES.as_secs_f64(),
                PATIENCE.as_secs_f64(),
                bound.as_secs_f64()
            ),
            None => println!("not all clients reached another site after the cut"),
        }
        is_well &= back.is_some_and(|back| back <= bound) || cut.elapsed() < bound;
    }
    if let Some(failure) = wrong.first() {
        println!("first failure: client {}: {}", failure.client + 1, failure.why);
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn introduce(sites: &Sites) {
    println!(
        "{CLIENTS} clients ask the dns nodes (palier-control, role dns) for {NAME}, keep the answer while it lives, and \
         request http://ADDRESS/; each of {} sites: router (BIRD), L4 node (palier-dataplane), L7 node (proxy), server \
         (nginx), and a dns node; the zone says DYNA metafo!www: the first site that is up\n\
         in the middle site-1 is cut off: answers change, clients follow; then it comes back\n",
        sites.count()
    );
    for number in 1..=sites.count() {
        let node = sites.dns(number);
        println!("palierctl --run-dir {} status", node.run_dir().display());
    }
    println!();
}

/// One second.
fn table(sites: &Sites, seen: &Seen, elapsed: Duration) -> String {
    let mut text = format!(
        "{:>4} s  {} requests answered ({}), {} failed\n",
        elapsed.as_secs(),
        seen.answered(),
        by_site(seen),
        seen.failures.len()
    );
    for number in 1..=sites.count() {
        let node = sites.dns(number);
        let status = node.try_status().ok();
        let states = status.map_or_else(String::new, |status| {
            let www = status.resolvers.iter().find(|one| one.name == "metafo!www");
            let one = |member: &admin::MemberOfResolver| {
                let ttl = member.ttl.map_or(String::new(), |ttl| format!(" for {ttl} s"));
                format!("{} {}{ttl}", member.name, if member.is_up { "up" } else { "DOWN" })
            };
            let members: Vec<_> = www.iter().flat_map(|www| &www.members).map(one).collect();
            format!("{}; {} answers", members.join(", "), status.answers.values().sum::<u64>())
        });
        text += &format!("  {}  {states}\n", node.name());
    }
    text
}

fn by_site(seen: &Seen) -> String {
    let one = |(site, count): (usize, &u64)| format!("site-{}: {count}", site + 1);
    seen.by_site.iter().enumerate().map(one).collect::<Vec<_>>().join(", ")
}

/// What the clients saw in some time.
#[derive(Default)]
struct Seen {
    /// Answers of each site.
    by_site: Vec<u64>,
    failures: Vec<Failure>,
    /// When each client was first answered by another site than before.
    moves: Vec<(usize, Instant)>,
}

struct Failure {
    client: usize,
    at: Instant,
    why: String,
}

impl Seen {
    fn answered(&self) -> u64 {
        self.by_site.iter().sum()
    }

    fn merge(&mut self, later: Self) {
        self.by_site.resize(self.by_site.len().max(later.by_site.len()), 0);
        self.by_site.iter_mut().zip(later.by_site).for_each(|(one, other)| *one += other);
        self.failures.extend(later.failures);
        self.moves.extend(later.moves);
    }

    /// How long it took until every client had moved after this.
    fn back_after(&self, cut: Instant) -> Option<Duration> {
        let first = |client: usize| {
            let moves = self.moves.iter().filter(|(who, at)| *who == client && *at >= cut);
            moves.map(|(_, at)| *at).min()
        };
        let all: Option<Vec<_>> = (0..CLIENTS).map(first).collect();
        all?.into_iter().max().map(|last| last - cut)
    }
}

/// Clients at work until [`Self::finish`].
struct Clients {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    ending: AtomicBool,
    /// Sites by their VIPs.
    sites: Vec<IpAddr>,
    seen: Mutex<Seen>,
}

impl Clients {
    fn start(sites: &Sites) -> Self {
        let vips = (1..=sites.count()).map(|number| lab::vips_of(number)[0]).collect();
        let seen = Mutex::new(Seen { by_site: vec![0; sites.count()], ..Seen::default() });
        let shared = Arc::new(Shared { ending: AtomicBool::new(false), sites: vips, seen });
        // A thread is in the namespace of the thread that started it.
        let threads = sites.client().namespace().enter(|| {
            let start = |client| {
                let (shared, resolver) = (shared.clone(), sites.resolver());
                thread::spawn(move || shared.work(client, resolver))
            };
            (0..CLIENTS).map(start).collect()
        });
        Self { shared, threads }
    }

    fn take(&self) -> Seen {
        let count = self.shared.sites.len();
        let next = Seen { by_site: vec![0; count], ..Seen::default() };
        std::mem::replace(&mut self.shared.seen(), next)
    }

    fn finish(self) -> Seen {
        self.shared.ending.store(true, Relaxed);
        for thread in self.threads {
            thread.thread().unpark();
            // What it saw before counts.
            let _ = thread.join();
        }
        std::mem::take(&mut self.shared.seen())
    }
}

impl Shared {
    fn work(&self, client: usize, mut resolver: Resolver) {
        let mut last = None;
        while !self.ending.load(Relaxed) {
            match self.request(&mut resolver) {
                Ok(site) => {
                    let mut seen = self.seen();
                    seen.by_site[site] += 1;
                    if last.replace(site).is_some_and(|last| last != site) {
                        seen.moves.push((client, Instant::now()));
                    }
                }
                Err(why) => {
                    let at = Instant::now();
                    self.seen().failures.push(Failure { client, at, why });
                }
            }
            thread::park_timeout(PAUSE);
        }
    }

    /// A request to where the name leads; the site that answered.
    fn request(&self, resolver: &mut Resolver) -> Result<usize, String> {
        let addresses = resolver.resolve(NAME, A);
        let address = *addresses.first().ok_or("no address")?;
        let site = self.sites.iter().position(|vip| *vip == address).ok_or("a strange address")?;
        let connection = Connection::within(SocketAddr::new(address, 80), PATIENCE);
        let response = connection.and_then(|mut connection| connection.get("/"));
        match response {
            Ok(response) if response.status == 200 => Ok(site),
            Ok(response) => Err(format!("status {} of site-{}", response.status, site + 1)),
            Err(error) => Err(format!("site-{}: {error}", site + 1)),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

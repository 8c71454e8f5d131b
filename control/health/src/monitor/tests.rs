use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::time::sleep;

use super::*;
use crate::{Check, Content, File, Kind, Outcome, Source, State, Target, Tcp, Timing};

/// Stands in for sockets: does by the target's port, and writes down what was done.
#[derive(Debug, Default)]
struct Script {
    /// Port and time of each start.
    starts: Mutex<Vec<(u16, Instant)>>,
    running: AtomicUsize,
    /// The most that ran at once.
    most: AtomicUsize,
    ended: AtomicUsize,
}

const WELL: u16 = 1;
const DEAD: u16 = 2;
const PANICS: u16 = 3;
const HANGS: u16 = 4;
/// From here on: well, after 100 ms.
const SLOW: u16 = 1000;

impl Run for Arc<Script> {
    async fn run(&self, probe: &Probe) -> Report {
        /// Counts even those that are given up.
        struct Running<'a>(&'a Script);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                self.0.running.fetch_sub(1, Ordering::Relaxed);
                self.0.ended.fetch_add(1, Ordering::Relaxed);
            }
        }

        let port = probe.target.port;
        self.starts.lock().push((port, Instant::now()));
        let now = self.running.fetch_add(1, Ordering::Relaxed) + 1;
        self.most.fetch_max(now, Ordering::Relaxed);
        let _running = Running(self);
        match port {
            WELL => Report::new(Outcome::Passed, "well"),
            DEAD => Report::new(Outcome::Failed, "dead"),
            PANICS => panic!("no such port: {port}"),
            HANGS => std::future::pending().await,
            _ => {
                sleep(Duration::from_millis(100)).await;
                Report::new(Outcome::Passed, "well, in the end")
            }
        }
    }
}

impl Script {
    fn monitor(self: &Arc<Self>, in_flight: usize) -> (Monitor, Changes) {
        let runner = Arc::new(Arc::clone(self));
        Monitor::start_with(Settings { in_flight }, Arc::new(Context::new()), runner)
    }

    fn starts_of(&self, port: u16) -> Vec<Instant> {
        self.starts.lock().iter().filter(|start| start.0 == port).map(|start| start.1).collect()
    }
}

fn probe_every(port: u16, interval: Duration) -> Probe {
    let timing = Timing { interval, ..Timing::default() };
    let target = Target {
        node: "l7-1".into(),
        address: Ipv4Addr::LOCALHOST.into(),
        port,
        source: None,
        preamble: None,
    };
    Probe { check: Arc::new(Check { kind: Kind::Tcp(Tcp::default()), timing }), target }
}

fn probe(port: u16) -> Probe {
    probe_every(port, Duration::from_secs(2))
}

fn tunnelled(port: u16) -> Probe {
    let mut probe = probe(port);
    let address = Ipv4Addr::LOCALHOST.into();
    probe.target.source = Some(Source { address, first_port: 61_000, last_port: 61_007 });
    probe
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn a_probe_keeps_its_pace() {
    let script = Arc::new(Script::default());
    let (monitor, _changes) = script.monitor(10);
    monitor.set(vec![probe(WELL)]);
    sleep(HOUR).await;
    let starts = script.starts_of(WELL);
    // 1,800 in an hour, however they jitter one by one.
    assert!((1780..=1820).contains(&starts.len()), "{}", starts.len());
    for pair in starts.windows(2) {
        let gap = pair[1] - pair[0];
        assert!((1930..=2070).contains(&gap.as_millis()), "{gap:?}");
    }
    assert_eq!(monitor.counters().run, starts.len() as u64);
    assert_eq!(monitor.counters().late, 0);
}

#[tokio::test(start_paused = true)]
async fn first_verdicts_and_changes_are_told() {
    let script = Arc::new(Script::default());
    let (monitor, mut changes) = script.monitor(10);
    let ids = monitor.set(vec![probe(WELL), probe(DEAD), probe(HANGS)]);
    let mut told = Vec::new();
    while told.len() < 2 {
        told.extend(changes.next().await);
    }
    told.sort();
    assert_eq!(told, ids[..2]);
    let standings = monitor.standings();
    let state = |id| standings.get(id).unwrap().state;
    assert_eq!(
        ids.iter().map(|id| state(*id)).collect::<Vec<_>>(),
        [Some(State::Up), Some(State::Down), None]
    );
    drop(standings);
    assert_eq!(monitor.standing(ids[1]).unwrap().reason, "dead");
    // Nothing changes any more.
    assert!(time::timeout(HOUR, changes.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_one_probe_and_no_other() {
    let script = Arc::new(Script::default());
    let (monitor, mut changes) = script.monitor(10);
    let ids = monitor.set(vec![probe(PANICS)]);
    assert_eq!(changes.next().await, ids);
    let standing = monitor.standing(ids[0]).unwrap();
    assert_eq!(standing.state, Some(State::Down));
    assert_eq!(standing.reason, "the check itself failed: no such port: 3");

    let ids = monitor.set(vec![probe(PANICS), probe(WELL)]);
    assert_eq!(changes.next().await, ids[1..]);
    sleep(HOUR).await;
    let counters = monitor.counters();
    assert!(counters.panicked > 1000 && counters.run > 2 * 1000, "{counters:?}");
    assert_eq!(counters.in_flight, 0);
}

#[tokio::test(start_paused = true)]
async fn a_bounded_number_is_on_its_way_and_everyone_has_a_turn() {
    let script = Arc::new(Script::default());
    let (monitor, _changes) = script.monitor(8);
    // Together they want 100 at once.
    let ports = SLOW..SLOW + 100;
    let interval = Duration::from_millis(100);
    monitor.set(ports.clone().map(|port| probe_every(port, interval)).collect());
    sleep(Duration::from_secs(125)).await;
    assert_eq!(script.most.load(Ordering::Relaxed), 8);
    for port in ports {
        let turns = script.starts_of(port).len();
        // 125 s x 8 at once / 100 ms, shared by 100. Of the eight that end together, which are as long
        // overdue, one may be preferred each time: that is 8 % at most.
        assert!((90..=110).contains(&turns), "{turns}");
    }
    assert!(monitor.counters().late > 9000, "{:?}", monitor.counters());
}

#[tokio::test(start_paused = true)]
async fn a_gone_probe_is_given_up_on_its_way() {
    let script = Arc::new(Script::default());
    let (monitor, mut changes) = script.monitor(10);
    monitor.set(vec![probe(HANGS)]);
    sleep(HOUR).await;
    assert_eq!((script.starts_of(HANGS).len(), script.ended.load(Ordering::Relaxed)), (1, 0));
    let ids = monitor.set(vec![probe(WELL)]);
    assert_eq!(changes.next().await, ids);
    sleep(HOUR).await;
    assert_eq!((script.starts_of(HANGS).len(), script.running.load(Ordering::Relaxed)), (1, 0));
    assert_eq!(monitor.counters().discarded, 1);
}

#[tokio::test(start_paused = true)]
async fn a_freeze_holds_what_leaves_this_host_and_the_thaw_asks_at_once() {
    let script = Arc::new(Script::default());
    let (monitor, _changes) = script.monitor(10);
    let file = File { path: "/file".into(), content: Content::Exists };
    let mut local = probe(WELL);
    local.check = Arc::new(Check { kind: Kind::File(file), timing: Timing::default() });
    monitor.set(vec![tunnelled(HANGS), probe(SLOW), local]);
    sleep(Duration::from_secs(60)).await;
    monitor.hold(Held::all_that_leave());
    // What is on its way is given up.
    sleep(Duration::from_millis(1)).await;
    let (hanging, slow) = (script.starts_of(HANGS).len(), script.starts_of(SLOW).len());
    assert_eq!((hanging, script.running.load(Ordering::Relaxed)), (1, 0));
    sleep(HOUR).await;
    assert_eq!((script.starts_of(HANGS).len(), script.starts_of(SLOW).len()), (hanging, slow));
    assert!(script.starts_of(WELL).len() > 1700);
    monitor.hold(Held::none());
    sleep(Duration::from_millis(50)).await;
    let (hanging, slow) = (hanging + 1, slow + 1);
    assert_eq!((script.starts_of(HANGS).len(), script.starts_of(SLOW).len()), (hanging, slow));
}

#[tokio::test(start_paused = true)]
async fn everything_can_be_asked_at_once() {
    let script = Arc::new(Script::default());
    let (monitor, _changes) = script.monitor(10);
    monitor.set(vec![probe_every(WELL, HOUR)]);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(script.starts_of(WELL).len(), 1);
    monitor.check_now();
    sleep(Duration::from_millis(50)).await;
    assert_eq!(script.starts_of(WELL).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_without_the_monitor() {
    let script = Arc::new(Script::default());
    let (monitor, mut changes) = script.monitor(10);
    monitor.set(vec![probe(WELL), probe(HANGS)]);
    sleep(Duration::from_secs(60)).await;
    drop(monitor);
    sleep(Duration::from_secs(1)).await;
    let starts = script.starts.lock().len();
    assert_eq!(script.running.load(Ordering::Relaxed), 0);
    assert_eq!(changes.next().await.len(), 1);
    assert!(time::timeout(HOUR, changes.next()).await.is_err());
    assert_eq!(script.starts.lock().len(), starts);
}

/// With real sockets and real time: a server goes, and returns.
#[tokio::test]
async fn a_server_is_seen_to_go_and_to_return() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let pace = Duration::from_millis(1);
    let mut probe = probe(address.port());
    let timing = Timing {
        interval: pace,
        fast_interval: pace,
        retry_delay: pace,
        timeout: Duration::from_secs(30),
        ..Timing::default()
    };
    probe.check = Arc::new(Check { timing, ..Check::clone(&probe.check) });

    let (monitor, mut changes) = Monitor::start(Settings::default());
    let ids = monitor.set(vec![probe]);
    let mut next = async |listener: Option<TcpListener>| {
        let changed = match &listener {
            Some(listener) => loop {
                tokio::select! {
                    changed = changes.next() => break changed,
                    accepted = listener.accept() => drop(accepted),
                }
            },
            None => changes.next().await,
        };
        assert_eq!(changed, ids);
        (monitor.standing(ids[0]).unwrap(), listener)
    };

    let (standing, listener) = next(Some(listener)).await;
    assert_eq!((standing.state, standing.reason.as_str()), (Some(State::Up), "connected"));
    drop(listener);
    let (standing, _) = next(None).await;
    assert_eq!(standing.state, Some(State::Down));
    assert_eq!(standing.reason, "connection refused");
    let listener = listen_again(address).await;
    let (standing, _listener) = next(Some(listener)).await;
    assert_eq!(standing.state, Some(State::Up));
}

/// Takes the port back; another test's client may have it for a moment.
async fn listen_again(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_taken) => sleep(Duration::from_millis(5)).await,
        }
    }
}

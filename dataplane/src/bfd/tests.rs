//! The thread against a router made of the crate `bfd`, over sockets on the loopback interface.

mod intruder;
mod restart;
mod router;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64};
use std::time::{Duration, Instant};

use api::BfdState;
use forward::{Cells, Counters as WorkerCounters};

use self::router::Router;
use super::*;
use crate::clock::boot_millis;

const MS: Duration = Duration::from_millis(1);
/// For what takes a second or two on an idle machine.
const DEADLINE: Duration = Duration::from_secs(30);
/// Long enough that a busy machine does not miss five in a row.
const INTERVAL: u32 = 100;
const MULTIPLIER: u8 = 5;

/// Two addresses that no other test uses, of this process or another.
fn addresses() -> [IpAddr; 2] {
    static TESTS: AtomicU8 = AtomicU8::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    let test = TESTS.fetch_add(1, Relaxed);
    // 127.0.0.0/16 is where others listen.
    [1, 2].map(|host| IpAddr::from([127, 64 | high & 63, low, test * 4 + host]))
}

fn wanted([local, remote]: [IpAddr; 2], interval_ms: u32, multiplier: u8) -> BfdSession {
    BfdSession { router: "r1".into(), local, remote, interface: None, interval_ms, multiplier }
}

/// A worker that runs with a Snapshot, and whose heartbeat stays fresh until the test says otherwise.
fn worker() -> Arc<worker::Shared> {
    Arc::new(worker::Shared {
        cpu: 0,
        counters: Arc::new(WorkerCounters::new()),
        cells: Arc::new(Cells::new()),
        heartbeat: AtomicU64::new(u64::MAX),
        generation: AtomicU64::new(1),
        updates: AtomicU64::new(0),
        connections: AtomicU64::new(0),
    })
}

struct Node {
    folder: tempfile::TempDir,
    bfd: Bfd,
    workers: [Arc<worker::Shared>; 2],
}

impl Node {
    /// A process with two workers, and these sessions.
    fn start(sessions: &[BfdSession]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), sessions)
    }

    /// The same, where another process has left something.
    fn start_in(folder: tempfile::TempDir, sessions: &[BfdSession]) -> Self {
        let workers = [worker(), worker()];
        let mut bfd = Bfd::new(folder.path().into()).unwrap();
        bfd.apply(sessions);
        bfd.start(workers.to_vec()).unwrap();
        Self { folder, bfd, workers }
    }

    /// Ends the process, and leaves what it has left.
    fn end(self) -> tempfile::TempDir {
        self.folder
    }

    fn status(&self) -> BfdStatus {
        self.bfd.status().first().cloned().expect("there is a session")
    }

    fn state(&self) -> Option<BfdState> {
        self.bfd.status().first().map(|status| status.state)
    }

    fn count(&self, counter: Counter) -> u64 {
        self.bfd.counters().get(counter)
    }

    /// With a router that comes up with it.
    fn up() -> (Self, Router, [IpAddr; 2]) {
        let addresses = addresses();
        let node = Self::start(&[wanted(addresses, INTERVAL, MULTIPLIER)]);
        let mut router = Router::new(addresses, INTERVAL, MULTIPLIER);
        router.run_until(|router| router.is_settled() && node.state() == Some(BfdState::Up));
        (node, router, addresses)
    }
}

#[test]
fn a_session_comes_up_with_a_router() {
    let before = boot_millis();
    let (node, router, [_, remote]) = Node::up();
    let status = node.status();
    assert!((before..=boot_millis()).contains(&status.since_ms));
    let expected = BfdStatus {
        router: "r1".into(),
        remote,
        state: BfdState::Up,
        diagnostic: "no diagnostic".into(),
        since_ms: status.since_ms,
        losses: 0,
        interval_ms: INTERVAL.into(),
        detection_ms: u64::from(INTERVAL) * u64::from(MULTIPLIER),
        held: false,
        remote_admin_down: false,
    };
    assert_eq!(status, expected);
    assert!(node.count(Counter::Sent) >= router.received());
    assert!(node.count(Counter::Received) >= 3);
}

#[test]
fn it_falls_silent_with_any_worker_and_comes_up_anew() {
    let (node, mut router, _) = Node::up();
    let stuck = &node.workers[1];
    stuck.heartbeat.store(0, Relaxed);
    let stopped = Instant::now();
    router.run_until(|_| node.status().held);
    let heard = router.received();
    router.run_until(|router| router.session.state() != bfd::State::Up);
    assert!(stopped.elapsed() >= INTERVAL * u32::from(MULTIPLIER) * MS * 3 / 4);
    assert_eq!(
        router.session.diagnostic(),
        bfd::Diagnostic::CONTROL_DETECTION_TIME_EXPIRED,
        "never AdminDown, which routers may take for a failure of BGP"
    );
    // It hears that the router has lost it, and still says nothing.
    router.run_until(|_| node.status().losses == 1);
    router.run_for(1500 * MS);
    assert_eq!(router.received(), heard);
    assert_ne!(node.state(), Some(BfdState::Up));
    assert!(node.count(Counter::Held) > 0);

    stuck.heartbeat.store(u64::MAX, Relaxed);
    router.run_until(|router| router.is_settled() && node.state() == Some(BfdState::Up));
    let BfdStatus { losses, held, .. } = node.status();
    assert_eq!((losses, held), (1, false));
}

#[test]
fn it_is_silent_until_every_worker_runs_with_a_snapshot() {
    let addresses = addresses();
    let workers = [worker(), worker()];
    let waiting = &workers[0];
    waiting.generation.store(worker::Shared::NO_GENERATION, Relaxed);
    let folder = tempfile::tempdir().unwrap();
    let mut bfd = Bfd::new(folder.path().into()).unwrap();
    bfd.apply(&[wanted(addresses, INTERVAL, MULTIPLIER)]);
    bfd.start(workers.to_vec()).unwrap();
    let mut router = Router::new(addresses, INTERVAL, MULTIPLIER);
    router.run_for(1200 * MS);
    assert_eq!(router.received(), 0);
    waiting.generation.store(1, Relaxed);
    router.run_until(Router::is_settled);
}

#[test]
fn the_routers_silence_is_noticed_within_the_detection_time() {
    let (node, mut router, _) = Node::up();
    let last = router.run_for(500 * MS);
    let noticed = loop {
        if node.state() == Some(BfdState::Down) {
            break last.elapsed();
        }
        assert!(last.elapsed() < DEADLINE);
        thread::sleep(MS);
    };
    let detection = INTERVAL * u32::from(MULTIPLIER) * MS;
    // The rest is what a busy machine may add.
    assert!((detection..detection + 300 * MS).contains(&noticed), "{noticed:?}");
    let status = node.status();
    assert_eq!((status.losses, status.detection_ms), (1, 0));
    assert_eq!(status.diagnostic, "control detection time expired");
}

#[test]
fn a_router_whose_operator_holds_the_session_down_is_no_loss_of_the_path() {
    let (node, mut router, _) = Node::up();
    router.hold_down();
    router.run_until(|_| node.state() == Some(BfdState::Down));
    let BfdStatus { losses, diagnostic, remote_admin_down, .. } = node.status();
    assert_eq!((losses, remote_admin_down), (1, true));
    assert_eq!(diagnostic, "neighbor signaled session down");
}

#[test]
fn other_timers_are_negotiated_without_a_loss() {
    let (node, mut router, addresses) = Node::up();
    let before = node.status();
    for (interval, multiplier) in [(300, 3), (150, 5)] {
        let polls = router.polls();
        node.bfd.apply(&[wanted(addresses, interval, multiplier)]);
        let detection = Some(interval * u32::from(multiplier) * MS);
        router.run_until(|router| {
            let status = node.status();
            status.interval_ms == u64::from(interval)
                && router.session.detection_time() == detection
        });
        assert!(router.polls() > polls);
        router.run_for(1000 * MS);
        let status = node.status();
        assert_eq!((status.state, status.losses), (BfdState::Up, 0));
        assert_eq!(status.since_ms, before.since_ms);
    }
}

#[test]
fn a_session_that_is_gone_just_stops() {
    let (node, mut router, addresses) = Node::up();
    node.bfd.apply(&[]);
    router.run_until(|_| node.bfd.status().is_empty());
    router.run_until(|router| router.session.state() != bfd::State::Up);
    let reason = router.session.diagnostic();
    assert_eq!(reason, bfd::Diagnostic::CONTROL_DETECTION_TIME_EXPIRED);
    node.bfd.apply(&[wanted(addresses, INTERVAL, MULTIPLIER)]);
    router.run_until(|_| node.state() == Some(BfdState::Up));
}

#[test]
fn an_address_that_comes_later_is_waited_for() {
    let addresses = addresses();
    let taken = socket::Receiver::open((addresses[0], bfd::PORT).into()).unwrap();
    let node = Node::start(&[wanted(addresses, INTERVAL, MULTIPLIER)]);
    let mut router = Router::new(addresses, INTERVAL, MULTIPLIER);
    router.run_for(500 * MS);
    assert_eq!((node.state(), router.received()), (Some(BfdState::Down), 0));
    drop(taken);
    router.run_until(|_| node.state() == Some(BfdState::Up));
}

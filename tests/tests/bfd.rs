//! BFD proves that every worker forwards, and nothing else takes a session down.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use admin::SessionStatus;
use lab::{Bfd, Flags, L4, Lab};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use system_tests::routes::{spread, wait_spread};
use system_tests::{Kept, SOON};

fn sessions(l4: &L4) -> Vec<SessionStatus> {
    l4.status().routers.into_iter().flat_map(|router| router.sessions).collect()
}

fn wait_bfd(lab: &Lab) {
    for l4 in lab.l4s() {
        let up = || sessions(l4).iter().all(|s| s.bfd.as_ref().is_some_and(|bfd| bfd.up));
        lab.wait_until(&format!("BFD of {} is up", l4.name()), SOON, up);
    }
}

/// A thread that stands still until this is dropped, on the thread that made it.
struct Frozen(Pid);

impl Frozen {
    /// Freezes the thread of this name.
    fn new(process: u32, name: &str) -> Self {
        let threads = fs::read_dir(format!("/proc/{process}/task")).expect("the process runs");
        let is = |task: &fs::DirEntry| {
            fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)
        };
        let thread = threads.filter_map(Result::ok).find(is).expect("it has such a thread");
        let id = thread.file_name().to_string_lossy().parse().expect("threads have numbers");
        let thread = Pid::from_raw(id);
        ptrace::seize(thread, Options::empty()).expect("it can be traced");
        ptrace::interrupt(thread).expect("it can be stopped");
        waitpid(thread, Some(WaitPidFlag::__WALL)).expect("it stops");
        Self(thread)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        ptrace::detach(self.0, None::<Signal>).expect("it is still there");
    }
}

#[test]
fn one_stuck_worker_of_two_takes_the_node_away_and_it_stays_away() {
    /// Long enough for the router to take BGP up again without BFD.
    const STUCK: Duration = Duration::from_secs(5);
    let flags = Flags { queues: 2, ..Flags::default() };
    let lab = Lab::new().l4(2).flags(flags).bfd(Bfd::CALM).start();
    wait_bfd(&lab);
    let l4 = lab.l4(1);
    let process = l4.pid().expect("it runs");
    let frozen = Frozen::new(process, "worker-1");
    wait_spread(&lab, "the stuck one is gone", [&[2], &[2]]);
    let stuck = Instant::now();
    while stuck.elapsed() < STUCK {
        assert_eq!(spread(&lab, lab.router()), [[2], [2]].map(Vec::from), "it stays gone");
        thread::sleep(Duration::from_millis(50)); // the pace of looking
    }
    let status = l4.status();
    assert!(!status.gate.open, "{:?}", status.gate);
    assert!(status.gate.reasons[0].contains("has not turned"), "{:?}", status.gate.reasons);
    drop(frozen);
    wait_spread(&lab, "it turns again", [&[1, 2], &[1, 2]]);
}

#[test]
fn a_flood_to_the_nodes_own_address_drops_no_session() {
    const FLOOD: Duration = Duration::from_secs(5);
    let lab = Lab::new().l4(1).bfd(Bfd::CALM).start();
    wait_bfd(&lab);
    let l4 = lab.l4(1);
    let kept = Kept::open(&lab, 10);
    let before: Vec<_> = sessions(l4).iter().map(|s| (s.established, s.dropped)).collect();
    let targets = l4.addresses().both().map(|address| SocketAddr::new(address, 9));
    let sockets = lab.client().namespace().enter(|| {
        ["0.0.0.0:0", "[::]:0"].map(|any| UdpSocket::bind(any).expect("the client has a network"))
    });
    let ending = AtomicBool::new(false);
    let sent: u64 = thread::scope(|scope| {
        let flood = |socket: &UdpSocket, to: SocketAddr| {
            let mut sent = 0;
            while !ending.load(Relaxed) {
                // A full queue is what a flood makes.
                sent += u64::from(socket.send_to(&[0; 64], to).is_ok());
            }
            sent
        };
        let floods: Vec<_> = sockets
            .iter()
            .zip(targets)
            .map(|(socket, to)| scope.spawn(move || flood(socket, to)))
            .collect();
        let start = Instant::now();
        while start.elapsed() < FLOOD {
            thread::sleep(Duration::from_millis(50)); // how long the flood lasts
        }
        ending.store(true, Relaxed);
        floods.into_iter().map(|flood| flood.join().expect("it sends")).sum()
    });
    assert!(sent > 10_000, "{sent} packets are no flood");
    let after: Vec<_> = sessions(l4).iter().map(|s| (s.established, s.dropped)).collect();
    assert_eq!(after, before, "no BGP session fell");
    for session in sessions(l4) {
        let bfd = session.bfd.expect("it is wanted");
        assert_eq!((bfd.up, bfd.losses), (true, 0), "{}", session.address);
    }
    assert!(l4.stats().counters["drop_limit_other"] > 0, "{:?}", l4.stats().counters);
    kept.go_on("a flood");
    kept.finish_whole();
}

#[test]
fn a_site_of_three_spreads_flows_over_all_and_loses_a_third_at_most() {
    let lab = Lab::new().l4(3).routers(2).bfd(Bfd::CALM).start();
    wait_bfd(&lab);
    wait_spread(&lab, "all three", [&[1, 2, 3], &[1, 2, 3]]);
    let kept = Kept::open(&lab, 30);
    lab.l4(3).kill();
    wait_spread(&lab, "two are left", [&[1, 2], &[1, 2]]);
    kept.go_on("one of three was lost");
    kept.finish_whole();
}

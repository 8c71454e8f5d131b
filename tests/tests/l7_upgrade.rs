//! Another release of control takes over an L7 node, or does not.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use admin::{Effective, ServerStatus};
use lab::{L7, Lab};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use system_tests::release::Release;
use system_tests::{Kept, SOON, URLS, while_served_slowly};

const BUSY: usize = 5;
const PAUSE: Duration = Duration::from_millis(5);

/// A server of the pool nginx.
fn server(node: &L7, number: usize) -> ServerStatus {
    let pool = node.status().pools.into_iter().find(|pool| pool.name == "nginx");
    pool.expect("the lab has it").servers.swap_remove(number - 1)
}

/// Sockets that listen on the node.
fn listeners(node: &L7) -> usize {
    node.namespace().run("ss", &["-Hltn"]).expect("it is installed").lines().count()
}

#[test]
fn a_release_that_comes_to_nothing_changes_nothing() {
    let lab = Lab::new().l4(1).l7(1).servers(1).control().start();
    let node = lab.l7(1);
    let release = Release::start(&lab, node);
    lab.l4(1).wait_state("l7-1", Effective::Up, SOON);
    let busy = Kept::busy(&lab, BUSY, PAUSE);
    let (pid, sockets) = (node.status().pid, listeners(node));

    release.replace("exit 3");
    let (status, said) = node.ctl(&["upgrade"]);
    assert!(status.code() == Some(1) && said.contains("exit status: 3"), "{said}");
    // One that does run, but cannot read its site file.
    release.replace("exec $built --take-over --site /nonexistent");
    let (status, said) = node.ctl(&["upgrade"]);
    assert!(status.code() == Some(1) && said.contains("does not take over"), "{said}");
    busy.go_on("two releases came to nothing");

    // Nor does one that is started beside it, by mistake.
    let beside = node.control_command().unwrap().output().unwrap();
    let said = String::from_utf8_lossy(&beside.stderr).into_owned();
    assert!(beside.status.code() == Some(1) && said.contains("another palier-control"), "{said}");
    busy.go_on("another one was started");

    let status = node.status();
    assert_eq!((status.pid, listeners(node)), (pid, sockets));
    let tunnel = status.tunnel.unwrap();
    assert_eq!((tunnel.problems.len(), tunnel.vips.len()), (0, 2));
    assert!(node.ctl(&["weight", "nginx/server-1", "50%"]).0.success());
    assert_eq!(server(node, 1).operator_weight, 50);
    busy.finish_whole();
    // It is looked after as before: what somebody takes away is put back.
    node.namespace().ip("addr del 198.51.100.1/32 dev lo\n").unwrap();
    lab.wait_until("the VIP is back", SOON, || {
        let addresses = node.namespace().run("ip", &["-br", "addr", "show", "dev", "lo"]).unwrap();
        addresses.contains("198.51.100.1/")
    });
}

#[test]
fn what_is_known_of_servers_outlives_an_upgrade() {
    let lab = Lab::new().l4(1).l7(1).servers(2).control().start();
    let node = lab.l7(1);
    // So that a share of it is to be seen.
    lab.edit_site(|site| site.replace("{ name = \"server-", "{ weight = 100, name = \"server-"));
    assert!(node.ctl(&["reload"]).0.success());
    let is = |number: usize, wanted: (Effective, u32)| {
        let ServerStatus { state, weight, .. } = server(node, number);
        (state, weight) == wanted
    };
    for (number, words, wanted) in
        [(1, "drain", (Effective::Drain, 100)), (2, "up 30%", (Effective::Up, 30))]
    {
        lab.backend(number).say(words);
        lab.wait_until(&format!("{words:?} is obeyed"), SOON, || is(number, wanted));
        // From now on it says nothing, which changes nothing.
        lab.backend(number).say("");
    }

    let pid = node.status().pid;
    let (status, text) = node.ctl(&["upgrade"]);
    assert!(status.success(), "{text}");
    assert!(node.wait_stopped(SOON).success());
    let probes = || node.status().counters["probes"];
    lab.wait_until("the next one has asked them", SOON, || probes() > 20);
    let status = node.status();
    assert_ne!(status.pid, pid);
    assert!(is(1, (Effective::Drain, 100)), "{:?}", server(node, 1));
    assert!(is(2, (Effective::Up, 30)), "{:?}", server(node, 2));
    assert!(status.alarms.is_empty(), "{:?}", status.alarms);
}

/// Sends a signal to control while the next one is about to take over, to which it is to be passed on: then
/// this is so.
fn told_during_an_upgrade(signal: Signal, is_done: impl Fn(&L7) -> bool) {
    let lab = Lab::new().l4(1).l7(2).servers(2).control().start();
    let node = lab.l7(1);
    let mut release = Release::start(&lab, node);
    lab.l4(1).wait_state("l7-1", Effective::Up, SOON);
    let busy = Kept::busy(&lab, BUSY, PAUSE);

    let waiting = release.begin_upgrade(&lab);
    for words in
        [&["weight", "nginx/server-1", "50%"][..], &["drain", "l7-1"], &["reload"], &["upgrade"]]
    {
        let (status, said) = node.ctl(words);
        assert!(status.code() == Some(1) && said.contains("is being upgraded"), "{said}");
    }
    release.signal(signal);
    waiting.go_on();
    assert!(release.wait().success());
    lab.wait_until("the next one has done it", SOON, || is_done(node));
    busy.go_on("control was upgraded");
    busy.finish_whole();
}

#[test]
fn a_reload_during_an_upgrade_is_done_by_the_next() {
    told_during_an_upgrade(Signal::SIGHUP, |node| {
        node.try_status().is_ok_and(|status| status.counters["reloads"] == 1)
    });
}

#[test]
fn a_stop_during_an_upgrade_stops_the_next() {
    told_during_an_upgrade(Signal::SIGTERM, |node| {
        let addresses = node.namespace().run("ip", &["-br", "addr", "show", "dev", "lo"]).unwrap();
        !addresses.contains("198.51.100.1") && !node.control_socket().exists()
    });
}

#[test]
fn whoever_waits_for_its_last_clients_ends_when_the_next_one_dies() {
    let lab = Lab::new().l4(1).l7(1).servers(1).control().start();
    let node = lab.l7(1);
    let mut release = Release::start(&lab, node);
    lab.l4(1).wait_state("l7-1", Effective::Up, SOON);
    let first = node.status().pid;
    // Slower than anything that is waited for here.
    let response = while_served_slowly(&lab, node, 60, || {
        let (status, said) = node.ctl(&["upgrade"]);
        assert!(status.success(), "{said}");
        let next = node.status().pid;
        assert_ne!(next, first);
        kill(Pid::from_raw(next.cast_signed()), Signal::SIGKILL).unwrap();
        assert_eq!(release.wait().code(), Some(1));
    });
    assert!(response.is_err(), "nobody was left who could have served it");
}

/// Has clients who come for one answer each come all the while, and nobody else.
fn with_passers_by(lab: &Lab, meanwhile: impl FnOnce()) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let clients: Vec<_> = URLS
            .iter()
            .cycle()
            .take(4)
            .map(|url| {
                scope.spawn(|| {
                    let mut served = 0;
                    while !over.load(Relaxed) {
                        let response = lab.client().get(url).expect("whoever comes is served");
                        assert_eq!(response.status, 200);
                        served += 1;
                    }
                    served
                })
            })
            .collect();
        meanwhile();
        over.store(true, Relaxed);
        let served: usize =
            clients.into_iter().map(|client| client.join().expect("it ended")).sum();
        assert!(served > 10);
    });
}

#[test]
fn clients_who_stay_for_one_answer_are_served_through_upgrades_by_one_or_the_other() {
    let lab = Lab::new().l4(1).l7(1).servers(1).control().start();
    let node = lab.l7(1);
    lab.l4(1).wait_state("l7-1", Effective::Up, SOON);
    with_passers_by(&lab, || {
        for _ in 0..5 {
            let first = node.status().pid;
            let (status, said) = node.ctl(&["upgrade"]);
            assert!(status.success(), "{said}");
            assert_ne!(node.status().pid, first);
            let old = format!("/proc/{first}/cmdline");
            lab.wait_until("the first has ended", SOON, || {
                std::fs::read(&old).map_or(true, |words| words.is_empty())
            });
        }
    });
}

#[test]
fn a_release_that_fails_late_has_accepted_nobody() {
    let lab = Lab::new().l4(1).l7(1).servers(1).control().start();
    let node = lab.l7(1);
    lab.l4(1).wait_state("l7-1", Effective::Up, SOON);
    let pid = node.status().pid;
    let socket = node.control_socket();
    let memory = socket.ancestors().nth(2).unwrap().join("state/vips.json");
    with_passers_by(&lab, || {
        std::fs::write(&memory, "{").unwrap();
        for _ in 0..20 {
            let (status, said) = node.ctl(&["upgrade"]);
            assert!(status.code() == Some(1) && said.contains("does not take over"), "{said}");
        }
    });
    assert_eq!(node.status().pid, pid);
}

#[test]
fn a_node_that_is_drained_says_so_all_through_an_upgrade() {
    let lab = Lab::new().l4(1).l7(1).servers(1).control().start();
    let node = lab.l7(1);
    assert!(node.ctl(&["drain", "l7-1"]).0.success());
    let health = format!("http://{}/healthcheck", node.addresses().both()[0]);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        // Enough of them to meet each moment of it.
        let asking: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut answers = Vec::new();
                    while !over.load(Relaxed) {
                        answers.push(lab.client().get(&health).expect("somebody answers").status);
                    }
                    answers
                })
            })
            .collect();
        for _ in 0..10 {
            let (status, said) = node.ctl(&["upgrade"]);
            assert!(status.success(), "{said}");
        }
        over.store(true, Relaxed);
        let answers = asking.into_iter().flat_map(|one| one.join().expect("it ended"));
        let answers: Vec<u16> = answers.collect();
        assert!(answers.len() > 10 && answers.iter().all(|&status| status == 503), "{answers:?}");
    });
}

#[test]
fn a_stop_waits_for_the_clients_of_the_process_before() {
    let lab = Lab::new().l4(1).l7(1).servers(1).control().start();
    let node = lab.l7(1);
    let mut release = Release::start(&lab, node);
    lab.l4(1).wait_state("l7-1", Effective::Up, SOON);
    let first = node.status().pid;
    let response = while_served_slowly(&lab, node, 15, || {
        let waiting = release.begin_upgrade(&lab);
        // As systemd does it, which knows of both.
        release.signal(Signal::SIGTERM);
        waiting.go_on();
        let next = node.status().pid;
        assert_ne!(next, first);
        kill(Pid::from_raw(next.cast_signed()), Signal::SIGTERM).unwrap();
    });
    let response = response.expect("the VIP stays until it is through");
    assert_eq!((response.status, response.body.len()), (200, 150 * 1024));
    assert!(release.wait().success());
    lab.wait_until("the next one has gone", SOON, || !node.control_socket().exists());
}

//! An L7 node goes, and servers go, without a request lost.

use std::time::Duration;

use admin::Effective;
use lab::{L7, Lab};
use system_tests::{Kept, SOON, URLS, text, while_served_slowly};

/// Busy keep-alive clients of each family.
const BUSY: usize = 15;
const PAUSE: Duration = Duration::from_millis(20);

fn lab() -> Lab {
    Lab::new().l4(1).l7(2).servers(2).control().start()
}

/// Clients that make one request after the other, on connections that they keep.
fn busy(lab: &Lab) -> Kept {
    Kept::busy(lab, BUSY, PAUSE)
}

#[test]
fn an_l7_node_that_is_stopped_loses_no_request_of_busy_clients() {
    let lab = lab();
    let (l4, leaving) = (lab.l4(1), lab.l7(1));
    let clients = busy(&lab);
    lab.wait_until("both nodes have clients", SOON, || {
        lab.l7s().iter().all(|l7| !l7.clients().is_empty())
    });
    leaving.begin_stop();
    l4.wait_state("l7-1", Effective::Drain, SOON);
    assert!(leaving.wait_stopped(SOON).success());
    clients.go_on("l7-1 has left");
    assert!(clients.reopened_so_far() > 0, "its clients were told to go");
    clients.finish_whole();
    // It has taken back what it did to the host.
    let addresses = leaving.namespace().run("ip", &["-br", "addr", "show", "dev", "lo"]).unwrap();
    assert!(!addresses.contains("198.51.100.1") && !addresses.contains("c633:6401"), "{addresses}");
    let routes = leaving.namespace().run("ip", &["route"]).unwrap();
    assert!(!routes.contains("advmss"), "{routes}");

    // And comes back.
    leaving.start_control().unwrap();
    l4.wait_state("l7-1", Effective::Up, SOON);
}

#[test]
fn a_slow_client_of_a_node_that_goes_outlives_down_hold() {
    let lab = Lab::new().l4(1).l7(1).servers(1).control().start();
    system_tests::reload(&lab, |site| text::with(&site, "web", "down_hold = \"1s\""));
    let node = lab.l7(1);
    let response = while_served_slowly(&lab, node, 6, || node.begin_stop());
    let response = response.expect("its flow stays");
    assert_eq!((response.status, response.body.len()), (200, 60 * 1024));
    assert!(node.wait_stopped(SOON).success());
}

#[test]
fn an_l7_node_that_crashes_is_taken_over_by_its_next_process() {
    let lab = lab();
    let node = lab.l7(1);
    node.kill_control();
    // The decapsulator and the VIPs are still there: the kernel refuses, as nobody listens.
    let addresses = node.namespace().run("ip", &["-br", "addr", "show", "dev", "lo"]).unwrap();
    assert!(addresses.contains("198.51.100.1"), "{addresses}");
    lab.l4(1).wait_state("l7-1", Effective::Down, SOON);
    node.start_control().unwrap();
    lab.l4(1).wait_state("l7-1", Effective::Up, SOON);
    assert!(node.stop_control().success());
    let addresses = node.namespace().run("ip", &["-br", "addr", "show", "dev", "lo"]).unwrap();
    assert!(!addresses.contains("198.51.100.1"), "it knows what is its own: {addresses}");
}

#[test]
fn what_an_operator_types_reaches_the_node_and_its_health_says_it() {
    let lab = lab();
    let (l4, node) = (lab.l4(1), lab.l7(1));
    let (status, said) = l4.ctl(&["drain", "l7-1"]);
    assert!(status.success(), "{said}");
    lab.wait_until("l7-1 has heard it", SOON, || node.status().own.state == health::Admin::Drain);
    l4.wait_state("l7-1", Effective::Drain, SOON);
    let (status, said) = l4.ctl(&["ready", "l7-1"]);
    assert!(status.success(), "{said}");
    lab.wait_until("it is ready", SOON, || node.status().own.state == health::Admin::Ready);
    l4.wait_state("l7-1", Effective::Up, SOON);

    // Typed on the node itself, its health tells tier 2.
    let (status, said) = node.ctl(&["maintain", "l7-1"]);
    assert!(status.success(), "{said}");
    l4.wait_state("l7-1", Effective::Maintenance, SOON);
    let (_, said) = node.ctl(&["ready", "l7-1"]);
    l4.wait_state("l7-1", Effective::Up, SOON);
    assert!(said.contains("l7-1 is ready"), "{said}");
    let (status, said) = node.ctl(&["drain", "l7-2"]);
    assert!(status.code() == Some(1) && said.contains("on an L4 node"), "{said}");
}

/// The state of server-1 in the pool nginx, as an L7 node sees it.
fn state_of_first(node: &L7) -> Effective {
    let status = node.status();
    let nginx = status.pools.iter().find(|pool| pool.name == "nginx").expect("the lab has it");
    nginx.servers[0].state
}

#[test]
fn agents_words_and_operators_words_about_servers_are_obeyed_without_a_lost_request() {
    let lab = lab();
    let clients = busy(&lab);
    let server = lab.backend(1);
    let is = |wanted: Effective| {
        lab.wait_until(&format!("server-1 is {wanted:?} everywhere"), SOON, || {
            lab.l7s().iter().all(|node| state_of_first(node) == wanted)
        });
    };
    // No request that begins after everybody has heard it goes there.
    let rests = || {
        let busy = |node: &L7| node.status().pools[0].servers[0].busy;
        lab.wait_until("nothing is under way", SOON, || lab.l7s().iter().all(|n| busy(n) == 0));
        let before = server.requests();
        clients.go_on("server-1 has gone");
        assert_eq!(server.requests(), before);
    };
    let comes_back = || {
        let before = server.requests();
        lab.wait_until("server-1 gets requests again", SOON, || server.requests() > before);
    };
    for words in ["drain", "maint", "0%", "down"] {
        server.say(words);
        let wanted = match words {
            "maint" => Effective::Maintenance,
            "down" => Effective::Down,
            _ => Effective::Drain,
        };
        is(wanted);
        rests();
        server.say("up ready 100%");
        is(Effective::Up);
        comes_back();
    }
    // On an L4 node for all L7 nodes, on an L7 node for it alone.
    let (status, said) = lab.l4(1).ctl(&["drain", "nginx/server-1"]);
    assert!(status.success(), "{said}");
    is(Effective::Drain);
    rests();
    let (status, said) = lab.l4(1).ctl(&["ready", "nginx/server-1"]);
    assert!(status.success(), "{said}");
    is(Effective::Up);
    let (status, said) = lab.l7(2).ctl(&["drain", "nginx/server-1"]);
    assert!(status.success(), "{said}");
    lab.wait_until("it drains on l7-2 alone", SOON, || {
        [1, 2].map(|n| state_of_first(lab.l7(n))) == [Effective::Up, Effective::Drain]
    });
    let (status, said) = lab.l7(2).ctl(&["ready", "nginx/server-1"]);
    assert!(status.success(), "{said}");
    is(Effective::Up);

    // A share of its weight, and none of it.
    let (status, said) = lab.l4(1).ctl(&["weight", "nginx/server-1", "10%"]);
    assert!(status.success() && said.contains("has 10% of its weight on all L7 nodes"), "{said}");
    let weight = |node: &L7| node.status().pools[0].servers[0].operator_weight;
    lab.wait_until("every node knows", SOON, || lab.l7s().iter().all(|node| weight(node) == 10));
    let requests = || [1, 2].map(|number| lab.backend(number).requests());
    let before = requests();
    lab.wait_until("the other has had many", SOON, || requests()[1] > before[1] + 200);
    let [first, second] = requests().map(|all| all as f64);
    let share = (first - before[0] as f64) / (second - before[1] as f64);
    assert!((0.05..0.2).contains(&share), "one for each ten: {share}");
    let (status, said) = lab.l4(1).ctl(&["weight", "nginx/server-1", "0%"]);
    assert!(status.success(), "{said}");
    is(Effective::Drain);
    rests();
    let (status, said) = lab.l4(1).ctl(&["weight", "nginx/server-1", "100%"]);
    assert!(status.success(), "{said}");
    is(Effective::Up);
    comes_back();
    let (status, said) = lab.l4(1).ctl(&["weight", "nginx/server-1", "lots"]);
    assert!(status.code() == Some(2) && said.contains("as 50%"), "{said}");

    let (status, said) = lab.l7(1).ctl(&["drain", "nginx/server-9"]);
    assert!(status.code() == Some(1) && said.contains("server-1, server-2"), "{said}");
    clients.finish_whole();
}

#[test]
fn another_release_takes_over_under_load_and_no_connection_is_refused() {
    let lab = lab();
    let node = lab.l7(1);
    let clients = busy(&lab);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    let first = node.status().pid;
    std::thread::scope(|scope| {
        let new: Vec<_> = URLS
            .map(|url| {
                let (lab, stop) = (&lab, &stop);
                scope.spawn(move || {
                    let mut served = 0;
                    while !stop.load(relaxed) {
                        let response = lab.client().get(url).expect("a new connection is served");
                        assert_eq!(response.status, 200);
                        served += 1;
                    }
                    served
                })
            })
            .into();
        let (status, said) = node.ctl(&["upgrade"]);
        assert!(status.success(), "{said}");
        lab.wait_until("another process answers", SOON, || {
            node.try_status().is_ok_and(|status| status.pid != first)
        });
        let old = std::path::PathBuf::from(format!("/proc/{first}"));
        assert!(node.wait_stopped(SOON).success());
        assert!(!old.exists());
        clients.go_on("another release has taken over");
        stop.store(true, relaxed);
        let served: usize = new
            .into_iter()
            .map(|client: std::thread::ScopedJoinHandle<'_, usize>| client.join().unwrap())
            .sum();
        assert!(served > 10);
    });
    clients.finish_whole();
    assert_eq!(lab.l4(1).states_of("l7-1"), [Effective::Up; 2]);
    let tunnel = node.status().tunnel.unwrap();
    assert_eq!((tunnel.problems.len(), tunnel.vips.len()), (0, 2));
}

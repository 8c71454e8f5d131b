//! What is for the L4 node itself reaches its kernel, and a flood does not take that way from others.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use api::{Rate, Reply};
use lab::{Client, Lab, Server, VIP};
use packet::build::Ip;
use packet::icmp;
use system_tests::{RawClient, SOON, nodes_of_new_connections};

/// The node's own addresses as URLs.
fn urls(lab: &Lab) -> [String; 2] {
    let own = lab.l4(1).addresses();
    [format!("http://{}/", own.v4), format!("http://[{}]/", own.v6)]
}

#[test]
fn the_nodes_own_addresses_answer_echo_and_tcp() {
    let lab = Lab::new().l4(1).l7(1).start();
    let l4 = lab.l4(1);
    let _server = Server::start(l4.namespace(), "own", &[]).unwrap();
    for address in l4.addresses().both() {
        lab.wait_until(&format!("{address} answers"), SOON, || lab.client().ping(address));
    }
    for url in urls(&lab) {
        assert_eq!(lab.client().get(&url).unwrap().node, "own");
        let mut connection = lab.client().connect(&url, None).unwrap();
        assert_eq!(connection.get("/bytes/300000").unwrap().body.len(), 300_000);
        assert_eq!(connection.post("/", &[0; 300_000]).unwrap().body, b"300000\n");
    }
    let stats = l4.stats();
    assert!(stats.counters["kernel_neighbor"] > 0);
    assert!(stats.counters["kernel_other"] > 0);
    assert!(stats.counters["from_kernel"] > 0);
    assert_eq!(stats.counters["forwarded"], 0);
}

/// Sends datagrams to the node's own address and to a port of a VIP that no service takes, some
/// 10,000 of each a second, while `meanwhile` runs.
fn flood(from: &Client, lab: &Lab, meanwhile: impl FnOnce()) {
    /// In a thousandth of a second.
    const EACH: usize = 10;
    let source = IpAddr::from(from.addresses().v4);
    let targets = [lab.l4(1).addresses().v4, VIP].map(IpAddr::from);
    let packets = targets.map(|to| Ip::new(source, to).udp(1000, 9999, &[0; 18]).build());
    let ending = AtomicBool::new(false);
    // Ends the flood also if `meanwhile` panics.
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Relaxed);
        }
    }
    let raw = RawClient::of(lab, from);
    thread::scope(|scope| {
        let end = End(&ending);
        scope.spawn(|| {
            while !ending.load(Relaxed) {
                for packet in &packets {
                    (0..EACH).for_each(|_| raw.send(packet));
                }
                thread::sleep(Duration::from_millis(1)); // the pace of the flood
            }
        });
        meanwhile();
        drop(end);
    });
}

#[test]
fn a_flood_to_the_node_leaves_neighbors_management_and_vips_unharmed() {
    let lab = Lab::new().l4(1).l7(1).clients(2).start();
    let l4 = lab.l4(1);
    let _server = Server::start(l4.namespace(), "own", &[]).unwrap();
    let [stranger, operator] = lab.clients() else { panic!("two clients") };
    let mut snapshot = lab.snapshot(1);
    snapshot.management = operator.addresses().both().map(Into::into).into();
    snapshot.limits.other = Rate { per_second: 500, burst: 50 };
    assert!(matches!(l4.apply(&snapshot), Reply::Applied { .. }));

    flood(stranger, &lab, || {
        let flooded = |counter: &str, more: u64| {
            let before = l4.counter(counter);
            lab.wait_until(&format!("the flood is counted as {counter}"), SOON, || {
                l4.counter(counter) > before + more
            });
        };
        flooded("drop_limit_other", 1000);
        flooded("drop_no_service", 1000);

        for address in l4.addresses().both() {
            lab.wait_until(&format!("{address} answers"), SOON, || operator.ping(address));
            // The router asks anew for the node's link address, and the kernel answers.
            lab.router().forget_neighbors();
            lab.wait_until(&format!("{address} is found anew"), SOON, || {
                operator.ping(address) && lab.router().neighbor(address).is_some()
            });
            assert_eq!(lab.router().neighbor(address), Some(l4.addresses().mac()));
        }
        for url in urls(&lab) {
            for _ in 0..10 {
                assert_eq!(operator.get(&url).unwrap().node, "own");
            }
        }
        assert_eq!(nodes_of_new_connections(&lab, 20), vec!["l7-1"; 40]);
        flooded("drop_limit_other", 100);
    });

    let stats = l4.stats();
    for spared in ["drop_limit_neighbor", "drop_limit_management", "drop_limit_routing"] {
        assert_eq!(stats.counters[spared], 0, "{spared}");
    }
    let given: u64 = stats.counters["kernel_other"];
    let seconds = stats.uptime_ms / 1000 + 1;
    assert!(given <= 500 * seconds + 50, "{given} in {seconds} s");
}

#[test]
fn a_flood_of_echo_requests_to_a_vip_is_answered_up_to_its_limit() {
    let lab = Lab::new().l4(1).l7(1).start();
    let l4 = lab.l4(1);
    let client = lab.client();
    let source = IpAddr::from(client.addresses().v4);
    let raw = RawClient::of(&lab, client);
    let request = Ip::new(source, VIP.into()).icmp(icmp::v4::ECHO_REQUEST, 0, 1, b"").build();
    lab.wait_until("the limit is reached, and passed a thousand times", SOON, || {
        (0..100).for_each(|_| raw.send(&request));
        l4.counter("drop_echo_limit") > 1000
    });
    let stats = l4.stats();
    let answered = stats.counters["echo_replied"];
    // For one source prefix: 10 at once, and 20 a second.
    let most = 10 + 20 * (stats.uptime_ms / 1000 + 1);
    assert!((10..=most).contains(&answered), "{answered} answered, {most} at most");
    assert_eq!(nodes_of_new_connections(&lab, 5), vec!["l7-1"; 10]);
}

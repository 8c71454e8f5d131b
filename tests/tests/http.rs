//! HTTP of both families passes client, router, dataplane, tunnel and L7 node, and returns straight.

use std::collections::BTreeMap;

use lab::Lab;
use system_tests::nodes_of_new_connections;

const REQUESTS: usize = 100;

#[test]
fn requests_pass_the_dataplanes_to_every_l7_node() {
    let lab = Lab::new().start();

    let mut served = BTreeMap::<_, u64>::new();
    for node in nodes_of_new_connections(&lab, REQUESTS) {
        *served.entry(node).or_default() += 1;
    }
    assert_eq!(served.keys().collect::<Vec<_>>(), ["l7-1", "l7-2", "l7-3"]);

    // The dataplanes gave the nodes these connections: nobody else did.
    let mut given = BTreeMap::<_, u64>::new();
    for l4 in lab.l4s() {
        let stats = l4.stats();
        let web = stats.services.iter().find(|service| service.name == "web").unwrap();
        assert!(web.total.new_flows > 0, "{} was not passed by", l4.name());
        // SYN, ACK, request and FIN at least.
        assert!(web.total.packets >= 4 * web.total.new_flows, "{web:?}");
        assert_eq!(stats.counters["forwarded"], web.total.packets);
        for node in &web.nodes {
            *given.entry(node.node.clone()).or_default() += node.traffic.new_flows;
        }
    }
    assert_eq!(given, served);
    for l7 in lab.l7s() {
        assert_eq!(l7.server().accepted(), served[l7.name()], "{}", l7.name());
    }
}

#[test]
fn only_the_dataplane_answers_for_its_node() {
    let lab = Lab::new().l4(1).l7(1).start();
    nodes_of_new_connections(&lab, 1);
    let l4 = lab.l4(1);
    for address in l4.addresses().both() {
        let learned = lab.router().neighbor(address);
        assert_eq!(learned, Some(l4.addresses().mac()), "{address}");
    }

    // Without it the node has no voice, so the answers before were not its kernel's.
    l4.kill();
    lab.router().forget_neighbors();
    for address in l4.addresses().both() {
        assert!(!lab.client().ping(address), "{address} is answered for");
        assert_eq!(lab.router().neighbor(address), None);
    }
}

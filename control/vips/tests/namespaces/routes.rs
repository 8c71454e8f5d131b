//! The advmss of routes.

use vips::Wanted;

use crate::node::{Node, tunnel};

/// The route as `ip` lists it, without what it says of the moment.
fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Gives the node these routes; the tunnel must change nothing of them but add these advmss, and
/// leaving must put them back.
#[track_caller]
fn gets(routes: &[&str], advmss: &[&str]) {
    let Some(node) = Node::new() else { return };
    for route in routes {
        node.ip(&format!("route add {route}"));
    }
    let before = lines(&node.routes());
    let report = node.set(&tunnel(40));
    assert_eq!(report.problems, [""; 0]);
    assert!(report.routes.iter().all(|route| route.ours), "{report:?}");

    let after = lines(&node.routes());
    let without: Vec<String> = after
        .iter()
        .map(|line| {
            let mut words: Vec<&str> = line.split(' ').collect();
            if let Some(at) = words.iter().position(|&word| word == "advmss") {
                words.drain(at..at + 2);
            }
            words.join(" ")
        })
        .collect();
    assert_eq!(without, before);
    let set: Vec<&str> =
        after.iter().filter_map(|line| line.split_once("advmss ")?.1.split(' ').next()).collect();
    assert_eq!(set, advmss, "{after:#?}");

    // Again, by the same process or the next: nothing changes.
    assert_eq!(node.set(&tunnel(40)), report);
    assert_eq!(lines(&node.routes()), after);
    let report = node.leave();
    assert_eq!(report.problems, [""; 0]);
    assert_eq!(lines(&node.routes()), before);
}

#[test]
fn default_routes_of_both_families() {
    gets(&["default via 192.0.1.1", "default via 2001:db8:1::1"], &["1420", "1400"]);
}

#[test]
fn other_routes_through_a_gateway() {
    gets(
        &[
            "198.51.100.0/24 via 192.0.1.1 dev eth0 proto bird metric 32 src 192.0.1.7 tos 4",
            "198.51.100.0/24 via 192.0.1.2 dev eth0 proto static metric 33 onlink initcwnd 20",
            "10.0.0.0/8 via inet6 2001:db8:1::1 dev eth0 mtu lock 1500 rto_min 20ms",
            "2001:db8:c::/48 via 2001:db8:2::1 dev eth1 proto bgp metric 77 pref high",
        ],
        &["1420", "1420", "1420", "1400"],
    );
}

#[test]
fn multipath_routes_keep_their_next_hops() {
    gets(
        &["default proto bird metric 32 src 192.0.1.7 \
             nexthop via 192.0.1.1 dev eth0 weight 3 nexthop via 192.0.2.1 dev eth1 weight 200"],
        &["1420"],
    );
    gets(
        &["default proto bird metric 32 \
             nexthop via 2001:db8:1::1 dev eth0 weight 3 nexthop via 2001:db8:2::1 dev eth1 weight 5 \
             nexthop via 2001:db8:2::2 dev eth1 weight 1"],
        &["1400"],
    );
}

#[test]
fn routes_by_nexthop_objects_keep_them() {
    let Some(node) = Node::new() else { return };
    node.ip("nexthop add id 1 via 192.0.1.1 dev eth0");
    node.ip("nexthop add id 2 via 192.0.2.1 dev eth1");
    node.ip("nexthop add id 10 group 1,7/2,3");
    node.ip("nexthop add id 4 via 2001:db8:1::1 dev eth0");
    node.ip("route add default nhid 10 proto bgp");
    node.ip("route add 2001:db8:c::/48 nhid 4 proto bgp");
    let before = lines(&node.routes());
    assert_eq!(node.set(&tunnel(20)).problems, [""; 0]);
    let after = node.routes();
    assert!(after.contains("default nhid 10 proto bgp"), "{after}");
    assert_eq!(after.matches("advmss").count(), 2, "{after}");
    // The kernel copies the advmss to the next route by the object.
    node.ip("route add 198.51.100.0/24 nhid 10 proto bgp");
    assert_eq!(node.routes().matches("advmss").count(), 3);
    node.leave();
    assert!(!node.routes().contains("advmss"), "{}", node.routes());
    node.ip("route delete 198.51.100.0/24");
    assert_eq!(lines(&node.routes()), before);
}

#[test]
fn the_outer_header_and_the_mtu_say_which() {
    let Some(node) = Node::new() else { return };
    node.ip("route add default via 192.0.1.1");
    node.ip("route add default via 192.0.2.1 metric 5");
    let advmss = |wanted: &Wanted| -> Vec<_> {
        node.set(wanted).routes.iter().map(|route| (route.advmss, route.ours)).collect()
    };
    assert_eq!(advmss(&tunnel(20)), [(Some(1440), true); 2]);
    assert_eq!(advmss(&tunnel(40)), [(Some(1420), true); 2]);
    // Room for the outer header: the other interface's MTU says enough.
    node.ip("link set eth0 mtu 9000");
    assert_eq!(advmss(&tunnel(40)), [(Some(8920), true), (None, false)]);
    // One without a tunnel: as before.
    assert_eq!(advmss(&Wanted::default()), [(None, false); 2]);
    assert!(!node.routes().contains("advmss"));
}

#[test]
fn an_advmss_of_somebody_else_stays_and_one_that_is_too_much_is_reported() {
    let Some(node) = Node::new() else { return };
    node.ip("route add default via 192.0.1.1 advmss 1300");
    node.ip("route add default via 192.0.1.1 metric 7 advmss 1460");
    let before = node.routes();
    let report = node.set(&tunnel(40));
    assert_eq!(report.problems, ["route 0.0.0.0/0, metric 7: its advmss is above 1420, what fits"]);
    assert_eq!(report.routes.iter().map(|route| route.ours).collect::<Vec<_>>(), [false; 2]);
    node.leave();
    assert_eq!(node.routes(), before);
}

#[test]
fn routes_that_come_and_go_are_followed() {
    let Some(node) = Node::new() else { return };
    node.set(&tunnel(40));
    node.ip("route add default via 192.0.1.1");
    assert_eq!(node.set(&tunnel(40)).routes[0].advmss, Some(1420));
    // A routing daemon writes it again.
    node.ip("route replace default via 192.0.1.2");
    assert_eq!(node.set(&tunnel(40)).routes[0].advmss, Some(1420));
    node.ip("route delete default");
    assert_eq!(node.set(&tunnel(40)).routes, []);
    // By chance of the same value, but not ours.
    node.ip("route add default via 192.0.1.1 advmss 1420");
    node.set(&tunnel(40));
    node.leave();
    assert!(node.routes().contains("advmss 1420"));
}

#[test]
fn what_cannot_be_changed_without_loss_is_left_and_reported() {
    let Some(node) = Node::new() else { return };
    node.ip("route add default via 192.0.1.1");
    node.ip("route append default via 192.0.2.1");
    node.ip("route add default via 2001:db8:1::1 proto ra expires 1000");
    let before = node.routes();
    let report = node.set(&tunnel(40));
    assert_eq!(report.problems.len(), 3, "{report:?}");
    assert!(report.problems[0].ends_with("there are two of the same metric"), "{report:?}");
    assert!(report.problems[2].contains("router advertisements"), "{report:?}");
    assert!(report.routes.iter().all(|route| !route.ours && route.advmss.is_none()));
    let same = |text: &str| {
        lines(text)
            .iter()
            .map(|l| l.split(" expires").next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(same(&node.routes()), same(&before));
}

#[test]
fn connected_routes_and_other_tables_are_not_touched() {
    let Some(node) = Node::new() else { return };
    node.ip("route add default via 192.0.1.1 table 77");
    node.ip("route add blackhole 198.51.100.0/24");
    let before = node.ip("route show table all");
    let report = node.set(&tunnel(40));
    assert_eq!(report.routes, []);
    assert_eq!(node.ip("route show table all"), before);
}

#[test]
fn an_interface_that_is_missing_changes_nothing_and_is_reported() {
    let Some(node) = Node::new() else { return };
    node.ip("route add default via 192.0.1.1");
    node.set(&tunnel(40));
    node.ip("link set eth0 name away");
    let report = node.set(&tunnel(40));
    assert_eq!(report.problems, ["there is no interface eth0"]);
    assert_eq!(report.routes.iter().map(|route| route.ours).collect::<Vec<_>>(), [true]);
}

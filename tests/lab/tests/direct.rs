//! Without L4 nodes the lab stands on its own: namespaces, routes, servers, clients.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use lab::{ECHO_PORT, Lab, VIP, VIP6, Wire};

const URLS: [&str; 2] = ["http://198.51.100.1/", "http://[2001:db8::c633:6401]/"];
const SOON: Duration = Duration::from_secs(10);

#[test]
fn requests_of_both_families_reach_every_node() {
    let lab = Lab::new().l4(0).l7(3).start();
    for url in URLS {
        let mut nodes: Vec<_> = (0..50).map(|_| lab.client().get(url).unwrap().node).collect();
        nodes.sort();
        nodes.dedup();
        assert_eq!(nodes, ["l7-1", "l7-2", "l7-3"], "{url}");
    }
    assert_eq!(lab.l7s().iter().map(|node| node.server().requests()).sum::<u64>(), 100);
    for vip in [IpAddr::from(VIP), IpAddr::from(VIP6)] {
        let server = SocketAddr::new(vip, ECHO_PORT);
        let (node, data) = lab.client().udp_exchange(server, b"some data").unwrap();
        assert!(node.starts_with("l7-"), "{node}");
        assert_eq!(data, b"some data");
    }
    for address in lab.router().outside().both() {
        assert!(lab.client().ping(address), "{address}");
    }
}

#[test]
fn bodies_of_any_size_pass_both_ways() {
    let lab = Lab::new().l4(0).l7(1).start();
    for url in URLS {
        let mut connection = lab.client().connect(url, Some(40_000)).unwrap();
        assert_eq!(connection.local_address().unwrap().port(), 40_000);
        assert_eq!(connection.get("/bytes/1000000").unwrap().body.len(), 1_000_000);
        let answer = connection.post("/", &vec![b'x'; 1_000_000]).unwrap();
        assert_eq!(answer.body, b"1000000\n");
    }
}

#[test]
fn a_router_sends_vips_where_it_is_told() {
    let lab = Lab::new().l4(0).l7(2).start();
    assert_eq!(lab.router().paths(), [2, 2]);
    lab.router().route_via(&[2]);
    assert_eq!(lab.router().paths(), [1, 1]);
    lab.router().route_via(&[]);
    assert_eq!(lab.router().paths(), [0, 0]);
}

#[test]
fn connections_that_live_on_are_told_from_those_that_break() {
    let lab = Lab::new().l4(0).l7(2).start();
    let downloads = lab.client().slow_downloads(20, URLS[0]);
    let requests = lab.client().requests(20, URLS[1], Duration::from_millis(50));
    let before = requests.requests_so_far();
    lab.wait_until("requests go on", SOON, || requests.requests_so_far() > before + 40);
    assert_eq!((downloads.broken_so_far(), requests.broken_so_far()), (0, 0));

    // Half of the paths go: the hash gives those flows a node that does not know them.
    lab.routers()[0]
        .namespace()
        .ip("route replace 2001:db8::c633:6400/120 metric 1024 \
        via 2001:db8::c000:28c\n")
        .unwrap();
    lab.wait_until("connections break", SOON, || requests.broken_so_far() > 0);

    let report = downloads.finish();
    assert_eq!((report.completed, report.broken), (20, 0), "{report:?}");
    assert_eq!(report.nodes.values().sum::<usize>(), 20);
    let report = requests.finish();
    assert_eq!(report.completed + report.broken, 20);
    assert_eq!(report.broken, report.nodes["l7-2"], "{report:?}");
    assert!(report.failures[0].contains("reset"), "{report:?}");
}

#[test]
fn a_connection_may_pause_between_requests() {
    let lab = Lab::new().l4(0).l7(1).start();
    let requests = lab.client().requests(2, URLS[0], Duration::from_millis(600));
    lab.wait_until("each has had three answers", SOON, || {
        requests.requests_so_far() >= 6 || requests.broken_so_far() > 0
    });
    assert_eq!(requests.finish().broken, 0);
}

#[test]
fn two_routers_share_the_clients_flows() {
    let lab = Lab::new().routers(2).l4(0).l7(1).clients(2).start();
    for client in lab.clients() {
        for _ in 0..10 {
            for url in URLS {
                client.get(url).unwrap();
            }
        }
    }
    assert_eq!(lab.l7(1).server().requests(), 40);
}

#[test]
fn frames_pass_as_they_are_sent() {
    let lab = Lab::new().l4(0).l7(1).clients(2).start();
    let sockets = [lab.clients()[0].raw(), lab.clients()[1].raw()];
    let mut frame = Vec::new();
    frame.extend(lab.clients()[1].addresses().mac().0);
    frame.extend(lab.clients()[0].addresses().mac().0);
    frame.extend([0x88, 0xb5]); // an EtherType for experiments (IEEE 802)
    frame.extend([7; 50]);
    sockets[0].send(&frame).unwrap();
    let same = |received: &[u8]| received == frame;
    assert!(sockets[1].receive(SOON, same).is_some());
    assert!(sockets[1].receive(Duration::from_millis(50), same).is_none(), "once only");
}

#[test]
fn the_fabric_of_packet_sockets_has_room_for_a_tunnel_around_a_full_size_packet() {
    let lab = Lab::new().l4(0).l7(2).wire(Wire::AfPacket).start();
    let [v4, v6] = lab.l7(2).addresses().both().map(|address| address.to_string());
    // Tunnels over IPv4 and IPv6 around 1500 bytes; less the headers of IP and ICMP.
    for (address, data) in [(v4, 1500 + 20 - 28), (v6, 1500 + 40 - 48)] {
        let args = ["-n", "-c", "1", "-W", "5", "-M", "do", "-s", &data.to_string(), &address];
        lab.l7(1).namespace().run("ping", &args).unwrap();
    }
    assert!(lab.client().ping_sized(lab.router().outside().v4.into(), 1472));
    assert!(!lab.client().ping_sized(lab.router().outside().v4.into(), 1473));
}

//! What is for the node itself goes to its kernel, untouched and in the right class; what the kernel
//! sends goes to the wire, but for probes.

use forward::{Class, Counter, Verdict};
use packet::build::{self, Ip};
use packet::{Buffer, arp, tcp};

use crate::harness::*;

const NEIGHBOR: Verdict = Verdict::Kernel(Class::Neighbor);
const ROUTING: Verdict = Verdict::Kernel(Class::Routing);
const ERRORS: Verdict = Verdict::Kernel(Class::Errors);
const MANAGEMENT: Verdict = Verdict::Kernel(Class::Management);
const OTHER: Verdict = Verdict::Kernel(Class::Other);

/// A site with routers and operators.
fn node() -> L4 {
    let mut site = site(2);
    site.routers = vec!["192.0.2.130".parse().unwrap(), "2001:db8::82".parse().unwrap()];
    let link_local = |text: &str| text.parse().unwrap();
    site.bfd = vec![api::BfdSession {
        router: "r3".into(),
        local: link_local("fe80::2"),
        remote: link_local("fe80::3"),
        interface: Some("palier0".into()),
        interval_ms: 100,
        multiplier: 3,
    }];
    site.management = vec!["10.99.0.0/16".parse().unwrap(), "2001:db8:99::/48".parse().unwrap()];
    L4::new(&site)
}

/// Sends it, and sees that the kernel gets it as it came.
fn given(l4: &mut L4, packet: &Ip) -> Verdict {
    let frame = framed(&packet.clone().build());
    let sent = l4.send_frame(0, frame.clone());
    assert_eq!(sent.frame, frame);
    sent.verdict
}

#[test]
fn what_is_for_the_node_is_given_to_the_kernel_by_class() {
    let mut l4 = node();
    let v4 = |source| Ip::between(source, OWN4);
    let v6 = |source| Ip::between(source, OWN6);
    // L7 node 1's probes leave from ports 20010 to 20019.
    let first_probe = l7(1).probe_ports.unwrap().first;
    for (packet, verdict) in [
        // Neighbor discovery is from the link, or no neighbor discovery.
        (v6("fe80::1").ttl(255).icmp(135, 0, 0, &[0; 24]), NEIGHBOR),
        (v6("fe80::1").ttl(255).icmp(136, 0, 0, &[0; 24]), NEIGHBOR),
        (v6("fe80::1").ttl(255).icmp(134, 0, 0, &[0; 24]), NEIGHBOR),
        (v6("fe80::1").ttl(254).icmp(135, 0, 0, &[0; 24]), OTHER),
        (v6("2001:db8:99::1").ttl(64).icmp(136, 0, 0, &[0; 24]), MANAGEMENT),
        // BFD: of the routers, and from the link; what claims to be theirs from afar is no flood's way in.
        (v4("192.0.2.130").ttl(255).udp(49152, 3784, &[0; 24]), NEIGHBOR),
        (v6("2001:db8::82").ttl(255).udp(49152, 3784, &[0; 24]), NEIGHBOR),
        (v6("fe80::3").ttl(255).udp(49152, 3784, &[0; 24]), NEIGHBOR),
        (v4("192.0.2.130").ttl(254).udp(49152, 3784, &[0; 24]), OTHER),
        (v4("192.0.2.1").ttl(255).udp(49152, 3784, &[0; 24]), OTHER),
        (v6("fe80::4").ttl(255).udp(49152, 3784, &[0; 24]), OTHER),
        (v4("10.99.1.1").ttl(255).udp(49152, 3784, &[0; 24]), MANAGEMENT),
        // Several hops away it cannot be told: it may take from BGP, but not from ARP.
        (v4("192.0.2.130").ttl(250).udp(49152, 4784, &[0; 24]), ROUTING),
        (v6("2001:db8::82").ttl(250).udp(49152, 4784, &[0; 24]), ROUTING),
        (v6("2001:db8::83").ttl(255).udp(49152, 4784, &[0; 24]), OTHER),
        // BGP, of the routers alone, whoever of the two opened it.
        (v4("192.0.2.130").tcp(179, 40000, tcp::ACK, b""), ROUTING),
        (v4("192.0.2.130").tcp(40000, 179, tcp::SYN, b""), ROUTING),
        (v6("2001:db8::82").tcp(40000, 179, tcp::SYN, b""), ROUTING),
        (v4("192.0.2.131").tcp(40000, 179, tcp::SYN, b""), OTHER),
        (v4("192.0.2.130").udp(40000, 179, b""), OTHER),
        (v4("192.0.2.130").tcp(40000, 22, tcp::SYN, b""), OTHER),
        // Answers to probes come from a VIP.
        (v4(VIP4).tcp(80, first_probe, tcp::SYN | tcp::ACK, b""), ROUTING),
        (v6(VIP6).tcp(443, first_probe + 9, tcp::ACK, b"200"), ROUTING),
        (v4(VIP4).tcp(80, first_probe - 1, tcp::ACK, b""), OTHER),
        (v4("203.0.113.1").tcp(80, first_probe, tcp::ACK, b""), OTHER),
        // Errors.
        (v4("203.0.113.1").icmp(3, 1, 0, &[0; 28]), ERRORS),
        (v4("203.0.113.1").icmp(5, 1, 0, &[0; 28]), ERRORS),
        (v4("10.99.1.1").icmp(11, 0, 0, &[0; 28]), ERRORS),
        (v6("2001:db8:c::1").icmp(1, 0, 0, &[0; 48]), ERRORS),
        (v6("2001:db8:c::1").icmp(2, 0, 1400, &[0; 48]), ERRORS),
        // Operators, and the rest: ping is no error.
        (v4("10.99.1.1").tcp(50000, 22, tcp::SYN, b""), MANAGEMENT),
        (v6("2001:db8:99::7").tcp(50000, 22, tcp::SYN, b""), MANAGEMENT),
        (v4("10.98.1.1").tcp(50000, 22, tcp::SYN, b""), OTHER),
        (v4("203.0.113.1").icmp(8, 0, 1, b"ping"), OTHER),
        (v6("2001:db8:c::1").icmp(128, 0, 1, b"ping"), OTHER),
        (v4("203.0.113.1").payload(47, &[0; 20]), OTHER),
        // Not for the node, nor for a VIP: the kernel may know what to do.
        (Ip::between("203.0.113.1", "203.0.113.9").udp(1, 2, b""), OTHER),
    ] {
        assert_eq!(given(&mut l4, &packet), verdict, "{packet:?}");
    }
}

#[test]
fn arp_and_what_is_not_ip_is_the_kernels() {
    let mut l4 = node();
    let request = arp::gratuitous(ROUTER, "192.0.2.130".parse().unwrap(), None);
    let sent = l4.send_frame(0, Buffer::new(&request));
    assert_eq!((sent.verdict, sent.frame.all()), (NEIGHBOR, &request[..]));
    let mut lldp = request;
    lldp[12..14].copy_from_slice(&[0x88, 0xcc]);
    assert_eq!(l4.send_frame(0, Buffer::new(&lldp)).verdict, OTHER);
}

#[test]
fn multicast_for_the_node_is_the_kernels() {
    let mut l4 = node();
    let solicited = Ip::between("fe80::1", "ff02::1:ff00:284").ttl(255).icmp(135, 0, 0, &[0; 24]);
    let group = packet::Mac([0x33, 0x33, 0xff, 0, 2, 0x84]);
    let frame = build::frame(group, ROUTER, None, &solicited.build());
    assert_eq!(l4.send_frame(0, Buffer::new(&frame)).verdict, NEIGHBOR);
}

#[test]
fn before_the_first_snapshot_everything_is_the_kernels() {
    let mut l4 = L4::before_its_first_snapshot(1);
    for flow in flows(3) {
        assert_eq!(given(&mut l4, &segment(&flow, tcp::SYN)), OTHER);
        assert_eq!(given(&mut l4, &datagram(&flow, b"x")), OTHER);
        let packet = segment(&flow, tcp::SYN).build();
        assert_eq!(l4.kernel_sends(&packet).verdict, Verdict::Wire);
    }
    let discovery = Ip::between("fe80::1", OWN6).ttl(255).icmp(135, 0, 0, &[0; 24]);
    assert_eq!(given(&mut l4, &discovery), NEIGHBOR);
    let error = Ip::between("203.0.113.1", OWN4).icmp(3, 1, 0, &[0; 28]);
    assert_eq!(given(&mut l4, &error), ERRORS);
    assert_eq!(l4.connections(), 0);
    // From then on it is a load balancer.
    l4.apply(&site(2));
    l4.node_of(&flow4(1), tcp::SYN);
}

#[test]
fn the_kernels_probes_go_to_the_node_whose_ports_they_leave_from() {
    let mut l4 = L4::new(&site(3));
    for (own, vip) in [(OWN4, VIP4), (OWN6, VIP6)] {
        for node in 1..=3 {
            let ports = l7(node).probe_ports.unwrap();
            for port in [ports.first, ports.last] {
                let probe = Ip::between(own, vip).tcp(port, 80, tcp::SYN, b"").build();
                assert_eq!(l4.kernel_sends(&probe).tunnelled(), (node, &probe[..]));
            }
        }
    }
    assert_eq!((l4.count(Counter::Probe), l4.connections()), (12, 0));
}

#[test]
fn what_else_the_kernel_sends_to_a_vip_is_dropped() {
    let mut l4 = L4::new(&site(3));
    let last = l7(3).probe_ports.unwrap().last;
    for port in [l7(1).probe_ports.unwrap().first - 1, last + 1, 0, 65535] {
        let packet = Ip::between(OWN4, VIP4).tcp(port, 80, tcp::SYN, b"").build();
        let sent = l4.kernel_sends(&packet);
        assert_eq!(sent.verdict, Verdict::Drop(Counter::ProbeUnknown), "{port}");
    }
    let ping = Ip::between(OWN6, VIP6).icmp(128, 0, 1, b"").build();
    assert_eq!(l4.kernel_sends(&ping).verdict, Verdict::Drop(Counter::ProbeUnknown));
}

#[test]
fn what_the_kernel_sends_elsewhere_goes_to_the_wire_untouched() {
    let mut l4 = L4::new(&site(3));
    for packet in [
        Ip::between(OWN4, "192.0.2.130").tcp(179, 40000, tcp::ACK, b"").build(),
        Ip::between(OWN6, "2001:db8::82").icmp(135, 0, 0, &[0; 24]).build(),
        Ip::between(OWN4, "10.7.0.1")
            .tcp(l7(1).probe_ports.unwrap().first, 80, tcp::SYN, b"")
            .build(),
        vec![0, 1, 8, 0, 6, 4, 0, 1],
        vec![0x45; 10], // cut short
    ] {
        let sent = l4.kernel_sends(&packet);
        let frame = build::frame(ROUTER, NODE, None, &packet);
        assert_eq!((sent.verdict, sent.frame.all()), (Verdict::Wire, &frame[..]));
    }
}

#[test]
fn a_probe_without_a_way_to_its_node_is_dropped() {
    let mut l4 = L4::new(&site(2));
    let port = l7(1).probe_ports.unwrap().first;
    let probe = Ip::between(OWN4, VIP4).tcp(port, 80, tcp::SYN, b"").build();
    l4.route(|path| path.next_hop_mac = None);
    assert_eq!(l4.kernel_sends(&probe).verdict, Verdict::Drop(Counter::NoNeighbor));
    l4.lose_routes();
    assert_eq!(l4.kernel_sends(&probe).verdict, Verdict::Drop(Counter::NoPath));
}

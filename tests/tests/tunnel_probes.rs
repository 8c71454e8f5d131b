//! Checks go the way that clients' packets go, and stand still while there is no way.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use admin::Effective;
use lab::{Flags, L4, Lab, RawSocket};
use system_tests::{Kept, SOON, VIPS, member, reload, vip};

/// A service of the same nodes whose checks go to their own addresses.
const DIRECT: &str = "\n[[service]]\nname = \"direct\"\nvips = [\"198.51.100.2\"]\n\
    protocol = \"tcp\"\nports = [80]\ncheck.http = { path = \"/healthcheck\" }\n\
    check.direct = true\ncheck.interval = \"500ms\"\ncheck.fast_interval = \"200ms\"\n\
    check.timeout = \"400ms\"\n";

/// A node's state in `direct`.
fn direct(l4: &L4, node: &str) -> Effective {
    let at: IpAddr = [198, 51, 100, 2].into();
    member(vip(&l4.status(), "direct", at), node).state
}

/// A lab with the service `direct`, all up.
fn lab() -> Lab {
    let lab = Lab::new().l4(1).control().start();
    reload(&lab, |site| site + DIRECT);
    let l4 = lab.l4(1);
    lab.wait_until("the direct checks have passed", SOON, || {
        lab.l7s().iter().all(|l7| direct(l4, l7.name()) == Effective::Up) && l4.is_settled()
    });
    lab
}

#[test]
fn a_removed_decapsulator_or_vip_is_noticed_though_the_node_itself_is_well() {
    let lab = lab();
    let l4 = lab.l4(1);
    let states = |what: &str, wanted: [Effective; 2]| {
        lab.wait_until(what, SOON, || l4.states_of("l7-1") == wanted && l4.is_settled());
        assert_eq!(direct(l4, "l7-1"), Effective::Up, "{what}");
        assert_eq!(l4.states_of("l7-2"), [Effective::Up; 2], "{what}");
    };
    assert!(lab.l7(1).stop_control().success());
    states("its tunnels end nowhere", [Effective::Down; 2]);
    lab.l7(1).start_control().unwrap();
    states("its tunnels end there again", [Effective::Up; 2]);
    lab.l7(1).remove_vip(VIPS[0]);
    states("it has lost a VIP", [Effective::Down, Effective::Up]);
    lab.l7(1).add_vip(VIPS[0]);
    states("it has the VIP again", [Effective::Up; 2]);
}

#[test]
fn probes_through_the_tunnel_come_from_the_block_of_ports_of_their_node() {
    const PROBES: usize = 12;
    let lab = Lab::new().l4(1).control().start();
    let own = lab.l4(1).addresses();
    for l7 in lab.l7s() {
        let wire = RawSocket::open(l7.namespace(), "eth0").unwrap();
        let (from, to) = (own.v4.octets(), l7.addresses().v4.octets());
        let mut ports = BTreeSet::new();
        for _ in 0..PROBES {
            let frame = wire.receive(SOON, |frame| syn_inside(frame, from, to).is_some());
            let frame = frame.expect("it is probed");
            let inner = syn_inside(&frame, from, to).expect("that was asked for");
            assert_eq!(inner[12..16], own.v4.octets(), "from the node itself");
            assert_eq!(IpAddr::from(<[u8; 4]>::try_from(&inner[16..20]).unwrap()), VIPS[0]);
            ports.insert(u16::from_be_bytes([inner[20], inner[21]]));
        }
        let first = 16_384 + 16 * (u16::try_from(l7.number()).unwrap() - 1);
        let block = first..first + 16;
        assert!(ports.iter().all(|port| block.contains(port)), "{ports:?} in {block:?}");
        assert!(ports.len() > PROBES / 2, "one after the other, so that none is in use: {ports:?}");
    }
}

/// The first packet of a TCP connection, if this frame carries one in a tunnel between these.
fn syn_inside(frame: &[u8], from: [u8; 4], to: [u8; 4]) -> Option<&[u8]> {
    const IPV4_IN_IPV4: u8 = 4;
    const TCP: u8 = 6;
    const SYN: u8 = 0x02;
    let outer = frame.get(14..)?;
    let is_tunnel = frame.get(12..14)? == [0x08, 0x00]
        && *outer.first()? == 0x45
        && *outer.get(9)? == IPV4_IN_IPV4
        && outer.get(12..16)? == from
        && outer.get(16..20)? == to;
    let inner = outer.get(20..)?;
    let is_syn = *inner.first()? == 0x45 && *inner.get(9)? == TCP && *inner.get(33)? == SYN;
    (is_tunnel && is_syn).then_some(inner)
}

#[test]
fn nobody_is_judged_while_the_dataplane_is_away() {
    /// Longer than it takes to go down: `fall` probes that are not answered.
    const AWAY: Duration = Duration::from_secs(4);
    let lab = lab();
    let l4 = lab.l4(1);
    let kept = Kept::open(&lab, 20);
    l4.kill();
    lab.wait_until("control notices", SOON, || !l4.status().dataplane.forwards);
    let verdicts = || l4.control_printed().lines().filter(|line| line.contains("verdict")).count();
    let before = verdicts();
    lab.l7(3).server().refuse(true);
    let start = Instant::now();
    while start.elapsed() < AWAY {
        for l7 in lab.l7s() {
            assert_eq!(l4.states_of(l7.name()), [Effective::Up; 2], "{}", l7.name());
            // The host's own packets pass the dataplane, too.
            assert_eq!(direct(l4, l7.name()), Effective::Up, "{}", l7.name());
        }
    }
    assert_eq!(verdicts(), before, "no probe has spoken for or against a node");
    lab.l7(3).server().refuse(false);

    l4.start(&Flags::default()).unwrap_or_else(|error| panic!("{error}"));
    lab.wait_until("it forwards", SOON, || l4.is_settled() && l4.status().gate.open);
    kept.go_on("the dataplane was away");
    kept.finish_whole();
}

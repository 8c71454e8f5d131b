//! Outer sources that differ from flow to flow: L7 nodes take them, and connections do not notice.

use std::collections::BTreeSet;

use api::{Prefix, Reply};
use lab::{Lab, RawSocket, TUNNEL_SOURCES};
use system_tests::{Kept, SOON};

const KEPT: usize = 50;

/// The IPv4 source of a frame that carries IPv4 in IPv4.
fn outer_source(frame: &[u8]) -> Option<[u8; 4]> {
    let packet = frame.strip_prefix(&frame[..12])?.strip_prefix(&[0x08, 0x00])?;
    (packet.get(9) == Some(&4)).then(|| packet[12..16].try_into().expect("four bytes"))
}

#[test]
fn connections_live_through_a_change_of_the_outer_sources() {
    let prefixes: Vec<Prefix> =
        TUNNEL_SOURCES.iter().map(|p| p.parse().expect("it is one")).collect();
    let lab = Lab::new().tunnel_sources().start();
    let kept = Kept::open(&lab, KEPT);
    for l4 in lab.l4s() {
        let mut snapshot = lab.snapshot(l4.number());
        snapshot.tunnel_sources = prefixes.clone();
        assert!(matches!(l4.apply(&snapshot), Reply::Applied { .. }));
    }
    kept.go_on("outer sources vary");

    let wire = RawSocket::open(lab.l7(1).namespace(), "eth0").expect("root may listen");
    let mut sources = BTreeSet::new();
    for _ in 0..200 {
        let frame = wire.receive(SOON, |frame| outer_source(frame).is_some());
        let source =
            outer_source(&frame.expect("packets go on")).expect("only such were asked for");
        assert!(prefixes.iter().any(|prefix| prefix.contains(source.into())), "{source:?}");
        sources.insert(source);
    }
    // How many depends on which connections came to this node.
    assert!(sources.len() > 1, "{sources:?}");

    for l4 in lab.l4s() {
        assert!(matches!(l4.apply(&lab.snapshot(l4.number())), Reply::Applied { .. }));
    }
    kept.go_on("outer sources are the nodes' own again");
    kept.finish_whole();
    for l7 in lab.l7s() {
        assert_eq!(l7.decap_counter("drop_source"), 0, "{}", l7.name());
    }
}

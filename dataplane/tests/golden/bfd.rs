//! BFD sessions of a Snapshot are run and told of. The node's addresses are not on this host, so that no
//! packet can be sent: `dataplane/src/bfd` has tests with a router.

use std::time::{Duration, Instant};

use api::{BfdSession, BfdState, Heartbeats, Reply, Request, Snapshot};

use crate::process::Dataplane;
use crate::site::snapshot;

fn with_sessions(generation: u64, routers: &[&str]) -> Snapshot {
    let session = |(i, router): (usize, &&str)| BfdSession {
        router: (*router).into(),
        local: "2001:db8::c000:284".parse().unwrap(),
        remote: format!("2001:db8::{i:x}").parse().unwrap(),
        interface: None,
        interval_ms: 100,
        multiplier: 3,
    };
    let bfd = (0x82..).zip(routers).map(session).collect();
    Snapshot { generation, bfd, ..snapshot() }
}

fn heartbeats(dataplane: &mut Dataplane) -> Heartbeats {
    match dataplane.ask(&Request::Heartbeats) {
        Reply::Heartbeats(heartbeats) => heartbeats,
        other => panic!("{other:?}"),
    }
}

/// Waits until these routers, and no others, have a session: down, and not for want of a worker.
fn wait_for(dataplane: &mut Dataplane, routers: &[&str]) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let told = heartbeats(dataplane).bfd;
        let names: Vec<_> = told.iter().map(|session| session.router.as_str()).collect();
        let idle = told.iter().all(|s| s.state == BfdState::Down && !s.held && s.losses == 0);
        if names == routers && idle {
            return;
        }
        assert!(Instant::now() < until, "{told:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn sessions_are_those_of_the_snapshot_in_force() {
    let mut dataplane = Dataplane::start(&[vec![], vec![]], &[], &with_sessions(1, &["r1", "r2"]));
    wait_for(&mut dataplane, &["r1", "r2"]);
    for (generation, routers) in [(2, &["r1"][..]), (3, &[]), (4, &["r1", "r2", "r3"])] {
        let apply = api::Apply { snapshot: with_sessions(generation, routers), force: false };
        let reply = dataplane.ask(&Request::Apply(Box::new(apply)));
        assert!(matches!(reply, Reply::Applied { .. }), "{reply:?}");
        wait_for(&mut dataplane, routers);
    }
    let counters = dataplane.stats().counters;
    for name in ["bfd_sent", "bfd_received", "bfd_held", "drop_bfd_ttl"] {
        assert_eq!(counters.get(name), Some(&0), "{name}");
    }
}

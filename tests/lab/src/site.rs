//! What control would know: the L7 nodes' states, and the Snapshot that follows from them.

use std::collections::BTreeMap;
use std::time::Duration;

use api::{
    Hash, HashKey, IdleTimes, Limits, Member, Node, Ports, Protocol, Release, Service, Snapshot,
    State,
};
use nix::time::{ClockId, clock_gettime};

use crate::address::{self, Addresses, VIP, VIP6};
use crate::server::{ECHO_PORT, HTTP_PORT};

/// The L7 nodes that are part of the site, by number.
#[derive(Debug)]
pub(crate) struct Site {
    generation: u64,
    members: BTreeMap<usize, Member>,
    routers: usize,
}

impl Site {
    /// `nodes` L7 nodes, all up.
    pub(crate) fn new(nodes: usize, routers: usize) -> Self {
        let mut site = Self { generation: 0, members: BTreeMap::new(), routers };
        for number in 1..=nodes {
            site.set(number, State::Up, Release::Never);
        }
        site
    }

    /// Sets a node's state, keeping its weight; a node that is not there comes with weight 1.
    pub(crate) fn set(&mut self, number: usize, state: State, release: Release) {
        let weight = self.members.get(&number).map_or(1, |member| member.weight);
        let node = index(number);
        self.members.insert(number, Member { node, weight, state, release });
    }

    pub(crate) fn set_weight(&mut self, number: usize, weight: u16) {
        self.members.get_mut(&number).expect("the node is part of the site").weight = weight;
    }

    pub(crate) fn remove(&mut self, number: usize) {
        self.members.remove(&number);
    }

    /// The Snapshot for the L4 node with these addresses, under a new generation: two services,
    /// `web` (TCP 80) and `echo` (UDP 7), both on both VIPs.
    pub(crate) fn snapshot(&mut self, own: Addresses) -> Snapshot {
        self.generation += 1;
        let node = |&number: &usize| Node {
            name: format!("l7-{number}"),
            index: index(number),
            addresses: address::l7(number).both().into(),
            probe_ports: None,
        };
        let service = |name: &str, protocol, port| Service {
            name: name.into(),
            vips: vec![std::net::IpAddr::from(VIP).into(), std::net::IpAddr::from(VIP6).into()],
            protocol,
            ports: Ports::List(vec![port]),
            hash: Hash::FiveTuple,
            rows: 65_537,
            track: true,
            allow: vec![],
            deny: vec![],
            source_limit: None,
            answer_unknown: false,
            nodes: self.members.values().copied().collect(),
        };
        let routers = (1..=self.routers).flat_map(|number| address::router_fabric(number).both());
        Snapshot {
            generation: self.generation,
            hash_key: Some(HashKey::new(*b"key of the lab!!")),
            addresses: own.both().into(),
            tunnel_sources: Vec::new(),
            nodes: self.members.keys().map(node).collect(),
            services: vec![
                service("web", Protocol::Tcp, HTTP_PORT),
                service("echo", Protocol::Udp, ECHO_PORT),
            ],
            routers: routers.map(Into::into).collect(),
            management: vec![],
            bfd: vec![],
            limits: Limits::default(),
            idle: IdleTimes::default(),
        }
    }
}

fn index(number: usize) -> u16 {
    u16::try_from(number).expect("the builder bounds the number of nodes")
}

/// The release instant that is `delay` from now.
pub fn release_in(delay: Duration) -> Release {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has this clock");
    let milliseconds = (Duration::from(now) + delay).as_millis();
    Release::At(u64::try_from(milliseconds).expect("half a billion years fit"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_lists_the_nodes_of_the_site_with_their_states() {
        let mut site = Site::new(3, 1);
        site.set_weight(2, 5);
        site.set(2, State::Drain, Release::Never);
        site.remove(3);
        let snapshot = site.snapshot(address::l4(1));
        let names: Vec<_> = snapshot.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["l7-1", "l7-2"]);
        for service in &snapshot.services {
            let states: Vec<_> =
                service.nodes.iter().map(|m| (m.node, m.weight, m.state)).collect();
            assert_eq!(states, [(1, 1, State::Up), (2, 5, State::Drain)]);
        }
        assert!(site.snapshot(address::l4(1)).generation > snapshot.generation);
    }

    #[test]
    fn releases_lie_on_the_clock_that_counts_sleep() {
        let (Release::At(sooner), Release::At(later)) =
            (release_in(Duration::ZERO), release_in(Duration::from_secs(60)))
        else {
            panic!("both are instants");
        };
        assert!((60_000..61_000).contains(&(later - sooner)));
    }
}

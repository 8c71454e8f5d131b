//! The decision, pure: links, way and neighbors in, next hop out.

use netlink_packet_route::neighbour::NeighbourState;

use super::Hop;
use super::kernel::{Links, Neighbor, NeighborKey, Neighbors, Way};

/// The neighbor that packets are handed to, if they leave by one of `interfaces`.
pub(super) fn next_hop(way: &Way, links: &Links, interfaces: &[String]) -> Option<NeighborKey> {
    let Way::Route { interface, next_hop, .. } = way else { return None };
    let link = links.get(interface)?;
    interfaces.contains(&link.name).then_some((*interface, *next_hop))
}

/// Where packets that go this way are to be sent.
pub(super) fn hop(way: &Way, links: &Links, neighbors: &Neighbors, interfaces: &[String]) -> Hop {
    let (interface, next_hop, route_mtu) = match way {
        Way::Route { interface, next_hop, mtu } => (interface, next_hop, mtu),
        Way::Nowhere(why) => return Hop::NoRoute(why.clone()),
    };
    let Some(link) = links.get(interface) else {
        return Hop::NoRoute(format!("interface {interface} is gone"));
    };
    let Some(port) = interfaces.iter().position(|name| *name == link.name) else {
        let expected = interfaces.join(" or ");
        return Hop::NoRoute(format!("leaves by {}, not by {expected}", link.name));
    };
    // 0 is how some drivers and routes say that they do not know.
    let known = [route_mtu.unwrap_or(0), link.mtu].into_iter().filter(|mtu| *mtu > 0);
    let mtu = u16::try_from(known.min().unwrap_or(1500)).unwrap_or(u16::MAX);
    match neighbors.get(&(*interface, *next_hop)).and_then(valid_mac) {
        Some(mac) => Hop::Reachable { port, mac, mtu },
        None => Hop::Unresolved { port, mtu, next_hop: *next_hop },
    }
}

/// The link address, while the kernel itself would use it (NUD_VALID).
fn valid_mac(neighbor: &Neighbor) -> Option<[u8; 6]> {
    match neighbor.state {
        NeighbourState::Reachable
        | NeighbourState::Stale
        | NeighbourState::Delay
        | NeighbourState::Probe
        | NeighbourState::Permanent
        | NeighbourState::Noarp => neighbor.mac,
        // Incomplete, failed, none, and what later kernels may add: not known to be valid.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 140));
    const GATEWAY: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 7];

    fn links() -> Links {
        let link = |name: &str, mtu| super::super::kernel::Link { name: name.into(), mtu };
        [(3, link("eth9", 9000)), (7, link("palier0", 1500)), (8, link("palier1", 70_000))].into()
    }

    fn through(interface: u32, next_hop: IpAddr, mtu: Option<u32>) -> Way {
        Way::Route { interface, next_hop, mtu }
    }

    fn interfaces() -> [String; 2] {
        ["palier0".into(), "palier1".into()]
    }

    fn decide(way: &Way, neighbors: &Neighbors) -> Hop {
        hop(way, &links(), neighbors, &interfaces())
    }

    fn neighbor(state: NeighbourState) -> Neighbor {
        Neighbor { state, mac: Some(MAC), is_managed: false }
    }

    #[test]
    fn a_link_address_is_used_while_the_kernel_would_use_it() {
        use NeighbourState as S;
        let way = through(7, ADDRESS, None);
        for state in [S::Reachable, S::Stale, S::Delay, S::Probe, S::Permanent, S::Noarp] {
            let hop = decide(&way, &[((7, ADDRESS), neighbor(state))].into());
            assert_eq!(hop, Hop::Reachable { port: 0, mac: MAC, mtu: 1500 }, "{state}");
        }
        let unresolved = Hop::Unresolved { port: 0, mtu: 1500, next_hop: ADDRESS };
        for state in [S::Incomplete, S::Failed, S::None] {
            let hop = decide(&way, &[((7, ADDRESS), neighbor(state))].into());
            assert_eq!(hop, unresolved, "{state}");
        }
        let elsewhere = [((3, ADDRESS), neighbor(S::Reachable))].into();
        assert_eq!(decide(&way, &elsewhere), unresolved);
        let without_mac = Neighbor { mac: None, ..neighbor(S::Reachable) };
        assert_eq!(decide(&way, &[((7, ADDRESS), without_mac)].into()), unresolved);
    }

    #[test]
    fn a_gateways_link_address_counts_not_the_nodes() {
        let way = through(7, GATEWAY, None);
        let node = [((7, ADDRESS), neighbor(NeighbourState::Reachable))].into();
        let unresolved = Hop::Unresolved { port: 0, mtu: 1500, next_hop: GATEWAY };
        assert_eq!(decide(&way, &node), unresolved);
        let gateway = [((7, GATEWAY), neighbor(NeighbourState::Reachable))].into();
        assert_eq!(decide(&way, &gateway), Hop::Reachable { port: 0, mac: MAC, mtu: 1500 });
        assert_eq!(next_hop(&way, &links(), &interfaces()), Some((7, GATEWAY)));
    }

    #[test]
    fn the_smaller_of_the_routes_and_the_links_mtu_holds() {
        for (interface, route, expected) in [
            (7, None, 1500),
            (7, Some(1400), 1400),
            (7, Some(9000), 1500),
            (7, Some(0), 1500),
            (8, None, 65_535),
            (8, Some(1400), 1400),
        ] {
            let hop = decide(&through(interface, ADDRESS, route), &Neighbors::new());
            let port = interface as usize - 7;
            assert_eq!(hop, Hop::Unresolved { port, mtu: expected, next_hop: ADDRESS });
        }
    }

    #[test]
    fn a_route_that_leaves_elsewhere_is_none() {
        for (way, why) in [
            (through(3, ADDRESS, None), "leaves by eth9, not by palier0 or palier1"),
            (through(5, ADDRESS, None), "interface 5 is gone"),
            (Way::Nowhere("Network is unreachable".into()), "Network is unreachable"),
        ] {
            assert_eq!(decide(&way, &Neighbors::new()), Hop::NoRoute(why.into()));
            assert_eq!(next_hop(&way, &links(), &interfaces()), None);
        }
    }
}

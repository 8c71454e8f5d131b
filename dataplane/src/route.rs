//! The ways to the nodes: from the kernel's next hops, or the fixed one, to header templates.

use std::collections::BTreeMap;
use std::net::IpAddr;

use forward::{Path, PathSettings, Paths, Tables, Wire};

use crate::neighbor::{Hop, Hops};

/// How long the fabric's word about a tunnel's MTU counts, in milliseconds (RFC 1191 section 6.3).
const MTU_LIFE: u64 = 10 * 60 * 1000;

/// A port, as a way out.
#[derive(Clone, Debug)]
pub(crate) struct Exit {
    pub(crate) wire: Wire,
    pub(crate) mtu: u16,
    pub(crate) checksum_offload: bool,
}

/// What the ways to the nodes are made from.
pub(crate) struct Routes {
    exits: Vec<Exit>,
    /// Every packet goes there, by the first port, whatever the kernel says.
    fixed: Option<[u8; 6]>,
    hops: Hops,
    /// Tunnel MTUs that the fabric has told, and until when they count.
    lowered: BTreeMap<IpAddr, (u16, u64)>,
}

impl Routes {
    pub(crate) fn new(exits: Vec<Exit>, fixed: Option<[u8; 6]>) -> Self {
        Self { exits, fixed, hops: Hops::default(), lowered: BTreeMap::new() }
    }

    /// Takes in what the kernel says now.
    pub(crate) fn follow(&mut self, hops: Hops) {
        self.hops = hops;
    }

    /// Takes in what the fabric says of packets that were tunnelled to a node. Returns whether it
    /// changes anything.
    pub(crate) fn lower(&mut self, node: IpAddr, mtu: u16, millis: u64) -> bool {
        let mtu = mtu.max(lowest(node, false)); // less changes no path
        let known = self.lowered.get(&node).map(|&(known, _)| known);
        if known.is_some_and(|known| known < mtu) {
            return false; // what is smaller counts until its time is over
        }
        self.lowered.insert(node, (mtu, millis + MTU_LIFE));
        known != Some(mtu)
    }

    /// Forgets what the fabric said too long ago. Returns whether that changes anything.
    pub(crate) fn expire(&mut self, millis: u64) -> bool {
        let before = self.lowered.len();
        self.lowered.retain(|_, &mut (_, until)| until > millis);
        self.lowered.len() < before
    }

    /// The ways to the nodes of these tables.
    pub(crate) fn paths(&self, tables: &Tables) -> Paths {
        Paths::new(|node, ipv6| {
            let (source, destination) = tables.tunnel(node, ipv6)?;
            self.path(source, destination, ipv6)
        })
        .with_sources(&tables.tunnel_sources)
    }

    /// The way of inner packets of one family.
    fn path(&self, source: IpAddr, destination: IpAddr, ipv6: bool) -> Option<Path> {
        let (port, next_hop_mac, mtu) = self.next_hop(destination)?;
        let exit = self.exits.get(port)?;
        let path = Path::new(&PathSettings {
            source,
            destination,
            source_mac: exit.wire.mac,
            next_hop_mac,
            vlan: exit.wire.vlan,
            port: port as u8,
            mtu: mtu.min(exit.mtu),
            checksum_offload: exit.checksum_offload,
        });
        let path = path.ok()?;
        let lowered = self.lowered.get(&destination).map(|&(mtu, _)| mtu);
        let lowest = lowest(destination, ipv6);
        Some(lowered.map_or(path, |mtu| path.with_mtu_at_most(mtu.max(lowest))))
    }

    /// Port, link address if known, and MTU of the way to an address.
    fn next_hop(&self, destination: IpAddr) -> Option<(usize, Option<[u8; 6]>, u16)> {
        if self.fixed.is_some() {
            return Some((0, self.fixed, u16::MAX));
        }
        // A node of the Snapshot that came just now: packets wait for the kernel's word.
        let Some(hop) = self.hops.get(&destination) else { return Some((0, None, u16::MAX)) };
        match *hop {
            Hop::Reachable { port, mac, mtu } => Some((port, Some(mac), mtu)),
            Hop::Unresolved { port, mtu, .. } => Some((port, None, mtu)),
            Hop::NoRoute(_) => None,
        }
    }

    /// Whether packets to this address can leave.
    pub(crate) fn is_reachable(&self, destination: IpAddr) -> bool {
        self.next_hop(destination).is_some_and(|(_, mac, _)| mac.is_some())
    }
}

/// The least that a tunnel's MTU is lowered to. Clients are never told of less than 576 bytes of IPv4
/// and 1280 of IPv6, so a packet of that and its outer header pass: below, they would be refused what
/// they were told to send.
fn lowest(node: IpAddr, ipv6: bool) -> u16 {
    let inner = if ipv6 { 1280 } else { 576 };
    let overhead = if node.is_ipv4() { 20 } else { 40 };
    inner + overhead
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const OWN: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 132)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x132)),
    ];
    const NODE: [IpAddr; 2] = [
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 140)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x140)),
    ];

    /// By one port, to one next hop.
    fn fixed(mtu: u16) -> Routes {
        let wire = Wire { mac: [2, 0, 0, 0, 0, 1], vlan: None };
        let exit = Exit { wire, mtu, checksum_offload: false };
        Routes::new(vec![exit], Some([2, 0, 0, 0, 0, 2]))
    }

    /// The longest packets of each family that fit whole into the tunnels over IPv4 and IPv6.
    fn fitting(routes: &Routes) -> [[u16; 2]; 2] {
        [0, 1].map(|outer| {
            [false, true]
                .map(|ipv6| routes.path(OWN[outer], NODE[outer], ipv6).unwrap().max_inner())
        })
    }

    #[test]
    fn packets_to_a_node_wait_until_the_kernel_has_said_where_it_is() {
        let mut routes = Routes::new(Vec::new(), None);
        let node = IpAddr::from([192, 0, 2, 140]);
        assert_eq!(routes.next_hop(node), Some((0, None, u16::MAX)));
        assert!(!routes.is_reachable(node));
        routes.follow(Hops::from([(node, Hop::NoRoute("unreachable".into()))]));
        assert_eq!(routes.next_hop(node), None);
    }

    #[test]
    fn the_fabrics_word_counts_for_ten_minutes_and_the_smallest_wins() {
        let mut routes = Routes::new(Vec::new(), None);
        let node = IpAddr::from([192, 0, 2, 140]);
        assert!(routes.lower(node, 1400, 0));
        assert!(!routes.lower(node, 1450, 1));
        assert!(!routes.lower(node, 1400, 2));
        assert!(routes.lower(node, 100, 3));
        assert_eq!(routes.lowered[&node].0, 576 + 20);
        assert!(!routes.lower(node, 50, 4));
        assert!(!routes.expire(MTU_LIFE));
        assert!(routes.expire(MTU_LIFE + 4));
    }

    #[test]
    fn a_lowered_tunnel_takes_the_least_that_clients_of_its_inner_family_are_told() {
        for (told, expected) in [
            (1400, [[1380, 1380], [1360, 1360]]),
            (1320, [[1300, 1300], [1280, 1280]]),
            (1319, [[1299, 1299], [1279, 1280]]),
            (1300, [[1280, 1280], [1260, 1280]]),
            (1299, [[1279, 1280], [1259, 1280]]),
            (616, [[596, 1280], [576, 1280]]),
            (596, [[576, 1280], [576, 1280]]),
            (68, [[576, 1280], [576, 1280]]),
        ] {
            let mut routes = fixed(1500);
            assert_eq!(fitting(&routes), [[1480, 1480], [1460, 1460]]);
            assert!(NODE.into_iter().all(|node| routes.lower(node, told, 0)));
            assert_eq!(fitting(&routes), expected, "told {told}");
            assert!(routes.expire(MTU_LIFE));
            assert_eq!(fitting(&routes), [[1480, 1480], [1460, 1460]]);
        }
    }

    #[test]
    fn what_the_fabric_says_raises_no_mtu() {
        let mut routes = fixed(1280);
        assert!(NODE.into_iter().all(|node| routes.lower(node, 9000, 0)));
        assert_eq!(fitting(&routes), [[1260, 1260], [1240, 1240]]);
        assert!(NODE.into_iter().all(|node| routes.lower(node, 68, 0)));
        assert_eq!(fitting(&routes), [[576, 1260], [576, 1240]]);
    }
}

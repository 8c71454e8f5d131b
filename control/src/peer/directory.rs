//! Who there is: the part of the site file that peers are known by.

use std::net::{IpAddr, SocketAddr};

use config::Config;

use crate::args::Role;

/// The nodes that a node speaks with: as an L4 node the others that forward and proxy, as an L7 node the L4
/// nodes, as one that serves zones the others that do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// This node.
    pub node: String,
    /// All others, L4 nodes first, in the order of the file.
    pub peers: Vec<Peer>,
}

/// Another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name, which its certificate bears.
    pub name: String,
    /// Its role: what an L4 node says of node states is believed, an L7 node only listens. Nodes that serve
    /// zones believe each other.
    pub role: Role,
    /// Where it listens, in the order in which it is tried; at least one.
    pub addresses: Vec<SocketAddr>,
}

impl Directory {
    /// The directory of the node `node`; none if the site file has no `peer_port`.
    pub fn of(config: &Config, node: &str, role: Role) -> Option<Self> {
        let peering = config.site.peering.as_ref()?;
        let peer = |name: &str, role: Role, addresses: &[IpAddr]| Peer {
            name: name.to_owned(),
            role,
            addresses: addresses.iter().map(|&at| (at, role.peer_port(peering)).into()).collect(),
        };
        let l4 = config.l4.iter().map(|one| peer(&one.name, Role::L4, &one.addresses));
        let l7 = config.l7.iter().map(|one| peer(&one.name, Role::L7, &one.addresses));
        let peers: Vec<_> = match role {
            Role::L4 => l4.chain(l7).filter(|peer| peer.name != node).collect(),
            Role::L7 => l4.collect(),
            Role::Dns => {
                let all = config.dns.iter().filter(|one| one.name != node);
                all.map(|one| peer(&one.name, Role::Dns, &one.addresses)).collect()
            }
        };
        Some(Self { node: node.to_owned(), peers })
    }

    /// Whether what a node says of node states is believed.
    pub fn is_believed(&self, name: &str) -> bool {
        self.peer(name).is_some_and(|peer| peer.is_believed())
    }

    /// The other node of this name.
    pub fn peer(&self, name: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.name == name)
    }
}

impl Peer {
    /// Whether what it says of node states is believed.
    pub fn is_believed(&self) -> bool {
        match self.role {
            Role::L4 | Role::Dns => true,
            Role::L7 => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use api::{HashKey, IdleTimes, Limits};
    use config::{L4, L7, Peering, Reload, Site, Times};

    use super::*;

    fn config(peering: Option<Peering>) -> Config {
        let l4 = |name: &str, addresses: &[&str]| L4 {
            name: name.into(),
            addresses: addresses.iter().map(|a| a.parse().unwrap()).collect(),
            tunnel_sources: Vec::new(),
            nics: None,
            checks: Vec::new(),
            router_id: None,
        };
        Config {
            site: Site {
                name: "par1".into(),
                hash_key: "000102030405060708090a0b0c0d0e0f".parse::<HashKey>().unwrap(),
                peering,
                reload: Reload::Manual,
                management: Vec::new(),
                times: Times::default(),
                limits: Limits::default(),
                idle: IdleTimes::default(),
            },
            bgp: None,
            routers: Vec::new(),
            l4: vec![
                l4("l4-1", &["192.0.2.132"]),
                l4("l4-2", &["192.0.2.133", "2001:db8::285"]),
                l4("l4-3", &["2001:db8::286"]),
            ],
            l7: vec![L7 {
                name: "l7-1".into(),
                index: 1,
                addresses: vec!["192.0.2.140".parse().unwrap()],
                weight: 1,
                tunnel: None,
                workers: None,
                checks: Vec::new(),
            }],
            services: Vec::new(),
            proxy: config::Proxy::default(),
            pools: Vec::new(),
            frontends: Vec::new(),
            dns: Vec::new(),
            resolvers: Vec::new(),
            zones: Vec::new(),
        }
    }

    #[test]
    fn it_lists_the_other_nodes_at_the_port_of_the_file() {
        let config = config(Some(Peering { port: 7400, pki: "/etc/palier/pki".into() }));
        let directory = Directory::of(&config, "l4-1", Role::L4).unwrap();
        assert_eq!(directory.node, "l4-1");
        let peers: Vec<_> = directory.peers.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(peers, ["l4-2", "l4-3", "l7-1"]);
        let expected = ["192.0.2.133:7400", "[2001:db8::285]:7400"].map(|a| a.parse().unwrap());
        assert_eq!(directory.peer("l4-2").unwrap().addresses, expected);
        assert_eq!(directory.peer("l4-1"), None);
        assert_eq!(
            directory.peer("l7-1").unwrap().addresses,
            ["192.0.2.140:7401".parse().unwrap()]
        );
        assert!(directory.is_believed("l4-2") && !directory.is_believed("l7-1"));
    }

    #[test]
    fn an_l7_node_speaks_with_l4_nodes() {
        let config = config(Some(Peering { port: 7400, pki: "/etc/palier/pki".into() }));
        let directory = Directory::of(&config, "l7-1", Role::L7).unwrap();
        let peers: Vec<_> = directory.peers.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(peers, ["l4-1", "l4-2", "l4-3"]);
    }

    #[test]
    fn without_a_port_there_is_none() {
        assert_eq!(Directory::of(&config(None), "l4-1", Role::L4), None);
    }
}

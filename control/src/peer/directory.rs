//! Who there is: the part of the site file that peers are known by.

use std::net::{IpAddr, SocketAddr};

use config::Config;

/// The L4 nodes of a site, as one of them sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// This node.
    pub node: String,
    /// All others, in the order of the file.
    pub peers: Vec<Peer>,
}

/// Another L4 node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its name, which its certificate bears.
    pub name: String,
    /// Where it listens, in the order in which it is tried; at least one.
    pub addresses: Vec<SocketAddr>,
}

impl Directory {
    /// The directory of the L4 node `node`; none if the site file has no `peer_port`.
    pub fn of(config: &Config, node: &str) -> Option<Self> {
        let port = config.site.peering.as_ref()?.port;
        let at = |&address: &IpAddr| SocketAddr::new(address, port);
        let peers = config.l4.iter().filter(|l4| l4.name != node).map(|l4| Peer {
            name: l4.name.clone(),
            addresses: l4.addresses.iter().map(at).collect(),
        });
        Some(Self { node: node.to_owned(), peers: peers.collect() })
    }

    /// The other node of this name.
    pub fn peer(&self, name: &str) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.name == name)
    }
}

#[cfg(test)]
mod tests {
    use api::{HashKey, IdleTimes, Limits};
    use config::{L4, Peering, Reload, Site, Times};

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
            l7: Vec::new(),
            services: Vec::new(),
        }
    }

    #[test]
    fn it_lists_the_other_nodes_at_the_port_of_the_file() {
        let config = config(Some(Peering { port: 7400, pki: "/etc/palier/pki".into() }));
        let directory = Directory::of(&config, "l4-1").unwrap();
        assert_eq!(directory.node, "l4-1");
        let peers: Vec<_> = directory.peers.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(peers, ["l4-2", "l4-3"]);
        let expected = ["192.0.2.133:7400", "[2001:db8::285]:7400"].map(|a| a.parse().unwrap());
        assert_eq!(directory.peer("l4-2").unwrap().addresses, expected);
        assert_eq!(directory.peer("l4-1"), None);
    }

    #[test]
    fn without_a_port_there_is_none() {
        assert_eq!(Directory::of(&config(None), "l4-1"), None);
    }
}

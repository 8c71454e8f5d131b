//! Namespaces and what joins them.
//!
//! ```text
//!  client-1 ...            outside: 203.0.113.0/24
//!      |
//!  ==== outside (bridge) ====   with BGP an internet router on it stands between clients and routers
//!      |
//!  router-1 ...            VIPs -> the L4 nodes, by hash of the 5-tuple
//!      |
//!  ==== fabric (bridge) ====     192.0.2.128/25
//!    |          |
//!  l4-1 ...   l7-1 ...     L7 nodes answer through the routers: direct server return
//!               |
//!            server-1 ...   on the fabric, too
//! ```
//! Both bridges are in a namespace of their own, `switch`.

use crate::address::{self, Addresses, FABRIC_LENGTHS, OUTSIDE_LENGTHS, VIP, VIP6};
use crate::program::ip_batch;
use crate::wire::L4Wire;
use crate::{Error, Namespace, Wire};

/// How many of what.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) routers: usize,
    pub(crate) l4: usize,
    pub(crate) l7: usize,
    pub(crate) clients: usize,
    pub(crate) servers: usize,
    pub(crate) wire: Wire,
    /// Whether there is an internet router.
    pub(crate) internet: bool,
    /// Whether VIPs are on `lo` of the L7 nodes from the first: no control puts them there.
    pub(crate) vips: bool,
}

/// The namespaces of a lab, wired and addressed; nothing runs in them yet.
pub(crate) struct Topology {
    pub(crate) routers: Vec<Namespace>,
    pub(crate) l4: Vec<Namespace>,
    pub(crate) l7: Vec<Namespace>,
    pub(crate) clients: Vec<Namespace>,
    pub(crate) servers: Vec<Namespace>,
    /// None or one.
    pub(crate) internet: Vec<Namespace>,
}

/// Settings of every namespace. Addresses are used at once (no duplicate address detection), the
/// VIP is a good source whatever the route, and IPv6 addresses outlive an interface's restart.
pub(crate) const COMMON: [(&str, &str); 6] = [
    ("net.ipv6.conf.all.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_dad", "0"),
    ("net.ipv6.conf.default.accept_ra", "0"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
    ("net.ipv6.conf.default.keep_addr_on_down", "1"),
];
pub(crate) const ROUTER: [(&str, &str); 6] = [
    // Client and next hop may be on one link: that is no reason to tell the client.
    ("net.ipv4.conf.all.send_redirects", "0"),
    ("net.ipv4.conf.default.send_redirects", "0"),
    ("net.ipv4.ip_forward", "1"),
    ("net.ipv6.conf.all.forwarding", "1"),
    ("net.ipv4.fib_multipath_hash_policy", "1"),
    ("net.ipv6.fib_multipath_hash_policy", "1"),
];
/// Switches have no addresses, and L4 nodes have them on the exception interface alone.
const SILENT: [(&str, &str); 3] = [
    ("net.ipv6.conf.default.disable_ipv6", "1"),
    ("net.ipv4.conf.all.arp_ignore", "1"),
    ("net.ipv4.conf.default.arp_ignore", "1"),
];
/// VIPs on `lo` are no reason to answer ARP for them.
const L7: [(&str, &str); 2] =
    [("net.ipv4.conf.all.arp_ignore", "1"), ("net.ipv4.conf.all.arp_announce", "2")];

/// What the routers' interface to the clients carries.
const OUTSIDE_MTU: u16 = 1500;

impl Topology {
    /// Makes it.
    pub(crate) fn build(lab: &str, size: Size) -> Result<Self, Error> {
        let group = |role: &str, count: usize| -> Vec<Namespace> {
            (1..=count).map(|n| Namespace::new(format!("{lab}-{role}-{n}"))).collect()
        };
        let topology = Self {
            routers: group("router", size.routers),
            l4: group("l4", size.l4),
            l7: group("l7", size.l7),
            clients: group("client", size.clients),
            servers: group("server", size.servers),
            internet: group("internet", usize::from(size.internet)),
        };
        let switch = Namespace::new(format!("{lab}-switch"));

        let all = topology.all().chain([&switch]);
        let lines: String = all.map(|ns| format!("netns add {}\n", ns.name())).collect();
        ip_batch(None, &lines)?;
        topology.all().chain([&switch]).try_for_each(|ns| ns.sysctl(&COMMON))?;
        let forwarding = topology.routers.iter().chain(&topology.internet);
        forwarding.clone().try_for_each(|ns| ns.sysctl(&ROUTER))?;
        topology.l4.iter().chain([&switch]).try_for_each(|ns| ns.sysctl(&SILENT))?;
        if size.vips {
            topology.l7.iter().try_for_each(|ns| ns.sysctl(&L7))?;
        }

        topology.plug(&switch, size.wire)?;
        for (index, namespace) in topology.routers.iter().enumerate() {
            let outside = address::router_outside(index + 1);
            let fabric = address::router_fabric(index + 1);
            let lines = interface("outside", outside, OUTSIDE_LENGTHS, OUTSIDE_MTU)
                + &interface("fabric", fabric, FABRIC_LENGTHS, size.wire.mtu());
            namespace.ip(&lines)?;
        }
        for (index, namespace) in topology.clients.iter().enumerate() {
            let lines = interface("eth0", address::client(index + 1), OUTSIDE_LENGTHS, OUTSIDE_MTU)
                + &match size.internet {
                    false => default_route(size.routers, address::router_outside, ["", ""]),
                    true => default_route(1, |_| address::INTERNET, ["", ""]),
                };
            namespace.ip(&lines)?;
        }
        for namespace in &topology.internet {
            let lines = interface("eth0", address::INTERNET, OUTSIDE_LENGTHS, OUTSIDE_MTU)
                + &default_route(size.routers, address::router_outside, ["", ""]);
            namespace.ip(&lines)?;
        }
        for (index, namespace) in topology.l7.iter().enumerate() {
            let vips = format!("addr add {VIP}/32 dev lo\naddr add {VIP6}/128 dev lo nodad\n");
            let lines = interface("eth0", address::l7(index + 1), FABRIC_LENGTHS, size.wire.mtu())
                + if size.vips { &vips } else { "" }
                + &default_route(
                    size.routers,
                    address::router_fabric,
                    size.wire.answers(!size.vips),
                );
            namespace.ip(&lines)?;
        }
        for (index, namespace) in topology.servers.iter().enumerate() {
            let own = address::server(index + 1);
            namespace.ip(&interface("eth0", own, FABRIC_LENGTHS, size.wire.mtu()))?;
        }
        for (index, namespace) in topology.l4.iter().enumerate() {
            L4Wire::new(index + 1, size).build(namespace)?;
        }
        Ok(topology)
    }

    fn all(&self) -> impl Iterator<Item = &Namespace> {
        let edge = [&self.routers, &self.l4, &self.l7, &self.internet];
        edge.into_iter().chain([&self.clients, &self.servers]).flatten()
    }

    /// The two bridges, and a cable from one of them to each node.
    fn plug(&self, switch: &Namespace, wire: Wire) -> Result<(), Error> {
        let mtu = wire.mtu();
        let mut lines = String::new();
        for bridge in ["outside", "fabric"] {
            lines += &format!(
                "link add {bridge} type bridge mcast_snooping 0 stp_state 0 forward_delay 0\n\
                 link set {bridge} up\n"
            );
        }
        let mut cable = |port: String, mtu, bridge, namespace: &Namespace, interface| {
            lines += &format!(
                "link add {port} mtu {mtu} type veth peer name {interface} mtu {mtu} netns {}\n\
                 link set {port} master {bridge} up\n",
                namespace.name()
            );
        };
        for (index, namespace) in self.routers.iter().enumerate() {
            cable(format!("out-{}", index + 1), OUTSIDE_MTU, "outside", namespace, "outside");
            cable(format!("router-{}", index + 1), mtu, "fabric", namespace, "fabric");
        }
        for (index, namespace) in self.clients.iter().enumerate() {
            cable(format!("client-{}", index + 1), OUTSIDE_MTU, "outside", namespace, "eth0");
        }
        for namespace in &self.internet {
            cable("internet".into(), OUTSIDE_MTU, "outside", namespace, "eth0");
        }
        for (index, namespace) in self.l4.iter().enumerate() {
            cable(format!("l4-{}", index + 1), mtu, "fabric", namespace, wire.cable());
        }
        for (index, namespace) in self.l7.iter().enumerate() {
            cable(format!("l7-{}", index + 1), mtu, "fabric", namespace, "eth0");
        }
        for (index, namespace) in self.servers.iter().enumerate() {
            cable(format!("server-{}", index + 1), mtu, "fabric", namespace, "eth0");
        }
        switch.ip(&lines)?;
        // A veth hands on packets whose checksum is left for a NIC to fill in. What reaches an L4
        // node is complete, as it would be on a wire.
        for index in 0..self.l4.len() {
            let port = format!("l4-{}", index + 1);
            switch.run("ethtool", &["-K", &port, "tx", "off", "tso", "off", "gso", "off"])?;
        }
        Ok(())
    }
}

/// An interface with the addresses and the MAC address of the plan.
pub(crate) fn interface(name: &str, addresses: Addresses, lengths: [u8; 2], mtu: u16) -> String {
    let Addresses { v4, v6 } = addresses;
    let [length4, length6] = lengths;
    format!(
        "link set lo up\n\
         link set {name} address {} mtu {mtu} up\n\
         addr replace {v4}/{length4} dev {name}\n\
         addr replace {v6}/{length6} dev {name} nodad\n",
        addresses.mac()
    )
}

/// Default routes of both families through all routers; `metrics` are further attributes of each.
pub(crate) fn default_route(
    routers: usize,
    address: impl Fn(usize) -> Addresses,
    metrics: [&str; 2],
) -> String {
    let via = |family: usize| -> String {
        (1..=routers).map(|n| format!(" nexthop via {}", address(n).both()[family])).collect()
    };
    format!(
        "route replace 0.0.0.0/0 {}{}\nroute replace ::/0 {}{}\n",
        metrics[0],
        via(0),
        metrics[1],
        via(1)
    )
}

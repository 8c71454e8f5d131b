use std::net::IpAddr;
use std::path::Path;
use std::process::Command;

use crate::address::{self, Addresses, VIP_PREFIXES};
use crate::builder::Bgp;
use crate::program::run;
use crate::{Bird, Error, Mac, Namespace};

/// An edge router: it spreads what is for a VIP over next hops, by a hash of the 5-tuple.
///
/// The hash of a packet that a socket of this machine sent is the one the socket carries, which Linux
/// renews when it retransmits after a time-out: such a flow may come to another next hop, as
/// it may behind real routers when their paths change. Frames of a [`RawSocket`](crate::RawSocket)
/// have only their 5-tuple.
#[derive(Debug)]
pub struct Router {
    number: usize,
    namespace: Namespace,
    bird: Option<Bird>,
    vips: [IpAddr; 2],
}

impl Router {
    pub(crate) fn new(number: usize, namespace: Namespace, vips: [IpAddr; 2]) -> Self {
        Self { number, namespace, bird: None, vips }
    }

    /// Its number, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Has it learn the VIPs by BGP.
    pub(crate) fn run_bird(&mut self, lab: &Path, l4: usize, bgp: Bgp) -> Result<(), Error> {
        let bird = Bird::new(self.number, self.namespace.clone(), lab, l4, bgp)?;
        bird.try_start()?;
        self.bird = Some(bird);
        Ok(())
    }

    /// Its BIRD.
    ///
    /// # Panics
    /// The lab was built without [`Builder::bgp`](crate::Builder::bgp).
    pub fn bird(&self) -> &Bird {
        self.bird.as_ref().expect("the lab has BGP")
    }

    pub(crate) fn has_bird(&self) -> bool {
        self.bird.is_some()
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its addresses on the fabric: the next hop of the nodes.
    pub fn fabric(&self) -> Addresses {
        address::router_fabric(self.number)
    }

    /// Its addresses towards the clients: their next hop.
    pub fn outside(&self) -> Addresses {
        address::router_outside(self.number)
    }

    /// Sends the VIPs to these L4 nodes, by number, in equal parts. With another set, the hash gives
    /// many flows another next hop, as it does on a router without resilient hashing.
    ///
    /// # Panics
    /// The route is refused.
    pub fn route_via(&self, l4: &[usize]) {
        let hops: Vec<Addresses> = l4.iter().map(|&number| address::l4(number)).collect();
        self.try_route_via(&hops).unwrap_or_else(|error| panic!("{error}"));
    }

    pub(crate) fn try_route_via(&self, hops: &[Addresses]) -> Result<(), Error> {
        let mut lines = String::new();
        for (family, prefix) in VIP_PREFIXES.iter().enumerate() {
            if hops.is_empty() {
                lines += &format!("route replace unreachable {prefix} metric 1024\n");
                continue;
            }
            lines += &format!("route replace {prefix} metric 1024");
            for hop in hops {
                lines += &format!(" nexthop via {}", hop.both()[family]);
            }
            lines += "\n";
        }
        self.namespace.ip(&lines)
    }

    /// How many next hops the VIPs have, of IPv4 and of IPv6.
    ///
    /// # Panics
    /// The routes cannot be read.
    pub fn paths(&self) -> [usize; 2] {
        match self.bird {
            Some(_) => self.vips.map(|vip| self.hops(vip).len()),
            None => VIP_PREFIXES.map(|prefix| self.hops_of(prefix).len()),
        }
    }

    /// The next hops of the route to exactly this VIP, in the kernel.
    ///
    /// # Panics
    /// The routes cannot be read.
    pub fn hops(&self, vip: IpAddr) -> Vec<IpAddr> {
        self.hops_of(&vip.to_string())
    }

    fn hops_of(&self, prefix: &str) -> Vec<IpAddr> {
        let family = if prefix.contains(':') { "-6" } else { "-4" };
        let routes = self.json(&[family, "route", "show", prefix]);
        let gateway = |hop: &serde_json::Value| {
            let via = hop.get("via").and_then(|via| via.get("host"));
            hop.get("gateway").or(via)?.as_str()?.parse().ok()
        };
        let hops = |route: &serde_json::Value| -> Vec<IpAddr> {
            match route.get("nexthops").and_then(serde_json::Value::as_array) {
                Some(hops) => hops.iter().filter_map(gateway).collect(),
                None => gateway(route).into_iter().collect(),
            }
        };
        let mut all: Vec<IpAddr> = routes.iter().flat_map(hops).collect();
        all.sort_unstable();
        all
    }

    /// The link address that it has learned for a neighbor.
    ///
    /// # Panics
    /// The neighbors cannot be read.
    pub fn neighbor(&self, address: IpAddr) -> Option<Mac> {
        let neighbors = self.json(&["neigh", "show", "to", &address.to_string()]);
        let text = neighbors.first()?.get("lladdr")?.as_str()?;
        let mut bytes = text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok());
        let mut mac = [0; 6];
        for byte in &mut mac {
            *byte = bytes.next()??;
        }
        Some(Mac(mac))
    }

    /// Forgets the link addresses of all neighbors: they are asked for anew.
    ///
    /// # Panics
    /// The neighbors cannot be read.
    pub fn forget_neighbors(&self) {
        // Not `neigh flush`: it fails where neighbors come back as fast as it deletes them.
        for neighbor in self.json(&["neigh", "show", "dev", "fabric"]) {
            if let Some(address) = neighbor.get("dst").and_then(serde_json::Value::as_str) {
                // One that the kernel has just dropped itself is forgotten, too.
                let _ = self.namespace.ip(&format!("neigh del {address} dev fabric\n"));
            }
        }
    }

    fn json(&self, args: &[&str]) -> Vec<serde_json::Value> {
        let mut command = Command::new("ip");
        command.args(["-json", "-n", self.namespace.name()]).args(args);
        let text = run(&mut command, "").unwrap_or_else(|error| panic!("{error}"));
        if text.trim().is_empty() {
            return Vec::new();
        }
        serde_json::from_str(&text).expect("ip -json prints a list")
    }
}

//! What routers at the network's edge have to keep out: tunnelled packets from outside.
//!
//! L7 nodes take tunnels from the addresses of L4 nodes, and sources can be forged: whoever could send
//! IP-in-IP from outside would pass a packet of any source behind every filter. So protocols 4 (IPv4 in
//! IP) and 41 (IPv6 in IP) to anything of the site are dropped where packets come in.

use std::fmt::{Display, Write};
use std::net::{IpAddr, Ipv4Addr};

use api::Prefix;

use crate::settings::Config;

/// Protocols of tunnels, IPv4 and IPv6 inside.
const TUNNELS: [u8; 2] = [4, 41];

/// The rules for a site's edge routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeAcl {
    /// Addresses of nodes, VIPs, tunnel sources; none inside another, IPv4 first.
    destinations: Vec<Prefix>,
}

impl EdgeAcl {
    /// Those of this site.
    pub fn new(config: &Config) -> Self {
        let l4 = config.l4.iter().flat_map(|node| &node.addresses);
        let l7 = config.l7.iter().flat_map(|node| &node.addresses);
        let nodes = l4.chain(l7).map(|&address| Prefix::from(address));
        let sources = config.l4.iter().flat_map(|node| node.tunnel_sources.clone());
        let vips = config.services.iter().flat_map(|service| service.vips.clone());
        let mut destinations: Vec<_> = nodes.chain(sources).chain(vips).collect();
        // A prefix sorts before what it contains: what is dropped as covered follows its cover.
        destinations.sort_unstable();
        destinations.dedup_by(|inner, outer| outer.overlaps(inner));
        Self { destinations }
    }

    /// One rule a line, for any router: `drop protocol 4 from outside to 192.0.2.140`.
    pub fn rules(&self) -> Vec<String> {
        let rule = |to: &Prefix| {
            let to = *to;
            TUNNELS.map(|protocol| format!("drop protocol {protocol} from outside to {to}"))
        };
        self.destinations.iter().flat_map(rule).collect()
    }

    /// The same for a Linux router, `nft -f`: name the outside interfaces in its first line.
    pub fn nftables(&self) -> String {
        let mut text = String::from("define outside = { \"eth0\" }\n\ntable inet palier_edge {\n");
        let mut rules = String::new();
        for (set, kind, header, ipv6) in
            [("site4", "ipv4_addr", "ip", false), ("site6", "ipv6_addr", "ip6", true)]
        {
            let elements: Vec<_> = self.of_family(ipv6).map(Prefix::to_string).collect();
            if elements.is_empty() {
                continue;
            }
            let elements = elements.join(", ");
            line(
                &mut text,
                format!("    set {set} {{\n        type {kind}\n        flags interval"),
            );
            line(&mut text, format!("        elements = {{ {elements} }}\n    }}"));
            line(
                &mut rules,
                format!(
                    "        iifname $outside {header} daddr @{set} meta l4proto {{ 4, 41 }} drop"
                ),
            );
        }
        line(&mut text, "    chain forward {\n        type filter hook forward priority filter");
        text + &rules + "    }\n}\n"
    }

    /// The same in the manner of Cisco IOS.
    pub fn ios(&self) -> String {
        let mut text = String::new();
        for (head, any, ipv6) in [
            ("ip access-list extended palier-edge", "ip", false),
            ("ipv6 access-list palier-edge6", "ipv6", true),
        ] {
            if self.of_family(ipv6).next().is_none() {
                continue;
            }
            line(&mut text, head);
            for to in self.of_family(ipv6) {
                for protocol in TUNNELS {
                    line(&mut text, format!(" deny {protocol} any {}", ios_destination(to)));
                }
            }
            line(&mut text, format!(" permit {any} any any"));
        }
        text
    }

    fn of_family(&self, ipv6: bool) -> impl Iterator<Item = &Prefix> {
        self.destinations.iter().filter(move |prefix| prefix.address().is_ipv6() == ipv6)
    }
}

/// IOS writes the bits of an IPv4 prefix that do not matter.
fn ios_destination(to: &Prefix) -> String {
    match to.address() {
        address if to.is_host() => format!("host {address}"),
        IpAddr::V6(_) => to.to_string(),
        IpAddr::V4(address) => {
            let any = u32::MAX.checked_shr(to.length().into()).unwrap_or(0);
            format!("{address} {}", Ipv4Addr::from_bits(any))
        }
    }
}

fn line(text: &mut String, line: impl Display) {
    writeln!(text, "{line}").expect("a String takes everything");
}

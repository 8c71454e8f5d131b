//! Several sites, each a lab of its own, with an internet between them.
//!
//! ```text
//!             client                100.64.0.2
//!               |
//!             world                 routes between the sites
//!            /     \
//!    internet       internet        100.64.1.2, 100.64.2.2
//!     |    \         |    \
//!   dns-1   lab 1  dns-2   lab 2    each with routers, an L4 and an L7 node, a server, VIPs of its own
//! ```
//! The addresses inside of the labs are the same: nobody outside sees more of them than their VIPs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use crate::address::{Addresses, INTERNET};
use crate::builder::Bfd;
use crate::dns::Dns;
use crate::program::ip_batch;
use crate::resolver::Resolver;
use crate::topology::{COMMON, ROUTER};
use crate::{Builder, Client, Error, Lab, Namespace, Router, cleanup};

/// All of it.
#[derive(Debug)]
pub struct Sites {
    dns: Vec<Dns>,
    client: Client,
    world: Namespace,
    sites: Vec<Lab>,
}

/// The zone that the dns nodes serve.
pub const ZONE: &str = "example.org";

/// How long it takes at most until the checks have seen that a site is gone: what is left of an interval, two
/// short ones, and the last timeout; and something for a busy machine.
pub const SEEN: Duration = Duration::from_millis(500 + 2 * 250 + 250 + 250);
/// How long an answer lives at most: three failures with half a second between two of them, in whole seconds.
pub const LIVES: Duration = Duration::from_secs(1);

/// The checks' pace: how soon a site's failure is seen.
const CHECKS: &str = "check.http = { path = \"/healthcheck\", port = 80 }\n\
    check.interval = \"500ms\"\ncheck.fast_interval = \"250ms\"\ncheck.retry_delay = \"250ms\"\n\
    check.timeout = \"250ms\"\ncheck.fall = 3\ncheck.rise = 2\n";

impl Sites {
    /// Brings so many sites up: 1 to 4.
    ///
    /// # Errors
    /// A part did not come up. Nothing is left behind.
    pub fn try_start(count: usize, builder: &Builder) -> Result<Self, Error> {
        assert!((1..=4).contains(&count), "1 to 4 sites");
        let mut sites = Vec::new();
        for number in 1..=count {
            let (v4, v6) = vips(number);
            let lab = builder.clone().routers(1).l4(1).l7(1).servers(1).bfd(Bfd::CALM);
            sites.push(lab.vips(v4, v6).try_start()?);
        }
        let lab = sites[0].name().to_owned();
        let (world, client) = (named(&lab, "world"), named(&lab, "asker"));
        let nodes: Vec<_> = (1..=count).map(|n| named(&lab, &format!("dns-{n}"))).collect();
        let all: Vec<_> = [&world, &client].into_iter().chain(&nodes).cloned().collect();
        let lines: String = all.iter().map(|ns| format!("netns add {}\n", ns.name())).collect();
        ip_batch(None, &lines)?;
        all.iter().try_for_each(|ns| ns.sysctl(&COMMON))?;
        world.sysctl(&ROUTER)?;

        cable(&world, "client", 0, &client, "eth0")?;
        client.ip(&default_via(0))?;
        for (index, (site, node)) in sites.iter().zip(&nodes).enumerate() {
            join(&world, site, node, index + 1, count)?;
        }
        let mut all = Self { dns: Vec::new(), client: Client::new(1, client), world, sites };
        all.serve(nodes)?;
        Ok(all)
    }

    /// The site file of the dns nodes, their zone, and the nodes.
    fn serve(&mut self, namespaces: Vec<Namespace>) -> Result<(), Error> {
        let folder = self.sites[0].folder().join("dns");
        let numbers = 1..=self.sites.len();
        let mut text = String::from(
            "[site]\nname = \"world\"\nhash_key = \"6b6579206f6620746865206c61622121\"\n",
        );
        for number in numbers.clone() {
            let [v4, v6] = dns_addresses(number).both();
            text += &format!(
                "\n[[dns]]\nname = \"dns-{number}\"\nlisten = [\"{v4}\", \"{v6}\"]\nrate_limit = false\n"
            );
        }
        text += &format!("\n[[zone]]\nname = \"{ZONE}\"\nfile = \"{ZONE}.zone\"\n");
        // Each prefers its own site.
        let site = |number: usize| {
            let (v4, v6) = vips(number);
            format!("  {{ name = \"site-{number}\", addresses = [\"{v4}\", \"{v6}\"] }},\n")
        };
        let all: String = numbers.map(site).collect();
        text += &format!(
            "\n[[resolver]]\nname = \"www\"\nplugin = \"metafo\"\n{CHECKS}datacenters = [\n{all}]\n"
        );
        let zone = "@ SOA ns1 hostmaster 1 7200 1800 259200 5\n@ NS ns1\n@ NS ns2\n\
            ns1 A 100.64.1.6\nns2 A 100.64.2.6\nwww 10/1 DYNA metafo!www\n";
        let path = folder.join("site.toml");
        let write = || {
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(format!("{ZONE}.zone")), zone)?;
            std::fs::write(&path, &text)?;
            // It has the key in it.
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        };
        write().map_err(Error::system("the dns nodes' files"))?;
        for (number, namespace) in (1..).zip(namespaces) {
            let addresses = dns_addresses(number);
            let mut node = Dns::new(number, namespace, addresses, &folder, path.clone());
            node.start()?;
            self.dns.push(node);
        }
        Ok(())
    }

    /// As [`Self::try_start`].
    ///
    /// # Panics
    /// It did not come up; the message says why.
    pub fn start(count: usize) -> Self {
        Self::try_start(count, &Lab::new())
            .unwrap_or_else(|error| panic!("the sites did not come up: {error}"))
    }

    /// A site's lab, from 1.
    pub fn site(&self, number: usize) -> &Lab {
        &self.sites[number - 1]
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.sites.len()
    }

    /// The dns node `dns-NUMBER`, from 1.
    pub fn dns(&self, number: usize) -> &Dns {
        &self.dns[number - 1]
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The client's resolver, which asks the dns nodes.
    pub fn resolver(&self) -> Resolver {
        let servers = self.dns.iter().map(Dns::at).collect();
        Resolver::new(self.client.namespace().clone(), servers)
    }

    /// The site that has a VIP, from 1.
    pub fn of(&self, vip: IpAddr) -> Option<usize> {
        (1..=self.sites.len()).find(|&number| {
            let (v4, v6) = vips(number);
            vip == IpAddr::V4(v4) || vip == IpAddr::V6(v6)
        })
    }

    /// Cuts a whole site off the world, its dns node, too: nothing comes from there any more.
    ///
    /// # Panics
    /// The system refuses.
    pub fn cut(&self, number: usize) {
        self.cable(number, "down");
    }

    /// Joins it again.
    ///
    /// # Panics
    /// The system refuses.
    pub fn mend(&self, number: usize) {
        self.cable(number, "up");
        let lines = routes_of(number);
        self.world.ip(&lines).unwrap_or_else(|error| panic!("{error}"));
    }

    fn cable(&self, number: usize, state: &str) {
        let lines = format!("link set site-{number} {state}\n");
        self.world.ip(&lines).unwrap_or_else(|error| panic!("{error}"));
    }
}

impl Drop for Sites {
    fn drop(&mut self) {
        // Processes end before their namespaces, which go with the first lab.
        self.dns.clear();
        if let Some(first) = self.sites.first() {
            cleanup::remove_lab(first.name());
        }
    }
}

/// A site's VIPs, from 1.
pub fn vips_of(number: usize) -> [IpAddr; 2] {
    let (v4, v6) = vips(number);
    [v4.into(), v6.into()]
}

fn vips(number: usize) -> (Ipv4Addr, Ipv6Addr) {
    let last = octet(number);
    let v6 = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0xc633, 0x6400 | u16::from(last));
    (Ipv4Addr::new(198, 51, 100, last), v6)
}

fn named(lab: &str, what: &str) -> Namespace {
    Namespace::new(format!("{lab}-{what}"))
}

fn octet(number: usize) -> u8 {
    u8::try_from(number).expect("there are few sites")
}

/// The world's end of a cable, by the number of whoever is at its other end: 0 is the client.
fn world_end(number: usize) -> Addresses {
    Addresses::of(Ipv4Addr::new(100, 64, octet(number), 1))
}

/// The other end.
fn far_end(number: usize) -> Addresses {
    Addresses::of(Ipv4Addr::new(100, 64, octet(number), 2))
}

/// The internet router's address towards its site's dns node.
fn before_dns(number: usize) -> Addresses {
    Addresses::of(Ipv4Addr::new(100, 64, octet(number), 5))
}

fn dns_addresses(number: usize) -> Addresses {
    Addresses::of(Ipv4Addr::new(100, 64, octet(number), 6))
}

/// A cable from the world, addressed at both ends.
fn cable(
    world: &Namespace,
    port: &str,
    number: usize,
    other: &Namespace,
    interface: &str,
) -> Result<(), Error> {
    link(world, port, world_end(number), other, interface, far_end(number))
}

/// A cable between two namespaces: 4 addresses of IPv4, 4 of IPv6.
fn link(
    one: &Namespace,
    port: &str,
    own: Addresses,
    other: &Namespace,
    interface: &str,
    theirs: Addresses,
) -> Result<(), Error> {
    one.ip(&format!(
        "link set lo up\nlink add {port} type veth peer name {interface} netns {}\n\
         link set {port} up\naddr add {}/30 dev {port}\naddr add {}/126 dev {port} nodad\n",
        other.name(),
        own.v4,
        own.v6
    ))?;
    other.ip(&format!(
        "link set lo up\nlink set {interface} up\naddr add {}/30 dev {interface}\n\
         addr add {}/126 dev {interface} nodad\n",
        theirs.v4, theirs.v6
    ))
}

fn default_via(number: usize) -> String {
    let Addresses { v4, v6 } = world_end(number);
    format!("route replace default via {v4}\nroute replace ::/0 via {v6}\n")
}

/// What the world knows of a site: its VIPs, and its dns node.
fn routes_of(number: usize) -> String {
    let ((vip4, vip6), dns, via) = (vips(number), dns_addresses(number), far_end(number));
    format!(
        "route replace {vip4}/32 via {v4}\nroute replace {dns4}/32 via {v4}\n\
         route replace {vip6}/128 via {v6}\nroute replace {dns6}/128 via {v6}\n",
        v4 = via.v4,
        v6 = via.v6,
        dns4 = dns.v4,
        dns6 = dns.v6
    )
}

/// Joins a site to the world, and its dns node to the site.
fn join(
    world: &Namespace,
    site: &Lab,
    node: &Namespace,
    number: usize,
    count: usize,
) -> Result<(), Error> {
    let internet = site.internet();
    cable(world, &format!("site-{number}"), number, &internet, "world")?;
    world.ip(&routes_of(number))?;
    link(&internet, "dns", before_dns(number), node, "eth0", dns_addresses(number))?;
    let Addresses { v4, v6 } = before_dns(number);
    node.ip(&format!("route replace default via {v4}\nroute replace ::/0 via {v6}\n"))?;
    // Its default routes lead to its own routers: the rest of the world is told apart.
    let Addresses { v4, v6 } = world_end(number);
    let mut lines = format!(
        "route replace 100.64.0.0/16 via {v4}\nroute replace 2001:db8::6440:0/112 via {v6}\n"
    );
    for other in (1..=count).filter(|other| *other != number) {
        let (vip4, vip6) = vips(other);
        lines += &format!("route replace {vip4}/32 via {v4}\nroute replace {vip6}/128 via {v6}\n");
    }
    internet.ip(&lines)?;
    // And the site's routers send answers to the world to their internet router.
    let Addresses { v4, v6 } = INTERNET;
    let lines = format!(
        "route replace 100.64.0.0/16 via {v4}\nroute replace 2001:db8::6440:0/112 via {v6}\n"
    );
    site.routers().iter().map(Router::namespace).try_for_each(|router| router.ip(&lines))
}

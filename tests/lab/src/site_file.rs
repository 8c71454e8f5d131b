//! The lab's site file: one text, which every node of the lab reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::address::{self, TUNNEL_SOURCES};
use crate::backend::{AGENT_PORT, PLAIN_PORT, PROXIED_PORT};
use crate::bird::{ROUTER_AS, SITE_AS};
use crate::builder::{Bfd, Bgp, Builder};
use crate::server::{ECHO_PORT, HTTP_PORT, HTTPS_PORT};
use crate::wire::{EXCEPTION, L4Wire};
use crate::{Error, Flags};

/// What the lab's text is made of.
#[derive(Clone, Debug)]
pub(crate) struct SiteFile {
    path: PathBuf,
    routers: usize,
    l7: usize,
    servers: usize,
    /// Whether the first L4 node has prefixes for outer sources.
    tunnel_sources: bool,
    /// Wire and flags of each L4 node, by number.
    l4: BTreeMap<usize, (L4Wire, Flags)>,
    bgp: Option<Bgp>,
    vips: [IpAddr; 2],
    /// Folder of certificates, if the nodes speak with each other.
    pki: Option<PathBuf>,
}

impl SiteFile {
    pub(crate) fn new(folder: &Path, wanted: &Builder) -> Self {
        let &Builder { routers, l7, servers, bgp, tunnel_sources, vips, .. } = wanted;
        let path = folder.join("site.toml");
        let (l4, pki) = Default::default();
        Self { path, routers, l7, servers, l4, bgp, vips, pki, tunnel_sources }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn peering(&mut self, pki: PathBuf) {
        self.pki = Some(pki);
    }

    /// How an L4 node's dataplane is to be started from now on; whether that is new.
    pub(crate) fn l4(&mut self, number: usize, wire: L4Wire, flags: &Flags) -> bool {
        let before = self.l4.insert(number, (wire, flags.clone()));
        before.is_none_or(|(_, before)| before != *flags)
    }

    /// Puts the text in place, in one step.
    pub(crate) fn write(&self) -> Result<(), Error> {
        self.replace(&self.text())
    }

    /// Puts another text in place, in one step.
    pub(crate) fn replace(&self, text: &str) -> Result<(), Error> {
        let new = self.path.with_extension("new");
        let write = || -> io::Result<()> {
            fs::write(&new, text)?;
            // It has the key in it.
            fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
            fs::rename(&new, &self.path)
        };
        write().map_err(Error::system("the site file"))
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "[site]\nname = \"lab\"\nhash_key = \"6b6579206f6620746865206c61622121\"\n",
        );
        self.write_to(&mut text).expect("a String takes all");
        text
    }

    fn write_to(&self, out: &mut String) -> std::fmt::Result {
        if let Some(pki) = &self.pki {
            writeln!(out, "peer_port = 7400\npki = \"{}\"", pki.display())?;
        }
        if self.bgp.is_some() {
            writeln!(out, "\n[bgp]\nlocal_as = {SITE_AS}\ndrain_time = \"1s\"")?;
        }
        for number in 1..=self.routers {
            let [v4, v6] = address::router_fabric(number).both();
            writeln!(
                out,
                "\n[[router]]\nname = \"router-{number}\"\naddresses = [\"{v4}\", \"{v6}\"]"
            )?;
            let Some(Bgp { bfd }) = self.bgp else { continue };
            writeln!(out, "peer_as = {ROUTER_AS}")?;
            if let Some(Bfd { interval, multiplier }) = bfd {
                let interval = interval.as_millis();
                writeln!(
                    out,
                    "bfd = {{ interval = \"{interval}ms\", multiplier = {multiplier} }}"
                )?;
            }
        }
        for (number, (wire, flags)) in &self.l4 {
            let [v4, v6] = wire.addresses.both();
            let cores = flags.cores.clone().unwrap_or_else(|| default_cores(*number, flags.queues));
            writeln!(
                out,
                "\n[[l4]]\nname = \"l4-{number}\"\naddresses = [\"{v4}\", \"{v6}\"]\n\
                 nics = [\"{}\"]\ncores = \"{cores}\"\nexception = \"{EXCEPTION}\"",
                wire.port(flags.queues)
            )?;
            if self.tunnel_sources && *number == 1 {
                let [v4, v6] = TUNNEL_SOURCES;
                writeln!(out, "tunnel_sources = [\"{v4}\", \"{v6}\"]")?;
            }
            if let Some(connections) = flags.connections {
                writeln!(out, "connections = {connections}")?;
            }
            if flags.flow_details {
                writeln!(out, "flow_details = true")?;
            }
            if !flags.busy {
                writeln!(out, "idle = \"adaptive\"")?;
            }
        }
        for number in 1..=self.l7 {
            let [v4, v6] = address::l7(number).both();
            writeln!(
                out,
                "\n[[l7]]\nname = \"l7-{number}\"\nindex = {number}\n\
                 addresses = [\"{v4}\", \"{v6}\"]\ninterfaces = [\"eth0\"]"
            )?;
        }
        let http = HTTP_PORT.to_string();
        let ports = if self.servers == 0 { http } else { format!("{http}, {HTTPS_PORT}") };
        let web = ("web", "tcp", ports, "check.http = { path = \"/healthcheck\" }");
        let echo = (
            "echo",
            "udp",
            ECHO_PORT.to_string(),
            "check.udp = { payload = \"70\", expect = \"6c\" }",
        );
        // Nothing of a proxy answers datagrams.
        let services = if self.servers == 0 { vec![web, echo] } else { vec![web] };
        let [vip4, vip6] = self.vips;
        for (name, protocol, port, check) in services {
            writeln!(
                out,
                "\n[[service]]\nname = \"{name}\"\nvips = [\"{vip4}\", \"{vip6}\"]\n\
                 protocol = \"{protocol}\"\nports = [{port}]\n{check}\ncheck.interval = \"500ms\"\n\
                 check.fast_interval = \"200ms\"\ncheck.timeout = \"400ms\""
            )?;
        }
        self.write_proxy(out)
    }

    /// Where the proxies' certificate lies.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.path.with_file_name("www.pem")
    }

    /// Where requests go, if the L7 nodes are proxies.
    fn write_proxy(&self, out: &mut String) -> std::fmt::Result {
        if self.servers == 0 {
            return Ok(());
        }
        let servers = |ipv6: usize, port: u16| {
            let each = (1..=self.servers).map(|number| {
                let at = SocketAddr::new(address::server(number).both()[ipv6], port);
                format!("{{ name = \"server-{number}\", address = \"{at}\" }}")
            });
            each.collect::<Vec<_>>().join(", ")
        };
        let pace = "check.interval = \"500ms\"\ncheck.fast_interval = \"200ms\"\ncheck.timeout = \"400ms\"";
        writeln!(
            out,
            "\n[[pool]]\nname = \"nginx\"\nsend_proxy = \"v2\"\nservers = [{}]\n\
             check.http = {{ path = \"/healthcheck\" }}\ncheck.agent = {{ port = {AGENT_PORT} }}\n{pace}",
            servers(1, PROXIED_PORT)
        )?;
        writeln!(
            out,
            "\n[[pool]]\nname = \"plain\"\nservers = [{}]\n\
             check.http = {{ path = \"/healthcheck\" }}\n{pace}",
            servers(0, PLAIN_PORT)
        )?;
        let certificate = self.certificate();
        let certificate = certificate.display();
        writeln!(
            out,
            "\n[[frontend]]\nname = \"web\"\nservice = \"web\"\npool = \"nginx\"\n\
             health_uri = \"/healthcheck\"\n\
             tls = {{ ports = [{HTTPS_PORT}], certificates = [\"{certificate}\"] }}\n\
             [[frontend.route]]\npath_prefix = \"/bytes\"\npool = \"plain\"\n\
             [[frontend.route]]\npath_prefix = \"/slow\"\npool = \"plain\""
        )
    }
}

/// As many CPUs as there are queues, other nodes beginning on other CPUs.
fn default_cores(number: usize, queues: usize) -> String {
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let first = if queues < cpus { (number - 1) % (cpus - queues + 1) } else { 0 };
    if queues == 1 { first.to_string() } else { format!("{first}-{}", first + queues - 1) }
}

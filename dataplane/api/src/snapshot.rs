use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{HashKey, Prefix};

/// The whole state that the dataplane shall have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// Control's number of this state; reported back once every worker runs with it.
    pub generation: u64,
    /// The site's key of the flow hash. Never in a reply; absent in a request it means
    /// the key in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_key: Option<HashKey>,
    /// This node's own addresses, at most one per family: outer sources of what is tunnelled,
    /// and what the kernel is given the packets for.
    pub addresses: Vec<IpAddr>,
    /// Prefixes of this node's own, at most one per family, routed to it: where there is one, outer
    /// sources are its addresses instead, another for each flow, so that the NICs of L7 nodes spread
    /// what is tunnelled over their queues. They have to be in the L7 nodes' allow-lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tunnel_sources: Vec<Prefix>,
    /// The L7 nodes that services may name.
    pub nodes: Vec<Node>,
    /// Which packets go to which of them.
    pub services: Vec<Service>,
    /// Routers that speak BGP with this node: their packets have a class of their own on the way
    /// to the kernel.
    #[serde(default)]
    pub routers: Vec<Prefix>,
    /// Where operators come from: likewise.
    #[serde(default)]
    pub management: Vec<Prefix>,
    /// BFD sessions with routers, which are to know at once when this process forwards no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bfd: Vec<BfdSession>,
    /// Rates above which packets are dropped and counted.
    #[serde(default)]
    pub limits: Limits,
    /// How long a connection is remembered without a packet.
    #[serde(default)]
    pub idle: IdleTimes,
}

/// A BFD session with a router (RFC 5881), one for each of its addresses.
///
/// Its packets share a class with ARP and neighbor discovery on the way to the kernel. It sends only
/// while each worker's last sign of life is younger than half the detection time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BfdSession {
    /// The router's name, for messages.
    pub router: String,
    /// Our address: one of [`Snapshot::addresses`], or link-local.
    pub local: IpAddr,
    /// The router's address, on the link.
    pub remote: IpAddr,
    /// The interface that both are on: for link-local addresses alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// How often we would like to send and can receive, in milliseconds. The slower side decides.
    pub interval_ms: u32,
    /// After how many packets that do not come the session is down.
    pub multiplier: u8,
}

/// An L7 node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Name in the site file: what the Maglev permutation is derived from.
    pub name: String,
    /// 1 to 1023, never reused for another node while connections may name it.
    pub index: u16,
    /// Where it accepts tunnelled packets, at most one per family. A packet is tunnelled over its
    /// own family where the node has an address of it, over the other otherwise.
    pub addresses: Vec<IpAddr>,
    /// Source ports of the probes that go to this node through the tunnel: packets that the kernel
    /// sends to a VIP from one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probe_ports: Option<ProbePorts>,
}

/// A block of source ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbePorts {
    /// First port.
    pub first: u16,
    /// Last port.
    pub last: u16,
}

/// A set of VIPs, and the nodes that take their connections.
///
/// Several services may have one name if their VIPs differ in their nodes' states: they share
/// counters and index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Name in the site file.
    pub name: String,
    /// Addresses, or prefixes of addresses, that it is reached at.
    pub vips: Vec<Prefix>,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Destination ports.
    pub ports: Ports,
    /// What chooses the row.
    #[serde(default)]
    pub hash: Hash,
    /// Rows of its Maglev table: a prime.
    #[serde(default = "rows")]
    pub rows: u32,
    /// Whether flows are remembered. Without it (one-packet UDP) the row alone decides.
    #[serde(default = "yes")]
    pub track: bool,
    /// If not empty, only these sources are served.
    #[serde(default)]
    pub allow: Vec<Prefix>,
    /// These sources are not served. The longest prefix of both lists decides.
    #[serde(default)]
    pub deny: Vec<Prefix>,
    /// Cap on the flows that are recorded of one source prefix (24 bits of IPv4, 64 of IPv6); those
    /// above are forwarded by their row alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_limit: Option<Rate>,
    /// Whether a packet to a VIP of this service that no service takes is answered
    /// (RST or port unreachable, limited) rather than dropped without a word.
    #[serde(default)]
    pub answer_unknown: bool,
    /// Every node of the service with its state, those that take no new flows too.
    pub nodes: Vec<Member>,
}

/// A node's part in a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// [`Node::index`].
    pub node: u16,
    /// Share of the rows, relative to the other members'. 0: none.
    #[serde(default = "one")]
    pub weight: u16,
    /// Whether it takes new flows, and what becomes of those it has.
    #[serde(default)]
    pub state: State,
    /// When the flows that it has go to other nodes: for `down` and `maintenance` alone.
    #[serde(default)]
    pub release: Release,
}

/// A node's state in a service, from good to bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Takes new flows.
    #[default]
    Up,
    /// New to the site: takes no new flows yet.
    Joining,
    /// Takes no new flows; those it has stay until they end.
    Drain,
    /// As `drain`, by an operator and until [`Member::release`].
    Maintenance,
    /// Does not answer: flows stay until [`Member::release`].
    Down,
}

impl State {
    /// Its name, as in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Joining => "joining",
            Self::Drain => "drain",
            Self::Maintenance => "maintenance",
            Self::Down => "down",
        }
    }
}

/// The instant at which a node's flows go to other nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// They stay until they end.
    #[default]
    Never,
    /// CLOCK_BOOTTIME of this host, in milliseconds: neither side's restart starts it anew.
    At(u64),
}

/// Transport protocol of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Its number in an IP header.
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// Destination ports of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ports {
    /// Each of these.
    List(Vec<u16>),
    /// From the first to the last, both included.
    Range(u16, u16),
    /// Any port for which no other service is.
    Any,
}

/// `80,443`, `8000-8999` or `any`.
impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(ports) => {
                let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
                f.write_str(&ports.join(","))
            }
            Self::Range(first, last) => write!(f, "{first}-{last}"),
            Self::Any => f.write_str("any"),
        }
    }
}

/// What chooses a flow's row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hash {
    /// Addresses, ports and protocol.
    #[default]
    FiveTuple,
    /// The source address alone: a client stays with its node.
    Source,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Sustained rate.
    pub per_second: u32,
    /// How many may come at once.
    pub burst: u32,
}

/// Rates above which packets are dropped and counted. Each worker has its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Flows that a worker records; those above are forwarded by their row alone.
    pub insertions: Rate,
    /// ICMP that the node answers itself (echo, packet too big), in all.
    pub icmp: Rate,
    /// The same for one source prefix (24 bits of IPv4, 64 of IPv6).
    pub icmp_source: Rate,
    /// To the kernel: ARP, neighbor discovery, and BFD of the routers and of the sessions here.
    pub neighbor: Rate,
    /// To the kernel: BGP and multihop BFD of the routers, and answers to probes.
    pub routing: Rate,
    /// To the kernel: ICMP errors.
    pub errors: Rate,
    /// To the kernel: from the management prefixes.
    pub management: Rate,
    /// To the kernel: the rest.
    pub other: Rate,
}

impl Default for Limits {
    fn default() -> Self {
        let rate = |per_second, burst| Rate { per_second, burst };
        Self {
            insertions: rate(2_000_000, 500_000),
            icmp: rate(1_000, 100),
            icmp_source: rate(20, 10),
            neighbor: rate(2_000, 200),
            routing: rate(10_000, 500),
            errors: rate(1_000, 100),
            management: rate(50_000, 1_000),
            other: rate(5_000, 500),
        }
    }
}

/// How long a connection is remembered without a packet, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdleTimes {
    /// TCP of which nothing but a SYN was seen.
    pub embryonic: u32,
    /// TCP. Above the hosts' keepalive (two hours).
    pub open: u32,
    /// TCP after a FIN or an RST.
    pub closing: u32,
    /// UDP.
    pub udp: u32,
}

impl IdleTimes {
    /// The longest of them.
    pub fn longest(&self) -> Duration {
        let Self { embryonic, open, closing, udp } = *self;
        Duration::from_secs(embryonic.max(open).max(closing).max(udp).into())
    }
}

impl Default for IdleTimes {
    fn default() -> Self {
        Self { embryonic: 60, open: 2 * 3600 + 15 * 60, closing: 120, udp: 120 }
    }
}

fn rows() -> u32 {
    65_537
}

fn yes() -> bool {
    true
}

fn one() -> u16 {
    1
}

//! What a site file says, complete: defaults filled in, references resolved.

mod bgp;
mod dns;
mod proxy;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use api::{Hash, HashKey, IdleTimes, Limits, Ports, Prefix, Protocol, Rate};
use health::Check;

pub use self::bgp::{Announcement, Bfd, Bgp, Password, Peer, Session};

pub use self::dns::{
    AddressCheck, Datacenter, Dns, DnsTls, Geoip, Metafo, Multifo, Plugin, Resolver, Share,
    Targets, Weighted, WeightedMember, WeightedTarget, Zone,
};
pub use self::proxy::{Address, Family, Frontend, Host, Pool, PoolCheck, Proxy, Server};

/// A site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What holds for all of it.
    pub site: Site,
    /// How it speaks BGP, if it does.
    pub bgp: Option<Bgp>,
    /// Edge routers.
    pub routers: Vec<Router>,
    /// L4 nodes, in the order of the file.
    pub l4: Vec<L4>,
    /// L7 nodes, in the order of the file.
    pub l7: Vec<L7>,
    /// Services, in the order of the file.
    pub services: Vec<Service>,
    /// What holds of the proxies of all L7 nodes.
    pub proxy: Proxy,
    /// Servers behind the L7 nodes, in the order of the file.
    pub pools: Vec<Pool>,
    /// Where clients come to the L7 nodes, in the order of the file.
    pub frontends: Vec<Frontend>,
    /// Nodes that answer for the zones, in the order of the file.
    pub dns: Vec<Dns>,
    /// What is resolved, in an order in which each asks only those before it.
    pub resolvers: Vec<Resolver>,
    /// Zones, in the order of the file.
    pub zones: Vec<Zone>,
}

/// `[site]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub name: String,
    /// Key of the flow hash.
    pub hash_key: HashKey,
    /// How its nodes speak with each other; they do not if absent.
    pub peering: Option<Peering>,
    /// When a changed file is read.
    pub reload: Reload,
    /// Where operators come from: a class of its own on the way to the kernel.
    pub management: Vec<Prefix>,
    /// How long states last.
    pub times: Times,
    /// The dataplane's rates.
    pub limits: Limits,
    /// How long the dataplane remembers connections.
    pub idle: IdleTimes,
}

/// The peer API: `peer_port` and `pki` of `[site]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peering {
    /// TCP port of role l4 (`peer_port`); of l7 the next, of dns the one after.
    pub port: u16,
    /// Folder of `ca.pem`, `NODE.pem` and `NODE.key` (`pki`).
    pub pki: PathBuf,
}

/// When a changed site file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reload {
    /// On SIGHUP and `palierctl reload`.
    #[default]
    Manual,
    /// By watching the file, too.
    Auto,
}

/// How long states last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// How long a node that is new to a service waits before it takes flows.
    pub join_time: Duration,
    /// How long a node that left the file is kept for the flows it has.
    pub removal_time: Duration,
    /// How long a start waits for the checks' first verdicts.
    pub startup_limit: Duration,
    /// How long VIPs are served after they were withdrawn.
    pub withdraw_grace: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            join_time: Duration::from_secs(30),
            removal_time: Duration::from_secs(2 * 3600 + 15 * 60),
            startup_limit: Duration::from_secs(15),
            withdraw_grace: Duration::from_secs(2),
        }
    }
}

/// `[[router]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// Its name.
    pub name: String,
    /// Its addresses on the fabric.
    pub addresses: Vec<IpAddr>,
    /// How L4 nodes speak BGP with it; they do not if absent.
    pub peer: Option<Peer>,
}

/// `[[l4]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L4 {
    /// Its name; 1 to 63 bytes, as all names.
    pub name: String,
    /// Its own addresses, at most one per family, at least one.
    pub addresses: Vec<IpAddr>,
    /// Prefixes that outer sources are taken from, at most one per family.
    pub tunnel_sources: Vec<Prefix>,
    /// What `palierctl dataplane` starts with; absent if the entry names no `nics`.
    pub nics: Option<Nics>,
    /// Checks of this node itself (files and commands): while one fails it announces nothing.
    pub checks: Vec<Check>,
    /// Its BGP identifier; nothing if it has neither an IPv4 address nor a `router_id`.
    pub router_id: Option<Ipv4Addr>,
}

/// The dataplane's flags of an L4 node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nics {
    /// `--port` of each.
    pub ports: Vec<String>,
    /// `--cores`.
    pub cores: String,
    /// `--exception` of each, in the order of `ports` (`exception = "palier0"` becomes
    /// `tap:palier0`).
    pub exceptions: Vec<String>,
    /// `--vlan`.
    pub vlan: Option<u16>,
    /// `--mtu`.
    pub mtu: Option<u16>,
    /// `--connections`.
    pub connections: Option<u32>,
    /// `--flow-details`.
    pub flow_details: bool,
    /// `--idle adaptive`.
    pub adaptive: bool,
}

/// `[[l7]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct L7 {
    /// Its name.
    pub name: String,
    /// 1 to 1023, unique.
    pub index: u16,
    /// Where it takes tunnelled packets, at most one per family, at least one.
    pub addresses: Vec<IpAddr>,
    /// Share of new flows relative to other nodes', where a service does not say otherwise.
    pub weight: u16,
    /// How its control takes packets out of tunnels; absent: somebody else does, as the kernel's `ipip`.
    pub tunnel: Option<Tunnel>,
    /// Threads of its proxy; absent: as many as there are CPUs.
    pub workers: Option<u16>,
    /// Checks of this node itself, and the ports of its agents: what they say of it, its health URIs say.
    pub checks: Vec<(Check, u16)>,
}

/// How an L7 node takes packets out of tunnels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Where the L4 nodes' packets arrive.
    pub interfaces: Vec<String>,
    /// Where the program meets them (`decap`); absent: the best that the kernel has.
    pub hook: Option<Hook>,
    /// Whether packets to a VIP that come without a tunnel are dropped (`tunnel_only`).
    pub only: bool,
    /// Whether clients are told to leave room for the outer header (`advmss`).
    pub advmss: bool,
}

/// Where the decapsulator meets packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// TC ingress by bpf_link (kernel 6.6).
    Tcx,
    /// TC ingress by a filter.
    Clsact,
    /// XDP in the driver.
    Xdp,
    /// XDP after the driver.
    XdpGeneric,
}

/// `[[service]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// What it is reached at; at least one, in no other service with the same protocol and port.
    pub vips: Vec<Prefix>,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Destination ports.
    pub ports: Ports,
    /// What chooses the row.
    pub hash: Hash,
    /// Rows of the Maglev table, a prime.
    pub rows: u32,
    /// Whether flows are remembered.
    pub track: bool,
    /// If not empty, only these sources are served.
    pub allow: Vec<Prefix>,
    /// These sources are not served.
    pub deny: Vec<Prefix>,
    /// Cap on recorded flows of one source prefix.
    pub source_limit: Option<Rate>,
    /// Whether packets that no service takes are answered.
    pub answer_unknown: bool,
    /// Its L7 nodes; at least one.
    pub nodes: Vec<Member>,
    /// All of them have to hold for a node to be up. May be empty: then nodes are up.
    pub checks: Vec<ServiceCheck>,
    /// Sum of the weights of nodes that are up below which the service is lost. A service whose sum
    /// is 0 is always lost.
    pub quorum: u32,
    /// The service is lost below `quorum - hysteresis`, and back from `quorum + hysteresis` on.
    pub hysteresis: u32,
    /// What becomes of the VIPs then.
    pub on_quorum_loss: QuorumLoss,
    /// Whether nothing is announced before the first verdicts.
    pub alpha: bool,
    /// Whether `on_quorum_down` is run at an orderly stop too.
    pub omega: bool,
    /// Program and arguments, run when a family of the service comes into quorum.
    pub on_quorum_up: Option<Vec<String>>,
    /// The same when it is lost.
    pub on_quorum_down: Option<Vec<String>>,
    /// How long flows of a node that went down wait for it; absent: as long as they live (`never`).
    pub down_hold: Option<Duration>,
    /// How long flows of a node in maintenance stay.
    pub drain_timeout: Duration,
    /// What routers are told of its VIPs.
    pub announcement: Announcement,
}

/// A node's part in a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Place in [`Config::l7`].
    pub l7: usize,
    /// Share of new flows.
    pub weight: u16,
}

/// A check of a service's nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceCheck {
    /// It.
    pub check: Check,
    /// Where it goes: the check's own, or the service's first; 0 for kinds without.
    pub port: u16,
    /// Whether it goes to the node's own address instead of through the tunnel to each VIP.
    pub direct: bool,
}

/// What becomes of a VIP whose service lost its quorum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuorumLoss {
    /// It is withdrawn; what still comes is forwarded to whoever is left.
    Withdraw,
    /// It stays announced.
    Keep,
    /// It stays announced; new flows go to these nodes alone.
    Sorry(Vec<Member>),
}

//! Where clients come to the L7 nodes, and where their requests go.

use std::net::SocketAddr;
use std::time::Duration;

use ::proxy::balance::Method;
use ::proxy::proxy_protocol::Version;
use ::proxy::settings::{
    AccessLog, Affinity, ClientTimeouts, ClientTls, HeaderLimits, Key, Mode, Queue, ServerTimeouts,
    ServerTls,
};
use api::Prefix;
use health::Check;

/// `[proxy]`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// Where answers are written down.
    pub access_log: Option<AccessLog>,
    /// Who is asked for the addresses of servers; empty: those of `/etc/resolv.conf`.
    pub nameservers: Vec<SocketAddr>,
}

/// `[[frontend]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// Its name.
    pub name: String,
    /// Place of the service whose VIPs it listens on in [`Config::services`](super::Config::services).
    pub service: usize,
    /// At which ports.
    pub ports: Vec<u16>,
    /// At which of them TLS is spoken.
    pub tls_ports: Vec<u16>,
    /// How.
    pub tls: Option<ServerTls>,
    /// From these addresses, and no others, connections begin with a PROXY header.
    pub accept_proxy: Vec<Prefix>,
    /// What becomes of a connection. Pools are places in [`Config::pools`](super::Config::pools).
    pub mode: Mode,
    /// How long a client may take.
    pub timeouts: ClientTimeouts,
    /// How large requests' headers may be.
    pub limits: HeaderLimits,
    /// Most connections at once.
    pub max_connections: Option<u32>,
}

/// `[[pool]]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Its servers; at least one.
    pub servers: Vec<Server>,
    /// How one is chosen.
    pub method: Method,
    /// The key of [`Method::Hash`].
    pub key: Key,
    /// Which PROXY header they want in front of each connection.
    pub send_proxy: Option<Version>,
    /// How TLS is spoken with them, if it is.
    pub tls: Option<ClientTls>,
    /// How often a request is tried at another server, if that is safe.
    pub retries: u32,
    /// Retries in percent of all requests.
    pub retry_budget: u32,
    /// How clients stay with a server.
    pub affinity: Option<Affinity>,
    /// How long a server that comes back takes to get its whole share.
    pub slow_start: Duration,
    /// Where requests wait while every server has as many as it may.
    pub queue: Queue,
    /// Place of the pool that answers while no server of this one takes requests, in
    /// [`Config::pools`](super::Config::pools).
    pub sorry: Option<usize>,
    /// How many servers have to take requests for health URIs to say that all is well.
    pub quorum: u32,
    /// How long they may take.
    pub timeouts: ServerTimeouts,
    /// All of them have to hold for a server to be used. May be empty: then servers are.
    pub checks: Vec<PoolCheck>,
}

/// A server of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name, unique in the pool.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// Its share.
    pub weight: u32,
    /// It is used while no other is usable.
    pub backup: bool,
    /// Most requests and connections that it may have at once, of all cores of a node.
    pub max_connections: Option<u32>,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Always there.
    At(SocketAddr),
    /// Where DNS says.
    Named(Host, u16),
}

/// A name that is looked up, again and again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Host {
    /// It, in lower case.
    pub name: String,
    /// Which addresses are of use.
    pub family: Family,
}

/// Which of a name's addresses are of use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv6 if there is one, else IPv4.
    #[default]
    Any,
    /// IPv4 alone.
    V4,
    /// IPv6 alone.
    V6,
}

/// A check of a pool's servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolCheck {
    /// It.
    pub check: Check,
    /// Where it goes; absent: where requests go.
    pub port: Option<u16>,
}

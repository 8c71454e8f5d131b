//! Where clients come to the L7 nodes, and where their requests go.

use std::time::Duration;

use ::proxy::balance::Method;
use ::proxy::proxy_protocol::Version;
use ::proxy::settings::{
    Affinity, ClientTimeouts, ClientTls, HeaderLimits, Key, Mode, Queue, Server, ServerTimeouts,
    ServerTls,
};
use api::Prefix;
use health::Check;

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

/// A check of a pool's servers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolCheck {
    /// It.
    pub check: Check,
    /// Where it goes; absent: where requests go.
    pub port: Option<u16>,
}

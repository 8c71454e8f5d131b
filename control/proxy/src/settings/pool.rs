use std::net::SocketAddr;
use std::time::Duration;

use super::ClientTls;
use crate::balance::Method;
use crate::proxy_protocol::Version;

/// Servers that serve the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// They.
    pub servers: Vec<Server>,
    /// How one is chosen.
    pub method: Method,
    /// The key of [`Method::Hash`].
    pub key: Key,
    /// Which PROXY header they want in front of each connection.
    pub send_proxy: Option<Version>,
    /// How TLS is spoken with them.
    pub tls: Option<ClientTls>,
    /// How often a request is tried at another server, if that is safe.
    pub retries: u32,
    /// Tries at other servers, in percent of all requests: what is beyond fails at once, so that a pool in
    /// trouble is not asked twice for everything.
    pub retry_budget: u32,
    /// How many servers have to take requests for health URIs to say that all is well.
    pub quorum: u32,
    /// How clients stay with a server.
    pub affinity: Option<Affinity>,
    /// How long a server that comes back takes to get its whole share; zero: it has it at once.
    pub slow_start: Duration,
    /// Where requests wait while every server has as many as it may.
    pub queue: Queue,
    /// Place of the pool that answers while no server of this one takes requests.
    pub sorry: Option<usize>,
    /// How long they may take.
    pub timeouts: ServerTimeouts,
}

/// What requests are the same of, for [`Method::Hash`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// The client's address.
    Source,
    /// The value of a header.
    Header(http::HeaderName),
    /// The value of a cookie.
    Cookie(String),
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name, unique in the pool.
    pub name: String,
    /// Where it is; absent while nobody knows: it gets nothing.
    pub address: Option<SocketAddr>,
    /// The name that it is looked up by, which its certificate has to be for where `tls` names no other.
    pub host: Option<String>,
    /// Its share.
    pub weight: u32,
    /// It is used while no other is usable.
    pub backup: bool,
    /// Most requests and connections that it may have at once, of all cores of this node.
    pub max_connections: Option<u32>,
}

/// How clients stay with a server: by a cookie of ours, which says nothing to anybody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// Its name.
    pub cookie: String,
    /// How long browsers keep it; absent: until they are closed.
    pub max_age: Option<Duration>,
    /// Whether it is for HTTPS alone.
    pub secure: bool,
}

/// Where requests wait for a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// How many, of all cores of this node; others are refused.
    pub length: u32,
    /// How long.
    pub timeout: Duration,
}

impl Default for Queue {
    fn default() -> Self {
        Self { length: 1024, timeout: Duration::from_secs(5) }
    }
}

/// How long a server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// To accept a connection, TLS included.
    pub connect: Duration,
    /// From the end of the request to the end of the answer's header.
    pub response: Duration,
    /// To go on within the body of an answer that somebody waits for.
    pub body: Duration,
    /// How long a connection is kept for the next request.
    pub keep_alive: Duration,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            response: Duration::from_secs(60),
            body: Duration::from_secs(60),
            keep_alive: Duration::from_secs(30),
        }
    }
}

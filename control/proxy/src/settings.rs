//! What the proxy is to do: plain data, made from the site file.

mod tls;

use std::net::SocketAddr;
use std::time::Duration;

use api::Prefix;

use crate::balance::Method;
use crate::proxy_protocol::Version;
use crate::tls::TicketSecret;

pub use self::tls::{CertificateFiles, ClientTls, ServerTls, TlsVersion};

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where clients come.
    pub frontends: Vec<Frontend>,
    /// Where their requests go. Frontends name them by their place.
    pub pools: Vec<Pool>,
    /// The site's: nodes of one site choose the same server by the same key.
    pub hash_key: [u8; 16],
    /// What keys of session tickets follow from; without it every client has to do a whole handshake.
    pub tickets: Option<TicketSecret>,
}

/// A place where clients come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    /// Its name, in logs and metrics.
    pub name: String,
    /// Addresses and ports.
    pub listen: Vec<Listen>,
    /// Certificates and policy, where TLS is spoken.
    pub tls: Option<ServerTls>,
    /// From these addresses, and no others, connections begin with a PROXY header.
    pub accept_proxy: Vec<Prefix>,
    /// What becomes of a connection.
    pub mode: Mode,
    /// How long a client may take.
    pub timeouts: ClientTimeouts,
}

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// They.
    pub address: SocketAddr,
    /// Whether TLS is spoken there.
    pub tls: bool,
}

/// What becomes of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Its requests go to servers one by one.
    Http(Http),
    /// It goes to a server as it is.
    Tcp {
        /// Place of the pool.
        pool: usize,
    },
}

/// Requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// The first that matches decides.
    pub routes: Vec<Route>,
    /// The path that answers 200 while requests can be served here, else 503.
    pub health_uri: Option<String>,
    /// Clients whose `X-Forwarded-*` and `Forwarded` are believed: proxies of ours.
    pub trusted_proxies: Vec<Prefix>,
}

/// Requests of a kind, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// All of these hold.
    pub conditions: Vec<Condition>,
    /// What becomes of them.
    pub action: Action,
}

/// Something about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Its host is one of these, in lower case, without port; `*.example.org` stands for all below.
    Host(Vec<String>),
    /// Its path is this one or lies below: `/a` has `/a` and `/a/b`, not `/ab`.
    PathPrefix(String),
    /// Its path is this one.
    Path(String),
    /// Its method is one of these.
    Method(Vec<http::Method>),
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It goes to a server of the pool at this place.
    Pool(usize),
    /// The client is sent elsewhere: status, and where to, with `{path}` for path and query.
    Redirect(http::StatusCode, String),
}

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
    /// How many servers have to take requests for health URIs to say that all is well.
    pub quorum: u32,
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
    /// Where it is.
    pub address: SocketAddr,
    /// Its share.
    pub weight: u32,
    /// It is used while no other is usable.
    pub backup: bool,
}

/// How long a client may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientTimeouts {
    /// From the connection to its first byte, and from one answer to the next request.
    pub idle: Duration,
    /// For the TLS handshake, and for a PROXY header.
    pub handshake: Duration,
    /// From a request's first byte to the end of its header.
    pub header: Duration,
    /// From one byte of a tunnel (TCP, or after an upgrade) to the next.
    pub tunnel: Duration,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            tunnel: Duration::from_secs(3600),
        }
    }
}

/// How long a server may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// To accept a connection, TLS included.
    pub connect: Duration,
    /// From the end of the request to the end of the answer's header.
    pub response: Duration,
    /// How long a connection is kept for the next request.
    pub keep_alive: Duration,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            response: Duration::from_secs(60),
            keep_alive: Duration::from_secs(30),
        }
    }
}

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use api::Prefix;

use super::{HeaderEdits, Route, ServerTls};

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
    /// How large requests' headers may be.
    pub limits: HeaderLimits,
    /// Most connections at once, of all cores of this node: others wait to be accepted.
    pub max_connections: Option<u32>,
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
    Http(Box<Http>),
    /// It goes to a server as it is: the first of these decides.
    Tcp(Vec<TcpRoute>),
}

/// Connections of a kind, and where they go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpRoute {
    /// The host that a client names in TLS (SNI) is one of these, in lower case; `*.example.org` stands for
    /// all below; none: any client, also one that speaks something else.
    pub hosts: Vec<String>,
    /// Place of the pool.
    pub pool: usize,
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
    /// What is changed of every request before it goes to a server.
    pub request_headers: HeaderEdits,
    /// What is changed of every server's answer.
    pub response_headers: HeaderEdits,
    /// The header that tells servers the request's own name, which is in logs, too.
    pub unique_id: Option<http::HeaderName>,
    /// What is said instead of a bare word where no server answers.
    pub error_pages: Vec<ErrorPage>,
}

/// What clients are told with a status of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    /// The status.
    pub status: http::StatusCode,
    /// Its `Content-Type`.
    pub content_type: http::HeaderValue,
    /// Where it is: it is read whenever settings come into force.
    pub file: PathBuf,
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
    /// From one byte of a request's body to the next, and between two times that it reads of an answer.
    pub body: Duration,
    /// From one byte of a tunnel (TCP, or after an upgrade) to the next.
    pub tunnel: Duration,
    /// From the end of a request's header to the end of its answer; absent: as long as it goes on.
    pub total: Option<Duration>,
}

impl Default for ClientTimeouts {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(60),
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            tunnel: Duration::from_secs(3600),
            total: None,
        }
    }
}

/// How large requests' headers may be: a request with more is answered 431.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderLimits {
    /// How many headers.
    pub count: usize,
    /// Bytes of all of them, request line included.
    pub bytes: usize,
}

impl Default for HeaderLimits {
    fn default() -> Self {
        Self { count: 128, bytes: 32 * 1024 }
    }
}

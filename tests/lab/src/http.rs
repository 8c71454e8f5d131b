//! The clients' side of HTTP/1.1.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use crate::server::{HTTP_PORT, HTTPS_PORT};
use crate::tls::Stream;

/// How long a connection may stand still before it counts as broken: a few retransmissions of TCP
/// (1, 2, 4, 8 s) fit in.
const STALL: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// The node that answered.
    pub node: String,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the connection ends with it (`Connection: close`).
    pub closes: bool,
}

/// `http://ADDRESS[:PORT]/PATH`, or `https://`: the lab has no names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) tls: bool,
    pub(crate) server: SocketAddr,
    pub(crate) path: String,
}

impl Url {
    /// # Panics
    /// It is not such a URL: the mistake of who wrote the test.
    pub(crate) fn parse(text: &str) -> Self {
        let parse = || {
            let (rest, tls) = match text.strip_prefix("https://") {
                Some(rest) => (rest, true),
                None => (text.strip_prefix("http://")?, false),
            };
            let port = if tls { HTTPS_PORT } else { HTTP_PORT };
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let bare = || host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
            let server = host.parse().ok().or_else(|| Some((bare()?, port).into()))?;
            Some(Self { tls, server, path: format!("/{path}") })
        };
        parse().unwrap_or_else(|| panic!("`{text}` is not http[s]://ADDRESS[:PORT]/PATH"))
    }
}

/// A connection to a server, kept alive from request to request.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<Stream>,
    host: SocketAddr,
}

impl Connection {
    /// Opens a connection to the URL's server from the namespace of the calling thread
    /// ([`Namespace::enter`](crate::Namespace::enter)). The URL's path plays no part.
    ///
    /// # Errors
    /// It was refused, or nobody answered for 20 s.
    pub fn to(url: &str) -> io::Result<Self> {
        Self::open(&Url::parse(url), None)
    }

    /// Opens one without TLS, in the namespace of the calling thread, of which nothing may take longer than this.
    ///
    /// # Errors
    /// It was refused, or nobody answered in time.
    pub fn within(server: SocketAddr, patience: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&server, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::with_capacity(4096, Stream::Plain(stream)), host: server })
    }

    /// Whether TLS went on with a session of before; nothing where it is not spoken, or nothing was said.
    pub fn is_resumed(&self) -> Option<bool> {
        self.reader.get_ref().is_resumed()
    }

    /// Opens a connection, in the namespace of the calling thread.
    pub(crate) fn open(url: &Url, source_port: Option<u16>) -> io::Result<Self> {
        let server = url.server;
        let family = if server.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket: OwnedFd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        // It bounds connect(2) too.
        let stall = TimeVal::new(STALL.as_secs().cast_signed(), 0);
        setsockopt(&socket, sockopt::SendTimeout, &stall)?;
        setsockopt(&socket, sockopt::ReceiveTimeout, &stall)?;
        setsockopt(&socket, sockopt::TcpNoDelay, &true)?;
        if let Some(port) = source_port {
            setsockopt(&socket, sockopt::ReuseAddr, &true)?;
            let any: IpAddr = match server {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(any, port)))?;
        }
        connect(socket.as_raw_fd(), &SockaddrStorage::from(server))?;
        let tcp = TcpStream::from(socket);
        let stream = match url.tls {
            true => Stream::secure(tcp, server.ip())?,
            false => Stream::Plain(tcp),
        };
        let reader = BufReader::with_capacity(4096, stream);
        Ok(Self { reader, host: server })
    }

    /// This end's address.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.reader.get_ref().tcp().local_addr()
    }

    /// Asks for a path (`/bytes/1000`).
    ///
    /// # Errors
    /// The connection broke or stood still, or the answer is not HTTP.
    pub fn get(&mut self, path: &str) -> io::Result<Response> {
        self.request("GET", path, &[])
    }

    /// Sends a body.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn post(&mut self, path: &str, body: &[u8]) -> io::Result<Response> {
        self.request("POST", path, body)
    }

    fn request(&mut self, method: &str, path: &str, body: &[u8]) -> io::Result<Response> {
        let (host, length) = (self.host, body.len());
        let mut message =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n")
                .into_bytes();
        message.extend_from_slice(body);
        self.reader.get_mut().write_all(&message)?;
        self.read_response()
    }

    fn read_response(&mut self) -> io::Result<Response> {
        let status = self.line()?;
        let status = status.split_whitespace().nth(1).and_then(|word| word.parse().ok());
        let status: u16 = status.ok_or(ErrorKind::InvalidData)?;
        let (mut node, mut length, mut closes) = (String::new(), 0, false);
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            let value = value.trim();
            if name.eq_ignore_ascii_case("connection") {
                closes = value.eq_ignore_ascii_case("close");
            } else if name.eq_ignore_ascii_case("x-node") {
                node = value.into();
            } else if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().map_err(|_| ErrorKind::InvalidData)?;
            }
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        Ok(Response { status, node, body, closes })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_both_families_are_understood() {
        let url = Url::parse("http://198.51.100.1/slow?seconds=1");
        assert_eq!(url.server, "198.51.100.1:80".parse().unwrap());
        assert_eq!(url.path, "/slow?seconds=1");
        assert_eq!(Url::parse("http://[2001:db8::1]").server, "[2001:db8::1]:80".parse().unwrap());
        let url = Url::parse("http://[2001:db8::1]:8080/a/b");
        assert_eq!((url.server.port(), url.path.as_str()), (8080, "/a/b"));
        let url = Url::parse("https://198.51.100.1/");
        assert_eq!((url.server.port(), url.tls), (443, true));
    }

    #[test]
    #[should_panic(expected = "`ftp://198.51.100.1/` is not")]
    fn what_is_no_url_is_told() {
        Url::parse("ftp://198.51.100.1/");
    }
}

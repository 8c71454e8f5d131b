use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::address::{self, Addresses};
use crate::http::Url;
use crate::{Connection, Namespace, RawSocket, Response, Traffic};

/// A host of the outside: it knows the VIPs, and nothing of what is behind them.
#[derive(Debug)]
pub struct Client {
    number: usize,
    namespace: Namespace,
}

impl Client {
    pub(crate) fn new(number: usize, namespace: Namespace) -> Self {
        Self { number, namespace }
    }

    /// Its namespace. Its interface there is `eth0`.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its addresses, and with them its MAC address.
    pub fn addresses(&self) -> Addresses {
        address::client(self.number)
    }

    /// One request on a connection of its own: `http://198.51.100.1/`.
    ///
    /// # Errors
    /// It was refused, reset, or stood still for 20 s.
    pub fn get(&self, url: &str) -> io::Result<Response> {
        let url = Url::parse(url);
        self.namespace.enter(|| Connection::open(&url, None))?.get(&url.path)
    }

    /// As [`Self::get`], from this source port.
    ///
    /// # Errors
    /// As [`Self::get`]; or the port is in use.
    pub fn get_from(&self, source_port: u16, url: &str) -> io::Result<Response> {
        let url = Url::parse(url);
        self.namespace.enter(|| Connection::open(&url, Some(source_port)))?.get(&url.path)
    }

    /// Sends a body on a connection of its own.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub fn post(&self, url: &str, body: &[u8]) -> io::Result<Response> {
        let url = Url::parse(url);
        self.namespace.enter(|| Connection::open(&url, None))?.post(&url.path, body)
    }

    /// Opens a connection and keeps it; `source_port` of the system's choice if `None`. The URL's
    /// path plays no part.
    ///
    /// # Errors
    /// It was refused, or nobody answered for 20 s.
    pub fn connect(&self, url: &str, source_port: Option<u16>) -> io::Result<Connection> {
        self.namespace.enter(|| Connection::open(&Url::parse(url), source_port))
    }

    /// `count` connections on which data comes all the time, one slow download after the other.
    /// Returns once all of them run. The URL's path is replaced.
    ///
    /// # Panics
    /// Not all of them get an answer or an error within a minute.
    pub fn slow_downloads(&self, count: usize, url: &str) -> Traffic {
        let server = Url::parse(url).server;
        let url = format!("http://{server}/slow?seconds=1");
        Traffic::start(&self.namespace, count, &url, Duration::ZERO)
    }

    /// `count` connections that each make a request, pause, and so on. Returns once each has had
    /// its first answer.
    ///
    /// # Panics
    /// As [`Self::slow_downloads`].
    pub fn requests(&self, count: usize, url: &str, pause: Duration) -> Traffic {
        Traffic::start(&self.namespace, count, url, pause)
    }

    /// A UDP socket bound to any address of the server's family, connected to the server.
    ///
    /// # Errors
    /// The system refuses.
    pub fn udp(&self, server: SocketAddr) -> io::Result<UdpSocket> {
        self.namespace.enter(|| {
            let any: IpAddr = match server {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind((any, 0))?;
            socket.connect(server)?;
            Ok(socket)
        })
    }

    /// Sends one datagram to the echo of a VIP and returns the node that answered, and what came
    /// back behind its name.
    ///
    /// # Errors
    /// No answer within 5 s, an ICMP error, or an answer that is not the echo's.
    pub fn udp_exchange(&self, server: SocketAddr, data: &[u8]) -> io::Result<(String, Vec<u8>)> {
        let socket = self.udp(server)?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.send(data)?;
        let mut answer = vec![0; 65536];
        let length = socket.recv(&mut answer)?;
        answer.truncate(length);
        let mut parts = answer.splitn(2, |&byte| byte == b' ');
        let node = parts.next().unwrap_or_default();
        let node = String::from_utf8(node.into()).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok((node, parts.next().ok_or(io::ErrorKind::InvalidData)?.into()))
    }

    /// Whether an echo request is answered within 2 s.
    pub fn ping(&self, address: IpAddr) -> bool {
        self.ping_sized(address, 56)
    }

    /// As [`Self::ping`], with so many bytes of data and the don't-fragment bit.
    pub fn ping_sized(&self, address: IpAddr, bytes: u16) -> bool {
        let (address, bytes) = (address.to_string(), bytes.to_string());
        let args = ["-n", "-c", "1", "-W", "2", "-M", "do", "-s", &bytes, &address];
        self.namespace.run("ping", &args).is_ok()
    }

    /// Whole frames on its interface; the next hop's MAC address is that of
    /// [`Router::outside`](crate::Router::outside).
    ///
    /// # Panics
    /// The system refuses.
    pub fn raw(&self) -> RawSocket {
        RawSocket::open(&self.namespace, "eth0").unwrap_or_else(|error| panic!("{error}"))
    }
}

//! The sockets of probes: from the right source, and gone without a trace when dropped.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use parking_lot::Mutex;
use socket2::{Domain, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UdpSocket};

use crate::{Source, Target};

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The block has no port left for this target.
    #[error("source ports {} to {} are all in use", .0.first_port, .0.last_port)]
    NoPort(Source),
    /// The system, or the target, said no.
    #[error("{}", crate::reason::of_io(.0))]
    Io(#[from] io::Error),
}

/// Where each block of source ports goes on. One after the other: a port rests as long as possible
/// before its next probe, which then meets no leftovers of the last one.
#[derive(Debug, Default)]
pub(crate) struct Ports(Mutex<HashMap<(IpAddr, u16), u16>>);

impl Ports {
    /// The block's next port.
    fn next(&self, source: Source) -> u16 {
        let mut last = self.0.lock();
        let port = last
            .entry((source.address, source.first_port))
            .and_modify(|port| {
                *port = if (source.first_port..source.last_port).contains(port) {
                    *port + 1
                } else {
                    source.first_port
                };
            })
            .or_insert(source.first_port);
        *port
    }

    /// The whole block, as addresses to bind to, from its next port on.
    fn candidates(&self, source: Source) -> impl Iterator<Item = SocketAddr> {
        (source.first_port..=source.last_port)
            .map(move |_| SocketAddr::new(source.address, self.next(source)))
    }
}

/// Whether the next port may do better: this one is somebody else's, or has a connection of ours to the
/// same target.
fn is_taken(error: &io::Error, source: Source) -> bool {
    match error.kind() {
        io::ErrorKind::AddrInUse => true,
        // `connect` says so of a connection that exists already, `bind` of an address that is not this
        // host's: with that no port will help.
        io::ErrorKind::AddrNotAvailable => {
            std::net::UdpSocket::bind(SocketAddr::new(source.address, 0)).is_ok()
        }
        _ => false,
    }
}

/// A TCP connection that ends by a reset when dropped, and never by a FIN of ours: so neither side keeps
/// it in TIME_WAIT, which would use up the source ports here and memory there.
#[derive(Debug)]
pub(crate) struct Connection(TcpStream);

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    /// What HTTP and TLS do at their end, and what would send the FIN.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Connects to the target, and says what it wants to hear first.
pub(crate) async fn tcp(target: &Target, ports: &Ports) -> Result<Connection, Error> {
    let mut connection = bare_tcp(target, ports).await?;
    if let Some(preamble) = &target.preamble {
        connection.0.write_all(preamble).await?;
    }
    Ok(connection)
}

/// Connects to the target.
pub(crate) async fn bare_tcp(target: &Target, ports: &Ports) -> Result<Connection, Error> {
    let to = SocketAddr::new(target.address, target.port);
    let Some(source) = target.source else {
        return Ok(Connection(tcp_socket(to)?.connect(to).await?));
    };
    for from in ports.candidates(source) {
        let socket = tcp_socket(to)?;
        // One port serves the probes of several VIPs of a node at a time.
        socket.set_reuseaddr(true)?;
        let connected = match socket.bind(from) {
            Ok(()) => socket.connect(to).await,
            Err(error) => Err(error),
        };
        match connected {
            Ok(stream) => return Ok(Connection(stream)),
            Err(error) if is_taken(&error, source) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::NoPort(source))
}

fn tcp_socket(to: SocketAddr) -> io::Result<TcpSocket> {
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.set_nodelay(true)?;
    socket.set_zero_linger()?;
    Ok(socket)
}

/// A UDP socket that sends to the target, and receives from it alone.
pub(crate) fn udp(target: &Target, ports: &Ports) -> Result<UdpSocket, Error> {
    let to = SocketAddr::new(target.address, target.port);
    let open = |from: Option<SocketAddr>| {
        let socket = Socket::new(Domain::for_address(to), Type::DGRAM.nonblocking(), None)?;
        // Without SO_REUSEADDR: of two sockets with one port only one would get the answer.
        if let Some(from) = from {
            socket.bind(&from.into())?;
        }
        socket.connect(&to.into())?;
        UdpSocket::from_std(socket.into())
    };
    let Some(source) = target.source else {
        return Ok(open(None)?);
    };
    for from in ports.candidates(source) {
        match open(Some(from)) {
            Ok(socket) => return Ok(socket),
            Err(error) if is_taken(&error, source) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::NoPort(source))
}

#[cfg(test)]
mod tests;

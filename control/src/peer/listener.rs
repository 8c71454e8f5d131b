//! Where peers call.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, Socket, Type};
use thiserror::Error as ThisError;
use tokio::net::TcpListener;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// No socket listens at an address.
#[derive(Debug, ThisError)]
#[error("cannot listen for peers at {address}: {source}")]
pub struct Error {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Sockets by their addresses.
type Sockets = BTreeMap<SocketAddr, std::net::TcpListener>;

/// The node's own addresses, listened at.
#[derive(Debug)]
pub struct Listener {
    pub(super) sockets: Vec<TcpListener>,
}

impl Listener {
    /// Listens at each of the addresses, whether or not the node has them yet: its exception
    /// interface comes and goes with the dataplane. Port 0 is any free one.
    ///
    /// Needs a tokio runtime around it.
    ///
    /// # Errors
    /// Another process listens there, or the kernel has no such family.
    pub fn bind(addresses: &[SocketAddr]) -> Result<Self, Error> {
        Self::inherit(addresses, &mut BTreeMap::new())
    }

    /// The same, by the sockets of another process where there are any, which are taken out of the map.
    ///
    /// # Errors
    /// As [`Self::bind`].
    pub fn inherit(addresses: &[SocketAddr], inherited: &mut Sockets) -> Result<Self, Error> {
        let mut socket = |&address| {
            let found = inherited.remove(&address).map(TcpListener::from_std);
            found.unwrap_or_else(|| bind(address)).map_err(|source| Error { address, source })
        };
        Ok(Self { sockets: addresses.iter().map(&mut socket).collect::<Result<_, _>>()? })
    }

    /// Copies of the sockets.
    ///
    /// # Errors
    /// There are too few descriptors.
    pub fn sockets(&self) -> io::Result<Sockets> {
        let copy = |socket: &TcpListener| {
            Ok((socket.local_addr()?, socket.as_fd().try_clone_to_owned()?.into()))
        };
        self.sockets.iter().map(copy).collect()
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        self.sockets.iter().map(TcpListener::local_addr).collect()
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart does not wait for the connections of the process before it.
    socket.set_reuse_address(true)?;
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => {
            socket.set_freebind_v6(true)?;
            socket.set_only_v6(true)?;
        }
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_listens_at_addresses_that_the_node_does_not_have_yet() {
        let addresses = ["192.0.2.132:0", "[2001:db8::284]:0"].map(|a| a.parse().unwrap());
        let listener = Listener::bind(&addresses).unwrap();
        let bound = listener.addresses().unwrap();
        assert_eq!(bound.len(), 2);
        for (bound, wanted) in bound.iter().zip(addresses) {
            assert_eq!(bound.ip(), wanted.ip());
            assert_ne!(bound.port(), 0);
        }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_a_clear_error() {
        let first = Listener::bind(&["127.0.0.1:0".parse().unwrap()]).unwrap();
        let address = first.addresses().unwrap()[0];
        let error = Listener::bind(&[address]).unwrap_err().to_string();
        assert!(error.contains(&format!("cannot listen for peers at {address}: ")), "{error}");
    }
}

//! Packets of a client's that its kernel knows nothing of.

use std::net::IpAddr;

use lab::{Addresses, Client, Lab, RawSocket};
use packet::{Mac, build};

/// Sends packets in a client's name to the first router.
#[derive(Debug)]
pub struct RawClient {
    socket: RawSocket,
    client: Mac,
    router: Mac,
}

impl RawClient {
    /// That of this client.
    pub fn of(lab: &Lab, client: &Client) -> Self {
        let [client_mac, router] =
            [client.addresses(), lab.router().outside()].map(|addresses| Mac(addresses.mac().0));
        Self { socket: client.raw(), client: client_mac, router }
    }

    /// Sends a packet, given from its IP header on.
    ///
    /// # Panics
    /// The system refuses.
    pub fn send(&self, packet: &[u8]) {
        let frame = build::frame(self.router, self.client, None, packet);
        self.socket.send(&frame).unwrap_or_else(|error| panic!("sending a frame: {error}"));
    }
}

/// The one of a host's addresses that is of the other address's family.
pub fn address_like(host: Addresses, other: IpAddr) -> IpAddr {
    if other.is_ipv4() { host.v4.into() } else { host.v6.into() }
}

//! How an L4 node's dataplane is joined to the fabric.
//!
//! Over a tap ([`Wire::Tap`]), inside the node's namespace:
//! ```text
//!   fabric ---- uplink --- bridge --- wire            exception   192.0.2.132, the node's MAC
//!               (veth)                (tap)             (tap)
//!                                       |                 |
//!                                       +-- dataplane ----+
//! ```
//! Over a packet socket ([`Wire::AfPacket`]), `wire` is the veth itself, without bridge or tap.
//!
//! The node's MAC address is that of the exception interface; the port on `wire` is promiscuous.
//! Nothing else in the namespace may answer for the node: no ARP, no IPv6, other MAC addresses.
//! The taps are persistent: they keep their place, addresses and MAC when the dataplane goes.

use crate::address::{self, Addresses, FABRIC_LENGTHS, Mac};
use crate::topology::{Size, default_route, interface};
use crate::{Error, Namespace};

/// What carries an L4 node's packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wire {
    /// `net_tap`. At most 4 queues, and no IP packet above 1508 bytes: the fabric's MTU is 1500, and
    /// L7 nodes keep the clients' segments small enough for the tunnel (`advmss`).
    #[default]
    Tap,
    /// `net_af_packet` on the veth. The fabric's MTU is 1600: a client's full-size packet fits into
    /// the tunnel.
    AfPacket,
}

impl Wire {
    /// MTU of the fabric.
    pub const fn mtu(self) -> u16 {
        match self {
            Self::Tap => 1500,
            Self::AfPacket => 1600,
        }
    }

    /// Attributes of the L7 nodes' default routes, IPv4 and IPv6; `controlled` if a control looks after
    /// them.
    pub(crate) const fn answers(self, controlled: bool) -> [&'static str; 2] {
        match self {
            Self::Tap if controlled => ["", ""],
            // 1500 less the tunnel's header and those of IP and TCP.
            Self::Tap => ["advmss 1440", "advmss 1400"],
            // Answers leave the fabric without a tunnel.
            Self::AfPacket => ["mtu 1500", "mtu 1500"],
        }
    }

    /// The node's end of the cable to the fabric.
    pub(crate) const fn cable(self) -> &'static str {
        match self {
            Self::Tap => "uplink",
            Self::AfPacket => "wire",
        }
    }
}

/// Name of the exception interface.
pub(crate) const EXCEPTION: &str = "exception";

/// The interfaces of one L4 node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct L4Wire {
    pub(crate) addresses: Addresses,
    wire: Wire,
    routers: usize,
}

impl L4Wire {
    pub(crate) fn new(number: usize, size: Size) -> Self {
        Self { addresses: address::l4(number), wire: size.wire, routers: size.routers }
    }

    /// Makes them.
    pub(crate) fn build(&self, namespace: &Namespace) -> Result<(), Error> {
        let own = self.addresses.mac().of_wire();
        let wire = match self.wire {
            Wire::Tap => format!(
                "link add bridge type bridge mcast_snooping 0 stp_state 0 forward_delay 0\n\
                 tuntap add dev wire mode tap multi_queue\n\
                 link set wire address {own}\n\
                 link set uplink arp off master bridge up\n\
                 link set wire arp off master bridge up\n\
                 link set bridge arp off up\n"
            ),
            Wire::AfPacket => format!("link set wire address {own} arp off up\n"),
        };
        namespace.ip(&(wire + &format!("tuntap add dev {EXCEPTION} mode tap multi_queue\n")))?;
        namespace.sysctl(&[(&format!("net.ipv6.conf.{EXCEPTION}.disable_ipv6"), "0")])?;
        let lines = interface(EXCEPTION, self.addresses, FABRIC_LENGTHS, self.wire.mtu());
        namespace.ip(&(lines + &default_route(self.routers, address::router_fabric, ["", ""])))
    }

    /// The dataplane's `--port`, with `queues` receive queues.
    pub(crate) fn port(&self, queues: usize) -> String {
        let wire: Mac = self.addresses.mac().of_wire();
        match self.wire {
            Wire::Tap => format!("net_tap0,iface=wire,mac={wire},queues={queues}"),
            Wire::AfPacket => format!("net_af_packet0,iface=wire,qpairs={queues},queues={queues}"),
        }
    }
}

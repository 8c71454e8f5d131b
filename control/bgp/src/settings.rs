//! Whom this node speaks with, and what it says.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

/// A session with a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// The router's name, for messages.
    pub name: String,
    /// Its end of the session.
    pub address: IpAddr,
    /// The link of a link-local address.
    pub interface: Option<String>,
    /// TCP port, at its end; this node's is in [`Start::listen`](crate::Start::listen).
    pub port: u16,
    /// This node's end; absent: what the kernel chooses.
    pub source: Option<IpAddr>,
    /// This node's autonomous system.
    pub local_as: u32,
    /// The router's; iBGP if it is the same.
    pub peer_as: u32,
    /// This node's BGP identifier (RFC 6286).
    pub router_id: Ipv4Addr,
    /// What routes point to: this node itself.
    pub next_hops: NextHops,
    /// Whose routes are sent.
    pub families: Families,
    /// Whether IPv4 routes go with an IPv6 next hop if the router can (RFC 8950).
    pub extended_next_hop: bool,
    /// Key of TCP MD5 signatures (RFC 2385).
    pub password: Option<Password>,
    /// Whether only packets are taken that no router has forwarded (RFC 5082).
    pub ttl_security: bool,
    /// Whether the router is the one who connects.
    pub passive: bool,
    /// Offered to the router: whole seconds, 0 or 3 and more.
    pub hold_time: Duration,
    /// First pause after a failure; each is twice as long, up to two minutes.
    pub connect_retry: Duration,
    /// How long the router is asked to keep routes through a restart (RFC 4724); zero: not at all.
    pub restart_time: Duration,
}

impl Neighbor {
    /// Whether both are of one autonomous system.
    pub fn is_internal(&self) -> bool {
        self.local_as == self.peer_as
    }
}

/// This node's own addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextHops {
    /// IPv4.
    pub v4: Option<Ipv4Addr>,
    /// IPv6.
    pub v6: Option<Ipv6Addr>,
    /// IPv6, of the link that both are on.
    pub link_local: Option<Ipv6Addr>,
}

/// Address families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Families {
    /// IPv4 unicast.
    pub ipv4: bool,
    /// IPv6 unicast.
    pub ipv6: bool,
}

/// A route that a router shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What for.
    pub prefix: IpNet,
    /// How.
    pub attributes: Arc<Attributes>,
}

/// Path attributes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attributes {
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// LOCAL_PREF, sent over iBGP alone; 100 there if absent.
    pub local_pref: Option<u32>,
    /// How often the own autonomous system is put into the path once more.
    pub prepend: u8,
    /// Communities (RFC 1997).
    pub communities: BTreeSet<u32>,
    /// Large communities (RFC 8092).
    pub large_communities: BTreeSet<(u32, u32, u32)>,
}

/// A secret that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Of at most 80 bytes: what TCP_MD5SIG takes.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

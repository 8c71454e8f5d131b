//! What is wanted: neighbors as they are configured, and the routes that each is to be told.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use thiserror::Error;

/// Everything that is wanted of the speaker. Whole: what is not in it is taken back.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// All neighbors, each name once.
    pub neighbors: Vec<Peer>,
    /// Whether the routes are known to be complete. Only then End-of-RIB is sent: a router sweeps the
    /// routes of before a restart with it (RFC 4724).
    pub settled: bool,
}

/// A neighbor and its routes.
#[derive(Clone, Debug)]
pub struct Peer {
    /// With whom. A session is reset if, and only if, this changes.
    pub neighbor: Arc<Neighbor>,
    /// All that it is to be told. Of two routes to one prefix the later counts.
    pub routes: Arc<[Route]>,
}

/// A router, and how to talk to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// Its name, by which it is known over changes of settings.
    pub name: String,
    /// Its address. Connections from it are taken to be its own: no two neighbors have the same, unless
    /// on different interfaces.
    pub address: IpAddr,
    /// The interface that leads to it. Has to be there for a link-local address.
    pub interface: Option<String>,
    /// Its TCP port.
    pub port: u16,
    /// The address to connect from.
    pub source: Option<IpAddr>,
    /// Our AS.
    pub local_as: u32,
    /// Its AS. The session is iBGP if this is ours, too.
    pub peer_as: u32,
    /// Our BGP identifier.
    pub router_id: Ipv4Addr,
    /// Where packets for our routes should be sent.
    pub next_hops: NextHops,
    /// The address families to offer.
    pub families: Families,
    /// Announce IPv4 prefixes with an IPv6 next hop, if it can take that (RFC 8950).
    pub extended_next_hop: bool,
    /// Key of the TCP connection's signatures (RFC 2385).
    pub password: Option<Password>,
    /// Accept only what was sent from one hop away (RFC 5082).
    pub ttl_security: bool,
    /// Wait for it to connect.
    pub passive: bool,
    /// Silence after which the session is lost: 0 (never), or 3 s and more. Whole seconds.
    pub hold_time: Duration,
    /// Pause before the second attempt to connect. Doubles with each failure.
    pub connect_retry: Duration,
    /// For how long it should keep our routes while this process restarts (RFC 4724). Whole seconds, at
    /// most 4095; zero if it should not.
    pub restart_time: Duration,
}

impl Neighbor {
    /// Whether both are of one AS.
    pub fn is_internal(&self) -> bool {
        self.local_as == self.peer_as
    }
}

/// Where packets for our routes should be sent: this node's addresses on the network of the router.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextHops {
    /// For IPv4 prefixes. Without it they are announced only with an extended next hop.
    pub v4: Option<Ipv4Addr>,
    /// For IPv6 prefixes.
    pub v6: Option<Ipv6Addr>,
    /// For IPv6 prefixes, beside the former or in its place.
    pub link_local: Option<Ipv6Addr>,
}

/// Address families, of unicast each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Families {
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

impl Families {
    /// Both.
    pub const ALL: Self = Self { ipv4: true, ipv6: true };
    /// Neither.
    pub const NONE: Self = Self { ipv4: false, ipv6: false };

    /// Those that are in both.
    pub fn intersection(self, other: Self) -> Self {
        Self { ipv4: self.ipv4 && other.ipv4, ipv6: self.ipv6 && other.ipv6 }
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self == Self::NONE
    }

    /// Whether a prefix is of one of them.
    pub fn contain(self, prefix: IpNet) -> bool {
        match prefix {
            IpNet::V4(_) => self.ipv4,
            IpNet::V6(_) => self.ipv6,
        }
    }
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.ipv4, self.ipv6) {
            (true, true) => "IPv4 and IPv6",
            (true, false) => "IPv4",
            (false, true) => "IPv6",
            (false, false) => "none",
        })
    }
}

/// The key of TCP's MD5 signatures: 1 to 80 bytes, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<[u8]>);

/// A password that the kernel cannot take.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("a password of {0} bytes: TCP-MD5 takes 1 to {max}", max = Password::MAX)]
pub struct PasswordTooLong(pub usize);

impl Password {
    /// Most bytes (`TCP_MD5SIG_MAXKEYLEN`).
    pub const MAX: usize = 80;

    /// A password of the bytes as they are.
    ///
    /// # Errors
    /// It is empty, or longer than [`Password::MAX`].
    pub fn new(key: impl Into<Box<[u8]>>) -> Result<Self, PasswordTooLong> {
        let key = key.into();
        if (1..=Self::MAX).contains(&key.len()) {
            Ok(Self(key))
        } else {
            Err(PasswordTooLong(key.len()))
        }
    }

    /// The bytes, for the kernel.
    pub(crate) fn key(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// A prefix that is announced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads. Bits behind the prefix length are not sent.
    pub prefix: IpNet,
    /// What is said of it.
    pub attributes: Arc<Attributes>,
}

/// What is said of a route. Routes with equal attributes share messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attributes {
    /// MULTI_EXIT_DISC: the lower is the better, among routes from one AS.
    pub med: Option<u32>,
    /// LOCAL_PREF: the higher is the better. Sent over iBGP only, where 100 is said if there is none.
    pub local_pref: Option<u32>,
    /// How often our AS stands in the path beyond what is due.
    pub prepend: u8,
    /// Communities (RFC 1997).
    pub communities: BTreeSet<u32>,
    /// Large communities (RFC 8092).
    pub large_communities: BTreeSet<(u32, u32, u32)>,
}

impl Attributes {
    /// GRACEFUL_SHUTDOWN, 65535:0: others should be preferred, this one is about to go (RFC 8326).
    pub const GRACEFUL_SHUTDOWN: u32 = 0xffff_0000;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let password = Password::new(*b"s3cret").unwrap();
        assert!(!format!("{password:?}").contains("s3cret"));
        assert_eq!(password.key(), b"s3cret");
    }

    #[test]
    fn a_password_is_one_that_the_kernel_takes() {
        for (length, fits) in [(0, false), (1, true), (80, true), (81, false)] {
            assert_eq!(Password::new(vec![b'x'; length]).is_ok(), fits, "{length}");
        }
    }
}

//! How the site speaks BGP, and what it says.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use api::Prefix;

/// `[bgp]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bgp {
    /// The site's autonomous system.
    pub local_as: u32,
    /// TCP port, here and at the routers.
    pub port: u16,
    /// How long routers keep the routes of a node whose control is being restarted (RFC 4724); zero:
    /// that is not offered to them.
    pub restart_time: Duration,
    /// How long a node that leaves announces with GRACEFUL_SHUTDOWN (RFC 8326) before it withdraws.
    pub drain_time: Duration,
}

/// How L4 nodes speak BGP with a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The router's autonomous system; iBGP if it is `local_as`.
    pub peer_as: u32,
    /// Ours, as this router sees it.
    pub local_as: u32,
    /// One for each address of the router.
    pub sessions: Vec<Session>,
    /// Offered to the router, which may want less: zero, or 3 s and more.
    pub hold_time: Duration,
    /// First pause between two tries; each is twice as long as the one before.
    pub connect_retry: Duration,
    /// Key of TCP MD5 signatures (RFC 2385).
    pub password: Option<Password>,
    /// Whether only packets are taken that no router has forwarded (GTSM, RFC 5082).
    pub ttl_security: bool,
    /// Whether the router is the one who connects.
    pub passive: bool,
    /// Whether IPv4 routes may have IPv6 next hops (RFC 8950).
    pub extended_next_hop: bool,
    /// The interface of link-local addresses.
    pub interface: Option<String>,
    /// Which L4 nodes: places in [`Config::l4`](super::Config::l4).
    pub nodes: Vec<usize>,
    /// Which services it is told of: places in [`Config::services`](super::Config::services).
    pub services: Vec<usize>,
    /// How the router's and the dataplane's life is watched.
    pub bfd: Option<Bfd>,
}

/// A session with a router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The router's end.
    pub address: IpAddr,
    /// Whether IPv4 routes go over it.
    pub ipv4: bool,
    /// Whether IPv6 routes go over it.
    pub ipv6: bool,
}

/// Timers of BFD (RFC 5880).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bfd {
    /// Between two packets, in both directions.
    pub interval: Duration,
    /// How many may be missing.
    pub multiplier: u8,
}

/// What routers are told of a service's VIPs: `bgp` of `[[service]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// MULTI_EXIT_DISC.
    pub med: Option<u32>,
    /// The same while this node drains.
    pub med_drained: Option<u32>,
    /// LOCAL_PREF, over iBGP.
    pub local_preference: Option<u32>,
    /// How often `local_as` is put into the path once more.
    pub prepend: u8,
    /// Communities (RFC 1997).
    pub communities: Vec<u32>,
    /// Large communities (RFC 8092).
    pub large_communities: Vec<[u32; 3]>,
    /// Announced in the place of the VIPs in them.
    pub aggregates: Vec<Prefix>,
    /// Whether a prefix that other services share is withdrawn when this one is lost.
    pub required: bool,
}

impl Default for Announcement {
    fn default() -> Self {
        Self {
            med: None,
            med_drained: None,
            local_preference: None,
            prepend: 0,
            communities: Vec::new(),
            large_communities: Vec::new(),
            aggregates: Vec::new(),
            required: true,
        }
    }
}

impl Announcement {
    /// The prefix that is announced for a VIP.
    pub fn prefix(&self, vip: Prefix) -> Prefix {
        let whole = |aggregate: &&Prefix| {
            aggregate.length() <= vip.length() && aggregate.contains(vip.address())
        };
        self.aggregates.iter().find(whole).copied().unwrap_or(vip)
    }
}

/// A secret that no log shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub(crate) String);

impl Password {
    /// It.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

//! Sessions of the site file, as the speaker and the dataplane take them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use api::BfdSession;
use bgp::{Families, Neighbor, NextHops, Password};
use config::{Bgp, Config, L4, Peer, Router, Session};

/// The own addresses of links that sessions go over, as far as they are known: one that was there and is
/// not any more is expected back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Links(BTreeMap<String, Ipv6Addr>);

impl Links {
    /// Takes in what the kernel has now. Says whether that is news.
    pub(crate) fn learn(&mut self, config: &Config, own: &L4) -> bool {
        let wanted: Vec<&str> = interfaces(config, own).collect();
        if wanted.is_empty() {
            return false;
        }
        let before = self.0.clone();
        for interface in wanted {
            if let Some(address) = link_local(interface) {
                self.0.insert(interface.to_owned(), address);
            }
        }
        self.0 != before
    }

    /// Whether a link has none yet.
    pub(crate) fn lack(&self, config: &Config, own: &L4) -> bool {
        interfaces(config, own).any(|interface| !self.0.contains_key(interface))
    }

    /// What keeps a session from an address of a link alone.
    pub(crate) fn why_not(&self, peer: &Peer, router: IpAddr) -> Option<String> {
        let interface = peer.interface.as_deref().filter(|_| of_link(router))?;
        let known = self.0.contains_key(interface);
        (!known).then(|| format!("{interface} has no link-local address yet"))
    }
}

/// The interfaces that sessions go over by addresses of a link alone.
fn interfaces<'a>(config: &'a Config, own: &L4) -> impl Iterator<Item = &'a str> {
    speakers(config, own).filter_map(|(_, peer)| {
        let any = peer.sessions.iter().any(|session| of_link(session.address));
        peer.interface.as_deref().filter(|_| any)
    })
}

fn of_link(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

/// The neighbor that a router is to this node over one of its sessions; nothing if the node has no
/// address to speak from.
pub(crate) fn neighbor(
    bgp: &Bgp,
    own: &L4,
    router: &Router,
    peer: &Peer,
    session: &Session,
    links: &Links,
) -> Option<Neighbor> {
    let v4: Option<Ipv4Addr> = own.addresses.iter().find_map(|address| match address {
        IpAddr::V4(v4) => Some(*v4),
        IpAddr::V6(_) => None,
    });
    let v6: Option<Ipv6Addr> = own.addresses.iter().find_map(|address| match address {
        IpAddr::V6(v6) => Some(*v6),
        IpAddr::V4(_) => None,
    });
    let (source, interface) = ends(own, peer, session, links)?;
    let link_local = match source {
        IpAddr::V6(v6) if interface.is_some() => Some(v6),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    };
    Some(Neighbor {
        // A router of two addresses is two neighbors.
        name: format!("{} {}", router.name, session.address),
        address: session.address,
        interface,
        port: bgp.port,
        source: Some(source),
        local_as: peer.local_as,
        peer_as: peer.peer_as,
        router_id: own.router_id?,
        next_hops: NextHops { v4, v6, link_local },
        families: Families { ipv4: session.ipv4, ipv6: session.ipv6 },
        extended_next_hop: peer.extended_next_hop,
        password: match &peer.password {
            Some(password) => Some(Password::new(password.reveal().as_bytes()).ok()?),
            None => None,
        },
        ttl_security: peer.ttl_security,
        passive: peer.passive,
        hold_time: peer.hold_time,
        connect_retry: peer.connect_retry,
        restart_time: bgp.restart_time,
    })
}

/// The routers that the dataplane of a node watches by BFD, and tells of its own life.
pub(crate) fn watched(config: &Config, own: &L4, links: &Links) -> Vec<BfdSession> {
    let watched =
        speakers(config, own).filter_map(|(router, peer)| Some((router, peer, peer.bfd?)));
    watched
        .flat_map(|(router, peer, bfd)| {
            peer.sessions.iter().filter_map(move |session| {
                let (local, interface) = ends(own, peer, session, links)?;
                Some(BfdSession {
                    router: router.name.clone(),
                    local,
                    remote: session.address,
                    interface,
                    interval_ms: u32::try_from(bfd.interval.as_millis()).unwrap_or(u32::MAX),
                    multiplier: bfd.multiplier,
                })
            })
        })
        .collect()
}

/// This node's end of a session, and the link if both ends are of one; nothing if it has none.
fn ends(
    own: &L4,
    peer: &Peer,
    session: &Session,
    links: &Links,
) -> Option<(IpAddr, Option<String>)> {
    match &peer.interface {
        Some(interface) if of_link(session.address) => {
            Some(((*links.0.get(interface)?).into(), Some(interface.clone())))
        }
        Some(_) | None => {
            let same = |own: &&IpAddr| own.is_ipv4() == session.address.is_ipv4();
            Some((own.addresses.iter().copied().find(|own| same(&own))?, None))
        }
    }
}

/// The routers that a node speaks with.
pub(crate) fn speakers<'a>(
    config: &'a Config,
    own: &L4,
) -> impl Iterator<Item = (&'a Router, &'a Peer)> {
    let place = config.l4.iter().position(|node| node.name == own.name);
    config.routers.iter().filter_map(move |router| {
        let peer = router.peer.as_ref()?;
        peer.nodes.contains(&place?).then_some((router, peer))
    })
}

/// The link-local address of an interface, if it is there already.
fn link_local(interface: &str) -> Option<Ipv6Addr> {
    let all = nix::ifaddrs::getifaddrs().ok()?;
    all.filter(|one| one.interface_name == interface).find_map(|one| {
        let address = one.address?.as_sockaddr_in6()?.ip();
        address.is_unicast_link_local().then_some(address)
    })
}

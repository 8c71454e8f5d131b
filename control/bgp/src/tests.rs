//! Speakers against each other and against peers that are played, over loopback.

mod fake;
mod pair;
mod stranger;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::settings::Password;
use crate::{
    Attributes, Families, Neighbor, NextHops, Peer, Route, SessionState, SessionStatus, Speaker,
    Start, Wanted,
};

/// Longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(30);

/// A speaker that listens on an address of its own.
fn speaker(address: &str) -> Speaker {
    started(address, false)
}

fn started(address: &str, restarted: bool) -> Speaker {
    let listen = vec![SocketAddr::new(address.parse().unwrap(), 0)];
    Speaker::start(Start { listen, restarted, forwarding: true }).unwrap()
}

/// A neighbor at a socket address, as seen from `source`.
pub(crate) fn neighbor(name: &str, source: &str, at: SocketAddr) -> Neighbor {
    Neighbor {
        name: name.to_owned(),
        address: at.ip(),
        interface: None,
        port: at.port(),
        source: Some(source.parse().unwrap()),
        local_as: 4_200_065_001,
        peer_as: 65000,
        router_id: router_id(source),
        next_hops: NextHops {
            v4: Some(Ipv4Addr::new(192, 0, 2, 11)),
            v6: Some("2001:db8::11".parse().unwrap()),
            link_local: None,
        },
        families: Families::ALL,
        extended_next_hop: false,
        password: None,
        ttl_security: false,
        passive: false,
        hold_time: Duration::from_secs(90),
        connect_retry: Duration::from_millis(100),
        restart_time: Duration::from_secs(30),
    }
}

/// 10.0.0.x of 127.0.x.y: in the order of the addresses.
fn router_id(address: &str) -> Ipv4Addr {
    match address.parse().unwrap() {
        IpAddr::V4(v4) => Ipv4Addr::from(u32::from(v4) & 0x00ff_ffff | 0x0a00_0000),
        IpAddr::V6(_) => Ipv4Addr::new(10, 6, 6, 6),
    }
}

/// The same session seen from the other side.
fn router(name: &str, source: &str, at: SocketAddr) -> Neighbor {
    Neighbor {
        local_as: 65000,
        peer_as: 4_200_065_001,
        passive: true,
        ..neighbor(name, source, at)
    }
}

pub(crate) fn route(prefix: &str) -> Route {
    route_with(prefix, Attributes::default())
}

pub(crate) fn route_with(prefix: &str, attributes: Attributes) -> Route {
    Route { prefix: prefix.parse().unwrap(), attributes: Arc::new(attributes) }
}

fn wanted(neighbors: &[(&Neighbor, &[Route])]) -> Wanted {
    let peer = |(neighbor, routes): &(&Neighbor, &[Route])| Peer {
        neighbor: Arc::new((*neighbor).clone()),
        routes: Arc::from(*routes),
    };
    Wanted { neighbors: neighbors.iter().map(peer).collect(), settled: true }
}

fn password(key: &str) -> Option<Password> {
    Some(Password::new(key.as_bytes()).unwrap())
}

/// Waits until a session's status is as it should be, and gives it.
async fn status_when(
    speaker: &Speaker,
    name: &str,
    what: &str,
    holds: impl Fn(&SessionStatus) -> bool,
) -> SessionStatus {
    let mut statuses = speaker.status();
    let find =
        |all: &Arc<Vec<SessionStatus>>| all.iter().find(|status| status.neighbor == name).cloned();
    let reached =
        timeout(DEADLINE, statuses.wait_for(|all| find(all).is_some_and(|status| holds(&status))));
    let found = match reached.await {
        Ok(all) => find(&all.expect("the speaker lives")),
        Err(_) => None,
    };
    found.unwrap_or_else(|| panic!("{name}: never {what}: {:#?}", find(&speaker.status().borrow())))
}

async fn established(speaker: &Speaker, name: &str) -> SessionStatus {
    let up = |status: &SessionStatus| status.state == SessionState::Established;
    status_when(speaker, name, "established", up).await
}

async fn failed(speaker: &Speaker, name: &str, why: &str) -> SessionStatus {
    let so = |status: &SessionStatus| status.why.as_deref().is_some_and(|text| text.contains(why));
    status_when(speaker, name, why, so).await
}

//! Neighbors that outlive a change of processes. The kernel would forget them when the exception interface
//! loses its carrier, and does when the next process's driver gives it its link address, the same or not.
//! To ask for them anew takes a second if the first question is lost, as it is where a port or its switch
//! is slower to come up than this process.

use std::fs;
use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};

use super::kernel::{NeighborKey, Neighbors, family};
use super::netlink::{Error, Netlink};

/// Who was reachable by some interfaces.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    neighbors: Vec<(NeighborKey, [u8; 6])>,
}

impl Memory {
    /// Those of the interfaces with these names; nobody if the kernel does not tell.
    pub(crate) fn of(interfaces: &[&str]) -> Self {
        Self::read(interfaces).unwrap_or_else(|error| {
            tracing::debug!(%error, "neighbors are not remembered");
            Self::default()
        })
    }

    fn read(interfaces: &[&str]) -> Result<Self, Error> {
        let mut netlink = Netlink::open()?;
        let links = netlink.links()?;
        let is_ours = |index: &u32| {
            links.get(index).is_some_and(|link| interfaces.contains(&link.name.as_str()))
        };
        let neighbors = netlink.neighbors()?.into_iter();
        let known = neighbors.filter(|((interface, _), _)| is_ours(interface)).filter_map(known);
        Ok(Self { neighbors: known.collect() })
    }

    /// Reminds the kernel of those that it has forgotten. It makes sure of each by itself when it is used.
    pub(crate) fn restore(self) {
        if let Err(error) = self.write() {
            tracing::debug!(%error, "neighbors are forgotten");
        }
    }

    fn write(self) -> Result<(), Error> {
        let mut netlink = Netlink::open()?;
        let there: Neighbors = netlink.neighbors()?;
        for (key, mac) in self.neighbors {
            if there.get(&key).is_some_and(|neighbor| neighbor.mac.is_some()) {
                continue;
            }
            match netlink.remember(key, mac) {
                Err(Error::Refused(errno)) => {
                    tracing::debug!(neighbor = %key.1, error = errno.desc(), "not remembered");
                }
                done => done?,
            }
        }
        Ok(())
    }
}

/// A neighbor whose link address was good until now. What an operator has set stays by itself.
fn known(
    (key, neighbor): (NeighborKey, super::kernel::Neighbor),
) -> Option<(NeighborKey, [u8; 6])> {
    use NeighbourState as S;
    match neighbor.state {
        S::Reachable | S::Stale | S::Delay | S::Probe => Some((key, neighbor.mac?)),
        _ => None,
    }
}

impl Netlink {
    /// Tells the kernel a neighbor's link address, of which it has to make sure.
    fn remember(&mut self, (interface, address): NeighborKey, mac: [u8; 6]) -> Result<(), Error> {
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = interface;
        message.header.state = NeighbourState::Stale;
        message.attributes = vec![
            NeighbourAttribute::Destination(IpAddr::into(address)),
            NeighbourAttribute::LinkLayerAddress(mac.to_vec()),
        ];
        self.ask(RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)?;
        Ok(())
    }
}

/// Has the kernel keep the neighbors of an interface while that has no carrier, which is while this process
/// is away.
///
/// # Errors
/// Linux has it since 5.16, and not where it lacks a family.
pub(crate) fn keep_without_carrier(interface: &str) -> io::Result<()> {
    for knob in ["ipv4/conf/{}/arp_evict_nocarrier", "ipv6/conf/{}/ndisc_evict_nocarrier"] {
        fs::write(format!("/proc/sys/net/{}", knob.replace("{}", interface)), "0")?;
    }
    Ok(())
}

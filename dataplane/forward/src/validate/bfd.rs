use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use api::{BfdSession, Snapshot};

use super::Problems;

/// Intervals in milliseconds: below, the workers' heartbeats are too coarse; above, no router waits.
const INTERVAL: RangeInclusive<u32> = 10..=60_000;
/// Longest name of an interface in bytes (IFNAMSIZ, without the NUL).
const MAX_INTERFACE: usize = 15;

impl Problems {
    pub(super) fn bfd(&mut self, snapshot: &Snapshot) {
        let mut remotes = BTreeMap::new();
        for (i, session) in snapshot.bfd.iter().enumerate() {
            let BfdSession { router, local, remote, interface, interval_ms, multiplier } = session;
            let place = format!("bfd[{i}] ({router})");
            self.name(&place, router);
            self.bfd_addresses(&place, session, snapshot);
            if let Some(other) = remotes.insert((remote, interface), router) {
                self.add(&place, format!("{remote} is that of {other}"));
            }
            if !INTERVAL.contains(interval_ms) {
                let (least, most) = INTERVAL.into_inner();
                self.add(&place, format!("interval_ms is {least} to {most}, not {interval_ms}"));
            }
            if *multiplier == 0 {
                self.add(&place, "multiplier is 1 to 255");
            }
            if local == remote {
                self.add(&place, format!("{remote} is this L4 node's own address"));
            }
        }
    }

    fn bfd_addresses(&mut self, place: &str, session: &BfdSession, snapshot: &Snapshot) {
        let BfdSession { local, remote, interface, .. } = session;
        for address in [local, remote] {
            if address.is_unspecified() || address.is_multicast() || address.is_loopback() {
                self.add(place, format!("{address} is not an address that a host can have"));
            }
        }
        if local.is_ipv4() != remote.is_ipv4() {
            self.add(place, format!("{local} and {remote} are not of one family"));
        } else if is_link_local(local) != is_link_local(remote) {
            self.add(place, format!("of {local} and {remote} one alone is link-local"));
        }
        if !is_link_local(local) && !snapshot.addresses.contains(local) {
            self.add(place, format!("{local} is not one of this L4 node's own addresses"));
        }
        match interface {
            None if is_link_local(remote) => {
                self.add(place, format!("{remote} is link-local: it needs an interface"));
            }
            Some(name) if !is_link_local(remote) => {
                self.add(place, format!("interface {name} is for link-local addresses alone"));
            }
            Some(name) if name.is_empty() || name.len() > MAX_INTERFACE => {
                self.add(place, format!("interface: a name has 1 to {MAX_INTERFACE} bytes"));
            }
            None | Some(_) => {}
        }
    }
}

/// Addresses that mean something on an interface only.
fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

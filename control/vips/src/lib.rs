//! What an L7 node's kernel has to have so that VIPs work.
//!
//! - The VIPs on `lo`: `/32` and `/128`, or for a whole prefix of VIPs a `local` route (sockets bind
//!   to such an IPv6 address only with `IPV6_FREEBIND`, or to all addresses).
//! - `arp_ignore` and `arp_announce`, so that no node answers ARP for a VIP that all nodes have.
//! - `advmss` on routes: a client's segments get an outer header on their way from the L4 node to
//!   this one, so clients are told an MSS that leaves room for it. The answers do not pass the
//!   tunnel, so nothing but this can tell them.
//!
//! [`Host::set`] takes the whole wanted state and may be called every few seconds: what is there
//! already is not touched, so routes that come and go are followed. What was there before is not
//! ours: only what this crate has put there is ever taken away. It is written to a file first, so
//! that the next process, after a crash too, knows what is its own.
//!
//! All is of the network namespace of the calling thread. Calls block for some milliseconds.

mod advmss;
mod link;
mod loopback;
mod memory;
mod netlink;
mod route;
mod setting;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use api::Prefix;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use advmss::Goal;
use memory::Memory;
use netlink::Netlink;
pub use route::Key;

/// What the node shall have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Its VIPs.
    pub vips: Vec<Prefix>,
    /// How tunnelled packets come. None: routes are left, or put back, as they were.
    pub tunnel: Option<Tunnel>,
}

/// How the L4 nodes' packets come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Names of the interfaces on which they arrive; the one of the least MTU counts.
    pub interfaces: Vec<String>,
    /// Bytes of the longest outer header: 40 if an L4 node may send by IPv6, else 20.
    pub outer: u32,
}

/// What there is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The wanted VIPs that are on `lo`.
    pub vips: Vec<Prefix>,
    /// Unicast routes of the main table that lead through a gateway.
    pub routes: Vec<RouteReport>,
    /// What is not as wanted, each a sentence for an operator.
    pub problems: Vec<String>,
}

/// A route, and what MSS it has clients told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteReport {
    /// Which.
    #[serde(flatten)]
    pub key: Key,
    /// Bytes of the MSS if one is set. Else the interface's MTU says, which is little enough
    /// unless a problem is reported.
    pub advmss: Option<u32>,
    /// Whether it was set by this crate.
    pub ours: bool,
}

/// Why nothing is known about the node, or nothing may be changed.
#[derive(Debug, Error)]
pub enum Error {
    /// What was changed cannot be remembered, so it is not changed; or it cannot be read what was.
    #[error("cannot use {}, which remembers what is to be undone", path.display())]
    Memory {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The kernel does not say what there is.
    #[error("cannot list {what}")]
    Netlink {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The node's kernel. Dropping it changes nothing; see [`leave`](Self::leave).
#[derive(Debug)]
pub struct Host {
    memory: Memory,
}

impl Host {
    /// Reads from the folder what an earlier process has changed, if one has since the last boot.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn new(state: &Path) -> Result<Self, Error> {
        Ok(Self { memory: Memory::open(state)? })
    }

    /// Makes it so: VIPs, ARP settings, routes; VIPs that are not wanted any more go last.
    ///
    /// # Errors
    /// See [`enum@Error`]. What the kernel refuses is in the report instead.
    pub fn set(&mut self, wanted: &Wanted) -> Result<Report, Error> {
        let mut netlink = open()?;
        let links = listed("interfaces", link::all(&mut netlink))?;
        let mut report = Report::default();
        if links.values().any(|link| link.name == "lo" && !link.is_up) {
            report.problems.push("lo is down, where the VIPs are: `ip link set lo up`".into());
        }
        // ARP first: no moment in which this node answers for a VIP.
        if !wanted.vips.is_empty() {
            self.raise_settings(&mut report)?;
        }
        let goal = advmss::goal(wanted.tunnel.as_ref(), &links, &mut report);
        self.set_routes(&mut netlink, &links, goal, &mut report)?;
        self.set_vips(&mut netlink, &wanted.vips, &mut report)?;
        Ok(report)
    }

    /// Undoes all that was done: routes, VIPs, and then ARP settings, so that there is no moment in which
    /// this node answers for a VIP.
    ///
    /// # Errors
    /// See [`enum@Error`]. What the kernel refuses is in the report instead, and is tried again by the
    /// next call.
    pub fn leave(&mut self) -> Result<Report, Error> {
        let mut netlink = open()?;
        let mut report = Report::default();
        self.set_routes(&mut netlink, &BTreeMap::new(), Goal::Undo, &mut report)?;
        self.set_vips(&mut netlink, &[], &mut report)?;
        let mut changes = self.memory.changes();
        if changes.vips.is_empty() {
            report.problems.extend(setting::restore(&mut changes.settings));
            self.memory.write(&changes)?;
        }
        Ok(report)
    }

    fn set_vips(
        &mut self,
        netlink: &mut Netlink,
        wanted: &[Prefix],
        report: &mut Report,
    ) -> Result<(), Error> {
        let wanted: BTreeSet<Prefix> = wanted.iter().copied().collect();
        let present = listed("addresses of lo", loopback::present(netlink))?;
        let missing: Vec<Prefix> = wanted.difference(&present).copied().collect();
        let mut changes = self.memory.changes();
        changes.vips.extend(&missing);
        self.memory.write(&changes)?;

        for vip in missing {
            if let Err(error) = loopback::add(netlink, vip) {
                report.problems.push(format!("cannot put {vip} on lo: {error}"));
                changes.vips.remove(&vip);
            }
        }
        changes.vips.retain(|&vip| {
            if wanted.contains(&vip) {
                return true;
            }
            let removed = loopback::remove(netlink, vip);
            let is_left = removed.is_err();
            let problem = removed.map_err(|error| format!("cannot take {vip} off lo: {error}"));
            report.problems.extend(problem.err());
            is_left
        });
        self.memory.write(&changes)?;
        let present = listed("addresses of lo", loopback::present(netlink))?;
        report.vips = wanted.intersection(&present).copied().collect();
        Ok(())
    }

    fn raise_settings(&mut self, report: &mut Report) -> Result<(), Error> {
        let low = match setting::too_low() {
            Ok(low) => low,
            Err(problem) => {
                report.problems.push(problem);
                return Ok(());
            }
        };
        let mut changes = self.memory.changes();
        for &(path, value) in &low {
            // The first value is the one to go back to, whatever another has set since.
            changes.settings.entry(path.to_owned()).or_insert(value);
        }
        self.memory.write(&changes)?;
        report.problems.extend(low.iter().filter_map(|(path, _)| setting::raise(path).err()));
        Ok(())
    }
}

fn open() -> Result<Netlink, Error> {
    listed("anything", Netlink::open())
}

fn listed<T>(what: &'static str, result: io::Result<T>) -> Result<T, Error> {
    result.map_err(|source| Error::Netlink { what, source })
}

//! What each router is told: which prefixes, with which attributes, and why others are kept back. Pure.
//!
//! A prefix belongs to all the services that have a VIP in it: one VIP may serve several, and an
//! aggregate stands for many. It is announced while every service that is `required` for it is well; if
//! none is, while one is.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use admin::States;
use api::Prefix;
use bgp::{Attributes, Route};
use config::{Announcement, Config, Peer, Service, Session};
use health::Admin;

use crate::plan::Plan;

/// Whether this node announces at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stance {
    /// Yes.
    Open,
    /// It is about to stop: with GRACEFUL_SHUTDOWN.
    Leaving,
    /// No, for this reason.
    Shut(String),
}

/// What is known.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The site file.
    pub config: &'a Config,
    /// This node's name.
    pub own: &'a str,
    /// Of the same configuration.
    pub plan: &'a Plan,
    /// Services and VIPs that the dataplane has.
    pub served: &'a HashSet<(&'a str, Prefix)>,
    /// Those of them at which it has somebody to send flows to.
    pub ready: &'a HashSet<(&'a str, Prefix)>,
    /// What operators want.
    pub states: &'a States,
    /// Whether anything is announced.
    pub stance: &'a Stance,
    /// Routers whose BFD session was lost, and is not back.
    pub lost: &'a BTreeSet<IpAddr>,
}

/// What a router is told over a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// In the order of their prefixes.
    pub routes: Vec<Route>,
    /// What it is not told, and why.
    pub kept_back: Vec<(Prefix, String)>,
}

/// What a router is told over one of its sessions.
pub fn told(known: &Known<'_>, peer: &Peer, session: &Session) -> Told {
    let mut told = Told::default();
    for (prefix, parts) in prefixes(known.config, peer, session) {
        match verdict(known, session, &parts) {
            Ok(()) => {
                let leaving = *known.stance == Stance::Leaving;
                let announcement = &known.config.services[parts[0].0].announcement;
                let attributes = Arc::new(attributes(announcement, leaving));
                told.routes.push(Route { prefix: net(prefix), attributes });
            }
            Err(why) => told.kept_back.push((prefix, why)),
        }
    }
    told
}

/// A service and one of its VIPs, by their places.
type Part = (usize, usize);

/// What could be announced over a session, and for whom.
fn prefixes(config: &Config, peer: &Peer, session: &Session) -> BTreeMap<Prefix, Vec<Part>> {
    let mut prefixes: BTreeMap<Prefix, Vec<Part>> = BTreeMap::new();
    for &s in &peer.services {
        let service = &config.services[s];
        for (v, &vip) in service.vips.iter().enumerate() {
            let carried = if vip.address().is_ipv6() { session.ipv6 } else { session.ipv4 };
            if carried {
                prefixes.entry(service.announcement.prefix(vip)).or_default().push((s, v));
            }
        }
    }
    prefixes
}

fn verdict(known: &Known<'_>, session: &Session, parts: &[Part]) -> Result<(), String> {
    if let Stance::Shut(why) = known.stance {
        return Err(why.clone());
    }
    if known.lost.contains(&session.address) {
        return Err("BFD: the router does not hear this node, or is not heard".into());
    }
    let required: Vec<&Part> =
        parts.iter().filter(|part| service(known, part).announcement.required).collect();
    if required.is_empty() {
        let mut first = None;
        for part in parts {
            match well(known, part) {
                Ok(()) => return Ok(()),
                Err(why) => first = first.or(Some(why)),
            }
        }
        return first.map_or(Ok(()), Err);
    }
    required.into_iter().try_for_each(|part| well(known, part))
}

fn service<'a>(known: &Known<'a>, &(s, _): &Part) -> &'a Service {
    &known.config.services[s]
}

/// Whether a service is fit to be announced at one of its VIPs.
fn well(known: &Known<'_>, part: &Part) -> Result<(), String> {
    let &(s, v) = part;
    let service = service(known, part);
    let name = &service.name;
    if let Some(entry) = withdrawn(known.states, name, known.own) {
        return Err(format!("service {name}: withdrawn by {entry}"));
    }
    let vip = &known.plan.services[s][v];
    if !vip.announce {
        return Err(format!("service {name}: the quorum is lost"));
    }
    let place = (name.as_str(), service.vips[v]);
    if !known.served.contains(&place) {
        return Err(format!("service {name}: the dataplane does not have it yet"));
    }
    // Without quorum it is announced for what it has, be it nobody.
    if vip.quorum && !known.ready.contains(&place) {
        return Err(format!("service {name}: the dataplane does not have its nodes yet"));
    }
    Ok(())
}

/// The name under which operators' words about a service's announcement are kept among node states: of
/// one node, or of all.
pub fn word(service: &str, node: Option<&str>) -> String {
    // Names have neither `/` nor `@`.
    match node {
        Some(node) => format!("service/{service}@{node}"),
        None => format!("service/{service}"),
    }
}

/// Every name that [`word`] can give in a site.
pub fn words(config: &Config) -> impl Iterator<Item = String> {
    config.services.iter().flat_map(|service| {
        let here = config.l4.iter().map(|node| word(&service.name, Some(&node.name)));
        here.chain([word(&service.name, None)])
    })
}

/// Who has withdrawn a service, here or everywhere.
fn withdrawn<'a>(states: &'a States, service: &str, own: &str) -> Option<&'a str> {
    [Some(own), None].into_iter().find_map(|node| {
        let entry = states.get(&word(service, node))?;
        (entry.state != Admin::Ready).then_some(entry.by.as_str())
    })
}

fn attributes(announcement: &Announcement, leaving: bool) -> Attributes {
    let Announcement { med, med_drained, local_preference, prepend, .. } = *announcement;
    let mut communities: BTreeSet<u32> = announcement.communities.iter().copied().collect();
    if leaving {
        communities.insert(Attributes::GRACEFUL_SHUTDOWN);
    }
    let large = announcement.large_communities.iter().map(|&[a, b, c]| (a, b, c));
    Attributes {
        med: med_drained.filter(|_| leaving).or(med),
        // RFC 8326, 4.1: over iBGP the sender itself lowers it.
        local_pref: if leaving { Some(0) } else { local_preference },
        prepend,
        communities,
        large_communities: large.collect(),
    }
}

fn net(prefix: Prefix) -> ipnet::IpNet {
    ipnet::IpNet::new(prefix.address(), prefix.length())
        .expect("a Prefix is no longer than its address")
}

#[cfg(test)]
mod tests;

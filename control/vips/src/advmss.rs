//! Which routes get which MSS, and that they have it.

use std::collections::{BTreeMap, BTreeSet};

use crate::link::Link;
use crate::netlink::Netlink;
use crate::route::{self, Key, Route};
use crate::{Error, Host, Report, RouteReport, Tunnel, listed};

/// Every IPv4 host takes so much (RFC 9293); less is a mistake in an MTU.
const LEAST_MSS: u32 = 536;

/// What is wanted of all routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// As they were before us.
    Undo,
    /// As they are: it is not known how they should be.
    Keep,
    /// That clients' packets are at most of so many bytes.
    Fit(u32),
}

/// What is done to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Keep,
    Set(u32),
    Clear,
    /// Nothing, but what somebody else has set is more than this.
    TooMuch(u32),
}

/// What the tunnel asks for.
pub(crate) fn goal(
    tunnel: Option<&Tunnel>,
    links: &BTreeMap<u32, Link>,
    report: &mut Report,
) -> Goal {
    let Some(tunnel) = tunnel else { return Goal::Undo };
    let mtu = |name: &String| links.values().find(|link| link.name == *name).map(|link| link.mtu);
    let missing = tunnel.interfaces.iter().filter(|&name| mtu(name).is_none());
    report.problems.extend(missing.map(|name| format!("there is no interface {name}")));
    let Some(mtu) = tunnel.interfaces.iter().filter_map(mtu).min() else { return Goal::Keep };
    let inner = mtu.saturating_sub(tunnel.outer);
    if inner < LEAST_MSS + 60 {
        report.problems.push(format!("an MTU of {mtu} leaves too little beside the outer header"));
        return Goal::Keep;
    }
    Goal::Fit(inner)
}

/// Decides about a route that has this advmss, set by us or not. `natural` is the least and the
/// greatest that its interfaces would give without one.
fn step(goal: Goal, mss: u32, present: Option<u32>, ours: bool, natural: (u32, u32)) -> Step {
    let clear = if ours { Step::Clear } else { Step::Keep };
    match (goal, present) {
        (Goal::Undo, _) => clear,
        (Goal::Keep, _) => Step::Keep,
        (Goal::Fit(_), Some(other)) if !ours => {
            if other > mss {
                Step::TooMuch(mss)
            } else {
                Step::Keep
            }
        }
        (Goal::Fit(_), _) => match natural {
            (_, greatest) if greatest <= mss => clear,
            // Set, it is for every interface: not more than the one of the least MTU takes.
            (least, _) if present == Some(mss.min(least)) => Step::Keep,
            (least, _) => Step::Set(mss.min(least)),
        },
    }
}

impl Host {
    /// Gives every route through a gateway what the goal asks for.
    pub(crate) fn set_routes(
        &mut self,
        netlink: &mut Netlink,
        links: &BTreeMap<u32, Link>,
        goal: Goal,
        report: &mut Report,
    ) -> Result<(), Error> {
        let routes = listed("routes", route::through_gateways(netlink))?;
        let mut changes = self.memory.changes();
        // A route that is gone, or that another has given an advmss, is ours no more.
        let ours = ours(&routes, &changes.routes);
        let steps: Vec<(&Route, Step)> = routes
            .iter()
            .map(|route| {
                let mss = match goal {
                    Goal::Fit(inner) => {
                        inner.saturating_sub(route::headers(route.key.destination.address()))
                    }
                    Goal::Undo | Goal::Keep => 0,
                };
                let natural = route.natural(links).unwrap_or((mss, u32::MAX));
                let ours = ours.contains_key(&route.key);
                (route, step(goal, mss, route.advmss(), ours, natural))
            })
            .collect();

        changes.routes = ours.clone();
        changes.routes.extend(steps.iter().filter_map(|(route, step)| match step {
            Step::Set(mss) => Some((route.key, *mss)),
            Step::Keep | Step::Clear | Step::TooMuch(_) => None,
        }));
        self.memory.write(&changes)?;

        changes.routes = ours;
        for (route, step) in steps {
            let key = route.key;
            let mut advmss = route.advmss();
            let problem = match step {
                Step::Keep => None,
                Step::TooMuch(mss) => Some(format!("its advmss is above {mss}, what fits")),
                Step::Set(mss) => take(route.set_advmss(netlink, Some(mss)), || {
                    advmss = Some(mss);
                    changes.routes.insert(key, mss);
                }),
                Step::Clear => take(route.set_advmss(netlink, None), || {
                    advmss = None;
                    changes.routes.remove(&key);
                }),
            };
            let name = format!("route {}, metric {}", key.destination, key.metric);
            report.problems.extend(problem.map(|problem| format!("{name}: {problem}")));
            let ours = changes.routes.contains_key(&key);
            report.routes.push(RouteReport { key, advmss, ours });
        }
        self.memory.write(&changes)
    }
}

/// The routes whose advmss is from us: remembered, or copied by the kernel from one that is.
fn ours(routes: &[Route], remembered: &BTreeMap<Key, u32>) -> BTreeMap<Key, u32> {
    let is_remembered =
        |route: &&Route| route.advmss().is_some_and(|mss| remembered.get(&route.key) == Some(&mss));
    let shared: BTreeSet<(u32, u32)> =
        routes.iter().filter(is_remembered).filter_map(Route::shared).collect();
    routes
        .iter()
        .filter(|route| {
            is_remembered(route) || route.shared().is_some_and(|both| shared.contains(&both))
        })
        .filter_map(|route| Some((route.key, route.advmss()?)))
        .collect()
}

/// Takes note of a change that was made, or tells why it was not.
fn take(result: Result<(), String>, made: impl FnOnce()) -> Option<String> {
    match result {
        Ok(()) => {
            made();
            None
        }
        Err(why) => Some(format!("its advmss stays: {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_mss_is_set_only_where_it_is_lower_and_nobody_has_set_one() {
        let fit = |present, ours, natural| step(Goal::Fit(1480), 1440, present, ours, natural);
        let ethernet = (1460, 1460);
        assert_eq!(fit(None, false, ethernet), Step::Set(1440));
        assert_eq!(fit(Some(1440), true, ethernet), Step::Keep);
        assert_eq!(fit(Some(1420), true, ethernet), Step::Set(1440));
        assert_eq!(fit(Some(1420), false, ethernet), Step::Keep);
        assert_eq!(fit(Some(1460), false, ethernet), Step::TooMuch(1440));
        // The interface's MTU says less already.
        assert_eq!(fit(None, false, (1360, 1360)), Step::Keep);
        assert_eq!(fit(Some(1440), true, (1360, 1360)), Step::Clear);
        // Two interfaces: never more than the narrow one takes.
        assert_eq!(fit(None, false, (1360, 1460)), Step::Set(1360));
    }

    #[test]
    fn what_is_undone_is_ours_alone() {
        let undo = |present, ours| step(Goal::Undo, 0, present, ours, (1460, 1460));
        assert_eq!(undo(Some(1440), true), Step::Clear);
        assert_eq!(undo(Some(1440), false), Step::Keep);
        assert_eq!(undo(None, false), Step::Keep);
        assert_eq!(step(Goal::Keep, 0, Some(1440), true, (1460, 1460)), Step::Keep);
    }
}

//! How this node is, for operators and metrics.

use std::collections::BTreeMap;

use admin::{
    ChallengeStatus, CheckOfAddress, DnsStatus, FileStatus, ForcedStatus, ListenStatus,
    MemberOfResolver, Refusal, ResolverStatus, ZoneStatus,
};
use config::{Plugin, Resolver, WeightedTarget};
use dns::message::Rcode;
use dns::serve::Counts;
use dns::zone::Zone;

use super::choice::Aim;
use super::{Respond, Tally, forced, words};
use crate::clock::{boot, millis, unix_ms};
use crate::peers::Peers;

/// What the response codes are called (RFC 1035 section 4.1.1, RFC 6891 section 9).
const RCODES: [(usize, &str); 7] = [
    (0, "noerror"),
    (1, "formerr"),
    (2, "servfail"),
    (3, "nxdomain"),
    (4, "notimp"),
    (5, "refused"),
    (16, "badvers"),
];

impl Respond {
    pub(super) fn status(&self) -> DnsStatus {
        let config = &self.site.config;
        let counts = self.ports.counts();
        let mut status = DnsStatus {
            site: config.site.name.clone(),
            node: self.site.own().name.clone(),
            role: "dns".into(),
            program: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            uptime_ms: millis(boot().saturating_sub(self.started)),
            alarms: Vec::new(),
            file: FileStatus {
                path: self.path.display().to_string(),
                loaded_ms: self.site.loaded_ms,
                fingerprint: self.site.fingerprint.clone(),
                refused: self.refused.clone(),
                restart_needed: self.restart_needed(),
            },
            is_answering: self.shared.is_some(),
            waiting: self.waiting(),
            listen: self.listen(),
            connections: self.ports.connections(),
            zones: self.zones(),
            resolvers: self.resolvers(),
            forced: self.forced(),
            challenges: self.told_challenges(),
            nodes: self.peers.as_ref().map(Peers::of_zones).unwrap_or_default(),
            answers: by_rcode(&counts.rcodes),
            events: events(&counts),
            counters: self.tallies(),
        };
        status.alarms = self.alarms(&status);
        status
    }

    fn waiting(&self) -> Option<String> {
        self.pending.as_ref()?;
        let unknown = self.checks.unknown();
        let what = if self.shared.is_some() { "a reload waits" } else { "nothing is answered yet" };
        Some(format!("{what}: {unknown} checks have not said anything"))
    }

    fn listen(&self) -> Vec<ListenStatus> {
        let own = self.site.own();
        let at = |transport: &str, address| ListenStatus { address, transport: transport.into() };
        let plain = own.listen.iter().flat_map(|&one| [at("udp", one), at("tcp", one)]);
        let tls = own.tls.iter().flat_map(|tls| &tls.listen);
        plain.chain(tls.map(|&one| at("tls", one))).collect()
    }

    fn zones(&self) -> Vec<ZoneStatus> {
        let Some(shared) = &self.shared else { return Vec::new() };
        let contents = shared.load();
        let zone = |one: &config::Zone| {
            let known = contents.zones.iter().find(|zone| {
                let name = zone.apex().to_string();
                name.trim_end_matches('.') == one.name
            });
            ZoneStatus {
                name: one.name.clone(),
                file: self.site.beside(&one.file).display().to_string(),
                serial: known.map_or(0, |zone| zone.serial()),
                names: known.map_or(0, |zone| zone.names() as u64),
                answers: known.map(|zone| answers(zone)).unwrap_or_default(),
            }
        };
        self.site.config.zones.iter().map(zone).collect()
    }

    /// All that there is something to tell of.
    fn resolvers(&self) -> Vec<ResolverStatus> {
        let all = self.site.config.resolvers.iter().enumerate();
        let told = all.filter(|(_, one)| !matches!(one.plugin, Plugin::Reflect(_) | Plugin::Null));
        told.map(|it| self.resolver(it)).collect()
    }

    /// One of them.
    pub(super) fn told_resolver(&self, place: usize) -> ResolverStatus {
        self.resolver((place, &self.site.config.resolvers[place]))
    }

    fn resolver(&self, (place, resolver): (usize, &Resolver)) -> ResolverStatus {
        let Resolver { name, plugin } = resolver;
        let standing = self.shared.as_ref().map(|shared| shared.load().resolvers.standing(place));
        let address = |address: &std::net::IpAddr, checked: bool, weight| {
            let checks = if checked { self.checks_of(*address, resolver) } else { Vec::new() };
            MemberOfResolver {
                name: address.to_string(),
                address: Some(*address),
                is_up: checks.iter().all(|check| check.is_up),
                ttl: None,
                weight,
                checks,
            }
        };
        let members = match plugin {
            Plugin::Multifo(config::Multifo { targets, .. }) | Plugin::Simplefo(targets) => {
                targets.addresses.iter().map(|one| address(one, true, None)).collect()
            }
            Plugin::Weighted(weighted) => {
                let one = |member: &config::WeightedMember| match &member.target {
                    WeightedTarget::Address(at) => address(at, true, Some(member.weight)),
                    WeightedTarget::Name(name) => MemberOfResolver {
                        name: name.clone(),
                        address: None,
                        is_up: true,
                        ttl: None,
                        weight: Some(member.weight),
                        checks: Vec::new(),
                    },
                };
                weighted.members.iter().map(one).collect()
            }
            Plugin::Metafo(config::Metafo { datacenters, .. })
            | Plugin::Geoip(config::Geoip { datacenters, .. }) => {
                datacenters.iter().map(|one| self.datacenter(one)).collect()
            }
            Plugin::Static(addresses) => {
                addresses.iter().map(|one| address(one, false, None)).collect()
            }
            Plugin::Reflect(_) | Plugin::Null => Vec::new(),
        };
        ResolverStatus {
            name: format!("{}!{name}", plugin.name()),
            is_up: standing.is_some_and(|standing| standing.is_up),
            ttl: standing.map(|standing| standing.ttl).filter(|&ttl| ttl != u32::MAX),
            members,
        }
    }

    fn datacenter(&self, datacenter: &config::Datacenter) -> MemberOfResolver {
        let standing =
            self.shared.as_ref().map(|it| it.load().resolvers.standing(datacenter.resolver));
        MemberOfResolver {
            name: datacenter.name.clone(),
            address: None,
            is_up: standing.is_some_and(|standing| standing.is_up),
            ttl: standing.map(|standing| standing.ttl).filter(|&ttl| ttl != u32::MAX),
            weight: None,
            checks: Vec::new(),
        }
    }

    fn checks_of(&self, address: std::net::IpAddr, resolver: &Resolver) -> Vec<CheckOfAddress> {
        let (now, rules) = (boot(), self.rules());
        let is_asked = |aim: &Aim| aim.address == address && aim.is_of(resolver);
        let asked = self.aims.iter().enumerate().filter(|(_, aim)| is_asked(aim));
        asked
            .map(|(place, aim)| CheckOfAddress {
                name: aim.name(),
                is_up: self.health.0.get(place).is_some_and(|standing| standing.is_up),
                forced: forced::rule(&rules, &aim.name()).is_some(),
                found: self.checks.describe(place, now),
            })
            .collect()
    }

    fn forced(&self) -> Vec<ForcedStatus> {
        let names: Vec<_> = self.aims.iter().map(Aim::name).collect();
        let one = |rule: forced::Rule| {
            let is_matched =
                |name: &&String| forced::matches(rule.pattern.as_bytes(), name.as_bytes());
            ForcedStatus {
                matches: names.iter().filter(is_matched).count() as u64,
                pattern: rule.pattern,
                said: rule.said,
                by: rule.by,
                at_ms: rule.at_ms,
            }
        };
        self.rules().into_iter().map(one).collect()
    }

    fn told_challenges(&self) -> Vec<ChallengeStatus> {
        let states = self.store.states();
        let one = |(challenge, entry): (words::Challenge, &admin::Entry)| ChallengeStatus {
            name: challenge.name.to_string(),
            text: challenge.text,
            until_ms: entry.at_ms.saturating_add(words::CHALLENGE_MS),
        };
        words::challenges(&states, unix_ms()).map(one).collect()
    }

    fn alarms(&self, status: &DnsStatus) -> Vec<String> {
        let mut alarms: Vec<_> = status.waiting.iter().cloned().collect();
        for resolver in status.resolvers.iter().filter(|resolver| !resolver.is_up) {
            alarms.push(format!("resolver {}: not enough of it is up", resolver.name));
        }
        if let Some(Refusal { reasons, .. }) = &status.file.refused {
            let more = reasons.len().saturating_sub(1);
            let first = reasons.first().map_or("", String::as_str);
            let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
            alarms.push(format!("reload refused: {first}{more}"));
        }
        if self.store.failing() {
            let path = self.state_file.display();
            alarms.push(format!(
                "{path} cannot be written: what operators said would not survive a restart"
            ));
        }
        alarms.extend(self.forced.problem.clone());
        for one in status.forced.iter().filter(|one| one.matches == 0) {
            alarms.push(format!("forced: {} matches nothing", one.pattern));
        }
        alarms.extend(self.mute.clone());
        alarms.extend(self.peers.as_ref().and_then(Peers::alarm));
        let down = status.resolvers.iter().flat_map(|resolver| &resolver.members);
        let down = down.flat_map(|member| &member.checks).filter(|check| !check.is_up);
        let mut down: Vec<_> = down
            .map(|check| match &check.found {
                Some(found) if !check.forced => format!("{} is down: {}", check.name, found.reason),
                Some(_) | None => format!("{} is down: an operator said so", check.name),
            })
            .collect();
        down.sort();
        down.dedup();
        alarms.extend(down);
        alarms.extend(self.warnings.iter().cloned());
        alarms
    }

    fn tallies(&self) -> BTreeMap<String, u64> {
        let Tally { reloads, reloads_refused, operator_changes } = self.counters;
        let health::monitor::Counters { run, failed, panicked, discarded, late, .. } =
            self.checks.counters();
        let own = [
            ("reloads", reloads),
            ("reloads_refused", reloads_refused),
            ("operator_changes", operator_changes),
            ("probes", run),
            ("probes_failed", failed),
            ("probes_panicked", panicked),
            ("probes_discarded", discarded),
            ("probes_late", late),
        ];
        let own = own.into_iter().map(|(name, count)| (name.to_owned(), count));
        own.chain(self.peers.iter().flat_map(Peers::counters)).collect()
    }
}

/// Answers of a zone by the names of their response codes.
fn answers(zone: &Zone) -> BTreeMap<String, u64> {
    [("noerror", Rcode::NO_ERROR), ("nxdomain", Rcode::NX_DOMAIN)]
        .map(|(name, rcode)| (name.to_owned(), zone.answers(rcode)))
        .into()
}

/// Answers by the names of their response codes.
fn by_rcode(rcodes: &[u64; 17]) -> BTreeMap<String, u64> {
    RCODES.map(|(code, name)| (name.to_owned(), rcodes[code])).into()
}

fn events(counts: &Counts) -> BTreeMap<String, u64> {
    let Counts { rcodes: _, dropped, truncated, unsent, limited, slipped, connections } = *counts;
    [
        ("dropped", dropped),
        ("truncated", truncated),
        ("unsent", unsent),
        ("limited", limited),
        ("slipped", slipped),
        ("connections", connections),
    ]
    .map(|(name, count)| (name.to_owned(), count))
    .into()
}

//! The status: what is known, told. Pure.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use admin::{
    CheckStatus, DataplaneStatus, Effective, FileStatus, GateStatus, MemberStatus, NodeStatus,
    Refusal, RouterStatus, ServiceStatus, States, Status, VipStatus,
};
use api::{Prefix, Release, Snapshot, State, Stats};
use config::{QuorumLoss, Service};
use health::{Admin, Probe, Standing};

use crate::clock::millis;
use crate::plan::{Cause, Plan, Seat, Vip};
use crate::site::Site;

/// What is known of everything.
pub struct View<'a> {
    /// The file in force.
    pub site: &'a Site,
    /// Its path.
    pub path: String,
    /// The last reload, if it was refused.
    pub refused: Option<Refusal>,
    /// What waits for a restart.
    pub restart_needed: Vec<String>,
    /// How this node speaks with its routers.
    pub routers: Vec<RouterStatus>,
    /// What is planned; nothing before a dataplane was found.
    pub plan: Option<&'a Plan>,
    /// What is thought of the target of the probe at a place.
    pub standing: &'a dyn Fn(u32) -> Option<Standing>,
    /// What operators want.
    pub states: States,
    /// What keeps announcements back.
    pub gate: Vec<String>,
    /// Services and VIPs that the dataplane has: others are not announced.
    pub served: HashSet<(&'a str, Prefix)>,
    /// The forwarder.
    pub dataplane: DataplaneStatus,
    /// Further alarms: a state file that cannot be written, ...
    pub alarms: Vec<String>,
    /// Puts in what is known of other L4 nodes.
    pub peers: &'a dyn Fn(&mut [NodeStatus]),
    /// What is counted.
    pub counters: BTreeMap<String, u64>,
    /// CLOCK_BOOTTIME.
    pub now: Duration,
    /// When control started, on the same clock.
    pub started: Duration,
}

/// Tells it; `brief` without the nodes of each VIP.
pub fn status(view: &View<'_>, brief: bool) -> Status {
    let site = view.site;
    let services: Vec<ServiceStatus> =
        (0..site.config.services.len()).map(|s| service(view, s, brief)).collect();
    let mut nodes = nodes(view);
    (view.peers)(&mut nodes);
    let gate = GateStatus { open: view.gate.is_empty(), reasons: view.gate.clone() };
    let mut status = Status {
        site: site.config.site.name.clone(),
        node: site.own().name.clone(),
        role: "l4".into(),
        program: env!("CARGO_PKG_VERSION").into(),
        uptime_ms: millis(view.now.saturating_sub(view.started)),
        alarms: Vec::new(),
        file: FileStatus {
            path: view.path.clone(),
            loaded_ms: site.loaded_ms,
            fingerprint: site.fingerprint.clone(),
            refused: view.refused.clone(),
            restart_needed: view.restart_needed.clone(),
        },
        dataplane: view.dataplane.clone(),
        gate,
        nodes,
        routers: view.routers.clone(),
        services,
        counters: view.counters.clone(),
    };
    status.alarms = alarms(view, &status);
    status
}

/// Adds what only the dataplane knows, which has this Snapshot.
pub fn enrich(status: &mut Status, stats: &Stats, snapshot: &Snapshot) {
    for service in &mut status.services {
        let Some(known) = stats.services.iter().find(|known| known.name == service.name) else {
            continue;
        };
        // A table for each group of VIPs that has rows, in the Snapshot's order.
        let groups = snapshot.services.iter().filter(|group| group.name == service.name);
        let has_rows = |group: &&api::Service| {
            group.nodes.iter().any(|member| member.state == State::Up && member.weight > 0)
        };
        for (group, table) in groups.filter(has_rows).zip(&known.tables) {
            for vip in &group.vips {
                let vip = vip.to_string();
                let vip = service.vips.iter_mut().find(|status| status.vip == vip);
                if let Some(vip) = vip {
                    vip.fingerprint = Some(table.clone());
                }
            }
        }
    }
    for node in &mut status.nodes {
        if let Some(known) = stats.nodes.iter().find(|known| known.name == node.name) {
            node.connections = Some(known.traffic.connections);
            node.reachable = Some(known.reachable.iter().all(|&reachable| reachable));
        }
    }
}

/// What an operator should look at, the worst first.
fn alarms(view: &View<'_>, status: &Status) -> Vec<String> {
    let mut alarms = Vec::new();
    let DataplaneStatus { forwards, reason, refused, .. } = &status.dataplane;
    if !forwards {
        let why = reason.as_deref().unwrap_or("no reason is known");
        alarms.push(format!("does not forward: {why}"));
    }
    for service in &status.services {
        for vip in service.vips.iter().filter(|vip| vip.weight == 0) {
            alarms.push(format!("service {}: no node is up at {}", service.name, vip.vip));
        }
    }
    alarms.extend(refused.iter().map(|why| format!("the dataplane refused the Snapshot: {why}")));
    for service in &status.services {
        let lost = service.vips.iter().filter(|vip| vip.weight > 0 && vip.weight < vip.quorum);
        alarms.extend(lost.map(|vip| {
            let VipStatus { vip, weight, quorum, .. } = vip;
            format!("service {}: quorum lost at {vip}: {weight} of {quorum}", service.name)
        }));
    }
    for router in &status.routers {
        for session in &router.sessions {
            let (name, address) = (&router.name, session.address);
            if !session.up {
                let why = session.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
                alarms.push(format!("router {name}: no session with {address}{why}"));
            }
            if let Some(bfd) = session.bfd.as_ref().filter(|bfd| !bfd.up) {
                alarms.push(format!("router {name}: BFD with {address} is {}", bfd.state));
            }
        }
    }
    if *forwards && !status.gate.open {
        alarms.push(format!("announces nothing: {}", status.gate.reasons.join("; ")));
    }
    if let Some(Refusal { reasons, .. }) = &status.file.refused {
        let more = reasons.len().saturating_sub(1);
        let first = reasons.first().map_or("", String::as_str);
        let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
        alarms.push(format!("reload refused: {first}{more}"));
    }
    alarms.extend(view.alarms.iter().cloned());
    for node in &status.nodes {
        alarms.extend(
            node.differences.iter().map(|what| format!("differs from {}: {what}", node.name)),
        );
        if let Some(why) = &node.peer_error {
            alarms.push(format!("{} does not answer: {why}", node.name));
        }
    }
    alarms.extend(status.file.restart_needed.iter().map(|what| format!("restart needed: {what}")));
    alarms
}

fn nodes(view: &View<'_>) -> Vec<NodeStatus> {
    let config = &view.site.config;
    let blank = |name: &str, role: &str, addresses: &[std::net::IpAddr]| NodeStatus {
        name: name.into(),
        role: role.into(),
        addresses: addresses.into(),
        state: None,
        operator: view.states.get(name).cloned(),
        connections: None,
        reachable: None,
        peer: None,
        peer_error: None,
        peer_age_ms: None,
        differences: Vec::new(),
    };
    let mut worst: BTreeMap<usize, Effective> = BTreeMap::new();
    for (service, vips) in config.services.iter().zip(view.plan.map_or(&[][..], |p| &p.services)) {
        for (member, seat) in vips.iter().flat_map(|vip| service.nodes.iter().zip(&vip.seats)) {
            let state = worst.entry(member.l7).or_insert(seat.state);
            *state = seat.state.max(*state);
        }
    }
    let l4 = config.l4.iter().map(|node| blank(&node.name, "l4", &node.addresses));
    let l7 = config.l7.iter().enumerate().map(|(place, node)| {
        let state = worst.get(&place).copied();
        NodeStatus { state, ..blank(&node.name, "l7", &node.addresses) }
    });
    l4.chain(l7).collect()
}

fn service(view: &View<'_>, s: usize, brief: bool) -> ServiceStatus {
    let service = &view.site.config.services[s];
    let vips = (0..service.vips.len()).map(|v| vip(view, s, v, brief)).collect();
    let ports = format!("{} {}", service.protocol, service.ports);
    ServiceStatus { name: service.name.clone(), ports, vips }
}

fn vip(view: &View<'_>, s: usize, v: usize, brief: bool) -> VipStatus {
    let service = &view.site.config.services[s];
    let planned = view.plan.map(|plan| &plan.services[s][v]);
    let seats = planned.map_or(&[][..], |vip| &vip.seats);
    let mut states = BTreeMap::new();
    for seat in seats {
        *states.entry(seat.state).or_insert(0) += 1;
    }
    let nodes = if brief {
        Vec::new()
    } else {
        seats.iter().enumerate().map(|(m, seat)| member(view, s, v, m, seat)).collect()
    };
    let served = view.served.contains(&(service.name.as_str(), service.vips[v]));
    VipStatus {
        vip: service.vips[v].to_string(),
        announced: planned.is_some_and(|vip| vip.announce) && served && view.gate.is_empty(),
        why: why(view, service, planned, served),
        weight: planned.map_or(0, |vip| vip.weight.div_ceil(100)),
        quorum: service.quorum,
        fingerprint: None,
        states,
        nodes,
    }
}

fn why(view: &View<'_>, service: &Service, vip: Option<&Vip>, served: bool) -> String {
    let Some(vip) = vip else { return "no dataplane was found yet".into() };
    let weight = f64::from(vip.weight) / 100.0;
    let quorum = service.quorum;
    let lost = format!("quorum lost: {weight} of {quorum}");
    let nodes = if vip.quorum {
        format!("quorum: {weight} of {quorum}")
    } else {
        match (&service.on_quorum_loss, vip.announce) {
            (QuorumLoss::Withdraw, _) => lost,
            (QuorumLoss::Keep, true) => format!("{lost}, kept"),
            (QuorumLoss::Sorry(_), true) => format!("{lost}, sorry nodes answer"),
            (QuorumLoss::Keep | QuorumLoss::Sorry(_), false) => "no verdicts yet".into(),
        }
    };
    match view.gate.first() {
        Some(gate) if vip.announce => format!("{nodes}; {gate}"),
        None if vip.announce && !served => format!("{nodes}; the dataplane does not have it yet"),
        Some(_) | None => nodes,
    }
}

fn member(view: &View<'_>, s: usize, v: usize, m: usize, seat: &Seat) -> MemberStatus {
    let config = &view.site.config;
    let node = &config.l7[config.services[s].nodes[m].l7];
    let places = view.site.aim.at(s, v, m);
    let standings: Vec<_> = places.iter().map(|&place| (view.standing)(place)).collect();
    let agent = standings.iter().flatten().map(|s| s.admin).max().unwrap_or_default();
    let operator = view.states.get(&node.name).map_or(Admin::Ready, |entry| entry.state);
    let checks = places
        .iter()
        .zip(&standings)
        .map(|(&place, standing)| {
            let probe = &view.site.aim.probes[place as usize];
            match standing {
                Some(standing) => CheckStatus {
                    check: describe(probe),
                    state: standing.state,
                    reason: standing.reason.clone(),
                    since_ms: millis(view.now.saturating_sub(standing.since)),
                    against: standing.against,
                },
                None => CheckStatus {
                    check: describe(probe),
                    state: None,
                    reason: "not asked yet".into(),
                    since_ms: 0,
                    against: (0, 0),
                },
            }
        })
        .collect();
    MemberStatus {
        node: node.name.clone(),
        state: seat.state,
        reason: reason(view, &node.name, seat),
        since_ms: millis(view.now.saturating_sub(seat.since)),
        release_in_ms: match seat.release {
            Release::Never => None,
            Release::At(at) => Some(at.saturating_sub(millis(view.now))),
        },
        weight: seat.weight.div_ceil(100),
        agent,
        operator,
        checks,
    }
}

fn reason(view: &View<'_>, node: &str, seat: &Seat) -> String {
    let told = |place| {
        let probe = &view.site.aim.probes[place as usize];
        let said = (view.standing)(place).map(|standing| standing.reason);
        format!("{}: {}", probe.check.kind.name(), said.as_deref().unwrap_or("not asked yet"))
    };
    match seat.cause {
        Cause::Well => String::new(),
        Cause::Unchecked => "not checked yet".into(),
        Cause::Before => "as it was: not checked yet".into(),
        Cause::New => "new to the service".into(),
        Cause::Check(place) | Cause::Agent(place) => told(place),
        Cause::Weight => "weight 0".into(),
        Cause::Operator => {
            let by = view.states.get(node).map_or("", |entry| &entry.by);
            format!("operator ({by})")
        }
    }
}

/// A probe in words: `http 198.51.100.1:80 (tunnel)`.
pub fn describe(probe: &Probe) -> String {
    let health::Target { address, port, source, .. } = &probe.target;
    let kind = probe.check.kind.name();
    match &probe.check.kind {
        health::Kind::File(file) => format!("{kind} {}", file.path.display()),
        health::Kind::Command(command) => {
            format!("{kind} {}", command.argv.first().map_or("", String::as_str))
        }
        health::Kind::Icmp => format!("{kind} {address}"),
        health::Kind::Http(_)
        | health::Kind::Tcp(_)
        | health::Kind::Tls(_)
        | health::Kind::Agent(_)
        | health::Kind::Dns(_)
        | health::Kind::Udp(_) => {
            let way = if source.is_some() { "tunnel" } else { "direct" };
            format!("{kind} {} ({way})", SocketAddr::new(*address, *port))
        }
    }
}

//! `[[service]]`

use std::collections::BTreeSet;

use api::{Hash, Ports, Prefix, Protocol};

use crate::address;
use crate::bgp;
use crate::check::{self, DefaultPort};
use crate::members::{self, Kind, Weights};
use crate::name;
use crate::place::Placed;
use crate::settings::{L7, Member, QuorumLoss, Service};
use crate::site::Defaults;
use crate::table::Table;
use crate::value::Value;

/// Rows of a Maglev table, if a service does not say.
const ROWS: u32 = 65_537;
/// Most rows of a Maglev table.
const MAX_ROWS: u32 = 1 << 24;

/// A service, and where its parts stand.
pub(crate) struct Entry {
    pub(crate) name: Placed<String>,
    pub(crate) vips: Vec<Placed<Prefix>>,
    pub(crate) service: Service,
}

/// Reads one, of a site that has these L7 nodes.
pub(crate) fn read(table: Table<'_>, position: usize, nodes: &[L7], defaults: Defaults) -> Entry {
    let (mut table, name) = name::entry(table, "service", position);
    let vips = table.required("vips", |value| value.some(address::routable)).unwrap_or_default();
    let ports = table.required("ports", ports);
    let default_port = match &ports {
        None => DefaultPort::Untold,
        Some(Ports::Any) => DefaultPort::Missing,
        Some(Ports::List(ports)) => {
            ports.first().map_or(DefaultPort::Untold, |port| DefaultPort::Port(*port))
        }
        Some(Ports::Range(first, _)) => DefaultPort::Port(*first),
    };
    let protocols = [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)];
    let hashes = [("five_tuple", Hash::FiveTuple), ("source", Hash::Source)];
    let protocol = table.required("protocol", |value| value.choice(&protocols));
    let (allow, deny) = sources(&mut table);
    let serving = serving(&mut table, nodes);
    let holds = defaults.read(&mut table);
    let hooks = hooks(&mut table);
    let announcement = bgp::announcement(&mut table, &vips);
    let service = Service {
        name: name.value.clone(),
        vips: vips.iter().map(|vip| vip.value).collect(),
        protocol: protocol.unwrap_or(Protocol::Tcp),
        ports: ports.unwrap_or(Ports::Any),
        hash: table.or("hash", Hash::FiveTuple, |value| value.choice(&hashes)),
        rows: table.or("rows", ROWS, rows),
        track: table.or("track", true, Value::boolean),
        allow,
        deny,
        source_limit: table.optional("source_limit", Value::rate),
        answer_unknown: table.or("answer_unknown", false, Value::boolean),
        nodes: serving.nodes,
        checks: table
            .take("check")
            .map(|value| check::of_service(&value, default_port))
            .unwrap_or_default(),
        quorum: serving.quorum,
        hysteresis: serving.hysteresis,
        on_quorum_loss: serving.on_quorum_loss,
        alpha: table.or("alpha", true, Value::boolean),
        omega: hooks.omega,
        on_quorum_up: hooks.up,
        on_quorum_down: hooks.down,
        down_hold: holds.down_hold,
        drain_timeout: holds.drain_timeout,
        announcement,
    };
    table.finish();
    Entry { name, vips, service }
}

/// `80`, `[80, 443]`, `"8000-8999"` or `"any"`.
fn ports(value: &Value<'_>) -> Option<Ports> {
    const EXPECTED: &str = "a port, a list of ports, a range such as \"8000-8999\", or \"any\"";
    if value.raw().is_array() {
        let ports = value.some(Value::port)?;
        let ports: Vec<_> = ports.into_iter().map(|port| port.value).collect();
        return (!ports.is_empty()).then_some(Ports::List(ports));
    }
    if value.raw().is_integer() {
        return value.port().map(|port| Ports::List(vec![port]));
    }
    let text = value.text(EXPECTED)?;
    if text == "any" {
        return Some(Ports::Any);
    }
    let range = text.split_once('-').and_then(|(first, last)| {
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (0 < first && first <= last).then_some(Ports::Range(first, last))
    });
    range.or_else(|| value.is_not(EXPECTED))
}

/// A prime. Small numbers are found out fast: the largest takes 2048 divisions.
fn rows(value: &Value<'_>) -> Option<u32> {
    let rows = value.number(2..=MAX_ROWS)?;
    let divides = |divisor: &u32| rows % divisor == 0;
    let is_prime = (2..).take_while(|divisor| divisor * divisor <= rows).all(|d| !divides(&d));
    if is_prime { Some(rows) } else { value.is_not(format!("a prime: use {ROWS}")) }
}

/// `allow` and `deny`: the longest match decides, so one prefix cannot be in both.
fn sources(table: &mut Table<'_>) -> (Vec<Prefix>, Vec<Prefix>) {
    let allow = table.or("allow", vec![], |value| value.set(Value::prefix));
    let allowed: BTreeSet<_> = allow.iter().copied().collect();
    let deny = table.or("deny", vec![], |value| {
        value.set(|element| {
            let prefix = element.prefix()?;
            if allowed.contains(&prefix) {
                element.problem(format!("{prefix} is in `allow` too"));
            }
            Some(prefix)
        })
    });
    (allow, deny)
}

/// Who serves, and when that is enough.
struct Serving {
    nodes: Vec<Member>,
    quorum: u32,
    hysteresis: u32,
    on_quorum_loss: QuorumLoss,
}

fn serving(table: &mut Table<'_>, all: &[L7]) -> Serving {
    let nodes = table.take("nodes");
    let chosen = match &nodes {
        Some(value) => select(value, all),
        None => Some((0..all.len()).collect()),
    };
    let sorry = sorry(table, all);
    if let (Some(chosen), Some((value, sorry))) = (&chosen, &sorry) {
        for &both in chosen.intersection(sorry) {
            let name = &all[both].name;
            value.problem(format!(
                "{name} is one of `nodes` too: leave it out there, nodes = [\"*\", \"!{name}\"]"
            ));
        }
    }
    let sorry = sorry.map(|(_, sorry)| sorry);
    let weights = Weights::read(table.take("weights"));
    if let Some(chosen) = &chosen {
        let every = chosen.iter().chain(sorry.iter().flatten()).copied().collect();
        weights.check(&every, all, |place, text| table.problem_at(place, text));
    }
    let members = |chosen: &Option<BTreeSet<usize>>| {
        chosen.as_ref().map(|chosen| weights.members(chosen, all)).unwrap_or_default()
    };
    let (nodes, sorry) = (members(&chosen), members(&sorry));
    if !sorry.is_empty() && sorry.iter().all(|member| member.weight == 0) {
        table.problem("the weights of `sorry_nodes` are all 0: nobody would take new flows");
    }
    let (quorum, hysteresis) = quorum(table, &nodes);
    let loss = table.or("on_quorum_loss", QuorumLoss::Withdraw, |value| {
        value.choice(&[
            ("withdraw", QuorumLoss::Withdraw),
            ("keep", QuorumLoss::Keep),
            ("sorry", QuorumLoss::Sorry(sorry.clone())),
        ])
    });
    Serving { nodes, quorum, hysteresis, on_quorum_loss: loss }
}

/// The L7 nodes that a list names.
fn select(value: &Value<'_>, all: &[L7]) -> Option<BTreeSet<usize>> {
    let names: Vec<_> = all.iter().map(|node| node.name.as_str()).collect();
    members::select(value, &names, Kind::L7)
}

/// `sorry_nodes`, which goes with `on_quorum_loss = "sorry"`.
fn sorry<'a>(table: &mut Table<'a>, all: &[L7]) -> Option<(Value<'a>, BTreeSet<usize>)> {
    let asked = table.peek("on_quorum_loss").and_then(|value| value.as_str()) == Some("sorry");
    match (asked, table.take("sorry_nodes")) {
        (true, Some(value)) => select(&value, all).map(|nodes| (value, nodes)),
        (true, None) => {
            table.problem("`sorry_nodes` is missing: it says where new flows go then");
            None
        }
        (false, Some(value)) => {
            value.problem("this is of no use without `on_quorum_loss = \"sorry\"`");
            None
        }
        (false, None) => None,
    }
}

/// `quorum` and `hysteresis`, which the nodes' weights have to be able to reach.
fn quorum(table: &mut Table<'_>, nodes: &[Member]) -> (u32, u32) {
    let quorum_value = table.take("quorum");
    let quorum = quorum_value.as_ref().and_then(|value| value.number(1..=u32::MAX / 2));
    let quorum = quorum.unwrap_or(1);
    let hysteresis = table.or("hysteresis", 0, |value| {
        let hysteresis = value.number(0..=u32::MAX / 2)?;
        if hysteresis >= quorum {
            value.problem(format!("{hysteresis} is not below the quorum, {quorum}"));
        }
        Some(hysteresis)
    });
    let weight: u32 = nodes.iter().map(|member| u32::from(member.weight)).sum();
    if !nodes.is_empty() && weight < quorum + hysteresis {
        let text = format!(
            "the weights of all nodes are {weight} together: quorum {quorum} + hysteresis {hysteresis} is never reached"
        );
        match &quorum_value {
            Some(value) => value.problem(text),
            None => table.problem(text),
        }
    }
    (quorum, hysteresis)
}

/// What is run when the quorum comes and goes.
struct Hooks {
    up: Option<Vec<String>>,
    down: Option<Vec<String>>,
    omega: bool,
}

fn hooks(table: &mut Table<'_>) -> Hooks {
    let up = table.optional("on_quorum_up", Value::argv);
    let down = table.optional("on_quorum_down", Value::argv);
    let nothing_to_run = table.peek("on_quorum_down").is_none();
    let omega = table.or("omega", false, |value| {
        let omega = value.boolean()?;
        if omega && nothing_to_run {
            value.problem("this is of no use without `on_quorum_down`");
        }
        Some(omega)
    });
    Hooks { up, down, omega }
}

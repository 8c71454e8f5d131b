//! Where a flow goes, and why: what the workers would do with its next packet, without doing it.

use api::{ExplainQuery, Explanation, Whereabouts};

use crate::connection::{Entry, State, View};
use crate::connections::row_hash;
use crate::flow::Flow;
use crate::hash::row;
use crate::paths::Paths;
use crate::service::{Destination, Service};
use crate::tables::Tables;
use crate::tick::Tick;

/// Explains the flow of `query`, as `views`, one a worker, know it.
pub fn explain(
    tables: &Tables,
    paths: &Paths,
    views: &[View],
    query: &ExplainQuery,
    now: Tick,
) -> Explanation {
    let flow = Flow {
        source: query.source,
        source_port: query.source_port,
        destination: query.destination,
        destination_port: query.destination_port,
        protocol: query.protocol.number(),
    };
    let mut told = Explanation {
        why: String::new(),
        service: None,
        hash: None,
        row: None,
        row_owner: None,
        known: None,
        node: None,
        node_address: None,
        reachable: None,
    };
    if query.source.is_ipv4() != query.destination.is_ipv4() {
        told.why = "source and destination are of different address families".into();
        return told;
    }
    let found = tables.vips.lookup(flow.destination, flow.destination_port, flow.protocol);
    let service = match found {
        Destination::Service(number) => &tables.services[number as usize],
        Destination::Unknown { .. } => {
            told.why = format!("{} is a VIP, but no service takes this port", flow.destination);
            return told;
        }
        Destination::Elsewhere => {
            told.why = format!("{} is not a VIP: it is for the kernel", flow.destination);
            return told;
        }
    };
    told.service = Some(service.name.clone());
    if !service.serves(flow.source) {
        told.why = format!("{} is denied by the service", flow.source);
        return told;
    }
    choose(tables, views, service, &flow, now, &mut told);
    let Some(node) = told.node.as_ref().and_then(|name| index_of(tables, name)) else {
        return told;
    };
    let ipv6 = flow.destination.is_ipv6();
    told.node_address = tables.tunnel(node, ipv6).map(|(_, to)| to);
    told.reachable = Some(paths.get(node, ipv6).is_some_and(|path| path.is_resolved()));
    told
}

/// The node, and why it is that.
fn choose(
    tables: &Tables,
    views: &[View],
    service: &Service,
    flow: &Flow,
    now: Tick,
    told: &mut Explanation,
) {
    let name =
        |node: u16| tables.node(node).map_or_else(|| format!("#{node}"), |node| node.name.clone());
    let hash = tables.hasher.hash(flow);
    told.hash = Some(format!("{hash:016x}"));
    let owner = service.balance.as_ref().map(|balance| {
        let row = row(row_hash(tables, service, hash, &|| *flow), balance.maglev.rows());
        told.row = Some(row);
        balance.maglev.owner(row)
    });
    told.row_owner = owner.map(name);
    if let Some((workers, entry)) = known(tables, views, service, hash, now) {
        told.known = Some(Whereabouts {
            workers,
            node: name(entry.node),
            state: entry.state.name().into(),
            age_ms: u64::from(now.since(entry.seen)) * Tick::MILLIS,
        });
        if service.holds(entry.node, now).is_some() {
            told.node = Some(name(entry.node));
            told.why = "a known connection, which stays with its node".into();
            return;
        }
    }
    let before = if told.known.is_some() { "the connection's node has released it; " } else { "" };
    told.node = owner.map(name);
    told.why = match owner {
        Some(_) if !service.track => "by its row: the service does not track flows".into(),
        Some(_) => format!("{before}by its row"),
        None => format!("{before}no node takes new flows of the service"),
    };
}

/// The freshest entry of the flow, and the workers that have one.
fn known(
    tables: &Tables,
    views: &[View],
    service: &Service,
    hash: u64,
    now: Tick,
) -> Option<(Vec<usize>, Entry)> {
    let entries = || {
        views.iter().enumerate().filter_map(|(worker, view)| {
            let entry = view.find(hash, now)?;
            // One of another service is followed where its node is in this one.
            let ours = entry.service == service.index || service.holds(entry.node, now).is_some();
            let good = ours && !entry.expired(now, &tables.idle);
            good.then_some((worker, entry))
        })
    };
    let (_, freshest) = entries().max_by_key(|(_, entry)| entry.seen)?;
    service.track.then(|| (entries().map(|(worker, _)| worker).collect(), freshest))
}

fn index_of(tables: &Tables, name: &str) -> Option<u16> {
    let place = tables.nodes.iter().position(|n| n.as_ref().is_some_and(|n| n.name == name))?;
    u16::try_from(place).ok()
}

impl State {
    /// Its name in replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embryonic => "embryonic",
            Self::Open => "open",
            Self::Closing => "closing",
            Self::Udp => "udp",
        }
    }
}

//! The connections that are known, page by page, read while the workers go on.

use api::{Flow, Flows, FlowsQuery, MAX_PAGE, Tuple};
use forward::connection::Listed;
use forward::{Tables, Tick};

use crate::clock::boot_millis;
use crate::tables::Force;

/// Flows in a page, if the query does not say.
const PAGE: u32 = 1_000;
/// Buckets that one page may look at, so that a rare filter does not keep other requests waiting.
const BUCKETS: usize = 1 << 18;

/// A page of connections. The cursor is the worker's number above 40 bits of bucket number.
pub(crate) fn flows(force: &Force, query: &FlowsQuery) -> Flows {
    let (Some(file), Some(tables)) = (force.file(), force.tables()) else {
        return Flows { flows: Vec::new(), next: None };
    };
    let now = Tick::from_boot_ms(boot_millis());
    let limit = query.limit.unwrap_or(PAGE).clamp(1, MAX_PAGE) as usize;
    let mut worker = (query.cursor >> 40) as usize;
    let mut bucket = (query.cursor & ((1 << 40) - 1)) as usize;
    let mut flows = Vec::new();
    let mut budget = BUCKETS;
    while let Some(view) = file.views().get(worker) {
        while bucket < view.buckets() {
            // A bucket is never split between pages, so a page may have a few more than its limit.
            if flows.len() >= limit || budget == 0 {
                return Flows { flows, next: Some((worker as u64) << 40 | bucket as u64) };
            }
            for listed in view.entries_of(bucket, now) {
                let service = file.service_name(listed.entry.service);
                let flow = describe(tables, worker, service, &listed, now);
                let wanted = query.service.as_ref().is_none_or(|name| *name == flow.service)
                    && query.node.as_ref().is_none_or(|name| *name == flow.node);
                if wanted && !listed.entry.expired(now, &tables.idle) {
                    flows.push(flow);
                }
            }
            bucket += 1;
            budget -= 1;
        }
        worker += 1;
        bucket = 0;
    }
    Flows { flows, next: None }
}

fn describe(
    tables: &Tables,
    worker: usize,
    service: Option<String>,
    listed: &Listed,
    now: Tick,
) -> Flow {
    let entry = &listed.entry;
    Flow {
        hash: format!("{:016x}", listed.hash),
        worker,
        service: service.unwrap_or_else(|| format!("#{}", entry.service)),
        node: tables
            .node(entry.node)
            .map_or_else(|| format!("#{}", entry.node), |n| n.name.clone()),
        state: entry.state.name().into(),
        age_ms: u64::from(now.since(entry.seen)) * Tick::MILLIS,
        tuple: tuple(tables, listed),
    }
}

/// The connection's addresses, if they are kept and were read whole.
fn tuple(tables: &Tables, listed: &Listed) -> Option<Tuple> {
    let flow = listed.details?;
    if tables.hasher.hash(&flow).max(1) != listed.hash {
        return None;
    }
    Some(Tuple {
        source: flow.source,
        source_port: flow.source_port,
        destination: flow.destination,
        destination_port: flow.destination_port,
        protocol: if flow.protocol == 6 { api::Protocol::Tcp } else { api::Protocol::Udp },
    })
}

//! Which node a packet's flow has, or gets.

mod record;
mod sibling;

use ahash::RandomState;
use hashbrown::HashMap;

use crate::BURST;
use crate::cells::{Cell, Cells};
use crate::connection::{Entry, Kind, Now, Signal, Slot, State, Step, Table, Ticks, View, step};
use crate::counters::{Counter, Counters};
use crate::flow::Flow;
use crate::hash::row;
use crate::limit::{Limiter, SourceLimits};
use crate::service::{Member, Service};
use crate::tables::Tables;
use crate::tick::Tick;

/// A worker's connections: its own table, and the others' to ask.
pub struct Connections {
    table: Option<Table>,
    siblings: Vec<View>,
    workers: u32,
    insertions: Limiter,
    sources: HashMap<u16, SourceLimits, RandomState>,
    /// Packets of known connections in this burst.
    hits: u64,
}

/// What is asked about a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    pub(crate) hash: u64,
    pub(crate) signal: Signal,
}

/// Where it is asked.
#[derive(Clone, Copy)]
pub(crate) struct At<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) counters: &'a Counters,
    pub(crate) cells: &'a Cells,
    pub(crate) now: Tick,
    pub(crate) millis: u64,
}

/// The node that a packet goes to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chosen {
    pub(crate) node: u16,
    /// Where it is counted.
    pub(crate) cell: Cell,
}

impl Chosen {
    /// No node.
    pub(crate) const NONE: Self = Self { node: u16::MAX, cell: Cell::OVERFLOW };

    pub(crate) fn is_none(self) -> bool {
        self.node == Self::NONE.node
    }
}

impl Connections {
    pub(crate) fn new(workers: u32) -> Self {
        let limits = api::Limits::default();
        Self {
            table: None,
            siblings: Vec::new(),
            workers,
            insertions: Limiter::new(limits.insertions, 1),
            sources: HashMap::default(),
            hits: 0,
        }
    }

    /// Gives it its table, and those of the other workers.
    pub fn open(&mut self, table: Table, siblings: Vec<View>) {
        self.table = Some(table);
        self.siblings = siblings;
    }

    /// Lets all tables go, which others still have: to count and to free them is not a worker's work.
    pub fn close(&mut self) {
        self.siblings.clear();
        self.table = None;
    }

    /// Takes over a Snapshot's limits.
    pub fn limit(&mut self, tables: &Tables) {
        self.insertions.set_rate(tables.limits.insertions, 1);
        let limited = tables.services.iter().filter_map(|s| Some((s.index, s.source_limit?)));
        let mut before = std::mem::take(&mut self.sources);
        for (service, rate) in limited {
            if self.sources.contains_key(&service) {
                continue; // of one name with another, whose limits it shares
            }
            let limits = match before.remove(&service) {
                Some(mut limits) => {
                    limits.set_rate(rate, self.workers);
                    limits
                }
                None => SourceLimits::new(rate, self.workers),
            };
            self.sources.insert(service, limits);
        }
    }

    /// Forgets what it knows of a node: its index names another one now.
    pub fn forget_node(&mut self, node: u16) {
        if let Some(table) = &mut self.table {
            table.forget_node(node);
        }
    }

    /// Connections in its table.
    pub fn len(&self) -> usize {
        self.table.as_ref().map_or(0, Table::len)
    }

    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Leads packets of flows that go on as they were the short way: nearly all. `asked`: the number of
    /// the service, and the signal, by packet. Returns those that are left for
    /// [`choose`](Self::choose), a bit each.
    #[inline(never)]
    pub(crate) fn follow(
        &mut self,
        at: &At<'_>,
        hashes: &[u64],
        asked: &[(u32, Signal); BURST],
        chosen: &mut [Chosen; BURST],
    ) -> u32 {
        let mut left = u32::MAX.checked_shr(u32::BITS - hashes.len() as u32).unwrap_or(0);
        let before = left.count_ones();
        let Some(table) = &mut self.table else { return left };
        let mut slots = [Slot::NONE; BURST];
        table.find_burst(hashes, &mut slots);
        // While a node is being forgotten, an entry may be another's.
        if !table.is_settled() {
            return left;
        }
        // By signal: the state of flows that it changes nothing of, and for how long they are known.
        let going_on = Signal::ALL.map(|signal| {
            let state = match signal {
                Signal::Data => State::Open,
                Signal::Udp => State::Udp,
                Signal::Syn | Signal::Fin | Signal::Rst | Signal::Error => {
                    return (Kind::NONE, Ticks::new(0));
                }
            };
            (Kind::state(state), Ticks::new(at.tables.idle.ticks(state)))
        });
        let (services, now, ready) = (&*at.tables.services, at.now, Now::new(at.now));
        for i in 0..hashes.len().min(BURST) {
            let (service, signal) = asked[i];
            let (state, idle) = going_on[signal as usize];
            let Some(service) = services.get(service as usize) else { continue };
            let Some(found) = table.found(slots[i]) else { continue };
            if let Some(node) = found.going_on(state.and(service.short_way), ready, idle)
                && let Some(member) = service.holds(node, now)
            {
                found.refresh(ready);
                chosen[i] = Chosen { node, cell: member.cell };
                left &= !(1 << i);
            }
        }
        self.hits += u64::from(before - left.count_ones());
        left
    }

    /// The node of the packet's flow, known or new.
    ///
    /// # Errors
    /// Why the packet is to be dropped.
    #[inline(never)]
    pub(crate) fn choose(
        &mut self,
        at: &At<'_>,
        service: &Service,
        asked: Asked,
        flow: impl Fn() -> Flow,
    ) -> Result<Chosen, Counter> {
        if service.sources.is_some() && !service.serves(flow().source) {
            return Err(Counter::SourceDenied);
        }
        if !service.track {
            return by_row(at, service, asked.hash, &flow);
        }
        self.tracked(at, service, asked, &flow)
    }

    /// The same where flows are remembered.
    #[inline]
    fn tracked(
        &mut self,
        at: &At<'_>,
        service: &Service,
        asked: Asked,
        flow: &impl Fn() -> Flow,
    ) -> Result<Chosen, Counter> {
        let Some(table) = &mut self.table else {
            at.counters.add(Counter::NoTable, 1);
            return by_row(at, service, asked.hash, flow);
        };
        // An earlier packet of this burst may have brought or moved it.
        let look = table.look(asked.hash);
        let slot = look.slot();
        let known = table.entry(slot, asked.hash, at.now).and_then(|entry| {
            if entry.service == service.index {
                return Some(entry);
            }
            // Its port has moved to another service, or the service has another name: the
            // connection stays where it is, if its node is in the new one.
            let member = service.holds(entry.node, at.now)?;
            let adopted = Entry { service: service.index, ..entry };
            table.store(slot, adopted);
            close(at, &entry);
            at.cells.opened(member.cell);
            Some(adopted)
        });
        if let Some(entry) = known
            && let Step::Follow(changed) = step(known, asked.signal, at.now, &at.tables.idle)
        {
            if let Some(member) = service.holds(entry.node, at.now) {
                if let Some(changed) = changed {
                    table.store(slot, changed);
                }
                self.hits += 1;
                return Ok(Chosen { node: entry.node, cell: member.cell });
            }
            at.counters.add(Counter::Rescheduled, 1);
        }
        if known.is_none_or(|entry| entry.expired(at.now, &at.tables.idle))
            && let Some((copy, member)) = self.ask_siblings(at, service, asked, flow)
        {
            if let Step::Follow(Some(changed)) =
                step(Some(copy), asked.signal, at.now, &at.tables.idle)
            {
                self.record(at, service, look, changed, flow);
            }
            return Ok(Chosen { node: copy.node, cell: member.cell });
        }
        let chosen = by_row(at, service, asked.hash, flow)?;
        let Step::Schedule { record: Some(state) } =
            step(None, asked.signal, at.now, &at.tables.idle)
        else {
            return Ok(chosen);
        };
        // What is replaced takes no room; left there, it would lead the flow's next packet astray.
        if known.is_none() && !self.may_record(at, service, flow) {
            return Ok(chosen);
        }
        at.counters.add(Counter::NewFlow, 1);
        at.cells.new_flow(chosen.cell);
        let entry =
            Entry { node: chosen.node, service: service.index, seen: at.now, state, once: true };
        self.record(at, service, look, entry, flow);
        Ok(chosen)
    }

    /// Looks at a few more buckets for entries that were idle for too long.
    pub(crate) fn sweep(&mut self, at: &At<'_>, buckets: usize) {
        if let Some(table) = &mut self.table {
            table.sweep(at.now, &at.tables.idle, buckets, |entry| {
                at.counters.add(Counter::Expired, 1);
                close(at, &entry);
            });
        }
    }

    /// Counts the burst's packets of known connections.
    pub(crate) fn count(&mut self, counters: &Counters) {
        if self.hits > 0 {
            counters.add(Counter::ConnectionHit, std::mem::take(&mut self.hits));
        }
    }
}

/// The owner of the flow's row.
fn by_row(
    at: &At<'_>,
    service: &Service,
    hash: u64,
    flow: &impl Fn() -> Flow,
) -> Result<Chosen, Counter> {
    let balance = service.balance.as_ref().ok_or(Counter::NoNode)?;
    let row = row(row_hash(at.tables, service, hash, flow), balance.maglev.rows());
    let node = balance.maglev.owner(row);
    let member = service.members.get(usize::from(node)).copied().unwrap_or(Member::NONE);
    Ok(Chosen { node, cell: member.cell })
}

/// What chooses the row of a flow whose flow hash is `hash`.
#[inline]
pub(crate) fn row_hash(
    tables: &Tables,
    service: &Service,
    hash: u64,
    flow: &impl Fn() -> Flow,
) -> u64 {
    match service.hash {
        api::Hash::FiveTuple => hash,
        api::Hash::Source => tables.hasher.source(flow().source),
    }
}

/// Counts that a connection is no longer recorded.
fn close(at: &At<'_>, entry: &Entry) {
    at.cells.closed(at.tables.cell(entry.service, entry.node));
}

use crate::balance::Balance;
use crate::connection::{Entry, Signal, freshest};
use crate::counters::Counter;
use crate::flow::Flow;
use crate::hash::row;
use crate::service::{Member, Service};
use crate::tick::Tick;

use super::{Asked, At, Connections, row_hash};

impl Connections {
    /// The connection in another worker's table, where Maglev alone could be wrong: the row has
    /// changed its owner within the longest idle time, as all rows have for a process that has begun.
    pub(super) fn ask_siblings(
        &self,
        at: &At<'_>,
        service: &Service,
        asked: Asked,
        flow: &impl Fn() -> Flow,
    ) -> Option<(Entry, Member)> {
        if self.siblings.is_empty() || asked.signal == Signal::Syn {
            return None;
        }
        let recent = |then: Tick| at.now.since(then) <= at.tables.longest_idle;
        let changed = |balance: &Balance| {
            let row = || {
                let hash = row_hash(at.tables, service, asked.hash, flow);
                row(hash, balance.maglev.rows())
            };
            recent(balance.last_change()) && recent(balance.changed(row()))
        };
        // Without a node for new flows, known ones are all there is. Errors come to any worker,
        // however long ago their flow began; they are few.
        if asked.signal != Signal::Error && !service.balance.as_deref().is_none_or(changed) {
            return None;
        }
        at.counters.add(Counter::SiblingAsked, 1);
        let entry = freshest(&self.siblings, asked.hash, at.now)
            .map(|entry| Entry { service: service.index, ..entry })
            .filter(|entry| !entry.expired(at.now, &at.tables.idle))?;
        if self.table.as_ref().is_some_and(|table| table.is_forgotten(entry.node)) {
            return None;
        }
        let member = service.holds(entry.node, at.now)?;
        at.counters.add(Counter::SiblingHit, 1);
        Some((entry, member))
    }
}

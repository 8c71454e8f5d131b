use crate::cells::Cell;
use crate::connection::{Displaced, Entry, Look, State};
use crate::counters::Counter;
use crate::flow::Flow;
use crate::service::Service;

use super::{At, Connections};

impl Connections {
    /// Whether one more flow may be recorded; counted if not.
    pub(super) fn may_record(
        &mut self,
        at: &At<'_>,
        service: &Service,
        flow: &impl Fn() -> Flow,
    ) -> bool {
        if let Some(sources) = self.sources.get_mut(&service.index) {
            let verdict = sources.take(flow().source, at.millis);
            if verdict.is_shared() {
                at.counters.add(Counter::SourceTableFull, 1);
            }
            if !verdict.is_granted() {
                at.counters.add(Counter::SourceCap, 1);
                return false;
            }
        }
        if self.insertions.take(at.millis) {
            return true;
        }
        at.counters.add(Counter::InsertionCap, 1);
        false
    }

    /// Records a flow, and counts what goes for it. Its buckets are as they were when `look` was taken.
    pub(super) fn record(
        &mut self,
        at: &At<'_>,
        service: &Service,
        look: Look,
        entry: Entry,
        flow: &impl Fn() -> Flow,
    ) {
        let Some(table) = &mut self.table else { return };
        let inserted = table.insert_at(look, entry, at.now, &at.tables.idle);
        if table.keeps_details() {
            table.describe(inserted.slot, &flow());
        }
        if inserted.moved > 0 {
            at.counters.add(Counter::EntryMoved, inserted.moved.into());
        }
        at.cells.opened(cell(at, service, &entry));
        let gone = match inserted.displaced {
            Displaced::Nothing => return,
            Displaced::Replaced(gone) => gone,
            Displaced::Expired(gone) => {
                at.counters.add(Counter::Expired, 1);
                gone
            }
            Displaced::Evicted(gone) => {
                let counter = match gone.state {
                    _ if gone.once => Counter::EvictedOnce,
                    State::Closing => Counter::EvictedClosing,
                    State::Embryonic | State::Open | State::Udp => Counter::EvictedOpen,
                };
                at.counters.add(counter, 1);
                gone
            }
        };
        at.cells.closed(cell(at, service, &gone));
    }
}

/// Where a connection is counted, which is most likely one of this service.
#[inline]
fn cell(at: &At<'_>, service: &Service, entry: &Entry) -> Cell {
    let member = service.members.get(usize::from(entry.node));
    match member.filter(|_| entry.service == service.index) {
        Some(member) if member.cell != Cell::OVERFLOW => member.cell,
        Some(_) | None => at.tables.cell(entry.service, entry.node),
    }
}

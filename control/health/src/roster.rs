//! All probes: what is thought of each, and which is to run. What the [`monitor`] decides by; pure,
//! with time passed in.
//!
//! [`monitor`]: crate::monitor

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::machine::Machine;
use crate::schedule::{self, Schedule, Start};
use crate::{Outcome, Probe, Report, Standing};

mod held;
mod predecessors;

pub use held::Held;
use predecessors::Predecessors;

/// A probe that starts so much after it was due counts as late.
const LATE: Duration = Duration::from_millis(100);

/// A probe of a monitor. Never used again for another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId {
    slot: u32,
    generation: u32,
}

/// What a monitor did since it was started, and does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Probes run to their report.
    pub run: u64,
    /// Of these, reports of failures.
    pub failed: u64,
    /// Of these, probes that panicked.
    pub panicked: u64,
    /// Probes given up before their report: gone, or held.
    pub discarded: u64,
    /// Failures that counted for nothing: see [`Monitor::forgive`](crate::monitor::Monitor::forgive).
    pub forgiven: u64,
    /// Reports of success of probes that leave this host.
    pub heard: u64,
    /// Probes started more than 100 ms after they were due: there is not time enough for all.
    pub late: u64,
    /// Probes that there are.
    pub probes: usize,
    /// Probes that run now.
    pub in_flight: usize,
}

/// How a probe ended.
#[derive(Debug)]
pub(crate) enum Landing {
    Reported(Report),
    Panicked(String),
    /// It was given up on request: see [`Roster::take_cancelled`].
    Cancelled,
}

#[derive(Debug)]
struct Entry {
    probe: Arc<Probe>,
    machine: Machine,
    phase: Phase,
    /// Whether it is among [`Roster::changed`].
    changed: bool,
    /// Whether it may not run, by the roster's [`Held`].
    held: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not to be run: held, or not scheduled yet.
    Idle,
    Waiting {
        due: Instant,
    },
    Running {
        start: Start,
        /// Whether its report will say nothing, for it was held in between.
        discard: bool,
    },
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    entry: Option<Entry>,
}

/// All probes.
#[derive(Debug)]
pub(crate) struct Roster {
    slots: Vec<Slot>,
    free: Vec<u32>,
    ids: HashMap<Arc<Probe>, ProbeId>,
    schedule: Schedule<ProbeId>,
    limit: usize,
    held: Held,
    forgiving: bool,
    changed: Vec<ProbeId>,
    cancelled: HashSet<ProbeId>,
    counters: Counters,
    random: fastrand::Rng,
}

impl Roster {
    /// No probes, of which `limit` may run at once.
    pub(crate) fn new(limit: usize, random: fastrand::Rng) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            ids: HashMap::new(),
            schedule: Schedule::new(),
            limit,
            held: Held::none(),
            forgiving: false,
            changed: Vec::new(),
            cancelled: HashSet::new(),
            counters: Counters::default(),
            random,
        }
    }

    /// Makes these all the probes there are, and gives the number of each. Known ones go on as they
    /// are. One whose check counts or paces otherwise now, or whose packets come from elsewhere, is
    /// new, but starts from what was thought of the same target, here or by whoever has `known` it.
    pub(crate) fn set(
        &mut self,
        probes: Vec<Probe>,
        known: impl Fn(&Probe) -> Option<Standing>,
        now: Instant,
        boottime: Duration,
    ) -> Vec<ProbeId> {
        let wanted: HashSet<&Probe> = probes.iter().collect();
        let gone: Vec<ProbeId> = self
            .ids
            .iter()
            .filter(|(probe, _)| !wanted.contains(&***probe))
            .map(|(_, id)| *id)
            .collect();
        let predecessors = Predecessors::new(gone.iter().filter_map(|id| self.remove(*id)));

        // At most: a set is made once and stays, so doubling as it grows would be waste that stays.
        let room = wanted.len().saturating_sub(self.ids.len() + self.free.len());
        drop(wanted);
        self.slots.reserve_exact(room);
        let mut new = Vec::new();
        let ids = probes
            .into_iter()
            .map(|probe| {
                if let Some(id) = self.ids.get(&probe) {
                    return *id;
                }
                let timing = probe.check.counting();
                let standing = predecessors.standing(&probe).cloned().or_else(|| known(&probe));
                let machine = match standing {
                    Some(standing) => Machine::resume(timing, standing),
                    None => Machine::new(timing, boottime),
                };
                let id = self.insert(probe, machine);
                new.push(id);
                id
            })
            .collect();
        self.start_soon(&new, now);
        ids
    }

    /// Stops these probes, those on their way included, and lets all others run. What is thought of
    /// their targets stays. It is asked of those that come later, too.
    pub(crate) fn hold(&mut self, held: Held, now: Instant) {
        self.held = held;
        let mut thawed = Vec::new();
        for (id, entry) in entries_mut(&mut self.slots) {
            entry.held = self.held.holds(&entry.probe);
            match (entry.phase, entry.held) {
                (Phase::Waiting { due }, true) => {
                    self.schedule.remove(id, due);
                    entry.phase = Phase::Idle;
                }
                (Phase::Running { start, discard: _ }, true) => {
                    entry.phase = Phase::Running { start, discard: true };
                    self.cancelled.insert(id);
                }
                (Phase::Idle, false) => thawed.push(id),
                // It goes on when its end is known: two must not run at once.
                (Phase::Running { .. }, false) => {}
                (Phase::Waiting { .. }, false) | (Phase::Idle, true) => {}
            }
        }
        self.start_soon(&thawed, now);
    }

    /// Whether a failure of a probe that leaves this host says nothing of its target.
    pub(crate) fn forgive(&mut self, forgiving: bool) {
        self.forgiving = forgiving;
    }

    /// Makes all probes due that wait for their time.
    pub(crate) fn hasten(&mut self, now: Instant) {
        let waiting: Vec<ProbeId> = entries_mut(&mut self.slots)
            .filter(|(_, entry)| matches!(entry.phase, Phase::Waiting { .. }))
            .map(|(id, _)| id)
            .collect();
        self.start_soon(&waiting, now);
    }

    /// The next probe to run now: it is running from here on, until [`Roster::land`].
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<(ProbeId, Arc<Probe>)> {
        if self.counters.in_flight >= self.limit {
            return None;
        }
        let (due, id) = self.schedule.take_due(now)?;
        if now.duration_since(due) > LATE {
            self.counters.late += 1;
        }
        self.counters.in_flight += 1;
        let entry = entry_mut(&mut self.slots, id).expect("what is scheduled exists");
        entry.phase = Phase::Running { start: Start { due, started: now }, discard: false };
        Some((id, Arc::clone(&entry.probe)))
    }

    /// When there will be a probe to run, if not only after another one's end.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        if self.counters.in_flight < self.limit { self.schedule.next() } else { None }
    }

    /// Takes the running probes that are to be given up. Each still has to land.
    pub(crate) fn take_cancelled(&mut self) -> HashSet<ProbeId> {
        std::mem::take(&mut self.cancelled)
    }

    /// Takes in how a probe ended. Says whether [`Roster::take_changed`] has something.
    pub(crate) fn land(
        &mut self,
        id: ProbeId,
        landing: Landing,
        now: Instant,
        boottime: Duration,
    ) -> bool {
        self.counters.in_flight -= 1;
        self.cancelled.remove(&id);
        let Some(entry) = entry_mut(&mut self.slots, id) else {
            self.counters.discarded += 1;
            return false;
        };
        let Phase::Running { start, discard } = entry.phase else {
            unreachable!("a probe landed that was not started: {:?}", entry.phase)
        };
        let report = match landing {
            Landing::Reported(report) if !discard => report,
            Landing::Panicked(message) if !discard => {
                self.counters.panicked += 1;
                Report::new(Outcome::Failed, format!("the check itself failed: {message}"))
            }
            Landing::Reported(_) | Landing::Panicked(_) | Landing::Cancelled => {
                self.counters.discarded += 1;
                entry.phase = Phase::Idle;
                self.start_soon(&[id], now);
                return false;
            }
        };
        let leaves = entry.probe.check.kind.leaves_this_host();
        if self.forgiving && leaves && report.outcome == Outcome::Failed {
            self.counters.forgiven += 1;
            let delay = entry.probe.check.timing.retry_delay;
            let due = schedule::next_start(start, delay, now, self.random.f64());
            entry.phase = Phase::Waiting { due };
            self.schedule.add(id, due);
            return false;
        }
        self.counters.run += 1;
        self.counters.failed += u64::from(report.outcome == Outcome::Failed);
        self.counters.heard += u64::from(leaves && report.outcome != Outcome::Failed);
        let changed = entry.machine.observe(&report, boottime);
        if changed && !entry.changed {
            entry.changed = true;
            self.changed.push(id);
        }
        let delay = entry.machine.next_in();
        let due = schedule::next_start(start, delay, now, self.random.f64());
        entry.phase = Phase::Waiting { due };
        self.schedule.add(id, due);
        changed
    }

    /// Takes the probes whose standing changed since this was last asked, each once.
    pub(crate) fn take_changed(&mut self) -> Vec<ProbeId> {
        let mut changed = std::mem::take(&mut self.changed);
        changed.retain(|id| match entry_mut(&mut self.slots, *id) {
            Some(entry) => {
                entry.changed = false;
                true
            }
            None => false,
        });
        changed
    }

    /// What is thought of a probe's target; nothing if the probe is gone.
    pub(crate) fn standing(&self, id: ProbeId) -> Option<&Standing> {
        let slot = self.slots.get(id.slot as usize)?;
        let entry = slot.entry.as_ref().filter(|_| slot.generation == id.generation)?;
        Some(entry.machine.standing())
    }

    pub(crate) fn counters(&self) -> Counters {
        Counters { probes: self.ids.len(), ..self.counters }
    }

    fn insert(&mut self, probe: Probe, machine: Machine) -> ProbeId {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("memory ends before numbers do")
        });
        let place = &mut self.slots[slot as usize];
        let id = ProbeId { slot, generation: place.generation };
        let probe = Arc::new(probe);
        self.ids.insert(Arc::clone(&probe), id);
        let held = self.held.holds(&probe);
        place.entry = Some(Entry { probe, machine, phase: Phase::Idle, changed: false, held });
        id
    }

    fn remove(&mut self, id: ProbeId) -> Option<Entry> {
        let slot = &mut self.slots[id.slot as usize];
        let entry = slot.entry.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.slot);
        self.ids.remove(&entry.probe);
        match entry.phase {
            Phase::Idle => {}
            Phase::Waiting { due } => self.schedule.remove(id, due),
            Phase::Running { .. } => {
                self.cancelled.insert(id);
            }
        }
        Some(entry)
    }

    /// Schedules probes, or makes them due earlier, unless they may not run.
    fn start_soon(&mut self, ids: &[ProbeId], now: Instant) {
        for id in ids {
            let entry = entry_mut(&mut self.slots, *id).expect("the caller has just seen it");
            let interval = entry.probe.check.timing.interval;
            let delay = schedule::first_delay(ids.len(), interval, self.random.f64());
            let soon = now + delay;
            let due = match entry.phase {
                Phase::Idle if entry.held => continue,
                Phase::Idle => soon,
                Phase::Waiting { due } => {
                    self.schedule.remove(*id, due);
                    due.min(soon)
                }
                Phase::Running { .. } => continue,
            };
            entry.phase = Phase::Waiting { due };
            self.schedule.add(*id, due);
        }
    }
}

fn entry_mut(slots: &mut [Slot], id: ProbeId) -> Option<&mut Entry> {
    let slot = slots.get_mut(id.slot as usize)?;
    slot.entry.as_mut().filter(|_| slot.generation == id.generation)
}

fn entries_mut(slots: &mut [Slot]) -> impl Iterator<Item = (ProbeId, &mut Entry)> {
    (0..).zip(slots).filter_map(|(slot, place)| {
        let id = ProbeId { slot, generation: place.generation };
        place.entry.as_mut().map(|entry| (id, entry))
    })
}

#[cfg(test)]
mod tests;

//! Runs probes when they are due, and tells what changed.
//!
//! One task sleeps until a probe is due and starts a task for each that is on its way, no more at once
//! than [`Settings::in_flight`]; everything it decides is decided in the roster, which knows no sockets.
//! A probe that panics is a failure of its target's check, and of nothing else.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::{self, Instant};

use crate::probe::{self, Context};
use crate::roster::{Landing, Roster};
use crate::{Probe, Report, Standing};

pub use crate::roster::{Counters, Held, ProbeId};

/// How much a monitor may do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most probes on their way; others wait for their turn, the longest overdue first. Each takes a
    /// file descriptor, a command four.
    pub in_flight: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { in_flight: 1000 }
    }
}

/// Runs probes until it is dropped.
#[derive(Debug)]
pub struct Monitor {
    shared: Arc<Shared>,
    context: Arc<Context>,
    driver: AbortHandle,
}

/// Tells whose standing changed.
#[derive(Debug)]
pub struct Changes {
    shared: Arc<Shared>,
}

/// All standings at one moment: no report is taken in while this lives.
#[derive(Debug)]
pub struct Standings<'a>(MutexGuard<'a, Roster>);

#[derive(Debug)]
struct Shared {
    roster: Mutex<Roster>,
    /// The driver has to look at the roster.
    wake: Notify,
    /// There are changes to take.
    changed: Notify,
}

/// What runs a probe: sockets, or a test's script.
trait Run: Send + Sync + 'static {
    fn run(&self, probe: &Probe) -> impl Future<Output = Report> + Send;
}

impl Run for Context {
    fn run(&self, probe: &Probe) -> impl Future<Output = Report> + Send {
        probe::run(probe, self)
    }
}

impl Monitor {
    /// A monitor without probes, on the current runtime, which has to have its timer and I/O enabled.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(settings: Settings) -> (Self, Changes) {
        let context = Arc::new(Context::new());
        Self::start_with(settings, Arc::clone(&context), context)
    }

    fn start_with(
        settings: Settings,
        context: Arc<Context>,
        runner: Arc<impl Run>,
    ) -> (Self, Changes) {
        let shared = Arc::new(Shared {
            roster: Mutex::new(Roster::new(settings.in_flight.max(1), fastrand::Rng::new())),
            wake: Notify::new(),
            changed: Notify::new(),
        });
        let driver = task::spawn(drive(Arc::clone(&shared), runner)).abort_handle();
        (Self { shared: Arc::clone(&shared), context, driver }, Changes { shared })
    }

    /// Makes these all the probes there are, and gives the number of each, in order; equal ones have
    /// one number. Known ones keep number, standing and schedule. Those that are gone stop, even on
    /// their way. New ones start within a second.
    ///
    /// A probe that differs from one that is gone only in its timing or source takes over what was
    /// thought of the target.
    pub fn set(&self, probes: Vec<Probe>) -> Vec<ProbeId> {
        self.set_knowing(probes, |_| None)
    }

    /// The same, if somebody else has known what to think of the target of a new probe.
    pub fn set_knowing(
        &self,
        probes: Vec<Probe>,
        known: impl Fn(&Probe) -> Option<Standing>,
    ) -> Vec<ProbeId> {
        self.context.forget();
        let ids = self.shared.roster.lock().set(probes, known, Instant::now(), boottime());
        self.shared.wake.notify_one();
        ids
    }

    /// Stops these probes, also of those that are set later, and lets all others run, soon. What is
    /// thought of their targets stays as it is. None are held at first.
    pub fn hold(&self, held: Held) {
        self.shared.roster.lock().hold(held, Instant::now());
        self.shared.wake.notify_one();
    }

    /// Whether failures of probes that leave this host count for nothing: the way there may be what
    /// fails. They are asked again after their `retry_delay`. Successes and refusals count.
    pub fn forgive(&self, forgiving: bool) {
        self.shared.roster.lock().forgive(forgiving);
    }

    /// Runs every probe within a second, as if it were new.
    pub fn check_now(&self) {
        self.shared.roster.lock().hasten(Instant::now());
        self.shared.wake.notify_one();
    }

    /// What is thought of a probe's target; nothing if the probe is gone.
    pub fn standing(&self, id: ProbeId) -> Option<Standing> {
        self.standings().get(id).cloned()
    }

    /// Holds everything still, to read many standings. Not to be held across an `await`.
    pub fn standings(&self) -> Standings<'_> {
        Standings(self.shared.roster.lock())
    }

    /// What it did since it was started, and does.
    pub fn counters(&self) -> Counters {
        self.shared.roster.lock().counters()
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Standings<'_> {
    /// What is thought of a probe's target; nothing if the probe is gone.
    pub fn get(&self, id: ProbeId) -> Option<&Standing> {
        self.0.standing(id)
    }
}

impl Changes {
    /// Waits until the state, admin, weight or limit of some target changed since the last call, the
    /// first verdict included, and gives the probes concerned, each once. Nothing is lost if the future is
    /// dropped. Never ends once the monitor is gone.
    pub async fn next(&mut self) -> Vec<ProbeId> {
        loop {
            let changed = self.shared.roster.lock().take_changed();
            if !changed.is_empty() {
                return changed;
            }
            self.shared.changed.notified().await;
        }
    }
}

/// CLOCK_BOOTTIME, which counts suspension: what [`Standing::since`] is in.
pub fn boottime() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has this clock since 2.6.39").into()
}

async fn drive(shared: Arc<Shared>, runner: Arc<impl Run>) {
    let mut tasks = JoinSet::new();
    let mut flights: HashMap<task::Id, (ProbeId, AbortHandle)> = HashMap::new();
    loop {
        let next_due = {
            let mut roster = shared.roster.lock();
            let cancelled = roster.take_cancelled();
            if !cancelled.is_empty() {
                for (id, task) in flights.values() {
                    if cancelled.contains(id) {
                        task.abort();
                    }
                }
            }
            while let Some((id, probe)) = roster.take_due(Instant::now()) {
                let runner = Arc::clone(&runner);
                let task = tasks.spawn(async move { runner.run(&probe).await });
                flights.insert(task.id(), (id, task));
            }
            roster.next_due()
        };

        tokio::select! {
            Some(first) = tasks.join_next_with_id() => {
                let mut changed = false;
                let mut roster = shared.roster.lock();
                let mut joined = Some(first);
                while let Some(task) = joined {
                    let (task, landing) = landing(task);
                    let (id, _) = flights.remove(&task).expect("every task was noted at its start");
                    changed |= roster.land(id, landing, Instant::now(), boottime());
                    joined = tasks.try_join_next_with_id();
                }
                if changed {
                    shared.changed.notify_one();
                }
            }
            () = until(next_due) => {}
            () = shared.wake.notified() => {}
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

fn landing(task: Result<(task::Id, Report), JoinError>) -> (task::Id, Landing) {
    match task {
        Ok((task, report)) => (task, Landing::Reported(report)),
        Err(error) => {
            let task = error.id();
            match error.try_into_panic() {
                Ok(panic) => (task, Landing::Panicked(message(&*panic))),
                Err(_cancelled) => (task, Landing::Cancelled),
            }
        }
    }
}

/// What a panic was about.
fn message(panic: &(dyn Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (None, Some(text)) => text.clone(),
        (None, None) => "it panicked".to_owned(),
    }
}

#[cfg(test)]
mod tests;

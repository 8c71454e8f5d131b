//! palier-dataplane: the L4 forwarder (tier 2).
//!
//! Flags -> EAL -> ports -> one worker per queue pair -> the main thread's loop -> the end.

mod announce;
mod args;
mod bfd;
mod capture;
mod clock;
mod connections;
mod control;
mod exception;
mod flows;
mod interface;
mod neighbor;
mod ports;
mod restart;
mod route;
mod socket;
mod stats;
mod supervisor;
mod tables;
mod team;
mod vlan;
mod waiting;
mod worker;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use capsule::{Eal, Lcore};
use crossbeam::channel::{self, Receiver, Sender};
use forward::{Cells, Counters};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::args::{Idle, Settings};
use crate::bfd::Bfd;
use crate::connections::Connections;
use crate::control::{Control, Inbox};
use crate::neighbor::{Follower, Hops};
use crate::ports::Opened;
use crate::route::{Exit, Routes};
use crate::supervisor::Supervisor;
use crate::tables::Force;
use crate::team::Team;
use crate::worker::{Parts, Shared, Worker};

/// How long a worker sleeps when there is nothing to do, with `--idle adaptive`, twice as long
/// after some silence: with the kernel's timer slack its reaction stays below a millisecond.
const NAP: Duration = Duration::from_micros(400);

/// Events of workers that the main thread has not seen yet. What does not fit happens again.
const EVENTS: usize = 1024;

fn main() -> ExitCode {
    // Asked before EAL narrows what this thread may use.
    let cpus: Vec<usize> =
        core_affinity::get_core_ids().unwrap_or_default().into_iter().map(|core| core.id).collect();
    let settings = match args::parse(std::env::args_os(), &cpus) {
        Ok(settings) => settings,
        Err(error) => return error.report(),
    };
    log(settings.verbose);
    let snapshot = match settings.snapshot.as_deref().map(read_snapshot).transpose() {
        Ok(snapshot) => snapshot,
        Err(problem) => {
            eprintln!("palier-dataplane: {problem}");
            return ExitCode::from(2);
        }
    };
    // A worker that is gone would let its packets vanish: better all end, and systemd starts anew.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        hook(info);
        std::process::abort();
    }));
    match run(&settings, &cpus, snapshot) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("palier-dataplane: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn log(verbose: bool) {
    let default = if verbose { "debug" } else { "info" };
    let filter = tracing_subscriber::EnvFilter::try_from_env("PALIER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}

/// The Snapshot in a file, checked as far as it can be before the ports are open.
fn read_snapshot(path: &std::path::Path) -> Result<api::Snapshot, String> {
    let failed = |error: &dyn std::fmt::Display| format!("--snapshot {}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    let snapshot: api::Snapshot = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    let mut problems = forward::problems(&snapshot);
    if snapshot.hash_key.is_none() {
        problems.push("hash_key is missing".into());
    }
    if problems.is_empty() { Ok(snapshot) } else { Err(failed(&problems.join("; "))) }
}

fn run(settings: &Settings, cpus: &[usize], snapshot: Option<api::Snapshot>) -> Result<(), String> {
    let started = clock::boot_millis();
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, stop.clone()).map_err(|error| with_causes(&error))?;
    }
    // Before the ports: of two processes, the second must not touch the first one's devices.
    let listener =
        socket::Listener::bind(&settings.run_dir).map_err(|error| with_causes(&error))?;
    std::fs::create_dir_all(&settings.state_dir)
        .map_err(|error| format!("--state-dir {}: {error}", settings.state_dir.display()))?;
    let Opened { eal, pool, ports, workers } =
        ports::open(settings).map_err(|error| with_causes(&error))?;
    // EAL has pinned this thread to a worker's CPU, and those that it starts would be there too.
    if let Err(error) = stay_off(&settings.cores, cpus) {
        tracing::warn!(%error, "the main thread shares a worker's CPU");
    }

    let (events_to_main, events) = channel::bounded(EVENTS);
    let go = Arc::new(AtomicBool::new(false));
    let mut team = Vec::new();
    let mut threads = Vec::new();
    for (number, (ports, &cpu)) in workers.into_iter().zip(&settings.cores).enumerate() {
        let (updates, inbox) = channel::unbounded();
        let shared = Arc::new(Shared {
            cpu,
            counters: Arc::new(Counters::new()),
            cells: Arc::new(Cells::new()),
            heartbeat: AtomicU64::new(started),
            generation: AtomicU64::new(Shared::NO_GENERATION),
            updates: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        team.push((updates, shared.clone()));
        let parts = Parts {
            number,
            ports,
            pool: pool.clone(),
            updates: inbox,
            events: events_to_main.clone(),
            shared,
            nap: match settings.idle {
                Idle::Busy => None,
                Idle::Adaptive => Some(NAP),
            },
            workers: settings.cores.len() as u32,
        };
        threads.push(start(parts, cpu, &eal, [&go, &stop]).map_err(|error| with_causes(&error))?);
    }
    drop(events_to_main);

    let (targets, hops) =
        follow(settings).map_err(|error| format!("following the kernel's next hops: {error}"))?;
    let exits = ports.iter().map(|port| Exit {
        wire: port.wire,
        mtu: port.mtu,
        checksum_offload: port.running.info().offloads.tx_ipv4_checksum,
    });
    let (calls_to_main, calls) = channel::bounded(64);
    let mut control = Control {
        force: Force::new(Connections::new(
            settings.state_dir.clone(),
            settings.connections as u32,
            settings.cores.len() as u16,
            settings.flow_details,
        )),
        team: Team::new(team, stop.clone()),
        routes: Routes::new(exits.collect(), settings.next_hop),
        ports,
        targets,
        started,
        capacity: settings.connections as u64,
        capture: None,
        bfd: Bfd::new(settings.state_dir.clone()).map_err(|error| format!("BFD: {error}"))?,
        restart: None,
    };
    let outcome = match snapshot.map(|snapshot| control.apply(snapshot, false)) {
        Some(Err(_)) if stop.load(Relaxed) => Ok(()), // told to end before it began
        Some(Err(problems)) => Err(problems.join("; ")),
        Some(Ok(_)) | None => {
            let server =
                socket::serve(listener, calls_to_main).map_err(|error| with_causes(&error))?;
            go.store(true, Relaxed);
            let workers = control.team.workers().cloned().collect();
            control.bfd.start(workers).map_err(|error| format!("BFD: {error}"))?;
            tracing::info!(workers = threads.len(), "forwarding");
            let mut supervisor = Supervisor::ready();
            control.run(&Inbox { calls, hops, events }, &stop, || supervisor.turn(Instant::now()));
            supervisor.stopping();
            drop(server);
            Ok(())
        }
    };
    stop.store(true, Relaxed);
    for thread in threads {
        // A panic of a worker has aborted the process.
        let _ = thread.join();
    }
    for port in control.ports.drain(..) {
        if let Some((exception, _)) = port.exception {
            // Closed by the process's end alone: the driver would take the interface down, and with it
            // the node's routes and IPv6 addresses.
            std::mem::forget(exception);
        }
    }
    outcome
}

/// Lets this thread run on those of `cpus` that are no worker's; on all if each is one.
fn stay_off(cores: &[usize], cpus: &[usize]) -> nix::Result<()> {
    let all = cpus.iter().all(|cpu| cores.contains(cpu));
    let mut set = CpuSet::new();
    for &cpu in cpus.iter().filter(|cpu| all || !cores.contains(cpu)) {
        set.set(cpu)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// An error with what caused it, in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Starts a worker on its CPU.
fn start(
    parts: Parts,
    cpu: usize,
    eal: &Eal,
    [go, stop]: [&Arc<AtomicBool>; 2],
) -> std::io::Result<JoinHandle<()>> {
    let (eal, go, stop) = (eal.clone(), go.clone(), stop.clone());
    thread::Builder::new().name(format!("worker-{cpu}")).spawn(move || {
        if !core_affinity::set_for_current(core_affinity::CoreId { id: cpu }) {
            tracing::warn!(cpu, "the worker could not be pinned: it may share its CPU");
        }
        let _lcore = match Lcore::register(&eal) {
            Ok(lcore) => Some(lcore),
            Err(error) => {
                tracing::warn!(cpu, "slower, without a cache of packet buffers: {error}");
                None
            }
        };
        Worker::new(parts).run(&go, &stop);
    })
}

/// Addresses whose next hops are wanted.
type Targets = Vec<std::net::IpAddr>;

/// Follows the kernel's next hops, unless they are fixed.
fn follow(settings: &Settings) -> std::io::Result<(Sender<Targets>, Receiver<Hops>)> {
    let interfaces: Vec<String> = settings
        .ports
        .iter()
        .filter_map(|port| Some(port.exception.as_ref()?.interface.clone()))
        .collect();
    let (targets, wanted) = channel::unbounded();
    let (found, hops) = channel::unbounded();
    if settings.next_hop.is_none() {
        Follower::spawn(interfaces, wanted, found)?;
    }
    Ok((targets, hops))
}

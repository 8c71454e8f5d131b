//! The main thread: answers the socket, follows the kernel, tells the workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use api::{CaptureFilter, Greeting, Reply, Request};
use crossbeam::channel::{Receiver, Sender, select};
use forward::{Event, HASH_VERSION, Tick, explain};

use crate::announce;
use crate::bfd::Bfd;
use crate::capture::{self, Watch};
use crate::clock::boot_millis;
use crate::flows::flows;
use crate::neighbor::Hops;
use crate::ports::OpenPort;
use crate::restart::Restart;
use crate::route::Routes;
use crate::socket::Call;
use crate::stats::{heartbeats, stats};
use crate::tables::Force;
use crate::team::Team;
use crate::worker::Update;

/// How often the main thread looks whether it is to stop, and what is due.
const TURN: Duration = Duration::from_millis(20);

/// Where the main thread hears things from.
pub(crate) struct Inbox {
    pub(crate) calls: Receiver<Call>,
    pub(crate) hops: Receiver<Hops>,
    pub(crate) events: Receiver<Event>,
}

/// The main thread's state.
pub(crate) struct Control {
    pub(crate) force: Force,
    pub(crate) team: Team,
    pub(crate) ports: Vec<OpenPort>,
    pub(crate) routes: Routes,
    /// Addresses whose next hops are to be followed.
    pub(crate) targets: Sender<Vec<std::net::IpAddr>>,
    pub(crate) started: u64,
    pub(crate) capacity: u64,
    pub(crate) capture: Option<Capture>,
    pub(crate) bfd: Bfd,
    /// A planned end, while routers are asked to bear it.
    pub(crate) restart: Option<Restart>,
}

/// A capture that runs: one at a time.
pub(crate) struct Capture {
    watch: Arc<Watch>,
    until: Instant,
    reply: Sender<Reply>,
}

impl Control {
    /// Serves until told to stop. `turn` is called each time around, several times a second.
    pub(crate) fn run(&mut self, inbox: &Inbox, stop: &AtomicBool, mut turn: impl FnMut()) {
        let mut hops = Some(&inbox.hops);
        while !stop.load(Relaxed) {
            turn();
            // A channel whose other end is gone would be ready all the time.
            let never = crossbeam::channel::never();
            select! {
                recv(inbox.calls) -> call => match call {
                    Ok(call) => self.answer(call),
                    Err(_) => std::thread::sleep(TURN),
                },
                recv(hops.unwrap_or(&never)) -> changed => match changed {
                    Ok(changed) => {
                        self.routes.follow(changed);
                        self.reroute();
                    }
                    Err(_) => hops = None,
                },
                recv(inbox.events) -> event => match event {
                    Ok(Event::TunnelMtu { node, mtu }) => {
                        // Only of nodes: nobody else is to fill the memory with what he claims.
                        let known = self.force.targets().contains(&node);
                        if known && self.routes.lower(node, mtu, boot_millis()) {
                            tracing::warn!(%node, mtu, "the fabric says that tunnelled packets are too big");
                            self.reroute();
                        }
                    }
                    Err(_) => std::thread::sleep(TURN),
                },
                default(TURN) => {}
            }
            self.finish_capture();
            self.restart_on(stop);
            if self.routes.expire(boot_millis()) {
                self.reroute();
            }
        }
    }

    fn reroute(&mut self) {
        let Self { force, routes, team, .. } = self;
        force.reroute(|tables| routes.paths(tables), team);
    }

    fn answer(&mut self, call: Call) {
        let reply = match call.request {
            Request::Hello => Reply::Hello(Greeting {
                protocol: api::VERSION,
                hash: HASH_VERSION,
                program: env!("CARGO_PKG_VERSION").into(),
                started_ms: self.started,
            }),
            Request::Snapshot => Reply::Snapshot(self.force.snapshot().map(Box::new)),
            Request::Apply(apply) => match self.apply(apply.snapshot, apply.force) {
                Ok(generation) => Reply::Applied { generation },
                Err(reasons) => Reply::Refused { reasons },
            },
            Request::Stats => {
                let Self { force, team, ports, routes, capacity, started, bfd, .. } = self;
                let stats = stats(force, team, ports, routes, *capacity, *started, bfd);
                Reply::Stats(Box::new(stats))
            }
            Request::Heartbeats => {
                Reply::Heartbeats(heartbeats(&self.force, &self.team, &self.bfd))
            }
            Request::Explain(query) => match self.force.tables() {
                Some(tables) => {
                    let now = Tick::from_boot_ms(boot_millis());
                    let paths = self.force.paths();
                    let views = self.force.file().map(|file| file.views()).unwrap_or_default();
                    Reply::Explain(Box::new(explain(tables, paths, views, &query, now)))
                }
                None => Reply::Error("no Snapshot is in force yet".into()),
            },
            Request::Flows(query) => Reply::Flows(flows(&self.force, &query)),
            Request::Capture(filter) => match self.start_capture(filter, &call.reply) {
                Ok(()) => return,
                Err(problem) => Reply::Error(problem),
            },
            Request::Restart(restart) => match self.begin_restart(restart, &call.reply) {
                Ok(()) => return,
                Err(reason) => Reply::Refused { reasons: vec![reason] },
            },
        };
        // A client that is gone needs no answer.
        let _ = call.reply.send(reply);
    }

    /// Puts a Snapshot in force.
    pub(crate) fn apply(
        &mut self,
        snapshot: api::Snapshot,
        force: bool,
    ) -> Result<u64, Vec<String>> {
        let generation = snapshot.generation;
        let before = self.force.tables().map(|tables| tables.own.clone());
        let Self { force: in_force, routes, team, .. } = self;
        in_force
            .apply(snapshot, force, |tables| routes.paths(tables), team)
            .inspect_err(|reasons| tracing::warn!(generation, ?reasons, "Snapshot refused"))?;
        tracing::info!(generation, "Snapshot in force");
        self.bfd.apply(self.force.bfd());
        // The follower ends only with the process.
        let _ = self.targets.send(self.force.targets());
        if self.force.tables().map(|tables| tables.own.clone()) != before {
            self.announce();
        }
        Ok(generation)
    }

    /// Tells the neighbors where this node's addresses are, by every port.
    fn announce(&self) {
        let Some(tables) = self.force.tables() else { return };
        let frames = |port: &OpenPort| announce::frames(port.wire.mac, &tables.own, port.wire.vlan);
        let all: Vec<_> = self
            .ports
            .iter()
            .map(|port| port.exception.as_ref().map_or(Vec::new(), |_| frames(port)))
            .collect();
        self.team.tell(|worker| Update::Send(if worker == 0 { all.clone() } else { Vec::new() }));
    }

    fn start_capture(
        &mut self,
        filter: CaptureFilter,
        reply: &Sender<Reply>,
    ) -> Result<(), String> {
        if let Some(problem) = capture::problem(&filter) {
            return Err(problem);
        }
        if self.capture.is_some() {
            return Err("another capture is running: try again when it has ended".into());
        }
        let until = Instant::now() + Duration::from_millis(filter.timeout_ms.into());
        let watch = Arc::new(Watch::new(filter));
        self.team.tell(|_| Update::Watch(Some(watch.clone())));
        self.capture = Some(Capture { watch, until, reply: reply.clone() });
        Ok(())
    }

    fn finish_capture(&mut self) {
        let over =
            |capture: &mut Capture| capture.watch.is_full() || Instant::now() >= capture.until;
        let Some(Capture { watch, reply, .. }) = self.capture.take_if(over) else { return };
        self.team.tell(|_| Update::Watch(None));
        self.team.settle();
        let (packets, missed) = watch.take();
        let _ = reply.send(Reply::Capture { packets, missed });
    }
}

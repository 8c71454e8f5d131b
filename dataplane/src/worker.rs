//! One core's loop: receive, forward, send.

mod port;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::Release};
use std::time::Duration;

use capsule::{Burst, Mempool, Packet};
use crossbeam::channel::{Receiver, Sender};
use forward::{
    BURST, Cells, Counter, Counters, Event, Forwarder, Here, Paths, Tables, Tick, Verdict, Wire,
};
use packet::{Frame, Pool};

use crate::capture::{Losses, Watch};
use crate::clock::boot_millis;
use crate::connections::Handed;
use crate::vlan;
use crate::waiting::{Held, Waiting};

pub(crate) use self::port::WorkerPort;

/// What others see of a worker, while it runs.
pub(crate) struct Shared {
    /// CPU it is pinned to.
    pub(crate) cpu: usize,
    /// What it counts.
    pub(crate) counters: Arc<Counters>,
    /// What it forwards, per service and node.
    pub(crate) cells: Arc<Cells>,
    /// When it last turned its loop, in milliseconds since boot. Fresh also while it sleeps.
    pub(crate) heartbeat: AtomicU64,
    /// Generation that it runs with; [`Self::NO_GENERATION`] before the first Snapshot.
    pub(crate) generation: AtomicU64,
    /// Updates it has taken in.
    pub(crate) updates: AtomicU64,
    /// Entries in its table.
    pub(crate) connections: AtomicU64,
}

impl Shared {
    /// The number of no Snapshot.
    pub(crate) const NO_GENERATION: u64 = u64::MAX;
}

/// What the main thread tells a worker, between two bursts.
pub(crate) enum Update {
    /// Let its table go, and those of the others.
    Close,
    /// Send these frames, by port.
    Send(Vec<Vec<Vec<u8>>>),
    /// A new Snapshot. The main thread keeps the one before until this is taken in, so that no table
    /// is freed on this core.
    Snapshot(Box<InForce>),
    /// New ways to the nodes.
    Paths(Arc<Paths>),
    /// Show packets, or no more.
    Watch(Option<Arc<Watch>>),
}

/// What a Snapshot brings, from one burst to the next.
pub(crate) struct InForce {
    /// Its connection table, and those of the others, if it has none for the Snapshot's hash key.
    pub(crate) connections: Option<Handed>,
    /// The nodes whose connections are to be forgotten: their indices name others now.
    pub(crate) forget: Vec<u16>,
    pub(crate) tables: Arc<Tables>,
    pub(crate) paths: Arc<Paths>,
}

/// A worker: it owns its queues, its connections, its counters.
pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) ports: Vec<WorkerPort>,
    pub(crate) forwarder: Forwarder<Mempool>,
    pub(crate) pool: Mempool,
    pub(crate) tables: Option<Arc<Tables>>,
    pub(crate) paths: Arc<Paths>,
    pub(crate) updates: Receiver<Update>,
    pub(crate) events: Sender<Event>,
    pub(crate) shared: Arc<Shared>,
    /// How long to sleep when nothing comes.
    pub(crate) nap: Option<Duration>,
    waiting: Waiting<Packet>,
    watch: Option<Arc<Watch>>,
    millis: u64,
    quiet: u32,
}

/// What a worker is made from.
pub(crate) struct Parts {
    pub(crate) number: usize,
    pub(crate) ports: Vec<WorkerPort>,
    pub(crate) pool: Mempool,
    pub(crate) updates: Receiver<Update>,
    pub(crate) events: Sender<Event>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) nap: Option<Duration>,
    pub(crate) workers: u32,
}

/// Turns without a packet before a worker naps: bursts come closer together than that.
const QUIET_TURNS: u32 = 64;
/// Turns without a packet before its naps are twice as long, some tenth of a second: going to sleep
/// and waking up may cost 15 us of CPU on a virtual machine, most of what rest costs.
const SILENT_TURNS: u32 = 256;
/// How often a worker that is not yet to go looks whether it is.
const START: Duration = Duration::from_millis(1);
/// Turns between two looks at the clock while packets come: microseconds.
const CLOCK_TURNS: u32 = 8;
/// Buckets swept a turn: a table of a million connections in 47,000 turns, seconds even if each
/// turn ends with a nap.
const SWEEP: usize = 8;

impl Worker {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { number, ports, pool, updates, events, shared, nap, workers } = parts;
        let (counters, cells) = (shared.counters.clone(), shared.cells.clone());
        Self {
            number,
            ports,
            forwarder: Forwarder::new(pool.clone(), counters, cells, workers),
            pool,
            tables: None,
            paths: Arc::new(Paths::new(|_, _| None)),
            updates,
            events,
            shared,
            nap,
            waiting: Waiting::new(),
            watch: None,
            millis: boot_millis(),
            quiet: 0,
        }
    }

    /// Forwards packets until told to stop, once told to `go`: before, it only listens to the main
    /// thread, so that the first packet already meets the first Snapshot.
    pub(crate) fn run(mut self, go: &AtomicBool, stop: &AtomicBool) {
        while !go.load(Relaxed) && !stop.load(Relaxed) {
            if let Ok(update) = self.updates.recv_timeout(START) {
                self.take(update);
            }
        }
        let mut received = Burst::new();
        let mut turn: u32 = 0;
        while !stop.load(Relaxed) {
            turn = turn.wrapping_add(1);
            if turn.is_multiple_of(CLOCK_TURNS) || self.quiet > 0 {
                self.millis = boot_millis();
                self.shared.heartbeat.store(self.millis, Relaxed);
                let connections = self.forwarder.connections().len() as u64;
                self.shared.connections.store(connections, Relaxed);
                self.housekeeping(&mut received);
            }
            while let Ok(update) = self.updates.try_recv() {
                self.take(update);
            }
            let mut busy = false;
            for port in 0..self.ports.len() {
                busy |= self.poll_wire(port, &mut received);
                busy |= self.poll_kernel(port, &mut received);
            }
            for port in &mut self.ports {
                port.exception.send(&self.shared.counters);
                port.flush(&self.shared.counters);
                busy |= port.exception.is_busy();
            }
            self.rest(busy);
        }
    }

    fn take(&mut self, update: Update) {
        match update {
            Update::Close => self.forwarder.connections().close(),
            Update::Send(frames) => self.send(frames),
            Update::Snapshot(in_force) => {
                let InForce { connections, forget, tables, paths } = *in_force;
                if let Some((table, siblings)) = connections {
                    self.forwarder.connections().open(table, siblings);
                }
                for node in forget {
                    self.forwarder.connections().forget_node(node);
                }
                self.forwarder.limit(&tables);
                for port in &mut self.ports {
                    port.exception.limit(&tables.limits);
                }
                self.shared.generation.store(tables.generation, Relaxed);
                self.tables = Some(tables);
                self.paths = paths;
                self.waiting.wake();
            }
            Update::Paths(paths) => {
                self.paths = paths;
                self.waiting.wake();
            }
            Update::Watch(watch) => self.watch = watch,
        }
        let updates = self.shared.updates.load(Relaxed) + 1;
        self.shared.updates.store(updates, Release);
    }

    /// Sends frames that the main thread has made, by port.
    fn send(&mut self, frames: Vec<Vec<Vec<u8>>>) {
        for (port, frames) in self.ports.iter_mut().zip(frames) {
            for frame in frames {
                match self.pool.allocate(frame.len()) {
                    Some(mut packet) => {
                        packet.bytes_mut().copy_from_slice(&frame);
                        port.add(packet, &self.shared.counters);
                    }
                    None => self.shared.counters.add(Counter::NoBuffer, 1),
                }
            }
        }
    }

    /// A burst from the wire. Whether there was one.
    fn poll_wire(&mut self, port: usize, burst: &mut Burst) -> bool {
        let Some(receive) = &mut self.ports[port].receive else { return false };
        receive.receive(burst);
        if burst.is_empty() {
            return false;
        }
        burst.packets().iter().for_each(Frame::prefetch);
        self.shared.counters.add(Counter::Received, burst.len().into());
        self.forward(port, burst, None);
        true
    }

    /// Takes a burst that came from a port to where each of its packets goes. `until`: when those
    /// that waited for a neighbor before are given up.
    fn forward(&mut self, port: usize, burst: &mut Burst, until: Option<&[u64]>) {
        let wire = self.ports[port].wire;
        let here = here(self.tables.as_deref(), &self.paths, wire, port, self.millis);
        let seen = self.watch.as_ref().map(|watch| watch.look(burst.packets()));
        let mut verdicts = [Verdict::Wire; BURST];
        self.forwarder.forward(&here, burst.packets_mut(), &mut verdicts);
        if let (Some(watch), Some(seen)) = (&self.watch, seen) {
            watch.report(self.number, seen, &verdicts);
        }
        let counters = &*self.shared.counters;
        let losses = Losses { counters, watch: self.watch.as_deref(), worker: self.number };
        if let Some(out) = common_way(&verdicts[..burst.len().into()])
            && self.ports[out].leaving.is_empty()
        {
            counters.add(Counter::Forwarded, burst.len().into());
            std::mem::swap(burst, &mut self.ports[out].leaving);
            return;
        }
        let mut forwarded = 0;
        for (i, (packet, verdict)) in burst.drain().zip(verdicts).enumerate() {
            match verdict {
                Verdict::Forward { port: out } => {
                    forwarded += 1;
                    self.ports[usize::from(out)].add(packet, counters);
                }
                Verdict::Reply(counter) => {
                    counters.add(counter, 1);
                    self.ports[port].add(packet, counters);
                }
                Verdict::Kernel(class) => {
                    let mut packet = packet;
                    let port = &mut self.ports[port];
                    if port.wire.vlan.is_some() && !vlan::remove(&mut packet) {
                        losses.drop(packet, Counter::Malformed);
                    } else {
                        port.exception.punt(packet, class, self.millis, losses);
                    }
                }
                Verdict::Wire => self.ports[port].add(packet, counters),
                Verdict::Hold => {
                    if let Some(packet) = self.forwarder.hold(&here, packet) {
                        losses.drop(packet, Counter::FragmentsFull);
                    }
                }
                Verdict::Wait { node } => {
                    let until = until.and_then(|until| until.get(i)).copied();
                    if let Some(packet) = self.waiting.hold(packet, node, port, self.millis, until)
                    {
                        losses.drop(packet, Counter::NoNeighbor);
                    } else if until.is_none() {
                        counters.add(Counter::NeighborHeld, 1);
                    }
                }
                Verdict::Fragmented | Verdict::TooBig { .. } => {}
                Verdict::Drop(reason) => counters.add(reason, 1),
            }
        }
        for (packet, out) in self.forwarder.take_made() {
            forwarded += 1;
            self.ports[usize::from(out)].add(packet, counters);
        }
        counters.add(Counter::Forwarded, forwarded);
    }

    /// What the kernel sends by a port. Whether there was something.
    fn poll_kernel(&mut self, port: usize, burst: &mut Burst) -> bool {
        self.ports[port].exception.receive(burst);
        if burst.is_empty() {
            return false;
        }
        let vlan = self.ports[port].wire.vlan;
        let wire = Wire { vlan: None, ..self.ports[port].wire };
        let here = here(self.tables.as_deref(), &self.paths, wire, port, self.millis);
        let counters = &*self.shared.counters;
        let losses = Losses { counters, watch: self.watch.as_deref(), worker: self.number };
        for mut packet in burst.drain() {
            match self.forwarder.from_kernel(&here, &mut packet) {
                Verdict::Forward { port: out } => {
                    self.ports[usize::from(out)].add(packet, counters);
                }
                Verdict::Drop(reason) => losses.drop(packet, reason),
                Verdict::Wire => {
                    if vlan.is_some_and(|id| !vlan::insert(&mut packet, id)) {
                        losses.drop(packet, Counter::NoHeadroom);
                        continue;
                    }
                    counters.add(Counter::FromKernel, 1);
                    self.ports[port].add(packet, counters);
                }
                verdict @ (Verdict::Reply(_)
                | Verdict::Kernel(_)
                | Verdict::Hold
                | Verdict::Wait { .. }
                | Verdict::TooBig { .. }
                | Verdict::Fragmented) => unreachable!("{verdict:?} on a packet of the kernel"),
            }
        }
        true
    }

    /// What is due: fragments, packets that waited, events, old connections.
    fn housekeeping(&mut self, burst: &mut Burst) {
        let (counters, watch) = (self.shared.counters.clone(), self.watch.clone());
        let losses = Losses { counters: &counters, watch: watch.as_deref(), worker: self.number };
        self.forwarder.expire(self.millis, |packet| losses.drop(packet, Counter::NoFirstFragment));
        while let Some((packet, port)) = self.forwarder.take_ready() {
            if burst.push(packet).is_ok() {
                self.forward(port.into(), burst, None);
            }
        }
        while let Some(packet) = self.waiting.expired(self.millis) {
            losses.drop(packet, Counter::NoNeighbor);
        }
        for Held { packet, port, until, .. } in self.waiting.take_due().into_iter().flatten() {
            if burst.push(packet).is_ok() {
                self.forward(port, burst, Some(&[until]));
            }
        }
        for event in self.forwarder.take_events() {
            // If the main thread is behind, the fabric will say it again.
            let _ = self.events.try_send(event);
        }
        if let Some(tables) = &self.tables {
            let now = Tick::from_boot_ms(self.millis);
            self.forwarder.sweep(tables, now, SWEEP);
        }
    }

    /// Naps if nothing has come for a while, and napping is wanted.
    fn rest(&mut self, busy: bool) {
        if busy {
            self.quiet = 0;
            return;
        }
        self.quiet = self.quiet.saturating_add(1);
        if let Some(nap) = self.nap
            && self.quiet > QUIET_TURNS
        {
            let times = if self.quiet > SILENT_TURNS { 2 } else { 1 };
            std::thread::sleep(nap * times);
        }
    }
}

/// Where packets of a port are handled, and when. Not of a worker, whose forwarder is to be used
/// meanwhile.
fn here<'a>(
    tables: Option<&'a Tables>,
    paths: &'a Paths,
    wire: Wire,
    port: usize,
    millis: u64,
) -> Here<'a> {
    Here { tables, paths, wire, port: port as u8, now: Tick::from_boot_ms(millis), millis }
}

/// The port by which all packets of a burst are forwarded, if it is one: nearly every burst's.
fn common_way(verdicts: &[Verdict]) -> Option<usize> {
    let &Verdict::Forward { port } = verdicts.first()? else { return None };
    verdicts.iter().all(|verdict| *verdict == Verdict::Forward { port }).then_some(port.into())
}

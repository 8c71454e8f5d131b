//! A burst of packets, from its arrival to a verdict for each.
//!
//! The stages run over the whole burst, not packet by packet, so that the connection-table lines of
//! all its packets are on their way from memory at once: worth a factor of three at a million flows.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use packet::{Frame, Pool};

use crate::BURST;
use crate::cells::{Cell, Cells};
use crate::class::Class;
use crate::connection::Signal;
use crate::connections::{Asked, At, Chosen, Connections};
use crate::counters::{Counter, Counters};
use crate::flow::{Flow, Words, Words4, Words6};
use crate::fragment::Fragments;
use crate::paths::Paths;
use crate::plain::{Plain, plain4, plain6};
use crate::replies::Replies;
use crate::service::key4;
use crate::tables::Tables;
use crate::tick::Tick;
use crate::tunnel::{Inner, encapsulate_inner};

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Send it by this port: it is now addressed to an L7 node.
    Forward {
        /// Number of the port.
        port: u8,
    },
    /// Send it by the port it came from: it is now an answer. `Counter` says which.
    Reply(Counter),
    /// Give it to the kernel, untouched.
    Kernel(Class),
    /// Send it on the wire, untouched: the kernel's own.
    Wire,
    /// A fragment ahead of its first one: [`Forwarder::hold`] it.
    Hold,
    /// The link address of the next hop towards this node is not known yet: try again a little later.
    Wait {
        /// Index of the node.
        node: u16,
    },
    /// Too big for the way to this node. [`Forwarder::forward`] leaves none of these.
    TooBig {
        /// Index of the node.
        node: u16,
        /// Where its traffic is counted.
        cell: Cell,
    },
    /// Free it: its fragments are among those that [`Forwarder::take_made`] gives.
    Fragmented,
    /// Free it, and count why.
    Drop(Counter),
}

impl Verdict {
    /// What counts packets with this verdict.
    pub fn counter(self) -> Counter {
        match self {
            Self::Forward { .. } => Counter::Forwarded,
            Self::Reply(counter) | Self::Drop(counter) => counter,
            Self::Kernel(class) => class.given(),
            Self::Wire => Counter::FromKernel,
            Self::Hold => Counter::FragmentHeld,
            Self::Wait { .. } => Counter::NeighborHeld,
            Self::TooBig { .. } => Counter::TooBig,
            Self::Fragmented => Counter::Fragmented,
        }
    }
}

/// What happened that the process has to act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The fabric told that packets tunnelled to this address are too big.
    TunnelMtu {
        /// Where they were tunnelled to.
        node: std::net::IpAddr,
        /// What it takes.
        mtu: u16,
    },
}

/// Where and when a burst is handled.
#[derive(Clone, Copy)]
pub struct Here<'a> {
    /// What the Snapshot says; nothing before the first.
    pub tables: Option<&'a Tables>,
    /// The ways to the nodes.
    pub paths: &'a Paths,
    /// The port that the burst came from.
    pub wire: Wire,
    /// Its number.
    pub port: u8,
    /// Now, for connections.
    pub now: Tick,
    /// Now, in milliseconds since boot, for limits and fragments.
    pub millis: u64,
}

/// A port, as packets see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wire {
    /// The node's link address on it.
    pub mac: [u8; 6],
    /// The VLAN that its frames are tagged with.
    pub vlan: Option<u16>,
}

impl Wire {
    /// Offset of the IP header.
    #[inline]
    pub fn l3(&self) -> usize {
        if self.vlan.is_some() { 18 } else { 14 }
    }

    /// Whether the frame is for this node alone.
    #[inline]
    pub(crate) fn is_ours(&self, frame: &[u8]) -> bool {
        frame.first_chunk() == Some(&self.mac)
    }

    /// Whether the frame is for a group of stations: then each L4 node on the segment has it.
    #[inline]
    pub(crate) fn is_group(frame: &[u8]) -> bool {
        frame.first().is_some_and(|byte| byte & 1 != 0)
    }

    /// The frame's EtherType behind the tag that this port's frames have.
    #[inline]
    pub(crate) fn ethertype(&self, frame: &[u8]) -> Option<[u8; 2]> {
        let Some(vlan) = self.vlan else {
            return frame.get(12..14)?.first_chunk().copied();
        };
        let &[t0, t1, tag0, tag1, inner0, inner1] = frame.get(12..18)?.first_chunk()?;
        let id = u16::from_be_bytes([tag0, tag1]) & 0x0fff;
        ([t0, t1] == VLAN && id == vlan).then_some([inner0, inner1])
    }
}

pub(crate) const IPV4: [u8; 2] = [0x08, 0x00];
pub(crate) const IPV6: [u8; 2] = [0x86, 0xdd];
pub(crate) const VLAN: [u8; 2] = [0x81, 0x00];

/// One worker's load balancer.
pub struct Forwarder<P: Pool> {
    pub(crate) connections: Connections,
    /// With the port that they came from.
    pub(crate) fragments: Fragments<(P::Frame, u8), crate::other::Target>,
    pub(crate) replies: Replies,
    pub(crate) pool: P,
    pub(crate) made: Vec<(P::Frame, u8)>,
    pub(crate) events: Vec<Event>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) cells: Arc<Cells>,
    lanes4: Box<Lanes<2>>,
    lanes6: Box<Lanes<5>>,
}

/// The plain packets of one family in a burst, side by side, as the hash wants them.
struct Lanes<const W: usize> {
    words: Words<W>,
    lanes: [Lane; BURST],
    count: usize,
    hashes: [u64; BURST],
}

/// A plain packet.
#[derive(Clone, Copy)]
struct Lane {
    packet: u8,
    signal: Signal,
    len: u16,
    traffic_class: u8,
    service: u32,
}

impl Lane {
    /// In place of one that is not there.
    const NONE: Self =
        Self { packet: 0, signal: Signal::Data, len: 0, traffic_class: 0, service: 0 };
}

impl<const W: usize> Lanes<W> {
    fn new() -> Box<Self> {
        Box::new(Self {
            words: Words::new(),
            lanes: [Lane::NONE; BURST],
            count: 0,
            hashes: [0; BURST],
        })
    }

    #[inline]
    fn add(&mut self, lane: Lane) {
        if let Some(place) = self.lanes.get_mut(self.count) {
            *place = lane;
            self.count += 1;
        }
    }
}

impl<P: Pool> Forwarder<P> {
    /// A forwarder that knows no connection and has no table for them. `workers`: how many share
    /// the limits.
    pub fn new(pool: P, counters: Arc<Counters>, cells: Arc<Cells>, workers: u32) -> Self {
        Self {
            connections: Connections::new(workers),
            fragments: Fragments::new(),
            replies: Replies::new(workers),
            pool,
            made: Vec::with_capacity(BURST),
            events: Vec::new(),
            counters,
            cells,
            lanes4: Lanes::new(),
            lanes6: Lanes::new(),
        }
    }

    /// The connections it knows.
    pub fn connections(&mut self) -> &mut Connections {
        &mut self.connections
    }

    /// Takes over a Snapshot's limits.
    pub fn limit(&mut self, tables: &Tables) {
        self.connections.limit(tables);
        self.replies.limit(&tables.limits);
    }

    /// Fragments that this forwarder made: with the port to send them by.
    pub fn take_made(&mut self) -> impl Iterator<Item = (P::Frame, u8)> {
        self.made.drain(..)
    }

    /// A fragment that was held and whose first fragment has come: to be forwarded again as if it
    /// came now from the port that is given with it.
    pub fn take_ready(&mut self) -> Option<(P::Frame, u8)> {
        self.fragments.next_ready()
    }

    /// Gives up fragments that waited for too long.
    pub fn expire(&mut self, millis: u64, mut dropped: impl FnMut(P::Frame)) {
        self.fragments.expire(millis, |(frame, _)| dropped(frame));
    }

    /// What happened since the last call.
    pub fn take_events(&mut self) -> impl Iterator<Item = Event> {
        self.events.drain(..)
    }

    /// Forgets connections in some more buckets that were idle for too long.
    pub fn sweep(&mut self, tables: &Tables, now: Tick, buckets: usize) {
        let Self { connections, counters, cells, .. } = self;
        let at = At { tables, counters, cells, now, millis: 0 };
        connections.sweep(&at, buckets);
    }

    /// Takes a burst of up to [`BURST`] packets of one port from their arrival to their verdicts.
    pub fn forward(
        &mut self,
        here: &Here<'_>,
        frames: &mut [P::Frame],
        verdicts: &mut [Verdict; BURST],
    ) {
        self.lanes4.count = 0;
        self.lanes6.count = 0;
        for (i, (frame, verdict)) in frames.iter_mut().zip(&mut *verdicts).enumerate() {
            if !self.plain(here, i, frame) {
                *verdict = self.other(here, frame);
            }
        }
        let Some(tables) = here.tables else { return };
        let at = At {
            tables,
            counters: &self.counters,
            cells: &self.cells,
            now: here.now,
            millis: here.millis,
        };
        let mut too_big = false;
        if self.lanes4.count > 0 {
            let Lanes { words, hashes, count, .. } = &mut *self.lanes4;
            tables.hasher.hash4(words, *count, hashes);
            let stage = Stage { connections: &mut self.connections, at, paths: here.paths };
            too_big |=
                stage.run(&self.lanes4, Words4::flow, frames, verdicts, here.wire.l3(), false);
        }
        if self.lanes6.count > 0 {
            let Lanes { words, hashes, count, .. } = &mut *self.lanes6;
            tables.hasher.hash6(words, *count, hashes);
            let stage = Stage { connections: &mut self.connections, at, paths: here.paths };
            too_big |=
                stage.run(&self.lanes6, Words6::flow, frames, verdicts, here.wire.l3(), true);
        }
        self.connections.count(&self.counters);
        if too_big {
            for (frame, verdict) in frames.iter_mut().zip(verdicts) {
                if let Verdict::TooBig { node, cell } = *verdict {
                    *verdict = self.too_big(here, frame, node, cell);
                }
            }
        }
    }

    /// Puts a packet into its lane, if it is plain and a service takes it.
    #[inline]
    fn plain(&mut self, here: &Here<'_>, i: usize, frame: &P::Frame) -> bool {
        let Some(tables) = here.tables else { return false };
        let (bytes, l3) = (frame.bytes(), here.wire.l3());
        if !here.wire.is_ours(bytes) || frame.has_bad_ipv4_checksum() {
            return false;
        }
        let available = frame.total_len().saturating_sub(l3);
        let Some(ip) = bytes.get(l3..) else { return false };
        match here.wire.ethertype(bytes) {
            Some(IPV4) => {
                let Some(packet) = plain4(ip, available) else { return false };
                let vip = (packet.addresses >> 32) as u32;
                let port = (packet.ports >> 16) as u16;
                let exact = tables.vips.exact4(key4(vip, port, packet.protocol));
                let service = exact.or_else(|| {
                    let vip = Ipv4Addr::from(vip.to_le_bytes());
                    tables.vips.service(vip.into(), u16::from_be(port), packet.protocol)
                });
                let Some(service) = service else { return false };
                let lanes = &mut *self.lanes4;
                lanes.words.set(lanes.count, packet.addresses, packet.ports, packet.protocol);
                let Plain { signal, len, traffic_class, .. } = packet;
                lanes.add(Lane { packet: i as u8, signal, len, traffic_class, service });
                true
            }
            Some(IPV6) => {
                let Some(packet) = plain6(ip, available) else { return false };
                let [_, _, low, high] = packet.addresses;
                let vip = u128::from(low) | u128::from(high) << 64;
                let port = (packet.ports >> 16) as u16;
                let service = tables.vips.exact6(vip, port, packet.protocol).or_else(|| {
                    let vip = Ipv6Addr::from(vip.to_le_bytes());
                    tables.vips.service(vip.into(), u16::from_be(port), packet.protocol)
                });
                let Some(service) = service else { return false };
                let lanes = &mut *self.lanes6;
                lanes.words.set(lanes.count, packet.addresses, packet.ports, packet.protocol);
                let Plain { signal, len, traffic_class, .. } = packet;
                lanes.add(Lane { packet: i as u8, signal, len, traffic_class, service });
                true
            }
            Some(_) | None => false,
        }
    }
}

/// The second half of a burst's way: from hashes to outer headers.
struct Stage<'a> {
    connections: &'a mut Connections,
    at: At<'a>,
    paths: &'a Paths,
}

impl Stage<'_> {
    /// Whether one of the packets is [`Verdict::TooBig`].
    #[inline]
    fn run<F: Frame, const W: usize>(
        self,
        lanes: &Lanes<W>,
        flow: impl Fn(&Words<W>, usize) -> Flow,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST],
        l3: usize,
        ipv6: bool,
    ) -> bool {
        let mut too_big = false;
        let count = lanes.count.min(BURST);
        let found = self.connections.find(&lanes.hashes[..count]);
        for (i, lane) in lanes.lanes[..count].iter().enumerate() {
            let packet = usize::from(lane.packet);
            let (Some(frame), Some(verdict)) = (frames.get_mut(packet), verdicts.get_mut(packet))
            else {
                continue;
            };
            // Made where it is wanted: handed to `choose`, it would have to lie in memory.
            let asked = || Asked { hash: lanes.hashes[i], slot: found[i], signal: lane.signal };
            let inner = Inner::new(ipv6, lane.len, lane.traffic_class);
            let service = &self.at.tables.services[lane.service as usize];
            *verdict = match self.connections.follow(&self.at, service, asked()) {
                Some(chosen) => deliver(self.paths, self.at.cells, frame, l3, inner, ipv6, chosen),
                None => {
                    let flow = || flow(&lanes.words, i);
                    match self.connections.choose(&self.at, service, asked(), flow) {
                        Ok(chosen) => {
                            deliver(self.paths, self.at.cells, frame, l3, inner, ipv6, chosen)
                        }
                        Err(reason) => Verdict::Drop(reason),
                    }
                }
            };
            too_big |= matches!(verdict, Verdict::TooBig { .. });
        }
        too_big
    }
}

/// Puts the outer header in front of a packet for the node that was chosen.
#[inline]
pub(crate) fn deliver<F: Frame>(
    paths: &Paths,
    cells: &Cells,
    frame: &mut F,
    l3: usize,
    inner: Inner,
    ipv6: bool,
    chosen: Chosen,
) -> Verdict {
    let node = chosen.node;
    let Some(path) = paths.get(node, ipv6) else { return Verdict::Drop(Counter::NoPath) };
    if !path.is_resolved() {
        return Verdict::Wait { node };
    }
    if inner.len() > path.max_inner().into() {
        return Verdict::TooBig { node, cell: chosen.member.cell };
    }
    match encapsulate_inner(frame, l3, inner, path) {
        Ok(()) => {
            cells.packet(chosen.member.cell, inner.len().into());
            Verdict::Forward { port: path.port() }
        }
        Err(reason) => Verdict::Drop(reason),
    }
}

//! A burst of packets, from its arrival to a verdict for each.
//!
//! The stages run over the whole burst, not packet by packet, so that the connection-table lines of
//! all its packets are on their way from memory at once: worth a factor of three at a million flows.

use std::sync::Arc;

use packet::Pool;
use packet::ethernet::VLAN;

use crate::BURST;
use crate::burst::{Lanes, Ways, bits};
use crate::cells::{Cell, Cells};
use crate::class::Class;
use crate::connections::{At, Connections};
use crate::counters::{Counter, Counters};
use crate::fragment::Fragments;
use crate::paths::Paths;
use crate::replies::Replies;
use crate::tables::Tables;
use crate::tick::Tick;

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
    pub(crate) fn ethertype(&self, frame: &[u8]) -> Option<u16> {
        let at = |offset: usize| {
            let bytes = frame.get(offset..)?.first_chunk()?;
            Some(u16::from_be_bytes(*bytes))
        };
        let Some(vlan) = self.vlan else { return at(12) };
        (at(12)? == VLAN && at(14)? & 0x0fff == vlan).then(|| at(16))?
    }
}

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
    lanes: Box<Lanes>,
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
            lanes: Lanes::new(),
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
        // Compiled for each of the two places where an IP header begins.
        match here.wire.vlan {
            None => self.burst::<14>(here, frames, verdicts),
            Some(_) => self.burst::<18>(here, frames, verdicts),
        }
    }

    #[inline]
    fn burst<const L3: usize>(
        &mut self,
        here: &Here<'_>,
        frames: &mut [P::Frame],
        verdicts: &mut [Verdict; BURST],
    ) {
        let Some(tables) = here.tables else {
            for (frame, verdict) in frames.iter_mut().zip(verdicts) {
                *verdict = self.other(here, frame);
            }
            return;
        };
        let others = self.lanes.fill::<L3, _>(tables, &here.wire, frames);
        for packet in bits(others) {
            if let (Some(frame), Some(verdict)) = (frames.get_mut(packet), verdicts.get_mut(packet))
            {
                *verdict = self.other(here, frame);
            }
        }
        self.lanes.hash(tables);
        let at = At {
            tables,
            counters: &self.counters,
            cells: &self.cells,
            now: here.now,
            millis: here.millis,
        };
        let mut ways = Ways { connections: &mut self.connections, at, paths: here.paths };
        let too_big = ways.send::<L3, _>(&self.lanes, frames, verdicts);
        self.connections.count(&self.counters);
        if too_big {
            for (frame, verdict) in frames.iter_mut().zip(verdicts) {
                if let Verdict::TooBig { node, cell } = *verdict {
                    *verdict = self.too_big(here, frame, node, cell);
                }
            }
        }
    }
}

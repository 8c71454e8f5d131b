//! The long way: every packet that is not plain TCP or UDP for a VIP, one at a time.

use std::net::IpAddr;

use packet::ethernet::{ARP, IPV4, IPV6, VLAN};
use packet::protocol::{ICMP, ICMPV6, TCP, UDP};
use packet::{Frame, Pool, Summary, Unparsable, summarize};

use crate::burst::deliver;
use crate::cells::Cell;
use crate::class::Class;
use crate::connection::Signal;
use crate::connections::{Asked, At, Chosen};
use crate::counters::Counter;
use crate::flow::Flow;
use crate::forwarder::{Event, Forwarder, Here, Verdict, Wire};
use crate::fragment::{Key, Recorded};
use crate::icmp;
use crate::path::Path;
use crate::service::{Destination, Service};
use crate::tables::Tables;
use crate::tunnel::{Inner, encapsulate, fragment, vary};

/// Where the fragments of a datagram go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    node: u16,
    /// Number of the service in connection entries.
    service: u16,
}

impl<P: Pool> Forwarder<P> {
    /// The verdict on any packet from the wire.
    #[cold]
    #[inline(never)]
    pub(crate) fn other(&mut self, here: &Here<'_>, frame: &mut P::Frame) -> Verdict {
        let is_group = Wire::is_group(frame.bytes());
        if !is_group && !here.wire.is_ours(frame.bytes()) {
            return Verdict::Drop(Counter::OtherMac);
        }
        match here.wire.ethertype(frame.bytes()) {
            Some(IPV4 | IPV6) => {}
            Some(ARP) => return Verdict::Kernel(Class::Neighbor),
            Some(VLAN) if here.wire.vlan.is_none() => return Verdict::Drop(Counter::OtherVlan),
            Some(_) => return Verdict::Kernel(Class::Other),
            None if frame.bytes().len() < here.wire.l3() => {
                return Verdict::Drop(Counter::Malformed);
            }
            None => return Verdict::Drop(Counter::OtherVlan),
        }
        if frame.has_bad_ipv4_checksum() {
            return Verdict::Drop(Counter::BadChecksum);
        }
        let packet = match summarize(frame.bytes(), here.wire.l3(), frame.total_len()) {
            Ok(packet) => packet,
            Err(reason) => return Verdict::Drop(counter(reason)),
        };
        let Some(tables) = here.tables else { return self.kernel(here, frame, &packet) };
        // Each L4 node on the segment would send one on (RFC 1122 section 3.3.6).
        if is_group && tables.vips.contains(packet.destination) {
            return Verdict::Drop(Counter::OtherMac);
        }
        match packet.protocol {
            _ if packet.fragment.is_some_and(|f| f.offset > 0) => {
                self.later_fragment(here, tables, frame, &packet)
            }
            TCP | UDP => self.transport(here, tables, frame, &packet),
            ICMP | ICMPV6 if tables.vips.contains(packet.destination) => {
                self.icmp(here, tables, frame, &packet)
            }
            _ if tables.vips.contains(packet.destination) => Verdict::Drop(Counter::NoService),
            _ => self.kernel(here, frame, &packet),
        }
    }

    fn transport(
        &mut self,
        here: &Here<'_>,
        tables: &Tables,
        frame: &mut P::Frame,
        packet: &Summary,
    ) -> Verdict {
        let Summary { destination, destination_port, protocol, .. } = *packet;
        let number = match tables.vips.lookup(destination, destination_port, protocol) {
            Destination::Service(number) => number,
            Destination::Unknown { answer: true } => return self.answer(here, frame, packet),
            Destination::Unknown { answer: false } => return Verdict::Drop(Counter::NoService),
            Destination::Elsewhere => return self.kernel(here, frame, packet),
        };
        let Some(service) = tables.services.get(number as usize) else {
            return Verdict::Drop(Counter::NoService);
        };
        let flow = flow(packet);
        let signal = if protocol == TCP { Signal::of_tcp(packet.tcp_flags) } else { Signal::Udp };
        let hash = tables.hasher.hash(&flow);
        let asked = Asked { hash, signal };
        let chosen = match self.choose(here, tables, service, asked, flow) {
            Ok(chosen) => chosen,
            Err(reason) => return Verdict::Drop(reason),
        };
        let Some(key) = Key::of(packet) else {
            return self.deliver(here, frame, packet, chosen, hash);
        };
        let target = Target { node: chosen.node, service: service.index };
        match self.fragments.first(key, target, here.millis) {
            Recorded::New => {
                self.deliver(here, frame, packet, chosen, of_fragments(tables, packet))
            }
            Recorded::Full => {
                self.counters.add(Counter::FragmentTableFull, 1);
                self.deliver(here, frame, packet, chosen, of_fragments(tables, packet))
            }
            // A second first fragment: wherever its ports would lead, the datagram stays whole.
            Recorded::Known(target) => self.deliver_to(here, tables, frame, packet, target),
        }
    }

    fn later_fragment(
        &mut self,
        here: &Here<'_>,
        tables: &Tables,
        frame: &mut P::Frame,
        packet: &Summary,
    ) -> Verdict {
        if !tables.vips.contains(packet.destination) {
            return self.kernel(here, frame, packet);
        }
        let Some(key) = Key::of(packet) else { return Verdict::Drop(Counter::Malformed) };
        match self.fragments.later(&key, here.millis) {
            Some(target) => self.deliver_to(here, tables, frame, packet, target),
            None => Verdict::Hold,
        }
    }

    /// Sends a fragment where its datagram goes.
    fn deliver_to(
        &mut self,
        here: &Here<'_>,
        tables: &Tables,
        frame: &mut P::Frame,
        packet: &Summary,
        target: Target,
    ) -> Verdict {
        // Of several services of one name, whichever has the node.
        let mut named = tables.services.iter().filter(|s| s.index == target.service);
        let Some(member) = named.find_map(|s| s.holds(target.node, here.now)) else {
            return Verdict::Drop(Counter::NoFirstFragment);
        };
        let chosen = Chosen { node: target.node, cell: member.cell };
        self.deliver(here, frame, packet, chosen, of_fragments(tables, packet))
    }

    /// ICMP to a VIP: errors follow the flow that they quote, echo is answered.
    fn icmp(
        &mut self,
        here: &Here<'_>,
        tables: &Tables,
        frame: &mut P::Frame,
        packet: &Summary,
    ) -> Verdict {
        if packet.fragment.is_some() {
            return Verdict::Drop(Counter::IcmpType);
        }
        match icmp::kind(frame.bytes(), packet) {
            icmp::Kind::Error => {
                let Some(flow) = icmp::quoted_flow(frame, packet) else {
                    return Verdict::Drop(Counter::ErrorUnknown);
                };
                self.error_about(here, tables, frame, packet, flow)
            }
            icmp::Kind::EchoRequest => {
                if !self.replies.take(packet.source, here.millis, &self.counters) {
                    return Verdict::Drop(Counter::EchoLimit);
                }
                match icmp::echo_reply(frame, packet) {
                    Ok(()) => Verdict::Reply(Counter::EchoReplied),
                    Err(reason) => Verdict::Drop(reason),
                }
            }
            icmp::Kind::Other => Verdict::Drop(Counter::IcmpType),
        }
    }

    fn error_about(
        &mut self,
        here: &Here<'_>,
        tables: &Tables,
        frame: &mut P::Frame,
        packet: &Summary,
        flow: Flow,
    ) -> Verdict {
        let found = tables.vips.lookup(flow.destination, flow.destination_port, flow.protocol);
        let Destination::Service(number) = found else {
            return Verdict::Drop(Counter::ErrorUnknown);
        };
        let Some(service) = tables.services.get(number as usize) else {
            return Verdict::Drop(Counter::ErrorUnknown);
        };
        let hash = tables.hasher.hash(&flow);
        let asked = Asked { hash, signal: Signal::Error };
        match self.choose(here, tables, service, asked, flow) {
            Ok(chosen) => {
                let verdict = self.deliver(here, frame, packet, chosen, hash);
                if let Verdict::Forward { .. } = verdict {
                    self.counters.add(Counter::ErrorForwarded, 1);
                }
                verdict
            }
            Err(reason) => Verdict::Drop(reason),
        }
    }

    /// What is not for a VIP is for the kernel; what it should not miss on the way is noted.
    fn kernel(&mut self, here: &Here<'_>, frame: &P::Frame, packet: &Summary) -> Verdict {
        let icmp = matches!(packet.protocol, ICMP | ICMPV6) && packet.fragment.is_none();
        let icmp_type = icmp.then(|| frame.bytes().get(packet.l4).copied()).flatten();
        if let Some(tables) = here.tables
            && icmp
            && let Some((node, mtu)) =
                icmp::tunnel_too_big(frame, packet, |a: IpAddr| tables.is_tunnel_source(a))
        {
            self.counters.add(Counter::TunnelMtuLowered, 1);
            self.events.push(Event::TunnelMtu { node, mtu });
        }
        // The kernel does not own such an address: it would send the packet back.
        if here.tables.is_some_and(|tables| tables.is_spare_source(packet.destination)) {
            return Verdict::Drop(Counter::TunnelSource);
        }
        Verdict::Kernel(Class::of(packet, icmp_type, here.tables))
    }

    /// A packet to a VIP that no service takes, where the sender is to be told.
    fn answer(&mut self, here: &Here<'_>, frame: &mut P::Frame, packet: &Summary) -> Verdict {
        if !self.replies.take(packet.source, here.millis, &self.counters) {
            return Verdict::Drop(Counter::UnknownLimit);
        }
        let answered = if packet.protocol == TCP {
            icmp::reset(frame, packet)
        } else {
            icmp::port_unreachable(frame, packet)
        };
        match answered {
            Ok(()) => Verdict::Reply(Counter::UnknownReplied),
            Err(reason) => Verdict::Drop(reason),
        }
    }

    fn choose(
        &mut self,
        here: &Here<'_>,
        tables: &Tables,
        service: &Service,
        asked: Asked,
        flow: Flow,
    ) -> Result<Chosen, Counter> {
        let Self { connections, counters, cells, .. } = self;
        let at = At { tables, counters, cells, now: here.now, millis: here.millis };
        connections.choose(&at, service, asked, || flow)
    }

    fn deliver(
        &mut self,
        here: &Here<'_>,
        frame: &mut P::Frame,
        packet: &Summary,
        chosen: Chosen,
        hash: u64,
    ) -> Verdict {
        let len = u16::try_from(packet.end - packet.l3).unwrap_or(u16::MAX);
        let inner = Inner::new(packet.destination.is_ipv6(), len, packet.traffic_class);
        match deliver(here.paths, &self.cells, frame, packet.l3, inner, chosen, hash) {
            Verdict::TooBig { node, cell } => self.too_big(here, frame, node, cell),
            verdict => verdict,
        }
    }

    /// A packet that is too big for the tunnel: fragmented, or its sender is told.
    #[cold]
    #[inline(never)]
    pub(crate) fn too_big(
        &mut self,
        here: &Here<'_>,
        frame: &mut P::Frame,
        node: u16,
        cell: Cell,
    ) -> Verdict {
        let packet = match summarize(frame.bytes(), here.wire.l3(), frame.total_len()) {
            Ok(packet) => packet,
            Err(reason) => return Verdict::Drop(counter(reason)),
        };
        let Some(path) = here.paths.get(node, packet.destination.is_ipv6()) else {
            return Verdict::Drop(Counter::NoPath);
        };
        if packet.destination.is_ipv4() && !packet.dont_fragment {
            return self.fragmented(here, frame, &packet, path, cell);
        }
        if !icmp::may_answer(&packet, frame) {
            return Verdict::Drop(Counter::TooBig);
        }
        if !self.replies.take(packet.source, here.millis, &self.counters) {
            return Verdict::Drop(Counter::TooBigLimit);
        }
        match icmp::too_big(frame, &packet, path.max_inner()) {
            Ok(()) => Verdict::Reply(Counter::TooBigReplied),
            Err(reason) => Verdict::Drop(reason),
        }
    }

    fn fragmented(
        &mut self,
        here: &Here<'_>,
        frame: &mut P::Frame,
        packet: &Summary,
        path: &Path,
        cell: Cell,
    ) -> Verdict {
        let mut pieces = Vec::new();
        let max_inner = path.max_inner().into();
        if let Err(reason) = fragment(frame, packet.l3, max_inner, &mut self.pool, &mut pieces) {
            return Verdict::Drop(reason);
        }
        for mut piece in pieces {
            let bytes = piece.total_len().saturating_sub(packet.l3) as u64;
            match encapsulate(&mut piece, packet.l3, path) {
                Ok(()) => {
                    if let (Some(sources), Some(tables)) = (here.paths.sources(), here.tables) {
                        vary(&mut piece, path, sources, of_fragments(tables, packet));
                    }
                    self.cells.packet(cell, bytes);
                    self.made.push((piece, path.port()));
                }
                Err(reason) => self.counters.add(reason, 1),
            }
        }
        self.counters.add(Counter::Fragmented, 1);
        Verdict::Fragmented
    }

    /// Keeps a fragment until its first one comes; gives it back if too many wait.
    pub fn hold(&mut self, here: &Here<'_>, frame: P::Frame) -> Option<P::Frame> {
        let packet = summarize(frame.bytes(), here.wire.l3(), frame.total_len()).ok();
        let Some(key) = packet.as_ref().and_then(Key::of) else { return Some(frame) };
        match self.fragments.hold(key, (frame, here.port), here.millis) {
            Ok(()) => {
                self.counters.add(Counter::FragmentHeld, 1);
                None
            }
            Err((frame, _)) => Some(frame),
        }
    }

    /// The verdict on a packet that the kernel sends: probes to a VIP go to their node, all else to
    /// the wire as it is. Frames of the kernel have no VLAN tag: `here.wire` must not either.
    pub fn from_kernel(&mut self, here: &Here<'_>, frame: &mut P::Frame) -> Verdict {
        let ip = matches!(here.wire.ethertype(frame.bytes()), Some(IPV4 | IPV6));
        let Some(tables) = here.tables.filter(|_| ip) else { return Verdict::Wire };
        let Ok(packet) = summarize(frame.bytes(), here.wire.l3(), frame.total_len()) else {
            return Verdict::Wire;
        };
        if !tables.vips.contains(packet.destination) {
            return Verdict::Wire;
        }
        let Some(node) = tables.probed(packet.source_port) else {
            return Verdict::Drop(Counter::ProbeUnknown);
        };
        let Some(path) = here.paths.get(node, packet.destination.is_ipv6()) else {
            return Verdict::Drop(Counter::NoPath);
        };
        if !path.is_resolved() {
            return Verdict::Drop(Counter::NoNeighbor); // the probe's retry finds it resolved
        }
        let len = u16::try_from(packet.end - packet.l3).unwrap_or(u16::MAX);
        if !path.takes(len) {
            return Verdict::Drop(Counter::TooBig);
        }
        match encapsulate(frame, packet.l3, path) {
            Ok(()) => {
                if let Some(sources) = here.paths.sources() {
                    vary(frame, path, sources, tables.hasher.hash(&flow(&packet)));
                }
                self.counters.add(Counter::Probe, 1);
                Verdict::Forward { port: path.port() }
            }
            Err(reason) => Verdict::Drop(reason),
        }
    }
}

/// What chooses the outer source of fragments, if it varies: the later ones have no ports.
fn of_fragments(tables: &Tables, packet: &Summary) -> u64 {
    tables.hasher.source(packet.source)
}

/// The flow that a whole packet or a first fragment belongs to.
fn flow(packet: &Summary) -> Flow {
    Flow {
        source: packet.source,
        source_port: packet.source_port,
        destination: packet.destination,
        destination_port: packet.destination_port,
        protocol: packet.protocol,
    }
}

fn counter(reason: Unparsable) -> Counter {
    match reason {
        Unparsable::Malformed => Counter::Malformed,
        Unparsable::NoPorts => Counter::FragmentNoPorts,
        Unparsable::RoutingHeader0 => Counter::RoutingHeader,
        Unparsable::ExtensionHeaders => Counter::ExtensionHeaders,
    }
}

//! An L4 node without ports: what its process does around a [`Forwarder`], one call a burst.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use api::{ExplainQuery, Explanation, Prefix, Protocol, Snapshot};
use forward::connection::{Table, View};
use forward::{
    BURST, CellNumbers, Cells, Counter, Counters, Event, Flow, Forwarder, Here, Numbers, Path,
    PathSettings, Paths, Tables, Tick, Verdict, Wire, explain,
};
use packet::build::{self, Ip};
use packet::{
    Buffer, Ethernet, Heap, Ipv4, Ipv6, Summary, checksum, ethernet, protocol, summarize,
};

pub(crate) use crate::site::*;

/// Milliseconds from the host's start to the process's: longer than any idle time.
const BEFORE: u64 = 1_000_000 * Tick::MILLIS;
/// The port that packets arrive by, and the one by which they leave for the L7 nodes.
pub(crate) const IN: u8 = 0;
pub(crate) const OUT: u8 = 1;

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) verdict: Verdict,
    /// As it was when the verdict was given.
    pub(crate) frame: Buffer,
}

impl Sent {
    /// The L7 node that it is tunnelled to, and the packet inside. Whatever else can be wrong with
    /// a tunnelled packet is checked here.
    pub(crate) fn tunnelled(&self) -> (u16, &[u8]) {
        assert_eq!(self.verdict, Verdict::Forward { port: OUT });
        opened(&self.frame)
    }

    /// The source of the outer packet.
    pub(crate) fn outer_source(&self) -> IpAddr {
        self.tunnelled();
        outer_source(&self.frame)
    }

    /// That node.
    pub(crate) fn node(&self) -> u16 {
        self.tunnelled().0
    }

    /// The answer that the packet became: what there is to know of it, and what its IP header is
    /// followed by. Checksums are looked at here.
    pub(crate) fn answered(&self, counter: Counter) -> (Summary, &[u8]) {
        assert_eq!(self.verdict, Verdict::Reply(counter));
        let ethernet = Ethernet::parse(self.frame.all()).unwrap();
        assert_eq!((ethernet.destination(), ethernet.source()), (ROUTER, NODE));
        let packet = ethernet.payload();
        let answer = summarize(packet, 0, packet.len()).unwrap();
        assert_eq!(answer.end, packet.len());
        let (ip, upper) = packet.split_at(answer.l4);
        assert!(answer.source.is_ipv6() || checksum::is_valid(ip));
        let sum = match answer.protocol {
            protocol::ICMP => checksum::Sum::new(),
            number => checksum::Sum::pseudo(answer.source, answer.destination, number, upper.len()),
        };
        assert!(sum.with(upper).is_valid());
        (answer, upper)
    }
}

/// The source of a tunnelled packet's outer header.
pub(crate) fn outer_source(frame: &Buffer) -> IpAddr {
    let ethernet = Ethernet::parse(frame.all()).unwrap();
    match ethernet.ethertype() {
        ethernet::IPV4 => Ipv4::parse(ethernet.payload()).unwrap().source().into(),
        _ => Ipv6::parse(ethernet.payload()).unwrap().source().into(),
    }
}

/// Takes a tunnelled packet's outer headers off.
pub(crate) fn opened(frame: &Buffer) -> (u16, &[u8]) {
    let ethernet = Ethernet::parse(frame.all()).unwrap();
    assert_eq!((ethernet.destination(), ethernet.source()), (ROUTER, NODE));
    let (source, destination, kind, inner): (IpAddr, IpAddr, u8, &[u8]) = match ethernet.ethertype()
    {
        ethernet::IPV4 => {
            let outer = Ipv4::parse(ethernet.payload()).unwrap();
            assert_eq!(outer.total_len(), ethernet.payload().len());
            assert!(checksum::is_valid(&ethernet.payload()[..outer.header_len()]));
            (outer.source().into(), outer.destination().into(), outer.protocol(), outer.payload())
        }
        ethernet::IPV6 => {
            let outer = Ipv6::parse(ethernet.payload()).unwrap();
            assert_eq!(outer.total_len(), ethernet.payload().len());
            (
                outer.source().into(),
                outer.destination().into(),
                outer.next_header(),
                outer.payload(),
            )
        }
        other => panic!("an outer packet of EtherType {other:04x}"),
    };
    let sources = [OWN4, OWN6].map(|own| Prefix::from(address(own)));
    let sources = sources.into_iter().chain(SOURCES.map(|prefix| prefix.parse().unwrap()));
    assert!(sources.into_iter().any(|prefix: Prefix| prefix.contains(source)), "{source}");
    assert_eq!(kind, if inner[0] >> 4 == 4 { protocol::IPV4 } else { protocol::IPV6 });
    let node = match destination {
        IpAddr::V4(v4) => v4.to_bits() as u16,
        IpAddr::V6(v6) => v6.to_bits() as u16,
    };
    (node, inner)
}

struct Worker {
    forwarder: Forwarder<Heap>,
    counters: Arc<Counters>,
    cells: Arc<Cells>,
    view: View,
}

/// An L4 node.
pub(crate) struct L4 {
    workers: Vec<Worker>,
    tables: Option<Tables>,
    paths: Paths,
    services: Vec<String>,
    cells: CellNumbers,
    millis: u64,
    /// What its port expects. Not of those that its packets leave by.
    pub(crate) vlan: Option<u16>,
}

impl L4 {
    /// One with one worker.
    pub(crate) fn new(site: &Snapshot) -> Self {
        Self::with_workers(1, site)
    }

    pub(crate) fn with_workers(workers: usize, site: &Snapshot) -> Self {
        let mut l4 = Self::before_its_first_snapshot(workers);
        l4.apply(site);
        l4
    }

    pub(crate) fn before_its_first_snapshot(workers: usize) -> Self {
        let tables: Vec<_> = (0..workers)
            .map(|_| Table::anonymous(NonZeroU32::new(4096).unwrap(), false).unwrap())
            .collect();
        let views: Vec<View> = tables.iter().map(Table::view).collect();
        let workers = tables.into_iter().enumerate().map(|(number, table)| {
            let (counters, cells) = (Arc::new(Counters::new()), Arc::new(Cells::new()));
            let mut forwarder =
                Forwarder::new(Heap, counters.clone(), cells.clone(), workers as u32);
            let mut siblings = views.clone();
            let view = siblings.remove(number);
            forwarder.connections().open(table, siblings);
            Worker { forwarder, counters, cells, view }
        });
        Self {
            workers: workers.collect(),
            tables: None,
            paths: Paths::new(|_, _| None),
            services: Vec::new(),
            cells: CellNumbers::default(),
            millis: BEFORE,
            vlan: None,
        }
    }

    /// Puts a Snapshot in force, and finds the ways to its nodes.
    pub(crate) fn apply(&mut self, site: &Snapshot) {
        let Self { services, cells, tables, .. } = self;
        let mut index_of = |name: &str| {
            let index = services.iter().position(|known| known == name).unwrap_or_else(|| {
                services.push(name.into());
                services.len() - 1
            });
            Some(index as u16)
        };
        let mut numbers = Numbers { service: &mut index_of, cells };
        let now = Tick::from_boot_ms(self.millis);
        let key = "000102030405060708090a0b0c0d0e0f".parse().unwrap();
        let built = Tables::build(site, key, tables.as_ref(), &mut numbers, now).unwrap();
        for worker in &mut self.workers {
            worker.forwarder.limit(&built);
        }
        self.tables = Some(built);
        self.route(|_| {});
    }

    /// Finds the ways anew, with what `change` makes of each.
    pub(crate) fn route(&mut self, change: impl Fn(&mut PathSettings)) {
        let tables = self.tables.as_ref().unwrap();
        self.paths = Paths::new(|node, ipv6| {
            let (source, destination) = tables.tunnel(node, ipv6)?;
            let mut settings = PathSettings {
                source,
                destination,
                source_mac: NODE.0,
                next_hop_mac: Some(ROUTER.0),
                vlan: None,
                port: OUT,
                mtu: 1500,
                checksum_offload: false,
            };
            change(&mut settings);
            Path::new(&settings).ok()
        })
        .with_sources(&self.tables.as_ref().unwrap().tunnel_sources);
    }

    /// Finds no way to any node.
    pub(crate) fn lose_routes(&mut self) {
        self.paths = Paths::new(|_, _| None);
    }

    /// A node's index names another node from now on.
    pub(crate) fn forget(&mut self, node: u16) {
        for worker in &mut self.workers {
            worker.forwarder.connections().forget_node(node);
        }
    }

    /// CLOCK_BOOTTIME in milliseconds.
    pub(crate) fn millis(&self) -> u64 {
        self.millis
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.pass_until(self.millis + time.as_millis() as u64);
    }

    pub(crate) fn pass_until(&mut self, millis: u64) {
        assert!(millis >= self.millis);
        self.millis = millis;
    }

    /// A burst arrives at a worker; what becomes of its packets is counted as the process does it.
    pub(crate) fn burst(&mut self, worker: usize, mut frames: Vec<Buffer>) -> Vec<Sent> {
        assert!(frames.len() <= BURST);
        let Worker { forwarder, counters, .. } = &mut self.workers[worker];
        let here = Here {
            tables: self.tables.as_ref(),
            paths: &self.paths,
            wire: Wire { mac: NODE.0, vlan: self.vlan },
            port: IN,
            now: Tick::from_boot_ms(self.millis),
            millis: self.millis,
        };
        // None of the packets of these tests is to be sent by the port it came from untouched.
        let mut verdicts = [Verdict::Wire; BURST];
        forwarder.forward(&here, &mut frames, &mut verdicts);
        let mut sent = Vec::new();
        for (frame, verdict) in frames.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Forward { .. }
                | Verdict::Reply(_)
                | Verdict::Kernel(_)
                | Verdict::Wait { .. }
                | Verdict::Drop(_) => counters.add(verdict.counter(), 1),
                Verdict::Hold => {
                    if forwarder.hold(&here, frame.clone()).is_some() {
                        counters.add(Counter::FragmentsFull, 1);
                    }
                }
                Verdict::Fragmented => {}
                Verdict::Wire | Verdict::TooBig { .. } => panic!("{verdict:?} for {frame:?}"),
            }
            sent.push(Sent { verdict, frame });
        }
        sent
    }

    /// One packet arrives from the router, at the first worker.
    pub(crate) fn send(&mut self, packet: Ip) -> Sent {
        self.send_by(0, packet)
    }

    pub(crate) fn send_by(&mut self, worker: usize, packet: Ip) -> Sent {
        self.send_frame(worker, framed(&packet.build()))
    }

    pub(crate) fn send_frame(&mut self, worker: usize, frame: Buffer) -> Sent {
        self.burst(worker, vec![frame]).remove(0)
    }

    /// The L7 node that a segment of the flow is sent to.
    pub(crate) fn node_of(&mut self, flow: &Flow, flags: u8) -> u16 {
        let packet = segment(flow, flags);
        let sent = self.send(packet.clone());
        let (node, inner) = sent.tunnelled();
        assert_eq!(inner, packet.build(), "the packet arrives as it was sent");
        node
    }

    /// Fragments that the first worker made, on their way to a node.
    pub(crate) fn made(&mut self) -> Vec<Buffer> {
        let Worker { forwarder, counters, .. } = &mut self.workers[0];
        let made = forwarder.take_made().inspect(|(_, port)| assert_eq!(*port, OUT));
        let made: Vec<_> = made.map(|(frame, _)| frame).collect();
        counters.add(Counter::Forwarded, made.len() as u64);
        made
    }

    /// Fragments that waited and whose first fragment has come: forwarded again.
    pub(crate) fn ready(&mut self) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some((frame, port)) = self.workers[0].forwarder.take_ready() {
            assert_eq!(port, IN);
            sent.push(self.send_frame(0, frame));
        }
        sent
    }

    /// Gives up fragments that waited in vain. How many there were.
    pub(crate) fn expire(&mut self) -> usize {
        let mut expired = 0;
        self.workers[0].forwarder.expire(self.millis, |_| expired += 1);
        expired
    }

    /// What the kernel sends.
    pub(crate) fn kernel_sends(&mut self, packet: &[u8]) -> Sent {
        let here = Here {
            tables: self.tables.as_ref(),
            paths: &self.paths,
            wire: Wire { mac: NODE.0, vlan: None },
            port: IN,
            now: Tick::from_boot_ms(self.millis),
            millis: self.millis,
        };
        let mut frame = Buffer::new(&build::frame(ROUTER, NODE, None, packet));
        let verdict = self.workers[0].forwarder.from_kernel(&here, &mut frame);
        Sent { verdict, frame }
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        self.workers[0].forwarder.take_events().collect()
    }

    /// Goes through the whole of every table once.
    pub(crate) fn sweep(&mut self) {
        let tables = self.tables.as_ref().unwrap();
        for worker in &mut self.workers {
            let buckets = worker.view.buckets();
            worker.forwarder.sweep(tables, Tick::from_boot_ms(self.millis), buckets);
        }
    }

    /// Connections in the tables of all workers.
    pub(crate) fn connections(&mut self) -> usize {
        self.workers.iter_mut().map(|worker| worker.forwarder.connections().len()).sum()
    }

    /// Sum over the workers.
    pub(crate) fn count(&self, counter: Counter) -> u64 {
        self.workers.iter().map(|worker| worker.counters.get(counter)).sum()
    }

    /// Traffic of a node in a service, of all workers.
    pub(crate) fn traffic(&self, service: &str, node: u16) -> api::Traffic {
        let index = self.services.iter().position(|name| name == service).unwrap() as u16;
        let cell = self.cells.get(index, node).unwrap();
        let mut sum = api::Traffic::default();
        for worker in &self.workers {
            let traffic = worker.cells.get(cell);
            sum.packets += traffic.packets;
            sum.bytes += traffic.bytes;
            sum.new_flows += traffic.new_flows;
            sum.connections = sum.connections.wrapping_add(traffic.connections);
        }
        sum
    }

    pub(crate) fn explain(&self, flow: &Flow) -> Explanation {
        let views: Vec<View> = self.workers.iter().map(|worker| worker.view.clone()).collect();
        let protocol = if flow.protocol == protocol::UDP { Protocol::Udp } else { Protocol::Tcp };
        let query = ExplainQuery {
            source: flow.source,
            source_port: flow.source_port,
            destination: flow.destination,
            destination_port: flow.destination_port,
            protocol,
        };
        let now = Tick::from_boot_ms(self.millis);
        explain(self.tables.as_ref().unwrap(), &self.paths, &views, &query, now)
    }

    /// The node that the flow would be given if nothing were known of it.
    pub(crate) fn row_owner(&self, flow: &Flow) -> Option<u16> {
        let name = self.explain(flow).row_owner?;
        Some(name.strip_prefix("l7-").unwrap().parse().unwrap())
    }
}

//! The way of nearly every packet: plain TCP or UDP of a known flow, to a node whose way is known.
//!
//! Passes over the burst: packets into lanes, lanes to hashes, hashes to nodes, outer headers. In each,
//! what a packet needs is looked at without a call and hardly a bounds check; what is not so plain
//! is left over for a pass of its own behind it. So packets of known flows act before those of the
//! same burst that open, close or reset one; what is sent keeps its order.

use packet::Frame;
use packet::ethernet::{IPV4, IPV6, VLAN};
use packet::protocol::{TCP, UDP};

use crate::BURST;
use crate::cells::Cells;
use crate::connection::Signal;
use crate::connections::{Asked, At, Chosen, Connections};
use crate::counters::Counter;
use crate::flow::{Flow, Words, Words4, Words6};
use crate::forwarder::{Verdict, Wire};
use crate::path::{Outer, Path};
use crate::paths::Paths;
use crate::plain::{Plain, plain4, plain6};
use crate::service::{key4, key6};
use crate::sources::Sources;
use crate::tables::Tables;
use crate::tunnel::{Inner, put, vary};

/// The plain packets of a burst, side by side, as the hash wants them.
pub(crate) struct Lanes {
    four: Family<2>,
    six: Family<5>,
}

/// Those of one address family.
struct Family<const W: usize> {
    words: Words<W>,
    hashes: [u64; BURST],
    /// Number of the service, and what the packet means to its connection.
    asked: [(u32, Signal); BURST],
    lanes: [Lane; BURST],
    count: usize,
}

/// A plain packet.
#[derive(Clone, Copy)]
struct Lane {
    packet: u8,
    traffic_class: u8,
    len: u16,
}

impl Lane {
    /// Its packet's place in the burst.
    #[inline(always)]
    fn packet(self) -> usize {
        usize::from(self.packet) % BURST
    }
}

/// The places of the bits that are set, lowest first.
#[inline]
pub(crate) fn bits(mut mask: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = mask.trailing_zeros() as usize;
        mask &= mask.checked_sub(1)?;
        Some(place)
    })
}

impl<const W: usize> Family<W> {
    const fn new() -> Self {
        Self {
            words: Words::new(),
            hashes: [0; BURST],
            asked: [(0, Signal::Data); BURST],
            lanes: [Lane { packet: 0, traffic_class: 0, len: 0 }; BURST],
            count: 0,
        }
    }
}

impl Lanes {
    pub(crate) fn new() -> Box<Self> {
        Box::new(Self { four: Family::new(), six: Family::new() })
    }

    /// Puts the packets that are plain, and that a service takes, into lanes. Returns the others:
    /// a bit each. `L3`: where the IP header begins, [`Wire::l3`].
    #[inline(never)]
    pub(crate) fn fill<const L3: usize, F: Frame>(
        &mut self,
        tables: &Tables,
        wire: &Wire,
        frames: &[F],
    ) -> u32 {
        const { assert!(BURST == u32::BITS as usize) };
        let Self { four, six } = self;
        let (mut count4, mut count6, mut others) = (0, 0, 0);
        let wire = Arrival::of(wire);
        let frames = frames.get(..BURST).unwrap_or(frames);
        for (i, frame) in frames.iter().enumerate() {
            let (packet, frame_len) = (i as u8, frame.total_len());
            let taken = match wire.ip::<L3, _>(frame) {
                // Each protocol is compiled apart: then it is a constant in hash words and keys.
                Some((IPV4, ip)) => match plain4::<TCP>(ip, L3, frame_len) {
                    Some(plain) => four.add4(count4, tables, &plain, packet),
                    None => plain4::<UDP>(ip, L3, frame_len)
                        .and_then(|plain| four.add4(count4, tables, &plain, packet)),
                }
                .map(|()| count4 += 1),
                Some((IPV6, ip)) => match plain6::<TCP>(ip, L3, frame_len) {
                    Some(plain) => six.add6(count6, tables, &plain, packet),
                    None => plain6::<UDP>(ip, L3, frame_len)
                        .and_then(|plain| six.add6(count6, tables, &plain, packet)),
                }
                .map(|()| count6 += 1),
                Some(_) | None => None,
            };
            if taken.is_none() {
                others |= 1 << i;
            }
        }
        (four.count, six.count) = (count4, count6);
        others
    }

    /// Hashes all lanes.
    #[inline]
    pub(crate) fn hash(&mut self, tables: &Tables) {
        let Self { four, six } = self;
        if four.count > 0 {
            tables.hasher.hash4(&four.words, four.count, &mut four.hashes);
        }
        if six.count > 0 {
            tables.hasher.hash6(&six.words, six.count, &mut six.hashes);
        }
    }
}

/// What the Ethernet headers of a port's plain frames have in common, as numbers to compare with.
struct Arrival {
    /// The link address, above 16 bits of nothing.
    mac: u64,
    /// VLAN.
    tag: Option<u16>,
}

impl Arrival {
    fn of(wire: &Wire) -> Self {
        let [a, b, c, d, e, f] = wire.mac;
        Self { mac: u64::from_le_bytes([0, 0, a, b, c, d, e, f]), tag: wire.vlan }
    }

    /// EtherType of a frame for this node alone, and its IP packet. None if the frame is another's or
    /// another VLAN's, or short, or the NIC found it broken.
    #[inline(always)]
    fn ip<'a, const L3: usize, F: Frame>(&self, frame: &'a F) -> Option<(u16, &'a [u8])> {
        let bytes = frame.bytes();
        // The shortest frame on an Ethernet is longer: one look at the length is all that it takes. On
        // taps, datagrams of less than 12 bytes go the long way.
        let ip = bytes.get(L3..).filter(|ip| ip.len() >= 40)?;
        let at = |offset: usize| Some(u16::from_be_bytes(*bytes.get(offset..)?.first_chunk()?));
        let mac = u64::from_le_bytes(*bytes.first_chunk()?) << 16;
        if mac != self.mac || frame.has_bad_ipv4_checksum() {
            return None;
        }
        if L3 == 18 && (at(12)? != VLAN || Some(at(14)? & 0x0fff) != self.tag) {
            return None;
        }
        Some((at(L3 - 2)?, ip))
    }
}

impl Family<2> {
    #[inline(always)]
    fn add4(&mut self, lane: usize, tables: &Tables, plain: &Plain<u64>, packet: u8) -> Option<()> {
        let &Plain { addresses, ports, protocol, len, traffic_class, signal } = plain;
        let lane = lane % BURST;
        // Stored before the lookup that may tell it was for nothing: nothing needs to be kept for later.
        self.words.set(lane, addresses, ports, protocol);
        self.lanes[lane] = Lane { packet, traffic_class, len };
        let asked = &mut self.asked[lane];
        asked.1 = signal;
        asked.0 = tables.vips.service4(key4(addresses, ports, protocol))?;
        Some(())
    }
}

impl Family<5> {
    #[inline(always)]
    fn add6(
        &mut self,
        lane: usize,
        tables: &Tables,
        plain: &Plain<[u64; 4]>,
        packet: u8,
    ) -> Option<()> {
        let &Plain { addresses, ports, protocol, len, traffic_class, signal } = plain;
        let [_, _, low, high] = addresses;
        let vip = u128::from(low) | u128::from(high) << 64;
        let lane = lane % BURST;
        self.words.set(lane, addresses, ports, protocol);
        self.lanes[lane] = Lane { packet, traffic_class, len };
        let asked = &mut self.asked[lane];
        asked.1 = signal;
        asked.0 = tables.vips.service6(vip, key6(ports, protocol))?;
        Some(())
    }
}

/// What leads packets to their nodes.
pub(crate) struct Ways<'a> {
    pub(crate) connections: &'a mut Connections,
    pub(crate) at: At<'a>,
    pub(crate) paths: &'a Paths,
}

impl Ways<'_> {
    /// The verdict on all packets in lanes. Whether one of them is [`Verdict::TooBig`].
    #[inline]
    pub(crate) fn send<const L3: usize, F: Frame>(
        &mut self,
        lanes: &Lanes,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST],
    ) -> bool {
        let Lanes { four, six } = lanes;
        let mut too_big = false;
        if four.count > 0 {
            too_big |= self.family::<L3, false, F, 2>(four, Words4::flow, frames, verdicts);
        }
        if six.count > 0 {
            too_big |= self.family::<L3, true, F, 5>(six, Words6::flow, frames, verdicts);
        }
        too_big
    }

    #[inline]
    fn family<const L3: usize, const V6: bool, F: Frame, const W: usize>(
        &mut self,
        family: &Family<W>,
        flow: impl Fn(&Words<W>, usize) -> Flow,
        frames: &mut [F],
        verdicts: &mut [Verdict; BURST],
    ) -> bool {
        let Family { words, hashes, asked, lanes, count } = family;
        let hashes = hashes.get(..*count).unwrap_or(hashes);
        let Self { connections, at, paths } = self;
        let mut chosen = [Chosen::NONE; BURST];
        let left = connections.follow(at, hashes, asked, &mut chosen);
        for i in bits(left) {
            let (service, signal) = asked[i];
            let service = at.tables.services.get(service as usize).ok_or(Counter::NoService);
            let (asked, flow) = (Asked { hash: hashes[i], signal }, || flow(words, i));
            match service.and_then(|service| connections.choose(at, service, asked, flow)) {
                Ok(node) => chosen[i] = node,
                Err(reason) => {
                    verdicts[lanes[i].packet()] = Verdict::Drop(reason);
                }
            }
        }
        let lanes = lanes.get(..*count).unwrap_or(lanes);
        let left = deliver_all::<L3, V6, F>(paths, at.cells, lanes, &chosen, frames, verdicts);
        if let Some(sources) = paths.sources() {
            vary_all::<V6, F>(paths, sources, left, lanes, hashes, &chosen, frames);
        }
        let mut too_big = false;
        for i in bits(left) {
            let Lane { traffic_class, len, .. } = lanes[i];
            let packet = lanes[i].packet();
            if let Some(frame) = frames.get_mut(packet)
                && !chosen[i].is_none()
            {
                let inner = Inner::new(V6, len, traffic_class);
                verdicts[packet] = deliver(paths, at.cells, frame, L3, inner, chosen[i], hashes[i]);
                too_big |= matches!(verdicts[packet], Verdict::TooBig { .. });
            }
        }
        too_big
    }
}

/// Gives the packets that were sent the outer sources of their flows; those `left` were not.
#[cold]
#[inline(never)]
fn vary_all<const V6: bool, F: Frame>(
    paths: &Paths,
    sources: &Sources,
    left: u32,
    lanes: &[Lane],
    hashes: &[u64],
    chosen: &[Chosen; BURST],
    frames: &mut [F],
) {
    for (i, ((lane, &hash), chosen)) in lanes.iter().zip(hashes).zip(chosen).enumerate() {
        if left & 1 << i == 0
            && let Some(path) = paths.get(chosen.node, V6)
            && let Some(frame) = frames.get_mut(lane.packet())
        {
            vary(frame, path, sources, hash);
        }
    }
}

/// Puts outer headers in front of the packets in lanes whose node takes them as they are. Returns the
/// others, a bit each: why they cannot go this way is found out where there is time for it.
#[inline(never)]
fn deliver_all<const L3: usize, const V6: bool, F: Frame>(
    paths: &Paths,
    cells: &Cells,
    lanes: &[Lane],
    chosen: &[Chosen; BURST],
    frames: &mut [F],
    verdicts: &mut [Verdict; BURST],
) -> u32 {
    let usual = const { Outer::usual(L3, V6) };
    let mut left = 0;
    for (i, (lane, &Chosen { node, cell })) in lanes.iter().zip(chosen).enumerate() {
        let packet = lane.packet();
        if let Some(frame) = frames.get_mut(packet)
            && let Some(path) = paths.get(node, V6)
            && path.takes(lane.len)
            && put_usual(frame, L3, Inner::new(V6, lane.len, lane.traffic_class), path, usual)
        {
            cells.packet(cell, lane.len.into());
            verdicts[packet] = Verdict::Forward { port: path.port() };
        } else {
            left |= 1 << i;
        }
    }
    left
}

/// Puts the outer header in front of a packet: without a call if it is the `usual` one, which is known
/// when this is compiled. Whether there was room.
#[inline(always)]
fn put_usual<F: Frame>(frame: &mut F, l3: usize, inner: Inner, path: &Path, usual: Outer) -> bool {
    #[inline(never)]
    fn put_other<F: Frame>(frame: &mut F, l3: usize, inner: Inner, path: &Path) -> bool {
        put(frame, l3, inner, path, path.outer()).is_ok()
    }
    if path.outer() == usual {
        put(frame, l3, inner, path, usual).is_ok()
    } else {
        put_other(frame, l3, inner, path)
    }
}

/// Puts the outer header in front of a packet for the node that was chosen. `hash`: what its outer source
/// is to be chosen by, if that varies.
#[cold]
#[inline(never)]
pub(crate) fn deliver<F: Frame>(
    paths: &Paths,
    cells: &Cells,
    frame: &mut F,
    l3: usize,
    inner: Inner,
    chosen: Chosen,
    hash: u64,
) -> Verdict {
    let node = chosen.node;
    let Some(path) = paths.get(node, inner.is_ipv6()) else {
        return Verdict::Drop(Counter::NoPath);
    };
    if !path.is_resolved() {
        return Verdict::Wait { node };
    }
    if !path.takes(inner.len()) {
        return Verdict::TooBig { node, cell: chosen.cell };
    }
    match put(frame, l3, inner, path, path.outer()) {
        Ok(()) => {
            if let Some(sources) = paths.sources() {
                vary(frame, path, sources, hash);
            }
            cells.packet(chosen.cell, inner.len().into());
            Verdict::Forward { port: path.port() }
        }
        Err(reason) => Verdict::Drop(reason),
    }
}

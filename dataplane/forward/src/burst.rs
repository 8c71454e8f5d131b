//! The way of nearly every packet: plain TCP or UDP of a known flow, to a node whose way is known.
//!
//! Three passes over the burst: packets into lanes, lanes to hashes, hashes to outer headers. What a
//! packet needs there is looked at without a call and hardly a bounds check; whatever is not so
//! plain leaves by a cold branch.

use packet::Frame;

use crate::BURST;
use crate::cells::Cells;
use crate::connection::Signal;
use crate::connections::{Asked, At, Chosen, Connections};
use crate::counters::Counter;
use crate::flow::{Flow, Words, Words4, Words6};
use crate::forwarder::{IPV4, IPV6, Verdict, Wire};
use crate::paths::Paths;
use crate::plain::{Plain, plain4, plain6};
use crate::service::{key4, key6};
use crate::tables::Tables;
use crate::tunnel::{Inner, encapsulate_inner};

/// The plain packets of a burst, side by side, as the hash wants them.
pub(crate) struct Lanes {
    four: Family<2>,
    six: Family<5>,
}

/// Those of one address family.
struct Family<const W: usize> {
    words: Words<W>,
    hashes: [u64; BURST],
    lanes: [Lane; BURST],
    count: usize,
}

/// A plain packet.
#[derive(Clone, Copy)]
struct Lane {
    service: u32,
    len: u16,
    packet: u8,
    traffic_class: u8,
    signal: Signal,
}

impl Lane {
    /// In place of one that is not there.
    const NONE: Self =
        Self { service: 0, len: 0, packet: 0, traffic_class: 0, signal: Signal::Data };
}

impl<const W: usize> Family<W> {
    const fn new() -> Self {
        Self { words: Words::new(), hashes: [0; BURST], lanes: [Lane::NONE; BURST], count: 0 }
    }
}

impl Lanes {
    pub(crate) fn new() -> Box<Self> {
        Box::new(Self { four: Family::new(), six: Family::new() })
    }

    /// Puts the packets that are plain, and that a service takes, into lanes. Returns the others:
    /// a bit each. `L3`: where the IP header begins, [`Wire::l3`].
    #[inline]
    pub(crate) fn fill<const L3: usize, F: Frame>(
        &mut self,
        tables: &Tables,
        wire: &Wire,
        frames: &[F],
    ) -> u32 {
        const { assert!(BURST == u32::BITS as usize) };
        let Self { four, six } = self;
        let (mut count4, mut count6, mut others) = (0, 0, 0);
        for (i, frame) in frames.iter().enumerate().take(BURST) {
            let packet = i as u8;
            let len = frame.total_len();
            let taken = match family::<L3, _>(wire, frame) {
                Some((IPV4, ip)) => {
                    four.add4(count4, tables, plain4(ip, L3, len), packet).map(|()| count4 += 1)
                }
                Some((IPV6, ip)) => {
                    six.add6(count6, tables, plain6(ip, L3, len), packet).map(|()| count6 += 1)
                }
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

/// EtherType of a frame for this node alone, and its IP packet. None if the frame is another's, is
/// short, or the NIC found it broken.
#[inline(always)]
fn family<'a, const L3: usize, F: Frame>(
    wire: &Wire,
    frame: &'a F,
) -> Option<([u8; 2], &'a [u8])> {
    let bytes = frame.bytes();
    // The shortest frame on a wire is longer. One look at its length is all that it takes from here.
    let ip = bytes.get(L3..).filter(|ip| ip.len() >= 40)?;
    let ethertype = wire.ethertype(bytes)?;
    (wire.is_ours(bytes) && !frame.has_bad_ipv4_checksum()).then_some((ethertype, ip))
}

impl Family<2> {
    #[inline(always)]
    fn add4(
        &mut self,
        lane: usize,
        tables: &Tables,
        plain: Option<Plain<u64>>,
        packet: u8,
    ) -> Option<()> {
        let Plain { addresses, ports, protocol, len, traffic_class, signal } = plain?;
        let (vip, port) = ((addresses >> 32) as u32, (ports >> 16) as u16);
        let service = tables.vips.service4(key4(vip, port, protocol))?;
        let lane = lane % BURST;
        self.words.set(lane, addresses, ports, protocol);
        self.lanes[lane] = Lane { service, len, packet, traffic_class, signal };
        Some(())
    }
}

impl Family<5> {
    #[inline(always)]
    fn add6(
        &mut self,
        lane: usize,
        tables: &Tables,
        plain: Option<Plain<[u64; 4]>>,
        packet: u8,
    ) -> Option<()> {
        let Plain { addresses, ports, protocol, len, traffic_class, signal } = plain?;
        let [_, _, low, high] = addresses;
        let vip = u128::from(low) | u128::from(high) << 64;
        let service = tables.vips.service6(vip, key6((ports >> 16) as u16, protocol))?;
        let lane = lane % BURST;
        self.words.set(lane, addresses, ports, protocol);
        self.lanes[lane] = Lane { service, len, packet, traffic_class, signal };
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
        let mut too_big = false;
        let count = family.count.min(BURST);
        let found = self.connections.find(&family.hashes[..count]);
        let lanes = family.lanes.iter().zip(&family.hashes).zip(&found);
        for (i, ((lane, &hash), &slot)) in lanes.enumerate().take(count) {
            let packet = usize::from(lane.packet) % BURST;
            let Some(frame) = frames.get_mut(packet) else { continue };
            let Some(service) = self.at.tables.services.get(lane.service as usize) else {
                continue;
            };
            let asked = Asked { hash, slot, signal: lane.signal };
            let chosen = match self.connections.follow(&self.at, service, asked) {
                Some(chosen) => chosen,
                None => {
                    let flow = || flow(&family.words, i);
                    match self.connections.choose(&self.at, service, asked, flow) {
                        Ok(chosen) => chosen,
                        Err(reason) => {
                            verdicts[packet] = Verdict::Drop(reason);
                            continue;
                        }
                    }
                }
            };
            let inner = Inner::new(V6, lane.len, lane.traffic_class);
            match deliver(self.paths, self.at.cells, frame, L3, inner, V6, chosen) {
                Ok(port) => verdicts[packet] = Verdict::Forward { port },
                Err(verdict) => {
                    verdicts[packet] = verdict;
                    too_big |= matches!(verdict, Verdict::TooBig { .. });
                }
            }
        }
        too_big
    }
}

/// Puts the outer header in front of a packet for the node that was chosen. Returns the port to send
/// it by.
///
/// # Errors
/// The verdict on a packet that cannot be sent.
#[inline(always)]
pub(crate) fn deliver<F: Frame>(
    paths: &Paths,
    cells: &Cells,
    frame: &mut F,
    l3: usize,
    inner: Inner,
    ipv6: bool,
    chosen: Chosen,
) -> Result<u8, Verdict> {
    let node = chosen.node;
    let path = paths.get(node, ipv6).ok_or(Verdict::Drop(Counter::NoPath))?;
    if !path.is_resolved() {
        return Err(Verdict::Wait { node });
    }
    if inner.len() > path.max_inner().into() {
        return Err(Verdict::TooBig { node, cell: chosen.member.cell });
    }
    encapsulate_inner(frame, l3, inner, path).map_err(Verdict::Drop)?;
    cells.packet(chosen.member.cell, inner.len().into());
    Ok(path.port())
}

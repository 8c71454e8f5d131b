//! Packets for an operator to look at, as they came, each with what became of it.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use api::{CaptureFilter, Captured};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use capsule::Packet;
use crossbeam::queue::ArrayQueue;
use forward::{BURST, Counter, Counters, Verdict};
use packet::{Frame, summarize};

use crate::clock::unix_nanos;

/// What a capture wants, and what workers have found for it. Workers never wait for it.
pub(crate) struct Watch {
    filter: CaptureFilter,
    found: ArrayQueue<Captured>,
    missed: AtomicU64,
}

/// Packets of a burst that may be wanted: copies, as forwarding rewrites them.
pub(crate) struct Seen(Vec<(usize, u32, Vec<u8>)>);

impl Watch {
    /// For this filter, whose `packets` is the most that are kept.
    pub(crate) fn new(filter: CaptureFilter) -> Self {
        let room = filter.packets.clamp(1, api::MAX_CAPTURE) as usize;
        Self { filter, found: ArrayQueue::new(room), missed: AtomicU64::new(0) }
    }

    /// Copies those packets whose addresses and ports match.
    pub(crate) fn look(&self, packets: &[Packet]) -> Seen {
        let wanted = packets.iter().enumerate().filter(|(_, packet)| self.matches(*packet));
        let copy = |(i, packet): (usize, &Packet)| {
            let (length, bytes) = self.copy(packet);
            (i, length, bytes)
        };
        Seen(wanted.map(copy).collect())
    }

    fn matches(&self, frame: &impl Frame) -> bool {
        let CaptureFilter { source, destination, source_port, destination_port, .. } = &self.filter;
        if source.is_none()
            && destination.is_none()
            && source_port.is_none()
            && destination_port.is_none()
        {
            return true;
        }
        let bytes = frame.bytes();
        let Ok(packet) = summarize(bytes, l3(bytes), frame.total_len()) else { return false };
        source.is_none_or(|prefix| prefix.contains(packet.source))
            && destination.is_none_or(|prefix| prefix.contains(packet.destination))
            && source_port.is_none_or(|port| port == packet.source_port)
            && destination_port.is_none_or(|port| port == packet.destination_port)
    }

    /// Keeps those whose verdict is wanted.
    pub(crate) fn report(&self, worker: usize, seen: Seen, verdicts: &[Verdict; BURST]) {
        for (i, length, bytes) in seen.0 {
            let dropped = matches!(verdicts[i], Verdict::Drop(_));
            if dropped || !self.filter.dropped {
                self.keep(worker, verdicts[i].counter(), length, &bytes);
            }
        }
    }

    /// Keeps a packet that is dropped after its verdict, if it is wanted.
    pub(crate) fn dropped(&self, worker: usize, packet: &Packet, reason: Counter) {
        if self.matches(packet) {
            let (length, bytes) = self.copy(packet);
            self.keep(worker, reason, length, &bytes);
        }
    }

    fn copy(&self, packet: &Packet) -> (u32, Vec<u8>) {
        let mut bytes = vec![0; packet.total_len().min(self.filter.snap_length.into())];
        packet.copy_to(0, &mut bytes);
        (packet.total_len() as u32, bytes)
    }

    fn keep(&self, worker: usize, reason: Counter, length: u32, bytes: &[u8]) {
        let name = reason.name();
        if self.filter.reason.as_deref().is_some_and(|wanted| wanted != name) {
            return;
        }
        let data = STANDARD.encode(bytes);
        let captured =
            Captured { time_ns: unix_nanos(), worker, reason: name.into(), length, data };
        if self.found.push(captured).is_err() {
            self.missed.fetch_add(1, Relaxed);
        }
    }

    /// Whether as many were found as were asked for.
    pub(crate) fn is_full(&self) -> bool {
        self.found.is_full()
    }

    /// What was found, and how many more matched while there was no room.
    pub(crate) fn take(&self) -> (Vec<Captured>, u64) {
        let found = std::iter::from_fn(|| self.found.pop()).collect();
        (found, self.missed.load(Relaxed))
    }
}

/// Where the IP header of a frame is. Its own tag says it, not the port's VLAN: what goes to the kernel
/// or comes from there has none.
fn l3(frame: &[u8]) -> usize {
    if frame.get(12..14) == Some(&[0x81, 0x00]) { 18 } else { 14 }
}

/// Where packets end that are dropped after their verdict: counted, and shown to whoever looks.
#[derive(Clone, Copy)]
pub(crate) struct Losses<'a> {
    pub(crate) counters: &'a Counters,
    pub(crate) watch: Option<&'a Watch>,
    pub(crate) worker: usize,
}

impl Losses<'_> {
    /// Drops a packet and counts why.
    pub(crate) fn drop(&self, packet: Packet, reason: Counter) {
        self.counters.add(reason, 1);
        if let Some(watch) = self.watch {
            watch.dropped(self.worker, &packet, reason);
        }
    }
}

/// Why a filter can match nothing.
pub(crate) fn problem(filter: &CaptureFilter) -> Option<String> {
    if let Some(reason) = &filter.reason
        && !Counter::ALL.iter().any(|counter| counter.name() == reason)
    {
        return Some(format!("reason `{reason}`: no counter has this name; `stats` shows them"));
    }
    let gone = [Counter::TransmitFull, Counter::ExceptionFull, Counter::Unjoined];
    if let Some(counter) = gone.into_iter().find(|c| filter.reason.as_deref() == Some(c.name())) {
        let name = counter.name();
        return Some(format!(
            "reason `{name}`: its packets are gone when it is known; `stats` counts them"
        ));
    }
    let most = api::MAX_CAPTURE;
    if !(1..=most).contains(&filter.packets) {
        return Some(format!("packets: 1 to {most}; ask again for more"));
    }
    (filter.timeout_ms > 60_000).then(|| "timeout_ms: at most 60000; ask again for more".into())
}

#[cfg(test)]
mod tests {
    use packet::build::{self, Ip};
    use packet::{Buffer, Mac};

    use super::*;

    const NODE: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 2]);

    fn frame(vlan: Option<u16>, source: &str, destination: &str) -> Buffer {
        let packet = Ip::between(source, destination).tcp(1000, 80, 0, b"data");
        Buffer::new(&build::frame(NODE, ROUTER, vlan, &packet.build()))
    }

    #[test]
    fn a_filter_finds_its_packets_with_and_without_a_tag() {
        for [client, vip, prefix] in [
            ["203.0.113.10", "198.51.100.1", "198.51.100.0/24"],
            ["2001:db8::10", "2001:db8:1::1", "2001:db8:1::/48"],
        ] {
            let watch = Watch::new(CaptureFilter {
                source: Some(client.parse().unwrap()),
                destination: Some(prefix.parse().unwrap()),
                source_port: Some(1000),
                destination_port: Some(80),
                ..CaptureFilter::default()
            });
            let mut tagged = frame(Some(7), client, vip);
            assert!(watch.matches(&tagged));
            assert!(watch.matches(&frame(None, client, vip)));
            assert!(!watch.matches(&frame(Some(7), vip, client)));
            assert!(!watch.matches(&frame(None, vip, client)));
            // As the worker does with what goes to the kernel.
            assert!(crate::vlan::remove(&mut tagged));
            assert!(watch.matches(&tagged));
        }
    }

    #[test]
    fn a_frame_that_carries_no_packet_matches_no_address() {
        let all = Watch::new(CaptureFilter::default());
        let port = CaptureFilter { source_port: Some(0), ..CaptureFilter::default() };
        let port = Watch::new(port);
        for len in [0, 12, 13, 14, 17, 18] {
            let mut bytes = [0; 18];
            bytes[12..14].copy_from_slice(&[0x81, 0x00]);
            let frame = Buffer::new(&bytes[..len]);
            assert!(all.matches(&frame) && !port.matches(&frame));
        }
    }
}

//! Whatever the bytes are, each packet gets one verdict, and nothing panics.

use forward::{BURST, Counter, Flow};
use packet::Buffer;
use packet::build::{self, Ip};
use packet::{Mac, protocol, tcp};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::harness::*;

/// A good packet, of a kind that the forwarder looks into.
fn good() -> impl Strategy<Value = Vec<u8>> {
    (0..12_u8, 0..50_u32, any::<bool>(), any::<u8>(), 0..1500_usize).prop_map(
        |(kind, i, ipv6, byte, len)| {
            let flow = if ipv6 { flow6(i) } else { flow4(i) };
            let Flow { source, destination, source_port, destination_port, .. } = flow;
            let ip = Ip::new(source, destination);
            let data = vec![byte; len];
            let quoted = Ip::new(destination, source)
                .tcp(destination_port, source_port, tcp::ACK, &data)
                .build();
            let own = address(if ipv6 { OWN6 } else { OWN4 });
            match kind {
                0 => segment(&flow, byte),
                1 => ip.tcp(source_port, 80, byte, &data),
                2 => ip.dont_fragment().tcp(source_port, 443, byte, &data),
                3 => datagram(&flow, &data),
                4 => ip.icmp(if ipv6 { 128 } else { 8 }, 0, i, &data),
                5 => ip.icmp(if ipv6 { byte % 5 } else { 3 + byte % 10 }, byte % 8, 1300, &quoted),
                6 => segment(&flow, byte).options(&[byte; 8]).extension(byte, &[byte; 14]),
                7 => segment(&flow, byte)
                    .extension(protocol::HOP_BY_HOP, &[0; 6])
                    .extension(protocol::ROUTING, &[byte; 6])
                    .extension(protocol::DESTINATION_OPTIONS, &[0; 30]),
                8 => datagram(&flow, &data).fragment(i % 4, 0, true),
                9 => datagram(&flow, &data).fragment(i % 4, u16::from(byte) * 8, byte & 1 != 0),
                10 => Ip::new(source, own).icmp(if ipv6 { 2 } else { 3 }, 4, 1300, &quoted),
                _ => Ip::new(source, own).udp(source_port, 20_010, &data),
            }
            .build()
        },
    )
}

/// A frame: of a good packet, of one that was changed here and there or cut, or of noise.
fn frame() -> impl Strategy<Value = Buffer> {
    let changes = vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let macs = prop_oneof![8 => Just(NODE), 1 => Just(STRANGER), 1 => Just(Mac::BROADCAST)];
    let vlan = prop_oneof![6 => Just(None), 1 => any::<u16>().prop_map(Some)];
    let mutated = (good(), changes, macs, vlan, any::<prop::sample::Index>(), 0..4_u8).prop_map(
        |(packet, changes, mac, vlan, at, cut)| {
            let mut frame = build::frame(mac, ROUTER, vlan, &packet);
            for (place, byte) in changes {
                // Headers, most of the time.
                let end = frame.len().min(if byte & 1 == 0 { 60 } else { frame.len() });
                frame[place.index(end)] = byte;
            }
            match cut {
                0 => Buffer::new(&frame[..at.index(frame.len())]),
                1 => Buffer::segmented(&frame, at.index(frame.len())),
                _ => Buffer::new(&frame),
            }
        },
    );
    let noise = (any::<[u8; 2]>(), vec(any::<u8>(), 0..120)).prop_map(|(kind, bytes)| {
        let mut frame = [NODE.0, ROUTER.0].concat();
        let ethertype = [[0x08, 0x00], [0x86, 0xdd], [0x81, 0x00], kind][usize::from(kind[0] % 4)];
        frame.extend(ethertype);
        frame.extend(bytes);
        Buffer::new(&frame)
    });
    prop_oneof![9 => mutated, 1 => noise]
}

proptest! {
    // 200 times 16 bursts of 32: a hundred thousand packets.
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_comes_each_packet_gets_one_verdict(
        bursts in vec(vec(frame(), BURST), 16),
        vlan in prop_oneof![Just(None), Just(Some(7))],
        mtu in prop_oneof![Just(1500), Just(1300), Just(100), Just(40), Just(0)],
    ) {
        let mut odd = site(3);
        odd.services.push(service("any", &[VIP4, VIP6], api::Protocol::Udp, api::Ports::Any, 3));
        odd.services[0].answer_unknown = true;
        let mut l4 = L4::new(&odd);
        l4.vlan = vlan;
        l4.route(|path| path.mtu = mtu);
        for burst in bursts {
            let n = burst.len();
            let before = counted(&l4);
            // The harness refuses packets that were given no verdict.
            let sent = l4.burst(0, burst.clone());
            prop_assert_eq!(sent.len(), n);
            let fragmented = sent
                .iter()
                .filter(|sent| sent.verdict == forward::Verdict::Fragmented)
                .count();
            prop_assert_eq!(counted(&l4) - before, (n - fragmented) as u64);
            l4.made();
            l4.ready();
            for frame in burst {
                l4.kernel_sends(frame.all().get(14..).unwrap_or_default());
            }
            l4.pass(std::time::Duration::from_millis(10));
            l4.expire();
            l4.events();
        }
    }
}

/// Packets that found their end, by the counters.
fn counted(l4: &L4) -> u64 {
    let is_end = |counter: Counter| {
        counter.name().starts_with("drop_")
            || matches!(
                counter,
                Counter::Forwarded
                    | Counter::KernelNeighbor
                    | Counter::KernelRouting
                    | Counter::KernelErrors
                    | Counter::KernelManagement
                    | Counter::KernelOther
                    | Counter::EchoReplied
                    | Counter::TooBigReplied
                    | Counter::UnknownReplied
                    | Counter::FragmentHeld
                    | Counter::NeighborHeld
            )
    };
    Counter::ALL.iter().filter(|&&counter| is_end(counter)).map(|&counter| l4.count(counter)).sum()
}

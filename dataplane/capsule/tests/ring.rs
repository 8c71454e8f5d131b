//! Ports that loop what is sent back to the receiver: nothing is lost, doubled or reordered.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::LazyLock;

use capsule::{Burst, Eal, Error, Port, PortSettings, RssTypes, Started};
use common::{all_bytes, number, numbered, one_queue, packet, pool, received};
use packet::Frame;

/// The PMD of net_ring makes rings of 1024 places, one of which stays free.
const RING: u32 = 1023;

static EAL: LazyLock<Eal> = LazyLock::new(|| {
    let vdevs: Vec<_> = (0..8).map(|n| format!("net_ring{n}")).collect();
    Eal::init(&common::settings(&vdevs.iter().map(String::as_str).collect::<Vec<_>>())).unwrap()
});

fn start(vdev: &str, pool: &capsule::Mempool) -> Started {
    Port::named(&EAL, vdev).unwrap().start(&one_queue(), pool).unwrap()
}

#[test]
fn packets_keep_their_order() {
    let mut pool = pool(&EAL, "order");
    let Started { mut receive, mut transmit, .. } = start("net_ring0", &pool);
    let mut burst = Burst::new();
    for n in 0..5 {
        burst.push(numbered(&mut pool, n)).unwrap();
    }
    transmit[0].send(&mut burst);
    assert!(burst.is_empty());

    receive[0].receive(&mut burst);
    assert_eq!(burst.packets().iter().map(number).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    assert_eq!(burst.drain().map(|packet| number(&packet)).collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
}

#[test]
fn what_the_ring_has_no_room_for_stays_in_the_burst_in_order() {
    let mut pool = pool(&EAL, "room");
    let Started { port, mut receive, mut transmit, .. } = start("net_ring1", &pool);
    let mut burst = Burst::new();
    let mut next = 0;
    loop {
        while burst.len() < 30 {
            burst.push(numbered(&mut pool, next)).unwrap();
            next += 1;
        }
        transmit[0].send(&mut burst);
        if !burst.is_empty() {
            break;
        }
    }
    assert_eq!(next, RING.next_multiple_of(30));
    let left: Vec<_> = burst.packets().iter().map(number).collect();
    assert_eq!(left, (RING..next).collect::<Vec<_>>());
    assert_eq!(port.stats().unwrap().opackets, RING.into());

    assert_eq!(received(&mut receive[0]), (0..RING).collect::<Vec<_>>());
    transmit[0].send(&mut burst);
    assert!(burst.is_empty());
    assert_eq!(received(&mut receive[0]), left);
    assert_eq!(port.stats().unwrap().ipackets, next.into());
    assert_eq!(pool.available(), pool.packets());
}

#[test]
fn a_burst_with_packets_in_it_receives_what_it_has_room_for() {
    let mut pool = pool(&EAL, "fill");
    let Started { mut receive, mut transmit, .. } = start("net_ring2", &pool);
    let mut burst = Burst::new();
    for n in 0..32 {
        burst.push(numbered(&mut pool, n)).unwrap();
    }
    assert!(burst.push(numbered(&mut pool, 32)).is_err());
    transmit[0].send(&mut burst);

    for n in 100..130 {
        burst.push(numbered(&mut pool, n)).unwrap();
    }
    receive[0].receive(&mut burst);
    assert_eq!(burst.len(), 32);
    receive[0].receive(&mut burst);
    let expected: Vec<_> = (100..130).chain(0..2).collect();
    assert_eq!(burst.drain().map(|packet| number(&packet)).collect::<Vec<_>>(), expected);

    assert_eq!(received(&mut receive[0]), (2..32).collect::<Vec<_>>());
    assert_eq!(pool.available(), pool.packets());
}

#[test]
fn what_is_not_drained_is_freed_once_and_what_is_leaked_never() {
    let mut pool = pool(&EAL, "drain");
    let mut burst = Burst::new();
    let mut fill = |burst: &mut Burst| {
        for n in 0..6 {
            burst.push(numbered(&mut pool, n)).unwrap();
        }
        pool.available()
    };

    let with_six_out = fill(&mut burst);
    let third = burst.drain().nth(2).unwrap();
    assert_eq!((number(&third), burst.len()), (2, 0));
    drop(third);
    assert_eq!(fill(&mut burst), with_six_out, "all six came back");

    let mut drain = burst.drain();
    assert_eq!(drain.len(), 6);
    drop(drain.next());
    std::mem::forget(drain);
    assert!(burst.is_empty());
    assert_eq!(fill(&mut burst), with_six_out - 5, "five leaked");

    burst.packets_mut().swap(0, 5);
    assert_eq!(burst.packets().iter().map(number).collect::<Vec<_>>(), [5, 1, 2, 3, 4, 0]);
    burst.clear();
    assert_eq!(fill(&mut burst), with_six_out - 5);
    drop(burst);
    assert_eq!(pool.available(), pool.packets() - 5);
}

#[test]
fn a_packet_of_several_segments_is_sent_whole() {
    let mut pool = pool(&EAL, "chain");
    let Started { port, mut receive, mut transmit, .. } = start("net_ring3", &pool);
    assert!(port.info().offloads.multi_segment);

    let bytes: Vec<u8> = (0..=255).cycle().take(700).collect();
    let mut chain = packet(&mut pool, &bytes[..200]);
    chain.append(packet(&mut pool, &bytes[200..456])).unwrap();
    chain.append(packet(&mut pool, &bytes[456..])).unwrap();
    assert_eq!((chain.segments(), chain.total_len(), chain.bytes().len()), (3, 700, 200));

    let mut burst = Burst::new();
    burst.push(chain).unwrap();
    transmit[0].send(&mut burst);
    receive[0].receive(&mut burst);
    let [chain] = burst.packets() else { panic!("one packet") };
    assert_eq!((chain.segments(), all_bytes(chain)), (3, bytes));
    burst.clear();
    assert_eq!((transmit[0].unjoined(), pool.available()), (0, pool.packets()));
}

#[test]
fn each_queue_is_handed_out_once_and_has_its_number() {
    let pool = pool(&EAL, "queues");
    let settings = PortSettings { rx_queues: 3, tx_queues: 2, ..one_queue() };
    let started = Port::named(&EAL, "net_ring4").unwrap().start(&settings, &pool).unwrap();
    assert_eq!(started.receive.iter().map(|q| q.number()).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(started.transmit.iter().map(|q| q.number()).collect::<Vec<_>>(), [0, 1]);
}

#[test]
fn rss_that_is_not_offered_is_not_granted_but_noted() {
    let pool = pool(&EAL, "rss");
    let settings = PortSettings { rx_queues: 2, rss: RssTypes::TCP, ..one_queue() };
    let started = Port::named(&EAL, "net_ring5").unwrap().start(&settings, &pool).unwrap();
    assert_eq!(started.rss, RssTypes::NONE);
    assert_eq!(
        started.notes,
        ["net_ring5 (net_ring) does not offer these RSS types: ipv4-tcp ipv6-tcp ipv6-tcp-ex"]
    );
}

#[test]
fn a_device_has_one_user_and_is_closed_after_the_last_queue() {
    let pool = pool(&EAL, "user");
    let port = Port::named(&EAL, "net_ring6").unwrap();
    assert!(matches!(Port::named(&EAL, "net_ring6"), Err(Error::InUse { .. })));
    drop(port);

    let Started { port, receive, transmit, .. } = start("net_ring6", &pool);
    drop((port, transmit));
    assert!(matches!(Port::named(&EAL, "net_ring6"), Err(Error::InUse { .. })));
    drop(receive);
    assert!(matches!(Port::named(&EAL, "net_ring6"), Err(Error::NoPort { .. })));
}

#[test]
fn what_a_port_cannot_have_is_refused_with_what_it_can() {
    let pool = pool(&EAL, "refused");
    let refusal = |settings: PortSettings| {
        Port::named(&EAL, "net_ring7").unwrap().start(&settings, &pool).unwrap_err().to_string()
    };
    assert_eq!(
        refusal(PortSettings { rx_queues: 0, ..one_queue() }),
        "port net_ring7 (net_ring) cannot have 0 receive queues, but 1 to 16"
    );
    assert_eq!(
        refusal(PortSettings { tx_queues: 17, ..one_queue() }),
        "port net_ring7 (net_ring) cannot have 17 transmit queues, but 1 to 16"
    );
    let mtu = refusal(PortSettings { mtu: Some(20), ..one_queue() });
    assert!(mtu.starts_with("port net_ring7 (net_ring) cannot have an MTU of 20, but "), "{mtu}");
}

#[test]
fn the_eal_is_initialised_once() {
    let _first = &*EAL;
    assert!(matches!(Eal::init(&common::settings(&[])), Err(Error::SecondInit)));
}

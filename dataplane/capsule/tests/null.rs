//! The port that receives empty packets and forgets what is sent: pools, queues and counters.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::LazyLock;

use capsule::{Burst, Eal, Lcore, Mempool, Port, PortSettings, RssTypes, Started};
use common::{one_queue, packet, pool};
use packet::{Frame, Pool};

static EAL: LazyLock<Eal> = LazyLock::new(|| {
    Eal::init(&common::settings(&["net_null0,size=100", "net_null1", "net_null2", "net_null3"]))
        .unwrap()
});

fn start(vdev: &str, settings: &PortSettings, pool: &Mempool) -> Started {
    Port::named(&EAL, vdev).unwrap().start(settings, pool).unwrap()
}

#[test]
fn every_packet_received_is_sent_or_freed_once() {
    let pool = pool(&EAL, "once");
    let Started { port, mut receive, mut transmit, .. } = start("net_null0", &one_queue(), &pool);
    let (mut received, mut sent) = (Burst::new(), Burst::new());
    for _ in 0..1000 {
        receive[0].receive(&mut received);
        assert_eq!(received.len(), 32);
        assert!(received.packets().iter().all(|p| (p.bytes().len(), p.segments()) == (100, 1)));
        for (n, packet) in received.drain().enumerate() {
            if n % 3 > 0 {
                sent.push(packet).unwrap();
            }
        }
        transmit[0].send(&mut sent);
        assert!(sent.is_empty());
    }
    assert_eq!(pool.available(), pool.packets());
    let stats = port.stats().unwrap();
    assert_eq!((stats.ipackets, stats.opackets, stats.oerrors), (32_000, 21_000, 0));
}

#[test]
fn a_pool_gives_no_more_than_it_has_nor_larger() {
    let mut pool = Mempool::new(&EAL, "limits", 63, 256).unwrap();
    assert!(pool.allocate(257).is_none());
    assert!(pool.allocate(usize::MAX).is_none());
    let mut packets: Vec<_> = std::iter::from_fn(|| pool.allocate(256)).collect();
    assert_eq!((packets.len(), pool.available()), (63, 0));
    assert!(packets.iter().all(|p| p.bytes().len() == 256 && p.total_len() == 256));

    packets.truncate(10);
    assert_eq!(pool.available(), 53);
    assert!(pool.clone().allocate(0).is_some());
    let error = Mempool::new(&EAL, "limits", 63, 256).unwrap_err().to_string();
    assert_eq!(error, "cannot make pool limits of 63 packets with 256 bytes each");
    Mempool::new(&EAL, "room", 63, u16::MAX).unwrap_err();
    Mempool::new(&EAL, "z\0", 63, 256).unwrap_err();
}

#[test]
fn chains_are_joined_for_a_device_that_cannot_send_them() {
    let mut pool = pool(&EAL, "join");
    let Started { port, mut transmit, .. } = start("net_null1", &one_queue(), &pool);
    assert!(!port.info().offloads.multi_segment);
    let mut burst = Burst::new();
    for lens in [[200, 56], [200, 57], [256, 0]] {
        let [mut head, tail] = lens.map(|len| packet(&mut pool, &vec![7; len]));
        head.append(tail).unwrap();
        burst.push(head).unwrap();
    }
    burst.push(packet(&mut pool, &[7; 60])).unwrap();
    transmit[0].send(&mut burst);

    assert_eq!((burst.len(), transmit[0].unjoined()), (0, 1));
    assert_eq!(port.stats().unwrap().opackets, 3);
    assert_eq!(pool.available(), pool.packets());
}

#[test]
fn what_the_device_has_not_is_noted_and_the_port_runs() {
    let pool = pool(&EAL, "notes");
    let settings = PortSettings {
        rx_queues: 2,
        rss: RssTypes::UDP,
        promiscuous: true,
        mtu: Some(1400),
        ..one_queue()
    };
    let started = start("net_null2", &settings, &pool);
    assert_eq!(
        started.notes,
        ["net_null2 (net_null) does not offer these RSS types: ipv4-udp ipv6-udp ipv6-udp-ex"]
    );
    assert_eq!((started.rss, started.port.mtu().unwrap()), (RssTypes::NONE, 1400));
}

#[test]
fn a_port_takes_another_mac_address() {
    let pool = pool(&EAL, "mac");
    let Started { mut port, .. } = start("net_null3", &one_queue(), &pool);
    port.set_mac([2, 0, 0, 0, 0, 7]).unwrap();
    assert_eq!(port.mac(), [2, 0, 0, 0, 0, 7]);
    let error = port.set_mac([1, 0, 0, 0, 0, 7]).unwrap_err(); // a group's
    assert_eq!(error.to_string(), "port net_null3: cannot change the MAC address");
    assert_eq!(port.mac(), [2, 0, 0, 0, 0, 7]);
    assert!(port.link().unwrap().up);
}

#[test]
fn a_thread_is_registered_until_it_drops_the_registration() {
    let mut pool = pool(&EAL, "lcore");
    let worker = std::thread::spawn(move || {
        let lcore = Lcore::register(&EAL).unwrap();
        assert!(Lcore::register(&EAL).is_err());
        let id = lcore.id();
        // More than the ring's part: the rest is in this thread's cache.
        let packets: Vec<_> = (0..100).map(|_| pool.allocate(60).unwrap()).collect();
        drop(packets);
        assert_eq!(pool.available(), pool.packets());
        drop(lcore);
        assert_eq!(Lcore::register(&EAL).unwrap().id(), id);
        pool
    });
    let pool = worker.join().unwrap();
    assert_eq!(pool.available(), pool.packets());
}

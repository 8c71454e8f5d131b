//! What the tests of each file share: one EAL, for a process can have but one.

#![allow(dead_code, reason = "each test file takes what it needs")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use capsule::{Burst, Eal, Memory, Mempool, Packet, PortSettings, RssTypes, RxQueue, Settings};
use packet::{Frame, Pool};

/// An EAL without huge pages or privileges, with these virtual devices.
pub(crate) fn settings(vdevs: &[&str]) -> Settings {
    Settings {
        lcores: "0".into(),
        main_lcore: None,
        memory: Memory::Ordinary { megabytes: 64 },
        vdevs: vdevs.iter().map(|&vdev| vdev.into()).collect(),
        pci: vec![],
        file_prefix: "capsule-test".into(),
        verbose: false,
    }
}

/// One queue each way.
pub(crate) fn one_queue() -> PortSettings {
    PortSettings {
        rx_queues: 1,
        tx_queues: 1,
        rx_descriptors: 256,
        tx_descriptors: 256,
        rss: RssTypes::NONE,
        promiscuous: false,
        mtu: None,
    }
}

/// A pool of small packets.
pub(crate) fn pool(eal: &Eal, name: &str) -> Mempool {
    Mempool::new(eal, name, 2048, 256).unwrap()
}

/// A packet with these bytes.
pub(crate) fn packet(pool: &mut Mempool, bytes: &[u8]) -> Packet {
    let mut packet = pool.allocate(bytes.len()).unwrap();
    packet.bytes_mut().copy_from_slice(bytes);
    packet
}

/// A packet of 64 bytes that begins with this number.
pub(crate) fn numbered(pool: &mut Mempool, number: u32) -> Packet {
    let mut bytes = [0; 64];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    packet(pool, &bytes)
}

/// The number it begins with.
pub(crate) fn number(packet: &Packet) -> u32 {
    u32::from_be_bytes(*packet.bytes().first_chunk().unwrap())
}

/// All its bytes, of every segment.
pub(crate) fn all_bytes(packet: &impl Frame) -> Vec<u8> {
    let mut all = vec![0; packet.total_len()];
    assert_eq!(packet.copy_to(0, &mut all), all.len());
    all
}

/// The numbers of the packets that have arrived.
pub(crate) fn received(queue: &mut RxQueue) -> Vec<u32> {
    let mut burst = Burst::new();
    let mut numbers = vec![];
    loop {
        queue.receive(&mut burst);
        if burst.is_empty() {
            return numbers;
        }
        numbers.extend(burst.drain().map(|packet| number(&packet)));
    }
}

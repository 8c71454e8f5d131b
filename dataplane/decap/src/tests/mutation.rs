//! Random damage: whatever a packet looks like, the rules hold.

use std::net::IpAddr;

use super::kernel::{Outcome, tc_takes};
use super::packet::{ETHERNET, frame, tunnel};
use super::{COMBINATIONS, Counter, Header, L7, STRANGER, inner, kernel, outer};

const PACKETS: u64 = 4000;

#[test]
fn damaged_packets_never_get_past_the_rules() {
    let Some(kernel) = kernel() else { return };
    let mut random = Random(0x9e37_79b9);
    let mut decapsulated = 0;
    for _ in 0..PACKETS {
        let (o, i, _) = COMBINATIONS[random.below(4)];
        let outer = if random.below(4) == 0 { Header::new(STRANGER[o], L7[o]) } else { outer(o) };
        let mut packet = frame(&tunnel(&outer, &inner(i).carrying(b"some payload")));
        damage(&mut packet, &mut random);
        decapsulated += usize::from(holds(&packet, kernel.xdp(&packet)));
        if tc_takes(&packet) {
            decapsulated += usize::from(holds(&packet, kernel.tc(&packet)));
        }
    }
    // Some damage does not matter, so that the other half of the check was made too.
    assert!(decapsulated > 100, "{decapsulated}");
}

/// Checks the rules by the bytes that went in and came out. Whether it was decapsulated.
fn holds(packet: &[u8], (outcome, counters): (Outcome, Vec<Counter>)) -> bool {
    let outcomes: Vec<_> =
        counters.into_iter().filter(|&counter| counter != Counter::EcnCarried).collect();
    let [counter] = outcomes[..] else { panic!("counted {outcomes:?}: {packet:02x?}") };
    match outcome {
        Outcome::Dropped => {
            assert!(counter.name().starts_with("drop_"), "{counter}");
            false
        }
        Outcome::Passed(out) if out == packet => {
            assert!([Counter::NotTunnel, Counter::NotOurs].contains(&counter), "{counter}");
            false
        }
        Outcome::Passed(out) => {
            assert!(counter.name().starts_with("decap_"), "{counter}");
            let (source, destination) = addresses(packet);
            let l4 = "192.0.2.0/29".parse::<api::Prefix>().unwrap();
            assert!(l4.contains(source) || source.to_string() == "2001:db8::1", "{source}");
            assert!(L7.contains(&&*destination.to_string()), "{destination}");
            let (_, vip) = addresses(&out);
            let vips =
                ["203.0.113.0/24", "2001:db8:ff::/48"].map(|p| p.parse::<api::Prefix>().unwrap());
            assert!(vips.iter().any(|prefix| prefix.contains(vip)), "{vip}");
            true
        }
    }
}

/// Source and destination of the IP packet in a frame.
fn addresses(frame: &[u8]) -> (IpAddr, IpAddr) {
    let ip = &frame[ETHERNET..];
    match frame[ETHERNET - 2..ETHERNET] {
        [0x08, 0x00] => {
            let at = |from: usize| <[u8; 4]>::try_from(&ip[from..from + 4]).unwrap().into();
            (at(12), at(16))
        }
        [0x86, 0xdd] => {
            let at = |from: usize| <[u8; 16]>::try_from(&ip[from..from + 16]).unwrap().into();
            (at(8), at(24))
        }
        ref other => panic!("Ethernet type {other:02x?}"),
    }
}

/// Overwrites, flips, cuts or lengthens.
fn damage(packet: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(packet.len());
        match random.below(4) {
            0 => packet[at] = random.below(256) as u8,
            1 | 2 => packet[at] ^= 1 << random.below(8),
            _ if random.below(2) == 0 => packet.truncate(at.max(ETHERNET)),
            _ => packet.resize(packet.len() + at, 0xa5),
        }
    }
}

/// xorshift64*: the same packets in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32;
        high as usize % end
    }
}

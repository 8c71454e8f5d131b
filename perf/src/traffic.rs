//! Packets of many flows, made as they are needed: ten million stored ones would measure memory.

use crate::frame::Mbuf;
use crate::site::{MAC, PORTS, VIPS};

/// Address family of packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4: 60 bytes, the shortest frame.
    V4,
    /// IPv6: 74 bytes, headers alone.
    V6,
}

const SYN: u8 = 2;
const ACK: u8 = 16;

/// Packets that differ in their flow alone.
#[derive(Clone, Debug)]
pub struct Template {
    /// The frame, eight bytes a word, read as little-endian numbers. What the flow decides is zero.
    words: [u64; 10],
    family: Family,
}

impl Template {
    /// The first packet of each flow: a SYN.
    pub fn syn(family: Family) -> Self {
        Self::new(family, SYN)
    }

    /// One of many: an ACK.
    pub fn ack(family: Family) -> Self {
        Self::new(family, ACK)
    }

    fn new(family: Family, flags: u8) -> Self {
        let mut bytes = [0; 80];
        bytes[..6].copy_from_slice(&MAC);
        bytes[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
        let tcp = match family {
            Family::V4 => {
                bytes[12..14].copy_from_slice(&[0x08, 0x00]);
                bytes[14..18].copy_from_slice(&[0x45, 0, 0, 40]);
                bytes[22..24].copy_from_slice(&[64, 6]); // TTL, TCP
                bytes[26] = 10;
                bytes[30..33].copy_from_slice(&[198, 51, 100]);
                34
            }
            Family::V6 => {
                bytes[12..14].copy_from_slice(&[0x86, 0xdd]);
                bytes[14] = 0x60;
                bytes[18..22].copy_from_slice(&[0, 20, 6, 64]); // length, TCP, hop limit
                bytes[22..28].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8, 0, 1]);
                bytes[38..42].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
                54
            }
        };
        bytes[tcp + 12] = 5 << 4;
        bytes[tcp + 13] = flags;
        let mut words = [0; 10];
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self { words, family }
    }

    /// Length of each frame.
    pub fn frame_len(&self) -> u16 {
        match self.family {
            Family::V4 => 60,
            Family::V6 => 74,
        }
    }

    /// Makes `frame` the packet of a flow, below 2^39: as many differ in source address or port.
    #[inline]
    pub fn write(&self, flow: u64, frame: &mut Mbuf) {
        let words = self.words(flow);
        match self.family {
            Family::V4 => {
                let [a, b, c, d, e, f, g, h, ..] = words;
                frame.receive(&[a, b, c, d, e, f, g, h], self.frame_len());
            }
            Family::V6 => frame.receive(&words, self.frame_len()),
        }
    }

    /// The frame of a flow, padding included.
    #[inline]
    fn words(&self, flow: u64) -> [u64; 10] {
        let mut words = self.words;
        let source = flow & 0xff_ffff;
        let source_port = 1024 + (flow >> 24);
        let vip = u64::from(VIPS[flow as usize & 1]);
        let port = u64::from(PORTS[flow as usize >> 1 & 1].to_be());
        match self.family {
            Family::V4 => {
                words[3] |= source << 24;
                words[4] |= vip << 8 | source_port << 16 | port << 32;
            }
            Family::V6 => {
                words[4] |= source << 24;
                words[6] |= vip << 40 | source_port << 48;
                words[7] |= port;
            }
        }
        words
    }

    /// The frame of a flow, its IPv4 checksum included, as it would come from a wire.
    pub fn frame(&self, flow: u64) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words(flow).iter().flat_map(|w| w.to_le_bytes()).collect();
        bytes.truncate(self.frame_len().into());
        if self.family == Family::V4 {
            let (words, _) = bytes[14..34].as_chunks();
            let sum: u32 = words.iter().map(|&word| u32::from(u16::from_be_bytes(word))).sum();
            let sum = (sum & 0xffff) + (sum >> 16);
            bytes[24..26].copy_from_slice(&(!sum as u16).to_be_bytes());
        }
        bytes
    }
}

/// Flow numbers at random, all equally likely: xorshift64* (Vigna, 2016).
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Random {
    /// Always the same numbers.
    pub fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `n`.
    #[inline]
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let random = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d);
        ((u128::from(random) * u128::from(n)) >> 64) as u64
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use packet::summarize;

    use super::*;

    #[test]
    fn every_packet_is_well_formed_and_of_its_own_flow() {
        for family in [Family::V4, Family::V6] {
            let template = Template::ack(family);
            let mut seen = std::collections::HashSet::new();
            for flow in (0..1000).chain([1 << 24, 1 << 38, (1 << 39) - 1]) {
                let frame = template.frame(flow);
                let packet = summarize(&frame, 14, frame.len()).unwrap();
                assert_eq!((packet.protocol, packet.l3), (6, 14));
                assert!(PORTS.contains(&packet.destination_port));
                let tuple = (packet.source, packet.source_port, packet.destination);
                assert!(seen.insert((tuple, packet.destination_port)), "{flow}");
            }
        }
    }

    #[test]
    fn a_stored_frame_and_a_written_one_are_equal_but_for_the_checksum() {
        let frames = &mut Mbuf::pool(1).unwrap();
        for family in [Family::V4, Family::V6] {
            let template = Template::syn(family);
            template.write(77, &mut frames[0]);
            let mut stored = template.frame(77);
            if family == Family::V4 {
                stored[24..26].fill(0);
            }
            assert_eq!(packet::Frame::bytes(&frames[0]), stored);
        }
    }
}

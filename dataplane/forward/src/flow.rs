use std::net::IpAddr;

use crate::BURST;

/// A flow as its packets carry it: what is hashed.
///
/// The cold form, for one flow at a time (`explain`, quoted packets); a burst fills [`Words4`]
/// and [`Words6`] from the packets' bytes instead. Both addresses are of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Where the packets come from: the client.
    pub source: IpAddr,
    /// Its port.
    pub source_port: u16,
    /// Where they go to: the VIP.
    pub destination: IpAddr,
    /// Its port.
    pub destination_port: u16,
    /// IP protocol number.
    pub protocol: u8,
}

impl Flow {
    /// Length of an IPv4 flow's message in bytes.
    pub(crate) const LEN_V4: usize = 13;
    /// Length of an IPv6 flow's message in bytes.
    pub(crate) const LEN_V6: usize = 37;

    /// Gives `hash` the message whose hash is the flow's: source, destination, source port,
    /// destination port and protocol, in network byte order, without padding.
    pub(crate) fn with_message<T>(&self, hash: impl FnOnce(&[u8]) -> T) -> T {
        let mut message = [0; Self::LEN_V6];
        let mut length = 0;
        let mut append = |bytes: &[u8]| {
            message[length..length + bytes.len()].copy_from_slice(bytes);
            length += bytes.len();
        };
        for address in [self.source, self.destination] {
            match address {
                IpAddr::V4(v4) => append(&v4.octets()),
                IpAddr::V6(v6) => append(&v6.octets()),
            }
        }
        append(&self.source_port.to_be_bytes());
        append(&self.destination_port.to_be_bytes());
        append(&[self.protocol]);
        hash(&message[..length])
    }
}

/// The flows of a burst as the words that SipHash reads, one flow a lane.
///
/// Word `w` of all lanes lies together, so that one vector register takes it of several flows.
/// The last word has the ports, the protocol and, as SipHash wants it, the message's length.
/// Lanes are set from the packet's bytes read as little-endian numbers: no byte is swapped.
#[derive(Clone, Debug)]
#[repr(align(64))] // a vector of eight lanes never straddles two cache lines
pub struct Words<const W: usize>([[u64; BURST]; W]);

/// The flows of a burst's IPv4 packets.
pub type Words4 = Words<2>;
/// The flows of a burst's IPv6 packets.
pub type Words6 = Words<5>;

impl<const W: usize> Words<W> {
    /// Lanes that hold no flow yet.
    pub const fn new() -> Self {
        Self([[0; BURST]; W])
    }

    #[inline]
    pub(crate) fn words(&self) -> &[[u64; BURST]; W] {
        &self.0
    }

    /// The flow of these addresses and a lane's last word.
    fn with_ports(&self, lane: usize, source: IpAddr, destination: IpAddr) -> Flow {
        let [s0, s1, d0, d1, protocol, ..] = self.0[W - 1][lane].to_le_bytes();
        Flow {
            source,
            source_port: u16::from_be_bytes([s0, s1]),
            destination,
            destination_port: u16::from_be_bytes([d0, d1]),
            protocol,
        }
    }
}

impl<const W: usize> Default for Words<W> {
    fn default() -> Self {
        Self::new()
    }
}

impl Words4 {
    /// Sets a lane, which is less than [`BURST`].
    ///
    /// `addresses` are the 8 bytes of source and destination, `ports` the 4 of the ports, each
    /// read as a little-endian number.
    #[inline]
    pub fn set(&mut self, lane: usize, addresses: u64, ports: u32, protocol: u8) {
        self.0[0][lane] = addresses;
        self.0[1][lane] = last_word(ports, protocol, Flow::LEN_V4);
    }

    /// The flow in a lane that was set.
    pub fn flow(&self, lane: usize) -> Flow {
        let [a, b, c, d, e, f, g, h] = self.0[0][lane].to_le_bytes();
        self.with_ports(lane, [a, b, c, d].into(), [e, f, g, h].into())
    }
}

impl Words6 {
    /// Sets a lane, which is less than [`BURST`].
    ///
    /// `addresses` are the 32 bytes of source and destination, `ports` the 4 of the ports, each
    /// read as little-endian numbers; `protocol` is that of the header with the ports.
    #[inline]
    pub fn set(&mut self, lane: usize, addresses: [u64; 4], ports: u32, protocol: u8) {
        for (lanes, word) in self.0.iter_mut().zip(addresses) {
            lanes[lane] = word;
        }
        self.0[4][lane] = last_word(ports, protocol, Flow::LEN_V6);
    }

    /// The flow in a lane that was set.
    pub fn flow(&self, lane: usize) -> Flow {
        let [s0, s1, d0, d1, _] = self.0.map(|lanes| u128::from(lanes[lane]));
        let [source, destination] = [s0 | s1 << 64, d0 | d1 << 64].map(u128::to_le_bytes);
        self.with_ports(lane, source.into(), destination.into())
    }
}

#[inline]
fn last_word(ports: u32, protocol: u8, length: usize) -> u64 {
    u64::from(ports) | u64::from(protocol) << 32 | (length as u64) << 56
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// IPv4 flows of any kind.
    pub(crate) fn flow4() -> impl Strategy<Value = Flow> {
        any::<([u8; 4], u16, [u8; 4], u16, u8)>().prop_map(|(s, sp, d, dp, protocol)| {
            let [source, destination] = [s, d].map(IpAddr::from);
            Flow { source, source_port: sp, destination, destination_port: dp, protocol }
        })
    }

    /// IPv6 flows of any kind.
    pub(crate) fn flow6() -> impl Strategy<Value = Flow> {
        any::<([u8; 16], u16, [u8; 16], u16, u8)>().prop_map(|(s, sp, d, dp, protocol)| {
            let [source, destination] = [s, d].map(IpAddr::from);
            Flow { source, source_port: sp, destination, destination_port: dp, protocol }
        })
    }

    /// Sets a lane from the message, as from a packet.
    pub(crate) fn set4(words: &mut Words4, lane: usize, flow: &Flow) {
        flow.with_message(|m| {
            let ports = u32::from_le_bytes(m[8..12].try_into().unwrap());
            words.set(lane, u64::from_le_bytes(m[..8].try_into().unwrap()), ports, m[12]);
        });
    }

    /// Sets a lane from the message, as from a packet.
    pub(crate) fn set6(words: &mut Words6, lane: usize, flow: &Flow) {
        flow.with_message(|m| {
            let ports = u32::from_le_bytes(m[32..36].try_into().unwrap());
            let addresses =
                [0, 8, 16, 24].map(|i| u64::from_le_bytes(m[i..i + 8].try_into().unwrap()));
            words.set(lane, addresses, ports, m[36]);
        });
    }

    #[test]
    fn the_message_is_the_five_tuple_in_network_order() {
        let mut flow = Flow {
            source: [192, 0, 2, 1].into(),
            source_port: 0x1234,
            destination: [198, 51, 100, 1].into(),
            destination_port: 443,
            protocol: 6,
        };
        flow.with_message(|m| {
            assert_eq!(m, [192, 0, 2, 1, 198, 51, 100, 1, 0x12, 0x34, 1, 187, 6])
        });
        flow.source = "2001:db8::1".parse().unwrap();
        flow.destination = "2001:db8::c633:6401".parse().unwrap();
        flow.with_message(|m| {
            assert_eq!(m.len(), Flow::LEN_V6);
            assert_eq!(m[..4], [0x20, 0x01, 0x0d, 0xb8]);
            assert_eq!(m[28..], [198, 51, 100, 1, 0x12, 0x34, 1, 187, 6]);
        });
    }

    proptest! {
        #[test]
        fn a_lane_gives_its_flow_back(four in flow4(), six in flow6(), lane in 0..BURST) {
            let (mut words4, mut words6) = (Words4::new(), Words6::new());
            set4(&mut words4, lane, &four);
            set6(&mut words6, lane, &six);
            prop_assert_eq!(words4.flow(lane), four);
            prop_assert_eq!(words6.flow(lane), six);
        }
    }
}

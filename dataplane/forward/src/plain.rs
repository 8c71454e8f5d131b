//! The short cut: TCP and UDP without IP options, extension headers or fragments.
//!
//! It refuses whatever is not plain, malformed packets too: [`packet::summarize`] then decides.

use packet::protocol::TCP;
use packet::tcp::{ACK, FIN, RST, SYN};

use crate::connection::Signal;

/// A plain packet's headers, as they lie in it: numbers are read as little-endian, so nothing is swapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Plain<A> {
    /// Source address in the low half, destination address above it.
    pub(crate) addresses: A,
    /// Source port in the low half, destination port above it.
    pub(crate) ports: u32,
    pub(crate) protocol: u8,
    /// Length of the IP packet.
    pub(crate) len: u16,
    /// DSCP and ECN.
    pub(crate) traffic_class: u8,
    pub(crate) signal: Signal,
}

/// The IPv4 packet `ip`, which begins `l3` bytes into a frame of `frame_len` bytes. A packet that
/// ends before a TCP header without options would is not plain, UDP or not: one check for both.
#[inline(always)]
pub(crate) fn plain4<const PROTOCOL: u8>(
    ip: &[u8],
    l3: usize,
    frame_len: usize,
) -> Option<Plain<u64>> {
    /// More fragments, fragment offset, not the hop limit, protocol.
    const PLAIN: u32 = u32::from_le_bytes([0x3f, 0xff, 0, 0xff]);
    let header: &[u8; 40] = ip.first_chunk()?;
    let &[version, traffic_class, len0, len1, ..] = header;
    let len = u16::from_be_bytes([len0, len1]);
    let protocol = u32::from_le_bytes([0, 0, 0, PROTOCOL]);
    if u32_at(header, 6)? & PLAIN != protocol || version != 0x45 {
        return None;
    }
    let signal = signal::<PROTOCOL>(header.get(20..)?, 20, len)?;
    if l3 + usize::from(len) > frame_len {
        return None;
    }
    let (addresses, ports) = (u64_at(header, 12)?, u32_at(header, 20)?);
    Some(Plain { addresses, ports, protocol: PROTOCOL, len, traffic_class, signal })
}

/// The IPv6 packet `ip`, in the same words.
#[inline(always)]
pub(crate) fn plain6<const PROTOCOL: u8>(
    ip: &[u8],
    l3: usize,
    frame_len: usize,
) -> Option<Plain<[u64; 4]>> {
    let header: &[u8; 48] = ip.first_chunk()?;
    let first = u64_at(header, 0)?;
    let [class0, class1, _, _, len0, len1, protocol, _] = first.to_le_bytes();
    if protocol != PROTOCOL {
        return None;
    }
    let len = u16::from_be_bytes([len0, len1]).checked_add(40)?;
    if class0 >> 4 != 6 || l3 + usize::from(len) > frame_len {
        return None;
    }
    let signal = signal::<PROTOCOL>(ip.get(40..)?, 40, len)?;
    let [a, b, c, d] = [8, 16, 24, 32].map(|at| u64_at(header, at));
    let (addresses, ports) = ([a?, b?, c?, d?], u32_at(header, 40)?);
    let traffic_class = class0 << 4 | class1 >> 4;
    Some(Plain { addresses, ports, protocol, len, traffic_class, signal })
}

#[inline(always)]
fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

#[inline(always)]
fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// What the packet means to its connection; `None` if its transport header does not fit into what
/// `len` leaves behind `ip` bytes of IP header.
#[inline(always)]
fn signal<const PROTOCOL: u8>(transport: &[u8], ip: u16, len: u16) -> Option<Signal> {
    if PROTOCOL == TCP {
        let transport: &[u8; 20] = transport.first_chunk()?;
        let header_len = u16::from(transport[12] >> 2 & 0x3c);
        (header_len >= 20 && ip + header_len <= len).then(|| Signal::of_tcp(transport[13]))
    } else {
        let transport: &[u8; 8] = transport.first_chunk()?;
        let udp_len = u16::from_be_bytes([transport[4], transport[5]]);
        (udp_len >= 8 && u32::from(ip) + u32::from(udp_len) <= len.into()).then_some(Signal::Udp)
    }
}

impl Signal {
    /// What TCP flags mean to a connection. Nonsense such as SYN with FIN counts as what ends more.
    #[inline]
    pub(crate) fn of_tcp(flags: u8) -> Self {
        const SIGNALS: [Signal; 32] = {
            let mut signals = [Signal::Data; 32];
            let mut flags = 0;
            while flags < 32 {
                let bits = flags as u8;
                if bits & RST != 0 {
                    signals[flags] = Signal::Rst;
                } else if bits & FIN != 0 {
                    signals[flags] = Signal::Fin;
                } else if bits & (SYN | ACK) == SYN {
                    signals[flags] = Signal::Syn;
                }
                flags += 1;
            }
            signals
        };
        SIGNALS[usize::from(flags % 32)]
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use packet::build::Ip;
    use packet::protocol::UDP;
    use packet::{Summary, summarize};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn flags_mean_what_ends_more() {
        for rest in [0, 8, 32, 64, 128, 0xe8] {
            for (flags, signal) in [
                (0, Signal::Data),
                (ACK, Signal::Data),
                (SYN, Signal::Syn),
                (SYN | ACK, Signal::Data),
                (FIN, Signal::Fin),
                (FIN | ACK, Signal::Fin),
                (FIN | SYN, Signal::Fin),
                (FIN | SYN | ACK, Signal::Fin),
                (RST, Signal::Rst),
                (RST | ACK, Signal::Rst),
                (RST | SYN, Signal::Rst),
                (RST | FIN | SYN | ACK, Signal::Rst),
            ] {
                assert_eq!(Signal::of_tcp(flags | rest), signal, "{flags:08b} {rest:08b}");
            }
        }
    }

    /// What the long way says of the packet, in the short cut's words.
    fn long_way(bytes: &[u8]) -> Option<(Summary, Signal)> {
        let summary = summarize(bytes, 0, bytes.len()).ok()?;
        let signal = match summary.protocol {
            TCP => Signal::of_tcp(summary.tcp_flags),
            UDP => Signal::Udp,
            _ => return None,
        };
        Some((summary, signal))
    }

    fn four(bytes: &[u8]) -> Option<Plain<u64>> {
        let len = bytes.len();
        plain4::<TCP>(bytes, 0, len).or_else(|| plain4::<UDP>(bytes, 0, len))
    }

    fn six(bytes: &[u8]) -> Option<Plain<[u64; 4]>> {
        let len = bytes.len();
        plain6::<TCP>(bytes, 0, len).or_else(|| plain6::<UDP>(bytes, 0, len))
    }

    /// The short cut takes only what the long way takes too, and says the same of it; and it takes
    /// every packet that is plain.
    fn agree(bytes: &[u8]) {
        let (source, destination, ports, protocol, len, signal): (IpAddr, IpAddr, u32, _, _, _) =
            if let Some(plain) = four(bytes) {
                let [a, b, c, d, e, f, g, h] = plain.addresses.to_le_bytes();
                let (source, destination) = ([a, b, c, d].into(), [e, f, g, h].into());
                (source, destination, plain.ports, plain.protocol, plain.len, plain.signal)
            } else if let Some(plain) = six(bytes) {
                let [a, b, c, d] = plain.addresses.map(u128::from);
                let [source, destination] = [a | b << 64, c | d << 64].map(u128::to_le_bytes);
                let (source, destination) = (source.into(), destination.into());
                (source, destination, plain.ports, plain.protocol, plain.len, plain.signal)
            } else {
                if let Some((summary, signal)) = long_way(bytes) {
                    let (header_len, least) = match (summary.source.is_ipv4(), signal) {
                        (true, _) => (20, 40),
                        (false, Signal::Udp) => (40, 48),
                        (false, _) => (40, 60),
                    };
                    let is_plain = summary.l4 == header_len
                        && summary.fragment.is_none()
                        && bytes.len() >= least;
                    assert!(!is_plain, "refused a plain packet: {bytes:02x?}");
                }
                return;
            };
        let (summary, expected) = long_way(bytes).expect("the long way takes it too");
        let [s0, s1, d0, d1] = ports.to_le_bytes();
        assert_eq!(source, summary.source);
        assert_eq!(destination, summary.destination);
        assert_eq!(u16::from_be_bytes([s0, s1]), summary.source_port);
        assert_eq!(u16::from_be_bytes([d0, d1]), summary.destination_port);
        assert_eq!((protocol, usize::from(len)), (summary.protocol, summary.end));
        assert_eq!((signal, summary.fragment), (expected, None));
    }

    /// A packet with a header of either family, TCP or UDP, plain or not.
    fn packet() -> impl Strategy<Value = Vec<u8>> {
        let ip = prop_oneof![
            any::<[[u8; 4]; 2]>().prop_map(|[s, d]| Ip::new(s.into(), d.into())),
            any::<[[u8; 16]; 2]>().prop_map(|[s, d]| Ip::new(s.into(), d.into())),
        ];
        (ip, any::<[u16; 2]>(), any::<u8>(), 0..60_usize, 0..7_u8).prop_map(
            |(ip, [source, destination], byte, len, form)| {
                let data = vec![byte; len];
                match form {
                    0 | 1 => ip.tcp(source, destination, byte, &data),
                    2 | 3 => ip.udp(source, destination, &data),
                    4 => {
                        ip.tcp(source, destination, byte, &data).options(&[1; 8]).extension(60, &[])
                    }
                    5 => ip.tcp(source, destination, byte, &data).fragment(1, 8, byte & 1 == 0),
                    _ => ip.payload(byte, &data),
                }
                .build()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn the_short_cut_agrees_with_the_long_way(
            mut bytes in packet(),
            changes in proptest::collection::vec((0..70_usize, any::<u8>()), 0..4),
            padding in 0..20_usize,
            cut in 0..200_usize,
        ) {
            for (at, byte) in changes {
                let at = at % bytes.len();
                bytes[at] = byte;
            }
            bytes.resize(bytes.len() + padding, 0);
            agree(&bytes);
            bytes.truncate(cut);
            agree(&bytes);
        }
    }
}

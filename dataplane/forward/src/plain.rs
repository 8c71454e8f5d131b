//! The short cut: TCP and UDP without IP options, extension headers or fragments.
//!
//! It refuses whatever is not plain, malformed packets too: [`packet::summarize`] then decides.

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
    pub(crate) signal: Signal,
}

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The IPv4 packet at the start of `bytes`, of which `available` bytes are in the frame.
#[inline]
pub(crate) fn plain4(bytes: &[u8], available: usize) -> Option<Plain<u64>> {
    let header: &[u8; 28] = bytes.first_chunk()?;
    let len = u16::from_be_bytes([header[2], header[3]]);
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if header[0] != 0x45 || fragment != 0 || usize::from(len) > available {
        return None;
    }
    let protocol = header[9];
    let signal = signal(protocol, &bytes[20..], usize::from(len).checked_sub(20)?)?;
    let addresses = header[12..].first_chunk().copied().map(u64::from_le_bytes)?;
    let ports = header[20..].first_chunk().copied().map(u32::from_le_bytes)?;
    Some(Plain { addresses, ports, protocol, len, signal })
}

/// The IPv6 packet at the start of `bytes`, of which `available` bytes are in the frame.
#[inline]
pub(crate) fn plain6(bytes: &[u8], available: usize) -> Option<Plain<[u64; 4]>> {
    let header: &[u8; 48] = bytes.first_chunk()?;
    let payload = u16::from_be_bytes([header[4], header[5]]);
    let len = payload.checked_add(40)?;
    if header[0] >> 4 != 6 || usize::from(len) > available {
        return None;
    }
    let protocol = header[6];
    let signal = signal(protocol, &bytes[40..], usize::from(payload))?;
    let (words, _) = header[8..40].as_chunks();
    let &[a, b, c, d] = words.first_chunk()?;
    let addresses = [a, b, c, d].map(u64::from_le_bytes);
    let ports = header[40..].first_chunk().copied().map(u32::from_le_bytes)?;
    Some(Plain { addresses, ports, protocol, len, signal })
}

/// What the packet means to its connection; `None` if its transport header does not fit into
/// the `len` bytes that IP gives it.
#[inline]
fn signal(protocol: u8, bytes: &[u8], len: usize) -> Option<Signal> {
    match protocol {
        TCP => {
            let header: &[u8; 20] = bytes.first_chunk()?;
            let header_len = usize::from(header[12] >> 4) * 4;
            (20..=len).contains(&header_len).then(|| Signal::of_tcp(header[13]))
        }
        UDP => {
            let header: &[u8; 8] = bytes.first_chunk()?;
            let udp_len = usize::from(u16::from_be_bytes([header[4], header[5]]));
            (8..=len).contains(&udp_len).then_some(Signal::Udp)
        }
        _ => None,
    }
}

impl Signal {
    /// What TCP flags mean to a connection. Nonsense such as SYN with FIN counts as what ends more.
    #[inline]
    pub(crate) fn of_tcp(flags: u8) -> Self {
        const FIN: u8 = 1;
        const SYN: u8 = 2;
        const RST: u8 = 4;
        const ACK: u8 = 16;
        if flags & RST != 0 {
            Self::Rst
        } else if flags & FIN != 0 {
            Self::Fin
        } else if flags & (SYN | ACK) == SYN {
            Self::Syn
        } else {
            Self::Data
        }
    }
}

//! TCP segments (RFC 9293).

use crate::{Malformed, be16, be32};

/// Bytes of a header without options.
pub const MIN_LEN: usize = 20;

/// No more data from the sender.
pub const FIN: u8 = 0x01;
/// Synchronize sequence numbers: opens a connection.
pub const SYN: u8 = 0x02;
/// Reset the connection.
pub const RST: u8 = 0x04;
/// Push.
pub const PSH: u8 = 0x08;
/// The acknowledgment number counts.
pub const ACK: u8 = 0x10;
/// Urgent.
pub const URG: u8 = 0x20;

/// A TCP segment.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<'a> {
    header: &'a [u8; MIN_LEN],
    options: &'a [u8],
    payload: &'a [u8],
}

impl<'a> Tcp<'a> {
    /// Checks that the header, as long as it says, is there. `bytes` is an IP packet's payload.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = bytes.first_chunk::<MIN_LEN>().ok_or(Malformed)?;
        let header_len = usize::from(header[12] >> 4) * 4;
        let options = bytes.get(MIN_LEN..header_len).ok_or(Malformed)?;
        let payload = bytes.get(header_len..).ok_or(Malformed)?;
        Ok(Self { header, options, payload })
    }

    /// Source port.
    pub fn source_port(&self) -> u16 {
        be16(self.header, 0)
    }

    /// Destination port.
    pub fn destination_port(&self) -> u16 {
        be16(self.header, 2)
    }

    /// Sequence number.
    pub fn sequence(&self) -> u32 {
        be32(self.header, 4)
    }

    /// Acknowledgment number, if [`ACK`] is set.
    pub fn acknowledgment(&self) -> u32 {
        be32(self.header, 8)
    }

    /// The flags: [`SYN`] and so on.
    pub fn flags(&self) -> u8 {
        self.header[13]
    }

    /// Receive window.
    pub fn window(&self) -> u16 {
        be16(self.header, 14)
    }

    /// Checksum, with the pseudo header.
    pub fn checksum(&self) -> u16 {
        be16(self.header, 16)
    }

    /// Options, with their padding.
    pub fn options(&self) -> &'a [u8] {
        self.options
    }

    /// Data.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// How far the segment moves the sender's sequence number: its data, SYN and FIN.
    pub fn sequence_len(&self) -> u32 {
        let control = [SYN, FIN].iter().filter(|&flag| self.flags() & flag != 0).count();
        (self.payload.len() + control) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1000 -> 80, sequence 1, acknowledgment 2, SYN + ACK, window 3, checksum 4, no urgent data.
    #[rustfmt::skip]
    const HEADER: [u8; MIN_LEN] = [
        0x03, 0xe8, 0, 80,
        0, 0, 0, 1,
        0, 0, 0, 2,
        5 << 4, SYN | ACK, 0, 3,
        0, 4, 0, 0,
    ];

    #[test]
    fn fields_are_read_from_their_places() {
        let mut bytes = HEADER.to_vec();
        bytes[12] = 6 << 4;
        bytes.extend([2, 4, 5, 0xb4, b'x']); // maximum segment size 1460; data
        let tcp = Tcp::parse(&bytes).unwrap();
        assert_eq!((tcp.source_port(), tcp.destination_port()), (1000, 80));
        assert_eq!((tcp.sequence(), tcp.acknowledgment()), (1, 2));
        assert_eq!((tcp.flags(), tcp.window(), tcp.checksum()), (SYN | ACK, 3, 4));
        assert_eq!((tcp.options(), tcp.payload()), (&[2, 4, 5, 0xb4][..], &b"x"[..]));
        assert_eq!(tcp.sequence_len(), 2);
    }

    #[test]
    fn a_data_offset_below_the_header_or_beyond_the_segment_is_malformed() {
        for words in 0..16 {
            let mut bytes = HEADER;
            bytes[12] = words << 4;
            assert_eq!(Tcp::parse(&bytes).is_ok(), words == 5, "{words}");
        }
        for len in 0..MIN_LEN {
            assert!(Tcp::parse(&HEADER[..len]).is_err());
        }
    }
}

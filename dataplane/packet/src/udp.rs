//! UDP datagrams (RFC 768).

use crate::{Malformed, be16};

const LEN: usize = 8;

/// A UDP datagram.
#[derive(Clone, Copy, Debug)]
pub struct Udp<'a> {
    header: &'a [u8; LEN],
    payload: &'a [u8],
}

impl<'a> Udp<'a> {
    /// Checks the length, and drops what follows the datagram. `bytes` is an IP packet's payload.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = bytes.first_chunk::<LEN>().ok_or(Malformed)?;
        let payload = bytes.get(LEN..be16(header, 4).into()).ok_or(Malformed)?;
        Ok(Self { header, payload })
    }

    /// Source port.
    pub fn source_port(&self) -> u16 {
        be16(self.header, 0)
    }

    /// Destination port.
    pub fn destination_port(&self) -> u16 {
        be16(self.header, 2)
    }

    /// Checksum, with the pseudo header. `None`: the sender computed none.
    pub fn checksum(&self) -> Option<u16> {
        Some(be16(self.header, 6)).filter(|&checksum| checksum != 0)
    }

    /// Data.
    pub fn payload(&self) -> &'a [u8] {
        self.payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1000 -> 53, 10 bytes, checksum 4, data "hi", and what is not of the datagram.
    const DATAGRAM: [u8; 12] = [0x03, 0xe8, 0, 53, 0, 10, 0, 4, b'h', b'i', 0xee, 0xee];

    #[test]
    fn fields_are_read_from_their_places() {
        let udp = Udp::parse(&DATAGRAM).unwrap();
        assert_eq!((udp.source_port(), udp.destination_port()), (1000, 53));
        assert_eq!((udp.checksum(), udp.payload()), (Some(4), &b"hi"[..]));

        let mut without = DATAGRAM;
        without[7] = 0;
        assert_eq!(Udp::parse(&without).unwrap().checksum(), None);
    }

    #[test]
    fn a_length_below_the_header_or_beyond_the_packet_is_malformed() {
        for len in 0..=DATAGRAM.len() as u8 + 1 {
            let mut bytes = DATAGRAM;
            bytes[5] = len;
            assert_eq!(Udp::parse(&bytes).is_ok(), (8..=12).contains(&len), "{len}");
        }
        for len in 0..LEN {
            assert!(Udp::parse(&DATAGRAM[..len]).is_err());
        }
    }
}

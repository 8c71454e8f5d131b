//! ARP for IPv4 over Ethernet (RFC 826), and its announcements (RFC 5227).

use std::net::Ipv4Addr;

use crate::{Mac, Malformed, be16, build};

const LEN: usize = 28;
/// Ethernet, IPv4, and the lengths of their addresses.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

/// Operation of a request.
pub const REQUEST: u16 = 1;
/// Operation of a reply.
pub const REPLY: u16 = 2;

/// An ARP packet.
#[derive(Clone, Copy, Debug)]
pub struct Arp<'a>(&'a [u8; LEN]);

impl<'a> Arp<'a> {
    /// Checks that it is about IPv4 over Ethernet. `bytes` is a frame's payload.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let packet = bytes.first_chunk::<LEN>().ok_or(Malformed)?;
        if !packet.starts_with(&ETHERNET_IPV4) {
            return Err(Malformed);
        }
        Ok(Self(packet))
    }

    /// [`REQUEST`], [`REPLY`], or something else.
    pub fn operation(&self) -> u16 {
        be16(self.0, 6)
    }

    /// Link-layer address of the sender.
    pub fn sender_mac(&self) -> Mac {
        self.mac(8)
    }

    /// Address of the sender; unspecified in a probe (RFC 5227).
    pub fn sender_address(&self) -> Ipv4Addr {
        self.address(14)
    }

    /// Link-layer address asked for, if it is known.
    pub fn target_mac(&self) -> Mac {
        self.mac(18)
    }

    /// Address that is asked for.
    pub fn target_address(&self) -> Ipv4Addr {
        self.address(24)
    }

    /// The six bytes at `at`, which is 8 or 18.
    fn mac(&self, at: usize) -> Mac {
        Mac(std::array::from_fn(|i| self.0[at + i]))
    }

    /// The four bytes at `at`, which is 14 or 24.
    fn address(&self, at: usize) -> Ipv4Addr {
        Ipv4Addr::from_octets(std::array::from_fn(|i| self.0[at + i]))
    }
}

/// A frame that tells every station whose address this is: an ARP announcement (RFC 5227 section 3).
pub fn gratuitous(mac: Mac, address: Ipv4Addr, vlan: Option<u16>) -> Vec<u8> {
    let mut packet = ETHERNET_IPV4.to_vec();
    packet.extend(REQUEST.to_be_bytes());
    packet.extend(mac.0);
    packet.extend(address.octets());
    packet.extend(Mac::default().0);
    packet.extend(address.octets());
    build::frame(Mac::BROADCAST, mac, vlan, &packet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ethernet, ethernet};

    const NODE: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 132);

    #[test]
    fn fields_are_read_from_their_places() {
        #[rustfmt::skip]
        let reply = [
            0, 1, 8, 0, 6, 4, 0, 2,
            2, 0, 0, 0, 0, 1, 192, 0, 2, 132,
            2, 0, 0, 0, 0, 9, 192, 0, 2, 130,
        ];
        let arp = Arp::parse(&reply).unwrap();
        assert_eq!(arp.operation(), REPLY);
        assert_eq!((arp.sender_mac(), arp.sender_address()), (NODE, ADDRESS));
        assert_eq!(arp.target_mac(), Mac([2, 0, 0, 0, 0, 9]));
        assert_eq!(arp.target_address(), Ipv4Addr::new(192, 0, 2, 130));
    }

    #[test]
    fn an_announcement_asks_everybody_for_its_own_address() {
        for vlan in [None, Some(7)] {
            let bytes = gratuitous(NODE, ADDRESS, vlan);
            let frame = Ethernet::parse(&bytes).unwrap();
            assert_eq!((frame.destination(), frame.source()), (Mac::BROADCAST, NODE));
            assert_eq!((frame.vlan(), frame.ethertype()), (vlan, ethernet::ARP));
            let arp = Arp::parse(frame.payload()).unwrap();
            assert_eq!(arp.operation(), REQUEST);
            assert_eq!((arp.sender_mac(), arp.sender_address()), (NODE, ADDRESS));
            assert_eq!((arp.target_mac(), arp.target_address()), (Mac::default(), ADDRESS));
        }
    }

    #[test]
    fn what_is_short_or_of_other_kinds_is_malformed() {
        let good = &gratuitous(NODE, ADDRESS, None)[ethernet::HEADER_LEN..];
        for len in 0..good.len() {
            assert!(Arp::parse(&good[..len]).is_err(), "{len}");
        }
        for at in 0..ETHERNET_IPV4.len() {
            let mut bytes = good.to_vec();
            bytes[at] ^= 1;
            assert!(Arp::parse(&bytes).is_err(), "{at}");
        }
    }
}

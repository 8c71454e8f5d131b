//! Tells the link whose addresses these are, unasked: after a start, a neighbor's cache may still say
//! what was so before.

use std::net::IpAddr;

use packet::{Mac, arp, ndp};

/// One frame for each address, to every station: an ARP announcement (RFC 5227 section 3) or an
/// unsolicited neighbor advertisement (RFC 4861 section 7.2.6).
pub(crate) fn frames(mac: [u8; 6], addresses: &[IpAddr], vlan: Option<u16>) -> Vec<Vec<u8>> {
    let frame = |address: &IpAddr| match *address {
        IpAddr::V4(v4) => arp::gratuitous(Mac(mac), v4, vlan),
        IpAddr::V6(v6) => ndp::unsolicited_advertisement(Mac(mac), v6, vlan),
    };
    addresses.iter().map(frame).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ethernet II to `destination` from 02:00:00:00:00:01, with the tag if there is one.
    fn ethernet(destination: [u8; 6], tag: &[u8], ethertype: [u8; 2]) -> Vec<u8> {
        [&destination[..], &[2, 0, 0, 0, 0, 1], tag, &ethertype].concat()
    }

    /// Request, Ethernet and IPv4, for the sender's own address.
    const ARP: [u8; 28] = [
        0, 1, 8, 0, 6, 4, 0, 1, // request
        2, 0, 0, 0, 0, 1, 192, 0, 2, 132, // sender
        0, 0, 0, 0, 0, 0, 192, 0, 2, 132, // target
    ];

    #[test]
    fn each_family_is_announced_in_its_own_way_to_everybody() {
        let addresses = ["192.0.2.132".parse().unwrap(), "2001:db8::c000:284".parse().unwrap()];
        for (vlan, tag) in [(None, &[][..]), (Some(0x123), &[0x81, 0, 1, 0x23])] {
            let [arp, advertisement] =
                <[_; 2]>::try_from(frames([2, 0, 0, 0, 0, 1], &addresses, vlan)).unwrap();
            let expected = [ethernet([0xff; 6], tag, [8, 6]), ARP.into()].concat();
            assert_eq!(arp[..expected.len()], expected);

            let all_nodes = ethernet([0x33, 0x33, 0, 0, 0, 1], tag, [0x86, 0xdd]);
            let (header, packet) = advertisement.split_at(all_nodes.len());
            assert_eq!(header, all_nodes);
            let (header, message) = packet.split_at(40);
            assert_eq!(header[..8], [0x60, 0, 0, 0, 0, 32, 58, 255]);
            let own = "2001:db8::c000:284".parse::<std::net::Ipv6Addr>().unwrap().octets();
            assert_eq!(header[8..24], own);
            assert_eq!(header[24..], [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            // Override, neither from a router nor asked for.
            assert_eq!(
                (message[..2].as_ref(), &message[4..8]),
                (&[136, 0][..], &[0x20, 0, 0, 0][..])
            );
            assert_eq!(message[8..24], own);
            assert_eq!(message[24..32], [2, 1, 2, 0, 0, 0, 0, 1]);
            // Over the pseudo header: addresses, length 32, next header 58.
            let words = header[8..].iter().chain(&[0, 32, 0, 58]).chain(&message[..32]);
            let words: Vec<u8> = words.copied().collect();
            let sum: u32 = words.chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum();
            assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff);
        }
    }

    #[test]
    fn without_addresses_there_is_nothing_to_tell() {
        assert!(frames([2, 0, 0, 0, 0, 1], &[], None).is_empty());
    }
}

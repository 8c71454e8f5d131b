//! IPv6 extension headers (RFC 8200 section 4): the way from the fixed header to the upper layer.
//!
//! Each header says which follows, and an attacker may write many: the walk ends after
//! [`MAX_HEADERS`] or [`MAX_LEN`] bytes (RFC 8504 section 5.3 allows such limits). Every step goes
//! forward, by 8 bytes or more, so none can loop.

use crate::{Fragment, Unparsable, be16, be32, protocol};

/// Most extension headers of a packet.
pub const MAX_HEADERS: usize = 8;
/// Most bytes of extension headers.
pub const MAX_LEN: usize = 256;

/// Where a packet's extension headers lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// The upper layer. In a later fragment, what the fragment header says of the datagram: it may
    /// be an extension header in the first fragment.
    pub protocol: u8,
    /// Bytes of the extension headers.
    pub len: usize,
    /// Which piece of a datagram it is. `None` of a whole one, which a packet with an atomic
    /// fragment header is (RFC 6946).
    pub fragment: Option<Fragment>,
}

/// Follows the extension headers of a packet. `next_header` is that of the fixed header, and `bytes`
/// what follows it, up to the packet's end or as much as there is.
///
/// What cannot be parsed is refused for the reason that [`Unparsable`] names; a chain that goes on
/// beyond a first fragment (RFC 7112) is [`Unparsable::NoPorts`].
pub fn walk(next_header: u8, bytes: &[u8]) -> Result<Chain, Unparsable> {
    let mut chain = Chain { protocol: next_header, len: 0, fragment: None };
    let mut fragmented = false;

    for count in 0.. {
        if !is_extension(chain.protocol) || chain.fragment.is_some_and(|f| f.offset > 0) {
            break;
        }
        if count == MAX_HEADERS {
            return Err(Unparsable::ExtensionHeaders);
        }
        let cut =
            if chain.fragment.is_some() { Unparsable::NoPorts } else { Unparsable::Malformed };
        let rest = bytes.get(chain.len..).ok_or(cut)?;
        let header = rest.first_chunk::<8>().ok_or(cut)?;
        let len = match chain.protocol {
            // Only the first may be (section 4.1).
            protocol::HOP_BY_HOP if count > 0 => return Err(Unparsable::Malformed),
            // RFC 5095: it lets a packet travel in circles.
            protocol::ROUTING if header[2] == 0 => return Err(Unparsable::RoutingHeader0),
            protocol::FRAGMENT if fragmented => return Err(Unparsable::Malformed),
            protocol::FRAGMENT => {
                fragmented = true;
                chain.fragment = fragment(header);
                header.len()
            }
            protocol::AUTHENTICATION => (usize::from(header[1]) + 2) * 4,
            _ => (usize::from(header[1]) + 1) * 8,
        };
        // RFC 4302 section 2.2 asks it of the authentication header; the others cannot but comply.
        if !len.is_multiple_of(8) {
            return Err(Unparsable::Malformed);
        }
        if rest.len() < len {
            return Err(cut);
        }
        chain.len += len;
        if chain.len > MAX_LEN {
            return Err(Unparsable::ExtensionHeaders);
        }
        chain.protocol = header[0];
    }
    Ok(chain)
}

/// What the fragment header says (section 4.5), if the datagram has more than one fragment.
fn fragment(header: &[u8; 8]) -> Option<Fragment> {
    let place = be16(header, 2);
    let fragment = Fragment { id: be32(header, 4), offset: place & 0xfff8, more: place & 1 != 0 };
    (fragment.offset > 0 || fragment.more).then_some(fragment)
}

fn is_extension(protocol: u8) -> bool {
    matches!(
        protocol,
        protocol::HOP_BY_HOP
            | protocol::ROUTING
            | protocol::FRAGMENT
            | protocol::AUTHENTICATION
            | protocol::DESTINATION_OPTIONS
            | protocol::MOBILITY
            | protocol::HIP
            | protocol::SHIM6
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ipv6;
    use crate::build::Ip;
    use crate::protocol::*;

    /// Pads to the end of a header of 8 bytes.
    const PADDING: &[u8] = &[1, 4, 0, 0, 0, 0];

    fn packet(extensions: &[(u8, &[u8])]) -> Vec<u8> {
        let ip = Ip::between("2001:db8::1", "2001:db8::2").udp(1000, 53, b"hello");
        extensions.iter().fold(ip, |ip, &(kind, body)| ip.extension(kind, body)).build()
    }

    fn walked(extensions: &[(u8, &[u8])]) -> Result<(u8, usize), Unparsable> {
        let bytes = packet(extensions);
        let ip = Ipv6::parse(&bytes).unwrap();
        walk(ip.next_header(), ip.payload()).map(|chain| (chain.protocol, chain.len))
    }

    #[test]
    fn every_kind_is_passed_by_its_length() {
        let routing_2: &[u8] =
            &[2, 1, 0, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        for (extensions, len) in [
            (&[][..], 0),
            (&[(HOP_BY_HOP, PADDING)], 8),
            (&[(DESTINATION_OPTIONS, &[1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])], 16),
            (&[(ROUTING, routing_2)], 24),
            (&[(FRAGMENT, &[0; 6])], 8),
            (&[(AUTHENTICATION, &[0; 22])], 24),
            (&[(MOBILITY, PADDING)], 8),
            (&[(HIP, PADDING)], 8),
            (&[(SHIM6, PADDING)], 8),
            (
                &[
                    (HOP_BY_HOP, PADDING),
                    (DESTINATION_OPTIONS, PADDING),
                    (AUTHENTICATION, &[0; 14]),
                ],
                32,
            ),
        ] {
            assert_eq!(walked(extensions), Ok((UDP, len)), "{extensions:?}");
        }
    }

    #[test]
    fn eight_headers_are_followed_and_nine_are_not() {
        let headers = [(DESTINATION_OPTIONS, PADDING); 9];
        assert_eq!(walked(&headers[..8]), Ok((UDP, 64)));
        assert_eq!(walked(&headers), Err(Unparsable::ExtensionHeaders));
    }

    #[test]
    fn two_hundred_and_fifty_six_bytes_are_followed_and_more_are_not() {
        let [body_256, body_264] = [[0; 262]; 2];
        assert_eq!(walked(&[(DESTINATION_OPTIONS, &body_256[..254])]), Ok((UDP, 256)));
        let more = walked(&[(DESTINATION_OPTIONS, &body_264)]);
        assert_eq!(more, Err(Unparsable::ExtensionHeaders));
        let in_two = walked(&[(DESTINATION_OPTIONS, &body_256[..254]), (HIP, PADDING)]);
        assert_eq!(in_two, Err(Unparsable::ExtensionHeaders));
    }

    #[test]
    fn routing_header_0_is_refused_and_others_are_not() {
        for (kind, segments_left) in [(0, 0), (0, 1)] {
            let body = [kind, segments_left, 0, 0, 0, 0];
            assert_eq!(walked(&[(ROUTING, &body)]), Err(Unparsable::RoutingHeader0));
        }
        assert_eq!(walked(&[(ROUTING, &[4, 0, 0, 0, 0, 0])]), Ok((UDP, 8)));
    }

    #[test]
    fn hop_by_hop_options_come_first_and_one_fragment_header_at_most() {
        let late = walked(&[(DESTINATION_OPTIONS, PADDING), (HOP_BY_HOP, PADDING)]);
        assert_eq!(late, Err(Unparsable::Malformed));
        let twice = walked(&[(FRAGMENT, &[0; 6]), (FRAGMENT, &[0; 6])]);
        assert_eq!(twice, Err(Unparsable::Malformed));
    }

    #[test]
    fn an_authentication_header_that_ends_between_two_places_is_malformed() {
        for (words, expected) in [(1, Err(Unparsable::Malformed)), (2, Ok(16))] {
            let bytes = [&[UDP, words, 0, 0][..], &[0; 20]].concat();
            let len = walk(AUTHENTICATION, &bytes).map(|chain| chain.len);
            assert_eq!(len, expected);
        }
    }

    #[test]
    fn a_later_fragment_is_not_looked_into() {
        // What would be the header's type and length is data here.
        let bytes = [&[DESTINATION_OPTIONS, 0, 0, 0x10 | 1, 0, 0, 0, 7][..], &[0xff; 8]].concat();
        let chain = walk(FRAGMENT, &bytes).unwrap();
        let fragment = Some(Fragment { id: 7, offset: 16, more: true });
        assert_eq!(chain, Chain { protocol: DESTINATION_OPTIONS, len: 8, fragment });
    }

    #[test]
    fn a_chain_cut_short_is_malformed_and_in_a_first_fragment_without_ports() {
        let whole =
            [[DESTINATION_OPTIONS, 0, 0, 0, 0, 0, 0, 7], [UDP, 0, 1, 4, 0, 0, 0, 0]].concat();
        let mut first = whole.clone();
        first[3] = 1; // more fragments
        assert_eq!(walk(FRAGMENT, &whole).map(|chain| chain.fragment), Ok(None));
        assert!(walk(FRAGMENT, &first).is_ok_and(|chain| chain.fragment.is_some()));
        for len in 0..8 {
            assert_eq!(walk(FRAGMENT, &first[..len]), Err(Unparsable::Malformed), "{len}");
        }
        for len in 8..16 {
            assert_eq!(walk(FRAGMENT, &whole[..len]), Err(Unparsable::Malformed), "{len}");
            assert_eq!(walk(FRAGMENT, &first[..len]), Err(Unparsable::NoPorts), "{len}");
        }
        let mut long = whole;
        long[9] = 1; // the second header claims 16 bytes
        assert_eq!(walk(FRAGMENT, &long), Err(Unparsable::Malformed));
    }
}

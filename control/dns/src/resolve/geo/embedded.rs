//! IPv4 addresses inside of IPv6 ones: whoever has such a one is where the inner one is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where they are: the first bits of the outer address, how many, and at which bit the inner one begins.
const KINDS: [(u128, u8, u8); 6] = [
    // IPv4-compatible (RFC 4291 section 2.5.5.1, deprecated): where databases keep IPv4.
    (0, 96, 96),
    // IPv4-mapped (section 2.5.5.2).
    (0xffff << 32, 96, 96),
    // Stateless translation (RFC 2765, obsolete).
    (0xffff << 48, 96, 96),
    // The well-known prefix of translators (RFC 6052).
    (0x0064_ff9b << 96, 96, 96),
    // Teredo, inverted (RFC 4380).
    (0x2001_0000 << 96, 32, 96),
    // 6to4 (RFC 3056).
    (0x2002 << 112, 16, 16),
];
/// The one of these that is inverted.
const TEREDO: u128 = 0x2001_0000 << 96;

/// The outer prefixes.
pub(super) fn prefixes() -> impl Iterator<Item = (Ipv6Addr, u8)> {
    KINDS.into_iter().map(|(prefix, length, _)| (Ipv6Addr::from_bits(prefix), length))
}

/// The address that counts, and how many bits of the whole one are before it.
pub(super) fn inner(address: IpAddr) -> (IpAddr, u8) {
    let IpAddr::V6(outer) = address else { return (address, 0) };
    let bits = outer.to_bits();
    let kind = KINDS.into_iter().find(|(prefix, length, _)| (bits ^ prefix) >> (128 - length) == 0);
    let Some((prefix, _, begin)) = kind else { return (address, 0) };
    let inner = (bits >> (96 - begin)) as u32;
    let inner = if prefix == TEREDO { !inner } else { inner };
    (Ipv4Addr::from_bits(inner).into(), begin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inner_address_counts() {
        let inner_v4 = IpAddr::from([192, 0, 2, 77]);
        for (address, begin) in [
            ("192.0.2.77", 0),
            ("::192.0.2.77", 96),
            ("::ffff:192.0.2.77", 96),
            ("::ffff:0:192.0.2.77", 96),
            ("64:ff9b::192.0.2.77", 96),
            ("2001:0:4136:e378:8000:63bf:3fff:fdb2", 96),
            ("2002:c000:024d:1::7", 16),
        ] {
            assert_eq!(inner(address.parse().unwrap()), (inner_v4, begin), "{address}");
        }
        for native in ["2001:db8::1", "2003::1", "64:ff9b:1::1", "::1:0:0", "fe80::1"] {
            let native = native.parse().unwrap();
            assert_eq!(inner(native), (native, 0));
        }
    }
}

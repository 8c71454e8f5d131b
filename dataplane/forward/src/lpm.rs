//! Longest-prefix match: what the longest prefix that contains an address says of it.

use std::fmt;
use std::net::IpAddr;

use api::Prefix;

/// Values by prefix, of both families. Built once, then only read.
///
/// Kept as the ranges of addresses between which the answer changes, in order, so that a lookup is
/// one binary search: a few nanoseconds for some tens of prefixes, and no slower for an attacker's
/// addresses than for others. Two ranges a prefix at most; 8 bytes each for IPv4 with small values.
#[derive(Clone)]
pub struct Lpm<V> {
    v4: Ranges<u32, V>,
    v6: Ranges<u128, V>,
}

/// Where each range of addresses begins, the first at 0, and its value.
#[derive(Clone)]
struct Ranges<A, V> {
    starts: Box<[A]>,
    values: Box<[Option<V>]>,
}

impl<V: Copy> Lpm<V> {
    /// The match for these prefixes. Of equal ones the last counts.
    pub fn new(prefixes: impl IntoIterator<Item = (Prefix, V)>) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (prefix, value) in prefixes {
            match prefix.address() {
                IpAddr::V4(first) => {
                    let host = u32::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
                    let first = first.to_bits();
                    v4.push((first, first | host, value));
                }
                IpAddr::V6(first) => {
                    let host = u128::MAX.checked_shr(prefix.length().into()).unwrap_or(0);
                    let first = first.to_bits();
                    v6.push((first, first | host, value));
                }
            }
        }
        Self {
            v4: Ranges::new(v4, 0, |address: u32| address.checked_add(1)),
            v6: Ranges::new(v6, 0, |address: u128| address.checked_add(1)),
        }
    }

    /// What the longest prefix that contains `address` says of it.
    #[inline]
    pub fn lookup(&self, address: IpAddr) -> Option<V> {
        match address {
            IpAddr::V4(v4) => self.lookup4(v4.to_bits()),
            IpAddr::V6(v6) => self.lookup6(v6.to_bits()),
        }
    }

    /// The same of an IPv4 address as a number.
    #[inline]
    pub fn lookup4(&self, address: u32) -> Option<V> {
        self.v4.lookup(address)
    }

    /// The same of an IPv6 address as a number.
    #[inline]
    pub fn lookup6(&self, address: u128) -> Option<V> {
        self.v6.lookup(address)
    }
}

impl<A: Ord + Copy, V: Copy> Ranges<A, V> {
    /// The ranges of prefixes with their first and last addresses. They nest or are apart.
    fn new(mut prefixes: Vec<(A, A, V)>, zero: A, after: impl Fn(A) -> Option<A>) -> Self {
        // A shorter prefix comes before those in it. The sort is stable: of equals the last counts.
        prefixes.sort_by_key(|&(first, last, _)| (first, std::cmp::Reverse(last)));
        let mut ranges = vec![(zero, None)];
        // The prefixes that contain the address reached, shortest first.
        let mut around: Vec<(A, V)> = Vec::new();
        for (first, last, value) in prefixes {
            while let Some((end, _)) = around.pop_if(|(end, _)| *end < first) {
                begin(&mut ranges, after(end), &around);
            }
            around.push((last, value));
            begin(&mut ranges, Some(first), &around);
        }
        while let Some((end, _)) = around.pop() {
            begin(&mut ranges, after(end), &around);
        }
        let (starts, values): (Vec<_>, Vec<_>) = ranges.into_iter().unzip();
        Self { starts: starts.into(), values: values.into() }
    }

    #[inline]
    fn lookup(&self, address: A) -> Option<V> {
        let after = self.starts.partition_point(|start| *start <= address);
        *self.values.get(after.checked_sub(1)?)?
    }
}

/// Begins a range at `start`, unless that is behind the last address, with the innermost value.
fn begin<A: Ord, V: Copy>(ranges: &mut Vec<(A, Option<V>)>, start: Option<A>, around: &[(A, V)]) {
    let Some(start) = start else {
        return;
    };
    ranges.pop_if(|(begun, _)| *begun == start);
    ranges.push((start, around.last().map(|(_, value)| *value)));
}

impl<V: Copy> Default for Lpm<V> {
    fn default() -> Self {
        Self::new([])
    }
}

impl<V> fmt::Debug for Lpm<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lpm({} + {} ranges)", self.v4.starts.len(), self.v6.starts.len())
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn lpm(prefixes: &[&str]) -> Lpm<usize> {
        Lpm::new(prefixes.iter().enumerate().map(|(i, prefix)| (prefix.parse().unwrap(), i)))
    }

    #[test]
    fn the_longest_prefix_counts() {
        let lpm = lpm(&[
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.1.0.0/16",
            "10.1.2.3",
            "10.1.2.0/24",
            "255.255.255.255",
            "2001:db8::/32",
        ]);
        for (address, expected) in [
            ("0.0.0.0", Some(0)),
            ("9.255.255.255", Some(0)),
            ("10.0.0.0", Some(1)),
            ("10.1.0.0", Some(2)),
            ("10.1.2.2", Some(4)),
            ("10.1.2.3", Some(3)),
            ("10.1.2.4", Some(4)),
            ("10.1.3.0", Some(2)),
            ("10.2.0.0", Some(1)),
            ("11.0.0.0", Some(0)),
            ("255.255.255.254", Some(0)),
            ("255.255.255.255", Some(5)),
            ("2001:db8::", Some(6)),
            ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Some(6)),
            ("2001:db9::", None),
            ("::", None),
            ("::ffff:10.1.2.3", None),
        ] {
            assert_eq!(lpm.lookup(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn without_prefixes_there_is_no_match() {
        let lpm = Lpm::<()>::default();
        assert_eq!(lpm.lookup4(0), None);
        assert_eq!(lpm.lookup6(u128::MAX), None);
    }

    #[test]
    fn a_default_route_matches_every_address_of_its_family() {
        let lpm = lpm(&["::/0"]);
        assert_eq!(lpm.lookup6(0), Some(0));
        assert_eq!(lpm.lookup6(u128::MAX), Some(0));
        assert_eq!(lpm.lookup4(u32::MAX), None);
    }

    /// Few distinct addresses, so that prefixes nest, touch and repeat.
    fn address() -> impl Strategy<Value = IpAddr> {
        let byte = || prop_oneof![Just(0_u8), Just(255), 0..4_u8, any::<u8>()];
        prop_oneof![
            [byte(), byte(), byte(), byte()].prop_map(|b| Ipv4Addr::from(b).into()),
            (byte(), byte(), byte()).prop_map(|(a, b, c)| {
                Ipv6Addr::from([a, b, a, b, c, b, a, c, a, b, a, b, c, b, a, c]).into()
            }),
        ]
    }

    fn prefix() -> impl Strategy<Value = Prefix> {
        (address(), 0..=128_u8).prop_map(|(address, length)| {
            Prefix::new(address, if address.is_ipv4() { length % 33 } else { length }).unwrap()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn it_agrees_with_a_look_at_every_prefix(
            prefixes in vec(prefix(), 0..40),
            addresses in vec(address(), 20),
        ) {
            let lpm = Lpm::new(prefixes.iter().copied().zip(0..));
            let edges = prefixes.iter().map(|prefix| prefix.address());
            for address in addresses.into_iter().chain(edges) {
                let longest = prefixes.iter().zip(0..).filter(|(p, _)| p.contains(address));
                let longest = longest.max_by_key(|(p, _)| p.length()).map(|(_, i)| i);
                prop_assert_eq!(lpm.lookup(address), longest, "{}", address);
            }
        }
    }
}

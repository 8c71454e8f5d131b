//! Networks, and whatever is said of them: the longest that an address is in counts.

use std::net::IpAddr;

use super::embedded;

/// A tree of bits (a trie) of each family.
#[derive(Clone, Debug)]
pub(super) struct Nets<T> {
    /// The first two are the roots: IPv4, IPv6.
    nodes: Vec<Node<T>>,
}

#[derive(Clone, Debug)]
struct Node<T> {
    /// The nodes of the next bit: 0, 1. No node leads to a root: 0 is none.
    next: [u32; 2],
    said: Option<T>,
}

/// Why a network cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is there.
    Twice,
    /// IPv4 inside of IPv6: looked up as IPv4.
    Embedded,
}

impl<T: Copy> Nets<T> {
    /// None. What is said of IPv4 inside of IPv6 is nothing that a network around it could be told.
    pub(super) fn new() -> Self {
        let root = Node { next: [0; 2], said: None };
        let mut nets = Self { nodes: vec![root.clone(), root] };
        for (prefix, length) in embedded::prefixes() {
            nets.node(prefix.into(), length);
        }
        nets
    }

    /// Says something of a network.
    pub(super) fn add(&mut self, address: IpAddr, length: u8, said: T) -> Result<(), Refused> {
        let (address, length) = match embedded::inner(address) {
            // Networks of IPv4-compatible addresses are those of IPv4.
            (inner, before) if before > 0 && length >= before => match address {
                IpAddr::V6(outer) if outer.segments()[..6] == [0; 6] => (inner, length - before),
                _ => return Err(Refused::Embedded),
            },
            _ => (address, length),
        };
        let node = self.node(address, length);
        let place = &mut self.nodes[node].said;
        if place.is_some() {
            return Err(Refused::Twice);
        }
        *place = Some(said);
        Ok(())
    }

    /// What is said of the longest network that an address is in, and how many of its bits that goes by: an address
    /// that differs in those alone may be in a longer one.
    pub(super) fn find(&self, address: IpAddr) -> (Option<T>, u8) {
        let (mut node, bits) = start(address);
        let (mut said, mut depth) = (None, 0);
        loop {
            let Node { next, said: here } = &self.nodes[node];
            said = here.or(said);
            if *next == [0; 2] {
                return (said, depth);
            }
            let following = next[bit(bits, depth)];
            depth += 1;
            if following == 0 {
                return (said, depth);
            }
            node = following as usize;
        }
    }

    /// The node of a network, and all on the way there.
    fn node(&mut self, address: IpAddr, length: u8) -> usize {
        let (mut node, bits) = start(address);
        for depth in 0..length {
            let bit = bit(bits, depth);
            node = match self.nodes[node].next[bit] {
                0 => {
                    self.nodes.push(Node { next: [0; 2], said: None });
                    let new = self.nodes.len() - 1;
                    self.nodes[node].next[bit] = new as u32;
                    new
                }
                next => next as usize,
            };
        }
        node
    }
}

/// The root of an address's family, and its bits, from the highest on.
fn start(address: IpAddr) -> (usize, u128) {
    match address {
        IpAddr::V4(address) => (0, u128::from(address.to_bits()) << 96),
        IpAddr::V6(address) => (1, address.to_bits()),
    }
}

fn bit(bits: u128, at: u8) -> usize {
    (bits >> (127 - at) & 1) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(all: &[(&str, u8)]) -> Nets<usize> {
        let mut nets = Nets::new();
        for (number, (address, length)) in all.iter().enumerate() {
            nets.add(address.parse().unwrap(), *length, number).unwrap();
        }
        nets
    }

    fn find(nets: &Nets<usize>, address: &str) -> (Option<usize>, u8) {
        nets.find(address.parse().unwrap())
    }

    #[test]
    fn the_longest_network_counts_up_to_where_a_longer_one_begins() {
        let nets = nets(&[("10.0.0.0", 8), ("10.1.0.0", 16), ("10.1.2.3", 32), ("2001:db8::", 32)]);
        for (address, expected) in [
            ("10.1.2.3", (Some(2), 32)),
            ("10.1.2.2", (Some(1), 32)),
            ("10.1.2.4", (Some(1), 30)),
            ("10.1.255.0", (Some(1), 17)),
            // 10.0.0.0/16 is as good as it gets: with one bit less 10.1.2.3 would be in it.
            ("10.0.0.1", (Some(0), 16)),
            ("10.2.0.1", (Some(0), 15)),
            ("10.128.0.1", (Some(0), 9)),
            ("11.0.0.1", (None, 8)),
            ("192.0.2.1", (None, 1)),
            ("2001:db8:1::", (Some(3), 32)),
            ("2001:db9::", (None, 32)),
            ("8000::", (None, 1)),
        ] {
            assert_eq!(find(&nets, address), expected, "{address}");
        }
    }

    #[test]
    fn without_networks_one_answer_is_for_all_of_a_family_but_for_ipv4_inside() {
        let none = nets(&[]);
        assert_eq!(find(&none, "192.0.2.1"), (None, 0));
        // 2000::/16 would have 2001:0000::/32 beside it.
        assert_eq!(find(&none, "2a00::1"), (None, 5));
        assert_eq!(find(&none, "2001:db8::1"), (None, 21));
        assert_eq!(find(&none, "fe80::1"), (None, 1));
        let whole = nets(&[("0.0.0.0", 0), ("::", 0)]);
        assert_eq!(find(&whole, "192.0.2.1"), (Some(0), 0));
        assert_eq!(find(&whole, "fe80::1"), (Some(1), 1));
    }

    #[test]
    fn a_network_is_said_once_and_ipv4_inside_of_ipv6_as_ipv4() {
        let mut nets = nets(&[("192.0.2.0", 24), ("::198.51.100.0", 120)]);
        assert_eq!(find(&nets, "198.51.100.7"), (Some(1), 24));
        let mut add = |address: &str, length| nets.add(address.parse().unwrap(), length, 7);
        assert_eq!(add("192.0.2.0", 24), Err(Refused::Twice));
        assert_eq!(add("::192.0.2.0", 120), Err(Refused::Twice));
        for (address, length) in [
            ("::ffff:192.0.2.0", 120),
            ("::ffff:0:192.0.2.0", 96),
            ("64:ff9b::", 96),
            ("2002:c000:200::", 40),
            ("2001::", 128),
        ] {
            assert_eq!(add(address, length), Err(Refused::Embedded), "{address}");
        }
        // What is around it is not in it.
        assert_eq!(add("2002::", 15), Ok(()));
        assert_eq!(add("2001::", 32), Ok(()));
    }
}

//! For whom a question is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::answer::Question;

/// Bits of an address that are the client's network's: what resolvers tell of their clients at most (RFC 7871
/// section 11.1).
const V4: u8 = 24;
const V6: u8 = 56;

/// A client's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// Its address, the rest of which is 0.
    pub(super) address: IpAddr,
    /// Its length in bits.
    pub(super) length: u8,
    /// The asker told it, and has not asked for itself.
    pub(super) is_told: bool,
}

impl Network {
    /// The one that a question is for: as it was told, or the asker's own.
    pub(super) fn of(question: &Question) -> Self {
        let (address, length, is_told) = match question.told {
            Some(told) => (told.address, told.length, true),
            None => (question.asker.to_canonical(), u8::MAX, false),
        };
        let length = length.min(if address.is_ipv4() { V4 } else { V6 });
        Self { address: masked(address, length), length, is_told }
    }

    /// How much of what was told it is: what is answered holds for all of that.
    pub(super) fn scope(&self) -> u8 {
        if self.is_told { self.length } else { 0 }
    }
}

/// The first bits of an address.
pub(super) fn masked(address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let rest = u32::MAX.checked_shr(length.into()).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & !rest).into()
        }
        IpAddr::V6(address) => {
            let rest = u128::MAX.checked_shr(length.into()).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & !rest).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Subnet;

    #[test]
    fn a_client_is_as_coarse_as_resolvers_tell() {
        let table = [
            ("192.0.2.77", None, "192.0.2.0", 24, 0),
            ("::ffff:192.0.2.77", None, "192.0.2.0", 24, 0),
            ("2001:db8:1:23ff::7", None, "2001:db8:1:2300::", 56, 0),
            ("192.0.2.77", Some(("198.51.100.0", 24)), "198.51.100.0", 24, 24),
            ("192.0.2.77", Some(("198.51.100.77", 32)), "198.51.100.0", 24, 24),
            ("192.0.2.77", Some(("198.48.0.0", 12)), "198.48.0.0", 12, 12),
            ("192.0.2.77", Some(("2001:db8:1:23ff::7", 128)), "2001:db8:1:2300::", 56, 56),
            ("2001:db8::1", Some(("192.0.2.0", 24)), "192.0.2.0", 24, 24),
        ];
        for (asker, told, address, length, scope) in table {
            let subnet = |(address, length): (&str, u8)| Subnet {
                address: address.parse().unwrap(),
                length,
            };
            let asker = asker.parse().unwrap();
            let question = Question { asker, told: told.map(subnet), turn: 0 };
            let network = Network::of(&question);
            let expected =
                Network { address: address.parse().unwrap(), length, is_told: told.is_some() };
            assert_eq!((network, network.scope()), (expected, scope), "{asker} {told:?}");
        }
    }
}

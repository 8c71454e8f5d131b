use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// An address prefix, `198.51.100.0/24`; a bare address is one of full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Prefix {
    address: IpAddr,
    length: u8,
}

/// The text is not an address prefix.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum BadPrefix {
    /// The part before the slash is not an address, or the one behind it not a number.
    #[error("`{0}` is not an address or ADDRESS/LENGTH")]
    Malformed(String),
    /// Longer than an address of the family.
    #[error("`{0}`: the length of a prefix is at most {1}")]
    TooLong(String, u8),
    /// Bits are set behind the prefix.
    #[error("`{0}` has bits behind its length: write {1}")]
    HostBits(String, Prefix),
}

impl Prefix {
    /// The prefix of `length` bits of `address`; its other bits are cleared. `None` if too long.
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(v4) => {
                let host = 32_u32.checked_sub(length.into())?;
                let mask = u32::MAX.checked_shl(host).unwrap_or(0);
                IpAddr::from(Ipv4Addr::from_bits(v4.to_bits() & mask))
            }
            IpAddr::V6(v6) => {
                let host = 128_u32.checked_sub(length.into())?;
                let mask = u128::MAX.checked_shl(host).unwrap_or(0);
                IpAddr::from(Ipv6Addr::from_bits(v6.to_bits() & mask))
            }
        };
        Some(Self { address, length })
    }

    /// First address.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Number of bits that are fixed.
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether it is one address.
    pub fn is_host(&self) -> bool {
        self.length == if self.address.is_ipv4() { 32 } else { 128 }
    }

    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && Self::new(address, self.length).is_some_and(|p| p.address == self.address)
    }

    /// Whether some address lies in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Self { address, length: if address.is_ipv4() { 32 } else { 128 } }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() {
            self.address.fmt(f)
        } else {
            write!(f, "{}/{}", self.address, self.length)
        }
    }
}

impl FromStr for Prefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        let malformed = || BadPrefix::Malformed(text.into());
        let Some((address, length)) = text.split_once('/') else {
            return text.parse().map(|a: IpAddr| a.into()).map_err(|_| malformed());
        };
        let address: IpAddr = address.parse().map_err(|_| malformed())?;
        let length: u8 = length.parse().map_err(|_| malformed())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix =
            Self::new(address, length).ok_or_else(|| BadPrefix::TooLong(text.into(), most))?;
        if prefix.address != address {
            return Err(BadPrefix::HostBits(text.into(), prefix));
        }
        Ok(prefix)
    }
}

impl Serialize for Prefix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Prefix {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_know_what_they_contain() {
        assert!(prefix("198.51.100.0/24").contains("198.51.100.255".parse().unwrap()));
        assert!(!prefix("198.51.100.0/24").contains("198.51.101.0".parse().unwrap()));
        assert!(prefix("0.0.0.0/0").contains("203.0.113.1".parse().unwrap()));
        assert!(!prefix("0.0.0.0/0").contains("::1".parse().unwrap()));
        assert!(prefix("::/0").contains("2001:db8::1".parse().unwrap()));
        assert!(prefix("2001:db8::1").is_host());
        assert!(prefix("10.0.0.0/8").overlaps(&prefix("10.1.0.0/16")));
        assert!(prefix("10.1.0.0/16").overlaps(&prefix("10.0.0.0/8")));
        assert!(!prefix("10.1.0.0/16").overlaps(&prefix("10.2.0.0/16")));
    }

    #[test]
    fn what_is_written_wrong_is_told() {
        let error = |text: &str| text.parse::<Prefix>().unwrap_err().to_string();
        assert_eq!(error("x"), "`x` is not an address or ADDRESS/LENGTH");
        assert_eq!(error("10.0.0.0/33"), "`10.0.0.0/33`: the length of a prefix is at most 32");
        assert_eq!(
            error("10.0.0.1/8"),
            "`10.0.0.1/8` has bits behind its length: write 10.0.0.0/8"
        );
    }
}

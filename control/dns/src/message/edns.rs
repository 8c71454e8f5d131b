//! What is said beyond RFC 1035, in an OPT record (RFC 6891).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::name;
use crate::rtype::Rtype;

const NSID: u16 = 3;
const SUBNET: u16 = 8;
const COOKIE: u16 = 10;
/// "DNSSEC OK", of the flags.
const DO: u8 = 0x80;

/// What a question's OPT record says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edns<'q> {
    /// Bytes that the asker takes by UDP.
    pub size: u16,
    /// 0 is the only one that there is.
    pub version: u8,
    /// Signatures are wanted.
    pub wants_signatures: bool,
    /// Who answers is to be told (RFC 5001).
    pub wants_nsid: bool,
    /// Who asks (RFC 7873); nothing if there is none.
    pub cookie: Option<Cookie<'q>>,
    /// For whom (RFC 7871).
    pub subnet: Option<Subnet>,
    /// An option is none.
    pub is_malformed: bool,
}

/// A cookie (RFC 7873 section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie<'q> {
    /// The asker's part.
    pub client: [u8; 8],
    /// What we gave it before; empty if that was nothing.
    pub server: &'q [u8],
}

/// A part of the network for which somebody else asks (RFC 7871 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// Its address, the rest of which is 0.
    pub address: IpAddr,
    /// Its length in bits. 0: nobody is to be told.
    pub length: u8,
}

impl<'q> Edns<'q> {
    /// Reads a record of the additional section: what it says, if it is OPT, and what follows it. Nothing if it
    /// is no record.
    pub(super) fn read(bytes: &'q [u8]) -> Option<(Option<Self>, &'q [u8])> {
        let owner = owner_length(bytes)?;
        let (fixed, rest) = bytes[owner..].split_first_chunk::<10>()?;
        let &[t0, t1, s0, s1, _, version, flags, _, l0, l1] = fixed;
        let (data, rest) = rest.split_at_checked(u16::from_be_bytes([l0, l1]).into())?;
        if Rtype(u16::from_be_bytes([t0, t1])) != Rtype::OPT {
            return Some((None, rest));
        }
        // The root's name.
        if owner != 1 {
            return None;
        }
        let mut edns = Self {
            size: u16::from_be_bytes([s0, s1]),
            version,
            wants_signatures: flags & DO != 0,
            ..Self::default()
        };
        edns.is_malformed = edns.options(data).is_none();
        Some((Some(edns), rest))
    }

    fn options(&mut self, mut data: &'q [u8]) -> Option<()> {
        while !data.is_empty() {
            let (&[c0, c1, l0, l1], rest) = data.split_first_chunk()?;
            let (value, rest) = rest.split_at_checked(u16::from_be_bytes([l0, l1]).into())?;
            match u16::from_be_bytes([c0, c1]) {
                NSID => self.wants_nsid = true,
                COOKIE if self.cookie.is_none() => self.cookie = Some(Cookie::read(value)?),
                // Nobody in particular, of no family that there is: it is as if nothing were said.
                SUBNET if matches!(value, [_, f1, 0, 0] if !matches!(f1, 1 | 2)) => {}
                SUBNET if self.subnet.is_none() => self.subnet = Some(Subnet::read(value)?),
                _ => {}
            }
            data = rest;
        }
        Some(())
    }
}

/// Bytes of a record's owner, which may end in a pointer.
fn owner_length(bytes: &[u8]) -> Option<usize> {
    if let Some(length) = name::length(bytes) {
        return Some(length);
    }
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            0xc0.. => return bytes.get(at + 1).map(|_| at + 2),
            label @ 1..=63 => at += 1 + usize::from(label),
            _ => return None,
        }
    }
}

impl<'q> Cookie<'q> {
    /// RFC 7873 section 5.2.2: 8 bytes, or 16 to 40.
    fn read(value: &'q [u8]) -> Option<Self> {
        let (&client, server) = value.split_first_chunk()?;
        matches!(server.len(), 0 | 8..=32).then_some(Self { client, server })
    }
}

impl Subnet {
    /// RFC 7871 section 7.1.2: no more address than the length says, and nothing behind it.
    fn read(value: &[u8]) -> Option<Self> {
        let (&[f0, f1, length, scope], bytes) = value.split_first_chunk()?;
        let mut all = [0; 16];
        all.get_mut(..bytes.len())?.copy_from_slice(bytes);
        let (address, bits) = match u16::from_be_bytes([f0, f1]) {
            1 => (IpAddr::V4(Ipv4Addr::from(*all.first_chunk::<4>()?)), 32),
            2 => (IpAddr::V6(Ipv6Addr::from(all)), 128),
            // Others may be told from their length alone; nobody sends them.
            _ => return None,
        };
        let is_whole = bytes.len() == usize::from(length).div_ceil(8);
        let beyond = u128::MAX.checked_shr(length.into()).unwrap_or(0);
        let has_rest = u128::from_be_bytes(all) & beyond != 0;
        let is_subnet = scope == 0 && length <= bits && is_whole && !has_rest;
        is_subnet.then_some(Self { address, length })
    }

    /// The option as it goes back: how much of the address the answer is for.
    pub(super) fn write(&self, scope: u8, to: &mut Vec<u8>) {
        let (family, all) = match self.address {
            IpAddr::V4(address) => (1_u16, address.octets().to_vec()),
            IpAddr::V6(address) => (2, address.octets().to_vec()),
        };
        let bytes = usize::from(self.length).div_ceil(8);
        option(SUBNET, 4 + bytes, to);
        to.extend_from_slice(&family.to_be_bytes());
        to.extend_from_slice(&[self.length, scope]);
        to.extend_from_slice(&all[..bytes]);
    }
}

/// An option's head.
fn option(code: u16, length: usize, to: &mut Vec<u8>) {
    to.extend_from_slice(&code.to_be_bytes());
    to.extend_from_slice(&(length as u16).to_be_bytes());
}

/// What a reply's OPT record says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said<'a> {
    /// Bytes that we take by UDP.
    pub(crate) size: u16,
    pub(crate) wants_signatures: bool,
    /// Who answers.
    pub(crate) nsid: Option<&'a [u8]>,
    /// The asker's part and ours.
    pub(crate) cookie: Option<[u8; 24]>,
    /// For whom, and how much of that the answer goes by.
    pub(crate) subnet: Option<(Subnet, u8)>,
}

impl Said<'_> {
    /// The record; `rcode` is what the header has no room for.
    pub(super) fn write(&self, rcode: u8, to: &mut Vec<u8>) {
        to.push(0);
        to.extend_from_slice(&Rtype::OPT.0.to_be_bytes());
        to.extend_from_slice(&self.size.to_be_bytes());
        to.extend_from_slice(&[rcode, 0, if self.wants_signatures { DO } else { 0 }, 0, 0, 0]);
        let begin = to.len();
        if let Some(nsid) = self.nsid {
            option(NSID, nsid.len(), to);
            to.extend_from_slice(nsid);
        }
        if let Some(cookie) = &self.cookie {
            option(COOKIE, cookie.len(), to);
            to.extend_from_slice(cookie);
        }
        if let Some((subnet, scope)) = &self.subnet {
            subnet.write(*scope, to);
        }
        let length = (to.len() - begin) as u16;
        to[begin - 2..begin].copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opt(options: &[u8]) -> Vec<u8> {
        let length = (options.len() as u16).to_be_bytes();
        [&[0, 0, 41, 4, 208, 0, 0, 0x80, 0][..], &length, options].concat()
    }

    fn read(options: &[u8]) -> Edns<'static> {
        let bytes = opt(options).leak();
        let (edns, rest) = Edns::read(bytes).unwrap();
        assert!(rest.is_empty());
        edns.unwrap()
    }

    #[test]
    fn options_are_read_and_others_passed_over() {
        let cookie = [0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8];
        let subnet = [0, 8, 0, 7, 0, 1, 20, 0, 192, 0, 0x20];
        let edns = read(&[&[0, 3, 0, 0, 0, 99, 0, 2, 7, 7][..], &cookie, &subnet].concat());
        let expected = Edns {
            size: 1232,
            version: 0,
            wants_signatures: true,
            wants_nsid: true,
            cookie: Some(Cookie { client: [1, 2, 3, 4, 5, 6, 7, 8], server: &[] }),
            subnet: Some(Subnet { address: "192.0.32.0".parse().unwrap(), length: 20 }),
            is_malformed: false,
        };
        assert_eq!(edns, expected);
        let v6 = read(&[0, 8, 0, 8, 0, 2, 32, 0, 0x20, 1, 0xd, 0xb8]);
        let expected = Subnet { address: "2001:db8::".parse().unwrap(), length: 32 };
        assert_eq!(v6.subnet, Some(expected));
        let none = read(&[0, 8, 0, 4, 0, 1, 0, 0]);
        assert_eq!(none.subnet.map(|subnet| subnet.length), Some(0));
        let nobody = read(&[0, 8, 0, 4, 0, 0, 0, 0]);
        assert_eq!((nobody.subnet, nobody.is_malformed), (None, false));
    }

    #[test]
    fn options_that_are_none_are_told() {
        for options in [
            &[0, 10, 0, 7, 1, 2, 3, 4, 5, 6, 7][..],
            &[0, 10, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8, 9],
            &[0, 8, 0, 3, 0, 1, 20],
            &[0, 8, 0, 6, 0, 1, 20, 0, 192, 0],
            &[0, 8, 0, 7, 0, 1, 20, 1, 192, 0, 0x20],
            &[0, 8, 0, 7, 0, 1, 20, 0, 192, 0, 0x2f],
            &[0, 8, 0, 9, 0, 1, 33, 0, 192, 0, 2, 1, 0],
            &[0, 8, 0, 5, 0, 3, 8, 0, 1],
            &[0, 3, 0, 1],
            &[0],
        ] {
            assert!(read(options).is_malformed, "{options:?}");
        }
    }

    #[test]
    fn other_records_are_passed_over_and_what_is_none_is_told() {
        let other = [&b"\x01a\xc0\x0c"[..], &[0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 9], b"rest"].concat();
        let (edns, rest) = Edns::read(&other).unwrap();
        assert_eq!((edns, rest), (None, &b"rest"[..]));
        let mut named = opt(&[]);
        named.splice(0..1, *b"\x01a\0");
        for bytes in [&named[..], &opt(&[])[..10], &[0xc0], &[0x80, 0], &[]] {
            assert_eq!(Edns::read(bytes), None, "{bytes:?}");
        }
    }
}

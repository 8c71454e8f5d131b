//! Types of records.

use std::fmt;

/// A type, or one that only questions have (RFC 1035 section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rtype(pub u16);

/// Names of types, as the registry of IANA has them.
const NAMES: [(&str, Rtype); 27] = [
    ("A", Rtype::A),
    ("NS", Rtype::NS),
    ("CNAME", Rtype::CNAME),
    ("SOA", Rtype::SOA),
    ("PTR", Rtype::PTR),
    ("HINFO", Rtype::HINFO),
    ("MX", Rtype::MX),
    ("TXT", Rtype::TXT),
    ("AAAA", Rtype::AAAA),
    ("SRV", Rtype::SRV),
    ("NAPTR", Rtype::NAPTR),
    ("DNAME", Rtype::DNAME),
    ("OPT", Rtype::OPT),
    ("DS", Rtype::DS),
    ("SSHFP", Rtype(44)),
    ("RRSIG", Rtype(46)),
    ("NSEC", Rtype(47)),
    ("DNSKEY", Rtype(48)),
    ("TLSA", Rtype(52)),
    ("OPENPGPKEY", Rtype(61)),
    ("SVCB", Rtype::SVCB),
    ("HTTPS", Rtype::HTTPS),
    ("IXFR", Rtype(251)),
    ("AXFR", Rtype(252)),
    ("ANY", Rtype::ANY),
    ("CAA", Rtype::CAA),
    ("TSIG", Rtype(250)),
];

#[expect(missing_docs, reason = "these are the names")]
impl Rtype {
    pub const A: Self = Self(1);
    pub const NS: Self = Self(2);
    pub const CNAME: Self = Self(5);
    pub const SOA: Self = Self(6);
    pub const PTR: Self = Self(12);
    pub const HINFO: Self = Self(13);
    pub const MX: Self = Self(15);
    pub const TXT: Self = Self(16);
    pub const AAAA: Self = Self(28);
    pub const SRV: Self = Self(33);
    pub const NAPTR: Self = Self(35);
    pub const DNAME: Self = Self(39);
    pub const OPT: Self = Self(41);
    pub const DS: Self = Self(43);
    pub const SVCB: Self = Self(64);
    pub const HTTPS: Self = Self(65);
    pub const ANY: Self = Self(255);
    pub const CAA: Self = Self(257);
}

impl Rtype {
    /// By its name, or as `TYPE65534` (RFC 3597 section 5).
    pub fn parse(text: &[u8]) -> Option<Self> {
        let known = NAMES.iter().find(|(name, _)| name.as_bytes().eq_ignore_ascii_case(text));
        if let Some(&(_, known)) = known {
            return Some(known);
        }
        let (prefix, number) = text.split_at_checked(4)?;
        let number =
            std::str::from_utf8(number).ok().filter(|_| prefix.eq_ignore_ascii_case(b"TYPE"))?;
        number.parse().ok().map(Self)
    }

    /// Whether it is of questions and of messages, not of records in zones (RFC 6895 section 3.1).
    pub const fn is_meta(self) -> bool {
        matches!(self.0, 128..=255)
    }

    /// Whether it is of addresses.
    pub const fn is_address(self) -> bool {
        matches!(self, Self::A | Self::AAAA)
    }
}

impl fmt::Display for Rtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(_, rtype)| rtype == self) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "TYPE{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_they_are_written() {
        for (_, rtype) in NAMES.into_iter().chain([("", Rtype(65_534))]) {
            assert_eq!(Rtype::parse(rtype.to_string().as_bytes()), Some(rtype));
        }
        assert_eq!(Rtype::parse(b"type1"), Some(Rtype::A));
        for text in ["TYPE", "TYPE65536", "TYPE-1", "BOGUS", "", "TYP\u{e9}1"] {
            assert_eq!(Rtype::parse(text.as_bytes()), None, "{text}");
        }
    }
}

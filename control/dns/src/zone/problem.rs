//! What is wrong with a zone file, and where.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::name::{Name, NameError};
use crate::rtype::Rtype;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: Arc<PathBuf>,
    /// Its line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// Something that is wrong, or looks so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{place}: {why}")]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What.
    pub why: Why,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Why {
    /// `(` without `)`.
    #[error("a parenthesis is not closed")]
    Open,
    /// `)` without `(`.
    #[error("a parenthesis is closed that was not opened")]
    Closed,
    /// `"` without another.
    #[error("a quotation does not end")]
    Quote,
    /// `\` at the end of a line.
    #[error("`\\` at the end of a line means nothing")]
    Backslash,
    /// A file cannot be read.
    #[error("{0} cannot be read: {1}")]
    File(String, String),
    /// Files that include each other, or too many.
    #[error("files include each other more than {0} deep")]
    Deep(usize),
    /// A directive that is none.
    #[error("`{0}` is not known: directives are $TTL, $ORIGIN and $INCLUDE")]
    Directive(String),
    /// A directive with too few words, or too many.
    #[error("{0}")]
    Usage(&'static str),
    /// Something that is to be a name.
    #[error("`{0}` is no name: {1}")]
    Name(String, NameError),
    /// Something that is to be a time.
    #[error("`{0}` is no time: seconds up to 2147483647, or as 1h30m")]
    Ttl(String),
    /// Something that is to be the times of a dynamic record.
    #[error("`{0}` is no range of times: MAX or MAX/MIN, as 300/30")]
    Range(String),
    /// Files that include each other without end.
    #[error("more than {0} files are included")]
    Many(usize),
    /// DNAME.
    #[error(
        "DNAME is not served: names below it would have to be written one by one, as with gdnsd"
    )]
    Dname,
    /// NS at a wildcard.
    #[error("{0} is a wildcard: nothing can be delegated there (RFC 4592 section 4.2)")]
    WildcardNs(Name),
    /// Data as numbers.
    #[error("write the data of {0} as what they mean: \\# is for types that are not known here")]
    Generic(Rtype),
    /// There are too few words.
    #[error("it ends before its type")]
    NoType,
    /// A class that is not served.
    #[error("class {0} is not served: it is IN")]
    Class(String),
    /// A type that is not known.
    #[error(
        "the type `{0}` is not known: others are written as TYPE65534 \\# LENGTH HEX (RFC 3597)"
    )]
    Type(String),
    /// A type that is ours alone, or none of records.
    #[error("{0} is not for zone files")]
    Reserved(Rtype),
    /// What follows the type.
    #[error("this is no data of {0}: {1}")]
    Data(Rtype, String),
    /// What follows DYNA or DYNC.
    #[error("`{0}` names no resolver: PLUGIN!RESOURCE, or PLUGIN")]
    Reference(String),
    /// No such resolver.
    #[error("there is no resolver {0} in the site file")]
    NoResolver(String),
    /// Not of this zone.
    #[error("{0} is not within the zone {1}")]
    Outside(Name, Name),
    /// No SOA.
    #[error("the zone {0} has no SOA record")]
    NoSoa(Name),
    /// More than one, or elsewhere.
    #[error("a zone has one SOA record, at its apex")]
    Soa,
    /// No name servers.
    #[error("the zone {0} has no NS records at its apex")]
    NoNs(Name),
    /// CNAME beside others.
    #[error("{0} has a {1} record, and others beside it")]
    Beside(Name, &'static str),
    /// More than one of those of which there can be one.
    #[error("{0} has more than one {1} record")]
    Twice(Name, &'static str),
    /// DYNA beside addresses.
    #[error("{0} has addresses from a resolver and its own: they exclude each other")]
    Addresses(Name),
    /// DYNC at the apex.
    #[error("DYNC cannot stand at the apex")]
    DyncAtApex,
    /// Below a delegation.
    #[error("{0} is below the delegation {1}, where only addresses of its name servers may stand")]
    Occluded(Name, Name),
    /// A name server without an address.
    #[error("the name server {0} is within the zone, and has no A or AAAA record here")]
    NoGlue(Name),
    /// Records of a set live for different times.
    #[error("the {1} records of {0} have different TTLs: {2} s is taken")]
    Ttls(Name, Rtype, u32),
    /// The same record once more.
    #[error("{0} has this {1} record already")]
    Same(Name, Rtype),
    /// Too many records, or too much data.
    #[error("the {1} records of {0} do not fit into a message")]
    Large(Name, Rtype),
    /// The parser gave up.
    #[error("it cannot be read: it makes the parser panic")]
    Panic,
}

/// Text for a message.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! Messages: questions as they come, replies as they go (RFC 1035 section 4, RFC 6891).

mod edns;
mod query;
mod reply;

pub(crate) use self::edns::Said;
pub use self::edns::{Cookie, Edns, Subnet};
pub use self::query::{Query, QueryError};
pub use self::reply::{Reply, Section};

/// Bytes of a header.
pub const HEADER: usize = 12;

/// What became of a question (RFC 1035 section 4.1.1, RFC 6895 section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

#[expect(missing_docs, reason = "these are the names")]
impl Rcode {
    pub const NO_ERROR: Self = Self(0);
    pub const FORM_ERR: Self = Self(1);
    pub const SERV_FAIL: Self = Self(2);
    pub const NX_DOMAIN: Self = Self(3);
    pub const NOT_IMP: Self = Self(4);
    pub const REFUSED: Self = Self(5);
    pub const BAD_VERS: Self = Self(16);
}

/// The class of the Internet, and that of servers about themselves.
pub(crate) const IN: u16 = 1;
pub(crate) const CHAOS: u16 = 3;

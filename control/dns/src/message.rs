//! Messages: questions as they come, replies as they go (RFC 1035 section 4, RFC 6891).

mod edns;
mod query;
mod reply;
mod words;

pub(crate) use self::edns::Said;
pub use self::edns::{Cookie, Edns, Subnet};
pub use self::query::{Query, QueryError};
pub use self::reply::{Reply, Section};
pub use self::words::in_words;
use crate::name::Name;
use crate::rtype::Rtype;

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

/// A question about a name, as somebody would ask it; for whom, if that is said.
pub(crate) fn question(name: &Name, rtype: Rtype, subnet: Option<&Subnet>) -> Vec<u8> {
    let mut message = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(subnet.is_some())];
    message.extend_from_slice(name.wire());
    message.extend_from_slice(&rtype.0.to_be_bytes());
    message.extend_from_slice(&IN.to_be_bytes());
    if let Some(subnet) = subnet {
        let mut options = Vec::new();
        subnet.write(0, &mut options);
        message.push(0);
        message.extend_from_slice(&Rtype::OPT.0.to_be_bytes());
        message.extend_from_slice(&[0x04, 0xd0, 0, 0, 0, 0]);
        message.extend_from_slice(&(options.len() as u16).to_be_bytes());
        message.extend_from_slice(&options);
    }
    message
}

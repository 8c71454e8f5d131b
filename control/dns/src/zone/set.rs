//! Records of one name and type.

use crate::rtype::Rtype;

/// Records of one name and type, which live equally long (RFC 2181 section 5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RrSet {
    rtype: Rtype,
    count: u16,
    ttl: u32,
    /// Of each: its length in two bytes, and its data, as in a message.
    data: Vec<u8>,
}

impl RrSet {
    /// None yet.
    pub(super) fn new(rtype: Rtype, ttl: u32) -> Self {
        Self { rtype, count: 0, ttl, data: Vec::new() }
    }

    /// Adds a record; whether they still fit into a message.
    pub(super) fn push(&mut self, rdata: &[u8]) -> bool {
        let Ok(length) = u16::try_from(rdata.len()) else { return false };
        // As many as there are, each has a name of two bytes, a type, a class, a time and a length.
        let all = self.data.len() + rdata.len() + 12 * (usize::from(self.count) + 1);
        if all > usize::from(u16::MAX) - 512 {
            return false;
        }
        self.data.reserve_exact(2 + rdata.len());
        self.data.extend_from_slice(&length.to_be_bytes());
        self.data.extend_from_slice(rdata);
        self.count += 1;
        true
    }

    /// Their type.
    pub fn rtype(&self) -> Rtype {
        self.rtype
    }

    /// Seconds that they live.
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// Has them live no longer than that.
    pub(super) fn limit_ttl(&mut self, most: u32) {
        self.ttl = self.ttl.min(most);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count.into()
    }

    /// The data of each.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &*self.data;
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk()?;
            let (data, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
            rest = after;
            Some(data)
        })
    }
}

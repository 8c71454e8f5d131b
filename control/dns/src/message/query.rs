//! Questions as they come.

use thiserror::Error;

use super::edns::Edns;
use super::{HEADER, Rcode};
use crate::name::{self, LONGEST_NAME};
use crate::rtype::Rtype;

/// Where the flags are, and some of them (RFC 1035 section 4.1.1).
const FLAGS: usize = 2;
const QR: u8 = 0x80;
const OPCODE: u8 = 0x78;

/// A question that can be answered.
#[derive(Clone, Copy, Debug)]
pub struct Query<'q> {
    message: &'q [u8],
    /// The name in lower case.
    name: [u8; LONGEST_NAME],
    name_length: u8,
    rtype: Rtype,
    class: u16,
    edns: Option<Edns<'q>>,
}

/// Why there is nothing to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum QueryError {
    /// It gets no answer: it is one itself, or hardly anything. Answers to answers would go to and fro for ever.
    #[error("it is no question")]
    Drop,
    /// It gets this answer, to its header alone.
    #[error("it cannot be answered: {0:?}")]
    Refuse(Rcode),
}

impl<'q> Query<'q> {
    /// Reads a message.
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn parse(message: &'q [u8]) -> Result<Self, QueryError> {
        let header: &[u8; HEADER] = message.first_chunk().ok_or(QueryError::Drop)?;
        if header[FLAGS] & QR != 0 {
            return Err(QueryError::Drop);
        }
        if header[FLAGS] & OPCODE != 0 {
            return Err(QueryError::Refuse(Rcode::NOT_IMP));
        }
        let malformed = QueryError::Refuse(Rcode::FORM_ERR);
        let count = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let (questions, answers, authorities, additional) =
            (count(4), count(6), count(8), count(10));
        if (questions, answers, authorities) != (1, 0, 0) {
            return Err(malformed);
        }
        let body = &message[HEADER..];
        let length = name::length(body).ok_or(malformed)?;
        let (wire, rest) = body.split_at(length);
        let (&[t0, t1, c0, c1], mut rest) = rest.split_first_chunk().ok_or(malformed)?;
        let mut name = [0; LONGEST_NAME];
        name[..length].copy_from_slice(wire);
        name[..length].make_ascii_lowercase();
        let mut edns = None;
        for _ in 0..additional {
            let (found, after) = Edns::read(rest).ok_or(malformed)?;
            rest = after;
            if found.is_some() && edns.is_some() {
                return Err(malformed);
            }
            edns = edns.or(found);
        }
        Ok(Self {
            message,
            name,
            name_length: length as u8,
            rtype: Rtype(u16::from_be_bytes([t0, t1])),
            class: u16::from_be_bytes([c0, c1]),
            edns,
        })
    }

    /// The name that is asked for, as it goes over the wire in lower case.
    pub fn name(&self) -> &[u8] {
        &self.name[..usize::from(self.name_length)]
    }

    /// The type.
    pub fn rtype(&self) -> Rtype {
        self.rtype
    }

    /// The class.
    pub fn class(&self) -> u16 {
        self.class
    }

    /// What is said beyond RFC 1035.
    pub fn edns(&self) -> Option<&Edns<'q>> {
        self.edns.as_ref()
    }

    /// The header and the question as they came: the case of letters is the asker's.
    pub(super) fn head(&self) -> &'q [u8] {
        &self.message[..HEADER + usize::from(self.name_length) + 4]
    }
}

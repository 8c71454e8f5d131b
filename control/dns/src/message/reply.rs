//! Replies as they go.

use super::edns::Said;
use super::{HEADER, Query, Rcode};
use crate::name::suffixes;
use crate::rtype::Rtype;
use crate::zone::RrSet;

const QR: u8 = 0x80;
const AA: u8 = 0x04;
const TC: u8 = 0x02;
/// What is the asker's of the flags: opcode and "recursion desired", and "checking disabled".
const ASKED: [u8; 2] = [0x79, 0x10];
/// Names that later ones may point to, at most: more are found, and more looked through, than ever pays.
const NAMES: usize = 32;
/// Where a pointer can point (RFC 1035 section 4.1.4).
const REACH: usize = 0x3fff;

/// A part of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// Who knows more, or that there is nothing.
    Authority,
    /// What will be asked next.
    Additional,
}

/// A reply that is being written. Its memory is used again.
#[derive(Debug, Default)]
pub struct Reply {
    bytes: Vec<u8>,
    /// Records of each section.
    counts: [u16; 3],
    /// Where labels begin that later names may point to.
    labels: Vec<u16>,
    /// Where the question ends.
    head: usize,
    /// Where what is said beyond RFC 1035 begins.
    edns: usize,
}

impl Reply {
    /// Begins an answer: the question's header and the question itself.
    pub(crate) fn begin(&mut self, query: &Query<'_>) {
        self.clear();
        self.bytes.extend_from_slice(query.head());
        self.bytes[2] = QR | AA | self.bytes[2] & ASKED[0];
        self.bytes[3] &= ASKED[1];
        self.head = self.bytes.len();
        let mut at = HEADER;
        for suffix in suffixes(query.name()) {
            if suffix.len() > 1 {
                self.labels.push(at as u16);
                at += 1 + usize::from(suffix[0]);
            }
        }
    }

    /// An answer to a message whose question cannot be told.
    pub(crate) fn refuse(&mut self, message: &[u8], rcode: Rcode) {
        self.clear();
        let Some(&[id0, id1, flags, ..]) = message.first_chunk::<HEADER>() else { return };
        self.bytes.extend_from_slice(&[id0, id1, QR | flags & ASKED[0], rcode.0 as u8]);
        self.bytes.extend_from_slice(&[0; 8]);
        (self.head, self.edns) = (HEADER, HEADER);
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.labels.clear();
        self.counts = [0; 3];
    }

    /// We are not who knows.
    pub(crate) fn not_ours(&mut self) {
        self.bytes[2] &= !AA;
    }

    /// Adds all records of a set but the first `skip`, and those then: each asker finds another first. They
    /// belong to the suffix of the question's name that begins after `at` bytes.
    pub(crate) fn set(&mut self, section: Section, at: usize, set: &RrSet, skip: usize) {
        for data in set.iter().skip(skip).chain(set.iter().take(skip)) {
            self.pointer(at);
            self.record(section, set.rtype(), set.ttl(), data);
        }
    }

    /// Adds a record of the suffix of the question's name that begins after `at` bytes.
    pub(crate) fn own(&mut self, section: Section, at: usize, rtype: Rtype, ttl: u32, data: &[u8]) {
        self.pointer(at);
        self.record(section, rtype, ttl, data);
    }

    /// Adds a text about this server (RFC 4892).
    pub(crate) fn about_us(&mut self, text: &[u8]) {
        self.pointer(0);
        self.record_of(super::CHAOS, Section::Answer, Rtype::TXT, 0, text);
    }

    /// Adds the records of a set that belong to another name.
    pub(crate) fn other(&mut self, section: Section, name: &[u8], set: &RrSet) {
        for data in set.iter() {
            self.name(name);
            self.record(section, set.rtype(), set.ttl(), data);
        }
    }

    fn pointer(&mut self, at: usize) {
        let at = 0xc000 | (HEADER + at) as u16;
        self.bytes.extend_from_slice(&at.to_be_bytes());
    }

    /// What follows a record's owner.
    fn record(&mut self, section: Section, rtype: Rtype, ttl: u32, data: &[u8]) {
        self.record_of(super::IN, section, rtype, ttl, data);
    }

    fn record_of(&mut self, class: u16, section: Section, rtype: Rtype, ttl: u32, data: &[u8]) {
        self.counts[section as usize] += 1;
        self.bytes.extend_from_slice(&rtype.0.to_be_bytes());
        self.bytes.extend_from_slice(&class.to_be_bytes());
        self.bytes.extend_from_slice(&ttl.to_be_bytes());
        self.bytes.extend_from_slice(&[0; 2]);
        let begin = self.bytes.len();
        self.data(rtype, data);
        let length = (self.bytes.len() - begin) as u16;
        self.bytes[begin - 2..begin].copy_from_slice(&length.to_be_bytes());
    }

    /// Data whose names are written as pointers, where everybody understands that (RFC 3597 section 4).
    fn data(&mut self, rtype: Rtype, data: &[u8]) {
        let (before, names) = match rtype {
            Rtype::NS | Rtype::CNAME | Rtype::PTR => (0, 1),
            Rtype::MX => (2, 1),
            Rtype::SOA => (0, 2),
            _ => (data.len(), 0),
        };
        let (fixed, mut rest) = data.split_at(before.min(data.len()));
        self.bytes.extend_from_slice(fixed);
        for _ in 0..names {
            let Some(length) = crate::name::length(rest) else { break };
            let (name, after) = rest.split_at(length);
            self.name(name);
            rest = after;
        }
        self.bytes.extend_from_slice(rest);
    }

    /// A name, as far as it does not stand here already.
    fn name(&mut self, name: &[u8]) {
        for suffix in suffixes(name) {
            if suffix.len() == 1 {
                self.bytes.push(0);
                return;
            }
            if let Some(&there) = self.labels.iter().find(|&&at| self.is_at(at.into(), suffix)) {
                self.bytes.extend_from_slice(&(0xc000 | there).to_be_bytes());
                return;
            }
            let at = self.bytes.len();
            if at <= REACH && self.labels.len() < NAMES {
                self.labels.push(at as u16);
            }
            self.bytes.extend_from_slice(&suffix[..=usize::from(suffix[0])]);
        }
    }

    /// Whether a name stands here.
    fn is_at(&self, mut at: usize, name: &[u8]) -> bool {
        for suffix in suffixes(name) {
            // Pointers point back, and only to what begins with a label.
            while let Some(&[high @ 0xc0..=0xff, low]) = self.bytes.get(at..at + 2) {
                at = usize::from(u16::from_be_bytes([high & 0x3f, low]));
            }
            let length = usize::from(suffix[0]);
            let label = self.bytes.get(at..=at + length);
            if !label.is_some_and(|label| label.eq_ignore_ascii_case(&suffix[..=length])) {
                return false;
            }
            at += 1 + length;
        }
        true
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether the asker is told to ask again by TCP.
    pub fn is_truncated(&self) -> bool {
        self.bytes.get(2).is_some_and(|flags| flags & TC != 0)
    }

    /// Ends the reply. If it is longer than `limit` it is the question alone, to be asked again by TCP: half an
    /// answer would be asked for again all the same.
    pub(crate) fn finish(&mut self, rcode: Rcode, edns: Option<&Said<'_>>, limit: usize) {
        let write = |bytes: &mut Vec<u8>| {
            if let Some(edns) = edns {
                edns.write((rcode.0 >> 4) as u8, bytes);
            }
        };
        let end = self.bytes.len();
        write(&mut self.bytes);
        if self.bytes.len() > limit {
            let edns = self.bytes.split_off(end);
            self.bytes.truncate(self.head);
            self.bytes.extend_from_slice(&edns);
            self.counts = [0; 3];
            self.bytes[2] |= TC;
            self.edns = self.head;
        } else {
            self.edns = end;
        }
        self.bytes[3] = self.bytes[3] & !0x0f | rcode.0 as u8 & 0x0f;
        let [answers, authorities, additional] = self.counts;
        let additional = additional + u16::from(edns.is_some());
        for (at, count) in [(6, answers), (8, authorities), (10, additional)] {
            self.bytes[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
    }

    /// Has the reply say nothing but that it is to be asked for by TCP; and give a cookie, if one was asked for,
    /// with which the asker is a stranger no more (RFC 7873 section 5.2.3).
    pub(crate) fn slip(&mut self) {
        let mut edns = self.bytes.split_off(self.edns.max(self.head).min(self.bytes.len()));
        self.bytes.truncate(self.head);
        self.bytes[2] |= TC;
        self.bytes[3] &= !0x0f;
        self.bytes[6..HEADER].fill(0);
        if let Some(rcode) = edns.get_mut(5) {
            *rcode = 0;
            self.bytes[HEADER - 1] = 1;
        }
        self.bytes.extend_from_slice(&edns);
    }

    /// The reply, as it goes over the wire.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

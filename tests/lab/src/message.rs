//! DNS messages, as a test writes and reads them (RFC 1035 section 4).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Types of records.
pub const A: u16 = 1;
/// The same.
pub const AAAA: u16 = 28;
/// EDNS (RFC 6891).
pub const OPT: u16 = 41;

/// A question that is being written.
#[derive(Clone, Debug)]
pub struct Question {
    message: Vec<u8>,
    options: Option<(u16, Vec<u8>)>,
}

/// A question about a name without a dot at its end.
///
/// # Panics
/// It is none.
pub fn question(id: u16, name: &str, rtype: u16) -> Question {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).expect("a label is short"));
        message.extend(label.as_bytes());
    }
    message.extend([0, (rtype >> 8) as u8, rtype as u8, 0, 1]);
    Question { message, options: None }
}

impl Question {
    /// With EDNS: so many bytes are taken.
    #[must_use]
    pub fn edns(mut self, size: u16) -> Self {
        self.options = Some((size, Vec::new()));
        self
    }

    /// With an option.
    ///
    /// # Panics
    /// Without EDNS.
    #[must_use]
    pub fn option(mut self, code: u16, data: &[u8]) -> Self {
        let (_, options) = self.options.as_mut().expect("it has EDNS");
        options.extend(code.to_be_bytes());
        options.extend((data.len() as u16).to_be_bytes());
        options.extend(data);
        self
    }

    /// The message.
    pub fn finish(self) -> Vec<u8> {
        let Self { mut message, options } = self;
        if let Some((size, options)) = options {
            message[11] = 1;
            message.push(0);
            message.extend(OPT.to_be_bytes());
            message.extend(size.to_be_bytes());
            message.extend([0; 4]);
            message.extend((options.len() as u16).to_be_bytes());
            message.extend(options);
        }
        message
    }
}

/// A message that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it answers.
    pub id: u16,
    /// Its flags and response code, as they stand there.
    pub flags: u16,
    /// Answer, authority, additional.
    pub sections: [Vec<Record>; 3],
    /// Bytes of it.
    pub length: usize,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// Its name, with a dot at its end.
    pub name: String,
    /// Its type.
    pub rtype: u16,
    /// Its class; of EDNS bytes that are taken.
    pub class: u16,
    /// Seconds that it lives.
    pub ttl: u32,
    /// Its data as they go over the wire, but for names, which are written out in lower case.
    pub data: Vec<u8>,
}

impl Message {
    /// Reads a message; nothing if it is none.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let mut at = 12;
        for _ in 0..word(4)? {
            at = name(bytes, at)?.1 + 4;
        }
        let mut sections = [const { Vec::new() }; 3];
        for (section, count) in sections.iter_mut().zip([6, 8, 10]) {
            for _ in 0..word(count)? {
                let (owner, after) = name(bytes, at)?;
                let length = usize::from(word(after + 8)?);
                let data = expanded(bytes, after + 10, length, word(after)?)?;
                let ttl = u32::from(word(after + 4)?) << 16 | u32::from(word(after + 6)?);
                let (rtype, class) = (word(after)?, word(after + 2)?);
                section.push(Record { name: owner, rtype, class, ttl, data });
                at = after + 10 + length;
            }
        }
        (at == bytes.len()).then_some(())?;
        Some(Self { id: word(0)?, flags: word(2)?, sections, length: bytes.len() })
    }

    /// Its response code, without what EDNS adds.
    pub fn rcode(&self) -> u16 {
        self.flags & 0xf
    }

    /// Whether it says that it was too long.
    pub fn is_truncated(&self) -> bool {
        self.flags & 0x0200 != 0
    }

    /// The addresses of its answer, in words.
    pub fn addresses(&self) -> Vec<String> {
        let one = |record: &Record| match record.rtype {
            A => Some(Ipv4Addr::from(*record.data.first_chunk::<4>()?).to_string()),
            AAAA => Some(Ipv6Addr::from(*record.data.first_chunk::<16>()?).to_string()),
            _ => None,
        };
        self.sections[0].iter().filter_map(one).collect()
    }

    /// The least of its answers' times to live.
    pub fn ttl(&self) -> Option<u32> {
        self.sections[0].iter().map(|record| record.ttl).min()
    }

    /// An option of EDNS.
    pub fn option(&self, code: u16) -> Option<Vec<u8>> {
        let mut rest = &self.sections[2].iter().find(|record| record.rtype == OPT)?.data[..];
        while let Some((head, after)) = rest.split_first_chunk::<4>() {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let (data, after) = after.split_at_checked(length)?;
            if u16::from_be_bytes([head[0], head[1]]) == code {
                return Some(data.to_vec());
            }
            rest = after;
        }
        None
    }
}

/// Data of a record, without compression.
fn expanded(bytes: &[u8], at: usize, length: usize, rtype: u16) -> Option<Vec<u8>> {
    let end = at + length;
    let data = bytes.get(at..end)?;
    // NS, CNAME, SOA, PTR, MX, SRV: so many bytes, then so many names, then the rest.
    let (before, names) = match rtype {
        2 | 5 | 12 => (0, 1),
        6 => (0, 2),
        15 => (2, 1),
        33 => (6, 1),
        _ => return Some(data.to_vec()),
    };
    let mut all = data.get(..before)?.to_vec();
    let mut at = at + before;
    for _ in 0..names {
        let (text, after) = name(bytes, at)?;
        all.extend(text.to_lowercase().as_bytes());
        at = after;
    }
    all.extend(bytes.get(at..end)?);
    Some(all)
}

/// The name at a place, and where what follows it begins.
fn name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    let (mut text, mut after) = (String::new(), None);
    for _ in 0..256 {
        match *bytes.get(at)? {
            0 => {
                if text.is_empty() {
                    text.push('.');
                }
                return Some((text, after.unwrap_or(at + 1)));
            }
            high if high >= 0xc0 => {
                after = after.or(Some(at + 2));
                at = usize::from(high & 0x3f) << 8 | usize::from(*bytes.get(at + 1)?);
            }
            length => {
                let end = at + 1 + usize::from(length);
                for &byte in bytes.get(at + 1..end)? {
                    let _ = write!(text, "{}", char::from(byte));
                }
                text.push('.');
                at = end;
            }
        }
    }
    None
}

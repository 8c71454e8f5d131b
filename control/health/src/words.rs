//! The words in which a server tells its state: HAProxy's agent-check, and state files.
//!
//! ```text
//! reply  = *( word separator ) [ "#" description ]       ; any order, any case
//! word   = health / admin / weight / maxconn             ; the last of each sort holds
//! health = "up" / "down" / "stopped" / "fail"
//! admin  = "ready" / "drain" / "maint"
//! weight = 1*DIGIT "%" / "weight:" 1*DIGIT [ "%" ]
//! maxconn = "maxconn:" 1*DIGIT                           ; of connections, whom that may concern
//! separator = 1*( SP / TAB / "," )
//! ```
//!
//! (HAProxy's configuration manual, `agent-check`; `tcpcheck_agent_expect_reply`.) An unknown word is
//! told to the operator and does not spoil the others.

use std::net::IpAddr;

use crate::{Admin, Outcome, Report, reason};

/// The most that a word may say, in percent: what takes HAProxy's least configured weight, 1, to its
/// highest, 256.
const MAX_WEIGHT: u16 = 25_600;

/// The highest absolute weight (HAProxy's `SRV_UWGHT_MAX`).
const MAX_ABSOLUTE: u16 = 256;

/// What a line says. What it does not name is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words<'a> {
    /// Whether the server is well.
    pub(crate) healthy: Option<bool>,
    /// What it wants to be.
    pub(crate) admin: Option<Admin>,
    /// Percent of the configured weight. `weight:N` without `%` is absolute with HAProxy, on the
    /// scale of configured weights; here, where those are not known, it is N percent: the same
    /// proportions among servers of equal configured weight, and the very same for those of 100.
    pub(crate) weight: Option<u16>,
    /// Most connections.
    pub(crate) max_connections: Option<u32>,
    /// The first word that is none of these.
    pub(crate) unknown: Option<&'a [u8]>,
    /// What follows `#`.
    pub(crate) description: Option<&'a [u8]>,
}

impl<'a> Words<'a> {
    /// Reads a line, without its end. Never fails: see [`Words::unknown`].
    pub(crate) fn parse(line: &'a [u8]) -> Self {
        let mut words = Self::default();
        let mut rest = line;
        loop {
            rest = rest.trim_ascii_start();
            let Some(first) = rest.first() else { return words };
            match first {
                b',' => rest = &rest[1..],
                b'#' => {
                    words.description = Some(rest[1..].trim_ascii());
                    return words;
                }
                _ => {
                    let end = rest
                        .iter()
                        .position(|b| b.is_ascii_whitespace() || *b == b',')
                        .unwrap_or(rest.len());
                    let (word, after) = rest.split_at(end);
                    words.take(word);
                    rest = after;
                }
            }
        }
    }

    /// Whether nothing in the line was understood.
    pub(crate) fn is_meaningless(&self) -> bool {
        let Self { healthy, admin, weight, max_connections, unknown: _, description: _ } = self;
        healthy.is_none() && admin.is_none() && weight.is_none() && max_connections.is_none()
    }

    /// The report of a server that said `line`.
    pub(crate) fn report(&self, line: &[u8]) -> Report {
        let outcome = match self.healthy {
            Some(true) => Outcome::Passed,
            Some(false) => Outcome::Failed,
            None => Outcome::Silent,
        };
        let said = reason::quote(line.trim_ascii());
        let reason = match self.unknown {
            Some(word) => format!("{said}, of which {} is no known word", reason::quote(word)),
            None => said,
        };
        Report {
            outcome,
            admin: self.admin,
            weight: self.weight,
            max_connections: self.max_connections,
            reason,
        }
    }

    fn take(&mut self, word: &'a [u8]) {
        let lower = word.to_ascii_lowercase();
        match lower.as_slice() {
            b"up" => self.healthy = Some(true),
            b"down" | b"stopped" | b"fail" => self.healthy = Some(false),
            b"ready" => self.admin = Some(Admin::Ready),
            b"drain" => self.admin = Some(Admin::Drain),
            b"maint" => self.admin = Some(Admin::Maintenance),
            other => match quantity(other) {
                Some(Quantity::Weight(percent)) => self.weight = Some(percent),
                Some(Quantity::Connections(most)) => self.max_connections = Some(most),
                None => {
                    self.unknown.get_or_insert(word);
                }
            },
        }
    }
}

/// A word with a number.
enum Quantity {
    /// In percent.
    Weight(u16),
    Connections(u32),
}

fn quantity(word: &[u8]) -> Option<Quantity> {
    if let Some(limit) = word.strip_prefix(b"maxconn:") {
        return number(limit).map(Quantity::Connections);
    }
    let (weight, named) = match word.strip_prefix(b"weight:") {
        Some(weight) => (weight, true),
        None => (word, false),
    };
    match weight.strip_suffix(b"%") {
        Some(percent) => number(percent).map(|n| weight_of(n, MAX_WEIGHT)),
        None if named => number(weight).map(|n| weight_of(n, MAX_ABSOLUTE)),
        None => None,
    }
}

fn weight_of(number: u32, most: u16) -> Quantity {
    Quantity::Weight(u16::try_from(number).unwrap_or(most).min(most))
}

/// Digits and nothing else; what is too large is the largest.
fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |n, digit| {
        digit.is_ascii_digit().then(|| n.saturating_mul(10).saturating_add(u32::from(digit - b'0')))
    })
}

/// The first line of what an agent sent, without its end (CR, LF or NUL). A line without an end does
/// not count, as with HAProxy: the rest of it may still be on the way.
pub(crate) fn first_line(sent: &[u8]) -> Option<&[u8]> {
    let end = sent.iter().position(|b| matches!(b, b'\r' | b'\n' | 0))?;
    Some(&sent[..end])
}

/// What a state file says of a node, the later line before the earlier: a line `NAME => WORDS` speaks
/// of the node with that name or address, any other line of every node. Blank lines and those that
/// begin with `#` say nothing.
pub(crate) fn line_about<'a>(file: &'a [u8], node: &str, address: IpAddr) -> Option<&'a [u8]> {
    file.split(|b| *b == b'\n').rev().find_map(|line| {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            return None;
        }
        match line.windows(2).position(|pair| pair == b"=>") {
            None => Some(line),
            Some(at) => {
                let name = line[..at].trim_ascii();
                let names = name == node.as_bytes()
                    || str::from_utf8(name).is_ok_and(|n| n.parse() == Ok(address));
                names.then(|| line[at + 2..].trim_ascii())
            }
        }
    })
}

#[cfg(test)]
mod tests;
